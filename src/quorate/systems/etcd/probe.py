"""How to look at a member, and what to make of the answers: questions → answers → View → Judgement.

A member is well if it answers, knows a leader and has raised no alarm. The cluster is well if a majority is, all are
of one cluster, and it consists of the cloud's controllers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quorate.core.observed import Answer, Answers, Unknown
from quorate.core.system import Question, Site
from quorate.core.verdict import Judgement, Level, Verdict, failing, merge, ok, unknown
from quorate.systems.etcd.config import DATA, PORT, UNIT, EtcdSpec

# PORT UNIT DATA → one JSON object: the unit's state, whether a member has kept data here, and what the member says.
# Its list of members is asked without a majority: a member that is cut off is to tell what it knows.
LOOK = """
import http.client, json, os, subprocess, sys
port, unit, data = sys.argv[1:]
def ask(path, body):
    api = http.client.HTTPConnection("127.0.0.1", int(port), timeout=1)
    api.request("POST", "/v3/" + path, json.dumps(body), {"Content-Type": "application/json"})
    reply = api.getresponse()
    text = reply.read()
    if reply.status != 200:
        raise OSError("%s: HTTP %s: %s" % (path, reply.status, text[:200].decode("utf-8", "replace")))
    return json.loads(text)
shown = subprocess.run(["systemctl", "show", "--property=ActiveState", "--", unit], capture_output=True, text=True)
seen = {"unit": shown.stdout.strip().partition("=")[2]}
try:
    seen["data"] = bool(os.listdir(data + "/member"))
except (FileNotFoundError, NotADirectoryError):
    seen["data"] = False
except OSError as error:
    seen["unread"] = str(error)
try:
    seen["status"] = ask("maintenance/status", {})
    seen["members"] = ask("cluster/member/list", {"linearizable": False}).get("members", [])
    seen["alarms"] = ask("maintenance/alarm", {"action": "GET"}).get("alarms", [])
except (OSError, ValueError, http.client.HTTPException) as error:
    seen["down"] = str(error) or type(error).__name__
print(json.dumps(seen))
"""


@dataclass(frozen=True)
class Member:
    """One of the cluster, as another shows it. Without a name: it was added and has not started yet."""

    name: str
    peer: str


@dataclass(frozen=True)
class Said:
    """What a member says: its cluster, its leader (empty: none) and whom it knows. Identifiers are etcd's own."""

    cluster: str
    leader: str
    version: str
    members: tuple[Member, ...]
    alarms: tuple[str, ...]


@dataclass(frozen=True)
class Silent:
    """It was asked and gave no answer that can be used."""

    why: str


@dataclass(frozen=True)
class View:
    """One controller: systemd's active state of the unit, whether data is kept here, and what the member says."""

    unit: str | Unknown
    data: bool | Unknown
    said: Said | Silent | Unknown


def questions(_spec: EtcdSpec, _site: Site, _host: str) -> Sequence[Question]:
    """Ask systemd, the disk and the member."""
    return (Question("look", ("python3", "-c", LOOK, str(PORT), UNIT, DATA), timeout=3.0),)


def read(answers: Answers) -> View:
    """Read what a controller answered. What makes no sense is Unknown."""
    answer: Answer | Unknown = answers.get("look", Unknown(why="it was not asked"))
    if isinstance(answer, Unknown):
        return View(answer, answer, answer)
    try:
        seen = json.loads(answer.out)
        data = seen["data"] if "data" in seen else Unknown(why=f"{DATA}: {seen['unread']}")
        return View(
            unit=str(seen["unit"]) or Unknown(why="systemctl did not say the state"), data=data, said=_said(seen)
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        nothing = Unknown(why="what the look printed makes no sense")
        return View(nothing, nothing, nothing)


def _said(seen: Mapping[str, Any]) -> Said | Silent:
    if "down" in seen:
        return Silent(str(seen["down"]))
    status = seen["status"]
    return Said(
        cluster=str(status["header"]["cluster_id"]),
        leader=str(status.get("leader", "0")).removeprefix("0"),
        version=str(status["version"]),
        members=tuple(Member(str(one.get("name", "")), str(one["peerURLs"][0])) for one in seen["members"]),
        alarms=tuple(sorted({str(one["alarm"]) for one in seen["alarms"]})),
    )


def judge(_spec: EtcdSpec, site: Site, views: Mapping[str, View | Unknown]) -> Judgement:
    """Locks are to be had while a majority of the members has a leader."""
    seen = {name: views.get(name, Unknown(why="not asked")) for name in site.cloud.names}
    members = {name: _member(view) for name, view in seen.items()}
    said = {name: view.said for name, view in seen.items() if isinstance(view, View) and isinstance(view.said, Said)}
    return Judgement(merge((_whole(members), *_disagreements(site, said))), members)


def _member(view: View | Unknown) -> Verdict:
    if isinstance(view, Unknown):
        return unknown(view.why)
    match view.said:
        case Unknown(why=why):
            return unknown(why)
        case Silent(why=why):
            return failing(f"{UNIT} is {view.unit}" if view.unit in {"inactive", "failed"} else f"no answer: {why}")
        case Said(alarms=(first, *_) as alarms):
            remedy = ": its database is full" if first == "NOSPACE" else ""
            return failing(f"it has raised the alarm {', '.join(alarms)}{remedy}")
        case Said(leader=""):
            return failing("it knows no leader: no majority is there")
        case Said(version=version):
            return ok(f"etcd {version} answers")


def _whole(members: Mapping[str, Verdict]) -> Verdict:
    well = sum(verdict.is_ok for verdict in members.values())
    unseen = sum(verdict.level is Level.UNKNOWN for verdict in members.values())
    majority = len(members) // 2 + 1
    words = f"{well} of {len(members)} members answer"
    if well >= majority:
        return ok(words)
    return unknown(words) if well + unseen >= majority else failing(f"{words}: no majority, and no locks")


def _disagreements(site: Site, said: Mapping[str, Said]) -> list[Verdict]:
    """Members of several clusters, and a cluster that is not the cloud's controllers."""
    clusters: dict[str, list[str]] = {}
    for name, one in said.items():
        clusters.setdefault(one.cluster, []).append(name)
    if len(clusters) > 1:
        camps = " ≠ ".join(", ".join(names) for names in clusters.values())
        return [failing(f"members are of different clusters ({camps}): a lock taken in one is free in the other")]
    known = {member.name for one in said.values() for member in one.members if member.name}
    found = []
    if strangers := sorted(known - set(site.cloud.names)):
        words = f"{', '.join(strangers)}: a member and no controller of this cloud; it counts for the majority"
        found.append(failing(words))
    return found

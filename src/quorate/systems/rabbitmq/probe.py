"""How to look at a node, and what to make of the answers: questions → answers → View → Judgement.

The node is asked over its HTTP API, at the address of the management network: its command line starts an Erlang
machine of its own at every call, which costs seconds of a busy controller.

A node is well if its unit runs, it answers, it is in no partition, nothing holds publishers back, and every account
that should exist can log in. The cluster is well if all nodes are, all see all others, and no queue is there that
services would declare in another way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quorate.core.observed import Answer, Answers, Unknown
from quorate.core.system import Question, Site
from quorate.core.verdict import Judgement, Verdict, failing, merge, ok, unknown
from quorate.systems.rabbitmq.config import (
    ACCOUNTS_UNIT,
    API_PORT,
    DEFINITIONS,
    HOME,
    LOOKER,
    UNIT,
    VHOST,
    RabbitSpec,
    node,
)

# ADDRESS PORT DEFINITIONS LOOKER → what the node says as one JSON object; exit code 1 and why there is nothing.
# Each account's password is tried, from the file that the node itself has read. Queues are sorted by their type, so
# that the classic ones are the first, however many there are.
API = """
import base64, http.client, json, sys, time
address, port, path, looker, vhost = sys.argv[1:]
wanted = json.load(open(path))
passwords = {user["name"]: user["password"] for user in wanted["users"]}
until = time.monotonic() + 2.0
def ask(what, user):
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    said = http.client.HTTPConnection(address, int(port), timeout=left)
    token = base64.b64encode(f"{user}:{passwords[user]}".encode()).decode()
    said.request("GET", "/api/" + what, headers={"Authorization": "Basic " + token})
    reply = said.getresponse()
    return reply.status, json.load(reply)
def get(what):
    status, body = ask(what, looker)
    if status != 200:
        sys.exit(f"{what}: {status} {body.get('reason', '')}")
    return body
try:
    overview = get("overview?disable_stats=true")
    nodes = get("nodes?columns=name,running,partitions,mem_alarm,disk_free_alarm,being_drained")
    queues = get("queues/" + vhost + "?sort=type&page=1&page_size=100&columns=name,type,durable,messages")["items"]
    classic = {one["name"]: one.get("messages", -1) for one in queues if one["type"] == "classic" and one["durable"]}
    refused = {}
    for user in passwords:
        status, body = ask("whoami", user)
        if status != 200:
            refused[user] = str(body.get("reason", status))
    print(json.dumps({"node": overview.get("node"), "version": overview.get("rabbitmq_version"), "nodes": nodes,
                      "refused": refused, "accounts": sorted(passwords), "classic": classic}))
except (OSError, ValueError, http.client.HTTPException) as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""

# The directories of nodes that have been up here; `end` proves that all was said.
LOOK_AT_DATA = f"""cd {HOME}/mnesia 2>/dev/null || {{ [ -e {HOME}/mnesia ] && exit 1; echo end; exit 0; }}
find . -mindepth 1 -maxdepth 1 -type d -name '*@*' ! -name '*-plugins-expand' -printf '%f\\n' || exit 1
echo end"""


@dataclass(frozen=True)
class Peer:
    """A node as another one shows it."""

    name: str
    running: bool
    partitions: tuple[str, ...] = ()
    memory_alarm: bool = False
    disk_alarm: bool = False
    drained: bool = False


@dataclass(frozen=True)
class Said:
    """What a node says: its name, the members that it knows, and which accounts cannot log in, with its words.

    `classic`: durable queues that are not replicated, which services cannot declare as they mean them: name → messages
    (-1: it did not say how many).
    """

    node: str
    version: str
    nodes: tuple[Peer, ...]
    accounts: tuple[str, ...]
    refused: Mapping[str, str]
    classic: Mapping[str, int]

    @property
    def running(self) -> frozenset[str]:
        """The members that it sees running."""
        return frozenset(peer.name for peer in self.nodes if peer.running)


@dataclass(frozen=True)
class Silent:
    """It was asked and gave no answer that can be used."""

    why: str


_NOT_ASKED = Unknown(why="it was not asked")


@dataclass(frozen=True)
class View:
    """One controller. Units as systemd's active states, `data` names of nodes that have kept data here.

    `others`: the nodes that this one saw running when it last looked; asked only for a recovery.
    """

    unit: str | Unknown
    accounts: str | Unknown
    data: tuple[str, ...] | Unknown
    said: Said | Silent | Unknown
    others: frozenset[str] | Unknown = _NOT_ASKED


def questions(_spec: RabbitSpec, site: Site, host: str) -> Sequence[Question]:
    """Ask systemd, the disk and the node."""
    api = ("python3", "-c", API, site.cloud.address(host), str(API_PORT), DEFINITIONS, LOOKER, VHOST)
    return (
        *(
            Question(name, ("systemctl", "show", "--property=LoadState,ActiveState,SubState", "--", unit))
            for name, unit in (("unit", UNIT), ("accounts", ACCOUNTS_UNIT))
        ),
        Question("data", ("sh", "-c", LOOK_AT_DATA)),
        Question("api", api, timeout=3.0),
    )


def read(answers: Answers) -> View:
    """Read what a controller answered. What makes no sense is Unknown."""
    return View(
        unit=_unit(answers.get("unit", _NOT_ASKED)),
        accounts=_unit(answers.get("accounts", _NOT_ASKED)),
        data=_data(answers.get("data", _NOT_ASKED)),
        said=_said(answers.get("api", _NOT_ASKED)),
        others=_others(answers.get("others", _NOT_ASKED)),
    )


def _unit(answer: Answer | Unknown) -> str | Unknown:
    if isinstance(answer, Unknown):
        return answer
    said = dict(line.split("=", 1) for line in answer.out.splitlines() if "=" in line)
    return said.get("ActiveState") or Unknown(why="systemctl did not say the state")


def _data(answer: Answer | Unknown) -> tuple[str, ...] | Unknown:
    if isinstance(answer, Unknown):
        return answer
    lines = answer.out.splitlines()
    if answer.code != 0 or lines[-1:] != ["end"]:
        return Unknown(why="the data directory was not read to its end")
    return tuple(sorted(lines[:-1]))


def _others(answer: Answer | Unknown) -> frozenset[str] | Unknown:
    if isinstance(answer, Unknown):
        return answer
    if answer.code != 0 or answer.out.splitlines()[-1:] != ["end"]:
        return Unknown(why="whom it saw running last was not read to its end")
    return frozenset(re.findall(r"'?(rabbit@[\w.:-]+)'?", answer.out))


def _said(answer: Answer | Unknown) -> Said | Silent | Unknown:
    if isinstance(answer, Unknown):
        return answer
    if answer.code != 0:
        return Silent((answer.err.strip().splitlines() or [f"the probe ended with {answer.code}"])[-1])
    try:
        found = json.loads(answer.out)
        return Said(
            node=str(found["node"]),
            version=str(found["version"]),
            nodes=tuple(_peer(one) for one in found["nodes"]),
            accounts=tuple(map(str, found["accounts"])),
            refused={str(name): str(why) for name, why in found["refused"].items()},
            classic={str(name): int(count) for name, count in found["classic"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return Unknown(why="its API made no sense")


def _peer(found: Mapping[str, Any]) -> Peer:
    return Peer(
        name=str(found["name"]),
        running=found["running"] is True,
        partitions=tuple(map(str, found.get("partitions", ()))),
        memory_alarm=found.get("mem_alarm") is True,
        disk_alarm=found.get("disk_free_alarm") is True,
        drained=found.get("being_drained") is True,
    )


def judge(_spec: RabbitSpec, site: Site, views: Mapping[str, View | Unknown]) -> Judgement:
    """Judge every controller, then whether all of them are one cluster."""
    members = {host: _member(site, host, views) for host in site.cloud.names}
    return Judgement(_cluster(site, views, members), members)


def _member(site: Site, host: str, views: Mapping[str, View | Unknown]) -> Verdict:
    view = views.get(host, _NOT_ASKED)
    if isinstance(view, Unknown):
        return unknown(view.why)
    if isinstance(view.unit, Unknown):
        return unknown(f"state of {UNIT}: {view.unit.why}")
    if view.unit != "active":
        return failing(f"{UNIT} is {view.unit}")
    said = view.said
    if isinstance(said, Unknown):
        return unknown(f"its API: {said.why}")
    if isinstance(said, Silent) and host in site.drained and node(site.cloud, host) in drained_in(views):
        return ok("drained: it takes no client")
    if isinstance(said, Silent):
        return failing(f"its API does not answer: {said.why}")
    return _node(node(site.cloud, host), said)


def _node(name: str, said: Said) -> Verdict:
    own = next((peer for peer in said.nodes if peer.name == name), None)
    if said.node != name or own is None:
        return failing(f"another node runs here: {said.node} instead of {name}")
    if own.partitions:
        return failing(f"it is cut off from {', '.join(own.partitions)}")
    held = [what for what, is_so in (("memory", own.memory_alarm), ("disk space", own.disk_alarm)) if is_so]
    if held:
        return failing(f"publishers are held back: too little {' and '.join(held)} is left")
    if said.refused:
        refusals = ", ".join(f"{account} ({why})" for account, why in sorted(said.refused.items()))
        return failing(f"accounts that cannot log in with the password of secrets.yaml: {refusals}")
    return ok(f"RabbitMQ {said.version}, {len(said.running)} nodes seen")


def _cluster(site: Site, views: Mapping[str, View | Unknown], members: Mapping[str, Verdict]) -> Verdict:
    split = disagreement(running_in(views))
    if split:
        return failing(split)
    well = sum(verdict.is_ok for verdict in members.values())
    others = "; ".join(f"{host}: {verdict.reason}" for host, verdict in members.items() if not verdict.is_ok)
    summary = f"{well} of {len(members)} nodes are in the cluster" + (f"; {others}" if others else "")
    if counted := [verdict for host, verdict in members.items() if not verdict.is_ok and host not in site.drained]:
        return Verdict(merge(counted).level, summary)
    if well < len(members):
        return ok(summary)
    seen = next(iter(running_in(views).values())).running
    missing = sorted({node(site.cloud, host) for host in site.cloud.names} - seen)
    if missing:
        return failing(f"{summary}, but they do not see {', '.join(missing)}")
    if old := classic_in(views):
        return failing(f"queues that are not replicated, so that services cannot declare them: {listed(old)}")
    return ok(summary)


def classic_in(views: Mapping[str, View | Unknown]) -> dict[str, int]:
    """Durable queues that are not replicated, as any node shows them: name → messages."""
    found: dict[str, int] = {}
    for said in running_in(views).values():
        for name, count in said.classic.items():
            found[name] = max(count, found.get(name, 0)) if count >= 0 else count
    return found


def listed(queues: Mapping[str, int]) -> str:
    """Name queues, with what they hold."""
    return ", ".join(f"{name} ({'?' if count < 0 else count} messages)" for name, count in sorted(queues.items()))


def running_in(views: Mapping[str, View | Unknown]) -> dict[str, Said]:
    """Controllers whose node answers."""
    return {host: view.said for host, view in views.items() if isinstance(view, View) and isinstance(view.said, Said)}


def drained_in(views: Mapping[str, View | Unknown]) -> frozenset[str]:
    """Nodes that run and take no clients, as any of them shows it."""
    said = running_in(views).values()
    return frozenset(peer.name for one in said for peer in one.nodes if peer.running and peer.drained)


def disagreement(said: Mapping[str, Said]) -> str:
    """Why these nodes are not of one cluster, in words; empty if they are."""
    groups: dict[frozenset[str], list[str]] = {}
    for host, one in said.items():
        groups.setdefault(one.running, []).append(host)
    if len(groups) < 2:
        return ""
    listed = "; ".join(f"{', '.join(hosts)}: {', '.join(sorted(seen))}" for seen, hosts in groups.items())
    apart = not frozenset.intersection(*groups)
    what = "SPLIT: nodes form clusters of their own" if apart else "nodes do not agree who runs"
    return f"{what} ({listed})"

"""How corosync is looked at: is it running, has it quorum, whom does it see, and has it loaded what is written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quorate.core.observed import Answer, Answers, Unknown
from quorate.core.system import Question, Site
from quorate.core.verdict import Judgement, Level, Verdict, failing, ok, unknown
from quorate.systems.corosync.config import LOADED, CorosyncSpec

_QUORATE = re.compile(r"^Quorate:\s+(Yes|No)\b", re.MULTILINE)
_MEMBER = re.compile(r"^\s+(\d+)\s+\d+\s+\S", re.MULTILINE)
_TOKEN = re.compile(r"=\s*(\d+)\s*$")
_PEER = re.compile(r"^nodeid: (\d+) (\S+)", re.MULTILINE)
_LINK = re.compile(r"LINK: (\d+) .*?(enabled|disabled)\s*(connected)?")


@dataclass(frozen=True)
class View:
    """What one controller's corosync says. `members`: the nodeids that it sees, itself among them.

    `lost_links`: "nodeid/link" of every link to a reachable member that carries nothing. `key_loaded`: whether the key
    on disk is the one that it uses.
    """

    running: bool | Unknown
    quorate: bool | Unknown
    members: tuple[int, ...] | Unknown
    token_ms: int | Unknown
    lost_links: tuple[str, ...] | Unknown
    key_loaded: bool | Unknown


def questions(spec: CorosyncSpec, site: Site, host: str) -> Sequence[Question]:
    """Ask the unit, the quorum, the timer that is in force, the links, and whether the key is the loaded one."""
    del spec, site, host
    return (
        Question("active", ("systemctl", "is-active", "corosync.service")),
        Question("quorum", ("corosync-quorumtool", "-s")),
        Question("token", ("corosync-cmapctl", "-g", "runtime.config.totem.token")),
        Question("links", ("corosync-cfgtool", "-n")),
        Question("key", ("sha256sum", "--check", LOADED)),
    )


def read(answers: Answers) -> View:
    """Read what was answered; what cannot be read is Unknown with the reason."""
    return View(
        running=_running(answers.get("active")),
        quorate=_quorate(answers.get("quorum")),
        members=_members(answers.get("quorum")),
        token_ms=_token(answers.get("token")),
        lost_links=_lost_links(answers.get("links")),
        key_loaded=_key_loaded(answers.get("key")),
    )


def judge(spec: CorosyncSpec, site: Site, views: Mapping[str, View | Unknown]) -> Judgement:
    """A member is well that belongs to a quorate membership; the cluster, when every controller does."""
    names = site.cloud.names
    seen = _seen_by_majority(views)
    members = {
        name: _member(spec, number, views.get(name, Unknown(why="it was not asked")), seen)
        for number, name in enumerate(names, start=1)
    }
    present = [name for name in names if members[name].is_ok]
    missing = [
        f"{name} {verdict.level.word}: {verdict.reason}" for name, verdict in members.items() if not verdict.is_ok
    ]
    summary = "; ".join((f"{len(present)} of {len(names)} controllers are well in the membership", *missing))
    if seen:
        counted = [verdict.level for name, verdict in members.items() if name not in site.drained]
        cluster = Verdict(max(counted, default=Level.OK), summary)
    elif any(isinstance(view, Unknown) for view in views.values()):
        cluster = unknown(f"no controller that answers has quorum; {summary}")
    else:
        cluster = failing(f"no controller has quorum; {summary}")
    return Judgement(cluster, members)


def occupied(_spec: CorosyncSpec, site: Site, views: Mapping[str, View | Unknown], host: str) -> str:
    """Say why the place is not free for an empty machine: the others see a member there, and here none runs."""
    view = views[host]
    if isinstance(view, Unknown) or view.running is not False:
        return ""
    number = site.cloud.names.index(host) + 1
    return (
        "the others see a member in its place, which this machine is not" if number in _seen_by_majority(views) else ""
    )


def _seen_by_majority(views: Mapping[str, View | Unknown]) -> frozenset[int]:
    """All whom quorate members see; nobody when none is quorate."""
    return frozenset(
        member
        for view in views.values()
        if isinstance(view, View) and view.quorate is True and not isinstance(view.members, Unknown)
        for member in view.members
    )


def _member(spec: CorosyncSpec, number: int, view: View | Unknown, seen: frozenset[int]) -> Verdict:
    if isinstance(view, Unknown):
        if seen and number not in seen:
            return failing(f"the quorate members do not see it, and it does not answer: {view.why}")
        return unknown(view.why)
    if view.running is False:
        return failing("corosync does not run")
    for evidence in (view.running, view.quorate, view.members):
        if isinstance(evidence, Unknown):
            return unknown(evidence.why)
    if view.quorate is False:
        return failing(f"it has no quorum: it sees {_count(view.members)}")
    if not isinstance(view.token_ms, Unknown) and view.token_ms != spec.token_ms:
        return failing(f"it runs with a token of {view.token_ms} ms where {spec.token_ms} ms is wanted")
    if not isinstance(view.lost_links, Unknown) and view.lost_links:
        return failing(f"links to reachable members carry nothing: {', '.join(view.lost_links)} (nodeid/link)")
    if view.key_loaded is False:
        return failing("it has not loaded the key that lies on its disk: it could not join again")
    return ok(f"in a quorate membership of {_count(view.members)}")


def _count(members: tuple[int, ...] | Unknown) -> str:
    return "an unknown number" if isinstance(members, Unknown) else str(len(members))


def _running(answer: Answer | Unknown | None) -> bool | Unknown:
    if not isinstance(answer, Answer):
        return answer or Unknown(why="systemd was not asked")
    return answer.out.strip() == "active"


def _quorate(answer: Answer | Unknown | None) -> bool | Unknown:
    if not isinstance(answer, Answer):
        return answer or Unknown(why="the quorum was not asked for")
    found = _QUORATE.search(answer.out)
    return found[1] == "Yes" if found else Unknown(why=_strange("corosync-quorumtool", answer))


def _members(answer: Answer | Unknown | None) -> tuple[int, ...] | Unknown:
    if not isinstance(answer, Answer):
        return answer or Unknown(why="the quorum was not asked for")
    _, heading, table = answer.out.partition("Membership information")
    found = tuple(int(number) for number in _MEMBER.findall(table))
    return found if heading and found else Unknown(why=_strange("corosync-quorumtool", answer))


def _token(answer: Answer | Unknown | None) -> int | Unknown:
    if not isinstance(answer, Answer):
        return answer or Unknown(why="the token was not asked for")
    found = _TOKEN.search(answer.out)
    return int(found[1]) if found else Unknown(why=_strange("corosync-cmapctl", answer))


def _lost_links(answer: Answer | Unknown | None) -> tuple[str, ...] | Unknown:
    if not isinstance(answer, Answer):
        return answer or Unknown(why="the links were not asked for")
    if not answer.out.startswith("Local node ID"):
        return Unknown(why=_strange("corosync-cfgtool", answer))
    lost = []
    for block in answer.out.split("\n\n"):
        peer = _PEER.search(block)
        if peer and peer[2] == "reachable":
            lost += [f"{peer[1]}/{link}" for link, _, connected in _LINK.findall(block) if not connected]
    return tuple(lost)


def _key_loaded(answer: Answer | Unknown | None) -> bool | Unknown:
    """No note of what was loaded counts as not loaded: to load it once more does no harm."""
    if not isinstance(answer, Answer):
        return answer or Unknown(why="the key was not asked for")
    return answer.code == 0


def _strange(program: str, answer: Answer) -> str:
    """Say what a program answered that we cannot read: its first words."""
    words = (answer.err or answer.out).strip().splitlines()
    return f"{program} ended with {answer.code}: {words[0] if words else 'no output'}"

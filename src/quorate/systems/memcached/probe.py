"""memcached: ask each server for its statistics where its clients reach it, read and judge them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quorate.core.observed import Answers, Unknown
from quorate.core.system import Question, Site
from quorate.core.verdict import Judgement, Verdict, failing, ok, unknown
from quorate.systems.memcached.config import PORT, MemcachedSpec

# Prints the server's own words; exit code 1 and the reason where there are none. The wait is shorter than the
# question's, so that a frozen server is seen to be frozen rather than unknown.
_STATS = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 1.0) as server:
        server.sendall(b"stats\\r\\n")
        reply = b""
        while not reply.endswith(b"END\\r\\n"):
            data = server.recv(65536)
            if not data:
                sys.exit("it closed the connection")
            reply += data
    print(reply.decode("ascii", "replace"), end="")
except OSError as error:
    sys.exit(str(error))
"""


@dataclass(frozen=True)
class Silent:
    """It was asked and does not serve."""

    why: str


@dataclass(frozen=True)
class Stats:
    """What the server says of itself."""

    version: str
    connections: int | Unknown
    items: int | Unknown
    evictions: int | Unknown


@dataclass(frozen=True)
class MemcachedView:
    """One server, as its clients see it."""

    server: Stats | Silent | Unknown


def questions(_spec: MemcachedSpec, site: Site, host: str) -> tuple[Question, ...]:
    """One round trip to the server, at the address that the others use."""
    return (Question("stats", ("python3", "-c", _STATS, site.cloud.address(host), str(PORT))),)


def read(answers: Answers) -> MemcachedView:
    """Read the statistics; anything else than statistics is no evidence of a server."""
    answer = answers.get("stats", Unknown(why="not asked"))
    if isinstance(answer, Unknown):
        return MemcachedView(answer)
    if answer.code != 0:
        return MemcachedView(Silent(answer.err.strip() or f"the probe ended with {answer.code}"))
    stats = {
        words[1]: words[2] for words in (line.split(None, 2) for line in answer.out.splitlines()) if len(words) == 3
    }
    if "version" not in stats:
        return MemcachedView(Unknown(why="the answer holds no version"))
    return MemcachedView(
        Stats(
            version=stats["version"],
            connections=_number(stats, "curr_connections"),
            items=_number(stats, "curr_items"),
            evictions=_number(stats, "evictions"),
        )
    )


def _number(stats: Mapping[str, str], name: str) -> int | Unknown:
    value = stats.get(name, "")
    return int(value) if value.isdecimal() else Unknown(why=f"no {name} in the answer")


def judge(_spec: MemcachedSpec, site: Site, views: Mapping[str, MemcachedView | Unknown]) -> Judgement:
    """A server is well when it answers; the cache as a whole works as long as one does."""
    members = {name: _judge(views.get(name, Unknown(why="not asked"))) for name in site.cloud.names}
    serving = sum(verdict.is_ok for verdict in members.values())
    reason = f"{serving} of {len(members)} servers answer"
    if serving:
        return Judgement(ok(reason), members)
    unseen = any(isinstance(view, Unknown) or isinstance(view.server, Unknown) for view in views.values())
    return Judgement(unknown(reason) if unseen else failing(reason), members)


def _judge(view: MemcachedView | Unknown) -> Verdict:
    if isinstance(view, Unknown):
        return unknown(view.why)
    match view.server:
        case Unknown(why=why):
            return unknown(why)
        case Silent(why=why):
            return failing(f"memcached does not answer: {why}")
        case Stats() as stats:
            return ok(f"memcached {stats.version} answers")

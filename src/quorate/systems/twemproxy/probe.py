"""twemproxy: ask each proxy for a key and for its statistics, read and judge them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quorate.core.observed import Answers, Unknown
from quorate.core.system import Question, Site
from quorate.core.verdict import Judgement, Verdict, failing, ok, unknown
from quorate.systems.twemproxy.config import POOL, PORT, STATS_PORT, TwemproxySpec

# First the statistics, then the answer to a get of a key that nobody sets: what a client sees, through the ring.
# The waits are shorter than the question's, so that a frozen proxy is seen to be frozen rather than unknown.
_PROBE = """
import json, socket, sys
def ask(port, words, end):
    reply = b""
    try:
        with socket.create_connection(("127.0.0.1", port), 0.8) as proxy:
            proxy.sendall(words)
            while not (end and reply.endswith(end)):
                data = proxy.recv(65536)
                if not data:
                    break
                reply += data
        return {"reply": reply.decode("ascii", "replace")}
    except OSError as error:
        return {"error": str(error)}
print(json.dumps({
    "stats": ask(int(sys.argv[2]), b"", b""),
    "get": ask(int(sys.argv[1]), b"get quorate:probe\\r\\n", b"\\r\\n"),
}))
"""


@dataclass(frozen=True)
class Silent:
    """It was asked and does not serve."""

    why: str


@dataclass(frozen=True)
class Serving:
    """It answers. `ejected`: for each of its servers, how many seconds ago it was last taken out; None: never."""

    version: str
    ejected: Mapping[str, float | None] | Unknown


@dataclass(frozen=True)
class TwemproxyView:
    """One proxy, as the services beside it see it."""

    proxy: Serving | Silent | Unknown


def questions(_spec: TwemproxySpec, _site: Site, _host: str) -> tuple[Question, ...]:
    """A get through the proxy, and its statistics."""
    return (Question("proxy", ("python3", "-c", _PROBE, str(PORT), str(STATS_PORT))),)


def read(answers: Answers) -> TwemproxyView:
    """Read what the proxy said. A get is answered with END alone; everything else is a fault that clients see."""
    answer = answers.get("proxy", Unknown(why="not asked"))
    if isinstance(answer, Unknown):
        return TwemproxyView(answer)
    try:
        said = json.loads(answer.out)
        get, stats = said["get"], said["stats"]
        if "error" in get:
            return TwemproxyView(Silent(str(get["error"])))
        if get["reply"] != "END\r\n":
            return TwemproxyView(Silent(get["reply"].strip() or "it closed the connection"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return TwemproxyView(Unknown(why=f"the probe's answer makes no sense: {(answer.err or answer.out)[:200]!r}"))
    return TwemproxyView(_serving(stats))


def _serving(stats: Any) -> Serving:
    try:
        seen = json.loads(stats["reply"])
        now = float(seen["timestamp"])
        rows = {name: row["server_ejected_at"] for name, row in seen[POOL].items() if isinstance(row, dict)}
        # Microseconds since the epoch, 0 where it never was.
        ejected = {name: now - at / 1e6 if at else None for name, at in rows.items()}
        return Serving(version=str(seen["version"]), ejected=ejected)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Serving(version="", ejected=Unknown(why="its statistics cannot be read"))


def judge(spec: TwemproxySpec, site: Site, views: Mapping[str, TwemproxyView | Unknown]) -> Judgement:
    """A proxy is well when it answers clients; a server that it lost is its own system's matter and only told."""
    members = {name: _judge(views.get(name, Unknown(why="not asked")), spec, site) for name in site.cloud.names}
    serving = sum(verdict.is_ok for verdict in members.values())
    reason = f"the cache answers on {serving} of {len(members)} controllers"
    if serving:
        return Judgement(ok(reason), members)
    unseen = any(isinstance(view, Unknown) or isinstance(view.proxy, Unknown) for view in views.values())
    return Judgement(unknown(reason) if unseen else failing(reason), members)


def _judge(view: TwemproxyView | Unknown, spec: TwemproxySpec, site: Site) -> Verdict:
    if isinstance(view, Unknown):
        return unknown(view.why)
    match view.proxy:
        case Unknown(why=why):
            return unknown(why)
        case Silent(why=why):
            return failing(f"the cache does not answer at 127.0.0.1:{PORT}: {why}")
        case Serving() as proxy:
            return _ring(proxy, spec, site)


def _ring(proxy: Serving, spec: TwemproxySpec, site: Site) -> Verdict:
    if isinstance(proxy.ejected, Unknown):
        return unknown(f"twemproxy answers, but {proxy.ejected.why}")
    if set(proxy.ejected) != set(site.cloud.names):
        ring = ", ".join(sorted(proxy.ejected)) or "nothing"
        return failing(f"twemproxy spreads keys over {ring}, not over all controllers")
    out = [name for name, ago in proxy.ejected.items() if ago is not None and ago * 1000 < spec.retry_ms]
    without = f" without the server on {', '.join(out)}" if out else ""
    return ok(f"twemproxy {proxy.version} answers{without}")

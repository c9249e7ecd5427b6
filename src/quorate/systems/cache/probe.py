"""The cache: ask where services ask, ask the engine for its statistics, and see which engine there was; read it all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quorate.core.observed import Answer, Answers, Unknown
from quorate.core.system import Question, Site
from quorate.systems.cache.config import PORT, PROXIES, CacheSpec, endpoints
from quorate.systems.cache.engines import CONFIGS, MARK, POOL, STATS_PORT, UNITS

# PLACES [PORT STATS_PORT]: gets of a key that nobody sets, which is what a client sees; then, of a daemon, all that any
# of the engines would answer, as another one than the chosen may still be there. Nobody waits for another, and no wait
# is as long as the question's, so that what is frozen is seen to be frozen rather than unknown.
_ASK = """
import json, socket, sys, threading
places = sys.argv[1].split(",")
said = {"gets": dict.fromkeys(places, {})}
def ask(told, name, place, words, ends):
    reply = b""
    try:
        with socket.create_connection(place.rsplit(":", 1), 0.8) as there:
            there.sendall(words)
            while not (ends and reply.endswith(ends)):
                data = there.recv(65536)
                if not data:
                    break
                reply += data
        told[name] = {"reply": reply.decode("ascii", "replace")}
    except OSError as error:
        told[name] = {"error": str(error)}
asked = [(said["gets"], place, place, b"get quorate:probe\\r\\n", (b"\\r\\n",)) for place in places]
for port, stats in [sys.argv[2:]] if sys.argv[2:] else []:
    proxy = "127.0.0.1:" + port
    asked += [
        (said, "balancer", proxy, b"stats servers\\r\\n", (b"END\\r\\n", b"ERROR\\r\\n")),
        (said, "version", proxy, b"version\\r\\n", (b"\\r\\n",)),
        (said, "twemproxy", "127.0.0.1:" + stats, b"", ()),
    ]
threads = [threading.Thread(target=ask, args=one) for one in asked]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(said))
"""

# UNITS PATHS: which of the engines' units are active, and the text of each file that is there.
_LOOK = """
import json, subprocess, sys
units, paths = (words.split(",") for words in sys.argv[1:])
states = subprocess.run(["systemctl", "is-active", *units], stdout=subprocess.PIPE, timeout=1.5).stdout.decode().split()
texts = {}
for path in paths:
    try:
        with open(path, encoding="utf-8") as file:
            texts[path] = file.read(65536)
    except FileNotFoundError:
        pass
print(json.dumps({"active": [u for u, s in zip(units, states) if s in ("active", "reloading")], "texts": texts}))
"""


@dataclass(frozen=True)
class Server:
    """A server, as our own balancer sees it: its state and why, and by its mark what is still owed to it."""

    state: str
    reason: str
    mark: str


@dataclass(frozen=True)
class Balancer:
    """What our own balancer says. `version`: of the one file that it was started from; empty where it was not."""

    version: str
    servers: Mapping[str, Server]


@dataclass(frozen=True)
class Twemproxy:
    """What twemproxy says. `ejected`: for each server, how many seconds ago it was last taken out; None: never."""

    version: str
    ejected: Mapping[str, float | None]


@dataclass(frozen=True)
class MemcachedProxy:
    """What memcached's proxy says: nothing of its servers."""

    version: str


@dataclass(frozen=True)
class Before:
    """The engine that the controller has now, and the text that it was configured by. Empty engine: none was seen."""

    engine: str
    text: str


@dataclass(frozen=True)
class CacheView:
    """One controller, as its services see it.

    `places`: for each `address:port` that they use why it does not answer, empty where it does. `speaker`: who answers
    at the engine's port; None where nobody was asked.
    """

    places: Mapping[str, str] | Unknown
    speaker: Balancer | Twemproxy | MemcachedProxy | Unknown | None
    before: Before | Unknown


def questions(spec: CacheSpec, site: Site, _host: str) -> tuple[Question, ...]:
    """What clients see, and what there is now."""
    (endpoint,) = endpoints(spec, site.cloud)
    daemon = (str(PORT), str(STATS_PORT)) if spec.engine in PROXIES else ()
    looked = (",".join(UNITS.values()), ",".join((*CONFIGS.values(), MARK)))
    return (
        Question("answers", ("python3", "-c", _ASK, ",".join(endpoint.places), *daemon)),
        Question("engine", ("python3", "-c", _LOOK, *looked)),
    )


def read(answers: Answers) -> CacheView:
    """Read both answers, each for itself."""
    said, looked = _json(answers, "answers"), _json(answers, "engine")
    before = looked if isinstance(looked, Unknown) else _before(looked)
    if isinstance(said, Unknown):
        return CacheView(said, said, before)
    try:
        places = {str(place): _why(told) for place, told in said["gets"].items()}
        return CacheView(places, _speaker(said) if "balancer" in said else None, before)
    except (KeyError, TypeError, AttributeError, ValueError):
        strange = Unknown(why=f"the probe's answer makes no sense: {str(said)[:200]}")
        return CacheView(strange, strange, before)


def _json(answers: Answers, name: str) -> dict[str, Any] | Unknown:
    answer = answers.get(name, Unknown(why="not asked"))
    if isinstance(answer, Unknown):
        return answer
    try:
        said = json.loads(answer.out)
    except (ValueError, RecursionError):
        return _strange(answer)
    return said if isinstance(said, dict) else _strange(answer)


def _strange(answer: Answer) -> Unknown:
    return Unknown(why=f"the probe's answer makes no sense: {(answer.err or answer.out)[:200]!r}")


def _why(told: Mapping[str, str]) -> str:
    """Why a place does not serve. A get is answered with END alone; everything else is a fault that clients see."""
    if "error" in told:
        return str(told["error"]) or "it does not answer"
    reply = told["reply"]
    return "" if reply == "END\r\n" else reply.strip() or "it closed the connection"


def _speaker(said: Mapping[str, Any]) -> Balancer | Twemproxy | MemcachedProxy | Unknown:
    """Tell from what was said to all the questions who it is: each engine answers only its own."""
    balancer, version = said["balancer"].get("reply", ""), said["version"].get("reply", "")
    if "STAT " in balancer:
        return _balancer(balancer)
    if "reply" in said["twemproxy"]:
        return _twemproxy(said["twemproxy"]["reply"])
    if version.startswith("VERSION ") and balancer == "ERROR\r\n":
        return MemcachedProxy(version.split()[1])
    return Unknown(why="its statistics cannot be read")


def _balancer(reply: str) -> Balancer | Unknown:
    """Read `STAT name value` lines, where `SERVER:state`, `SERVER:reason` and `SERVER:mark` are of a server."""
    rows = [line.split(" ", 2)[1:] for line in reply.splitlines() if line.startswith("STAT ")]
    stats = {row[0]: row[1] for row in rows if len(row) == 2}
    names = [name.removesuffix(":state") for name in stats if name.endswith(":state")]
    if not names:
        return Unknown(why="it names no servers")
    servers = {
        name: Server(stats[f"{name}:state"], stats.get(f"{name}:reason", ""), stats.get(f"{name}:mark", ""))
        for name in names
    }
    return Balancer(version=stats.get("version", ""), servers=servers)


def _twemproxy(reply: str) -> Twemproxy | Unknown:
    try:
        seen = json.loads(reply)
        now = float(seen["timestamp"])
        rows = {name: row["server_ejected_at"] for name, row in seen[POOL].items() if isinstance(row, dict)}
        # Microseconds since the epoch, 0 where it never was.
        ejected = {name: now - at / 1e6 if at else None for name, at in rows.items()}
        return Twemproxy(version=str(seen["version"]), ejected=ejected)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Unknown(why="its statistics cannot be read")


def _before(looked: Mapping[str, Any]) -> Before | Unknown:
    """The engine whose unit runs, else the one that is no daemon and that our own mark names."""
    try:
        texts = {str(path): str(text) for path, text in looked["texts"].items()}
        running = [engine for engine, unit in UNITS.items() if unit in looked["active"]]
    except (KeyError, TypeError, AttributeError):
        return Unknown(why=f"what there is now makes no sense: {str(looked)[:200]}")
    if running:
        return Before(running[0], texts.get(CONFIGS[running[0]], ""))
    marked = next((e for e in ("direct", "localhost") if f'engine = "{e}"' in texts.get(MARK, "")), "")
    return Before(marked, texts.get(MARK, "") if marked else "")

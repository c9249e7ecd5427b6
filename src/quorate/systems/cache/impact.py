"""The cache: what a switch of the engine, of the ring or of the copies does to what is cached.

A key is lost to its clients when no server that holds it is asked for it any more. How many that are is counted with
the rings themselves, for keys like those that services use, from what lies on the controllers now and what will.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache

from quorate.balancer.config import Address, Config, ConfigError, RingConfig, Server, parse
from quorate.balancer.ring import make
from quorate.core.observed import Unknown
from quorate.core.system import Blocked, Formation, Site
from quorate.systems.cache.config import CacheSpec, endpoints, no_such_engine
from quorate.systems.cache.engines import CONFIGS, configuration, servers
from quorate.systems.cache.probe import Before, CacheView

Placing = tuple[frozenset[str], ...]
"""For each key of the sample every `address:port` at which a controller puts it, and looks for it."""
SAMPLE = 4096


def form(spec: CacheSpec, site: Site, _views: Mapping[str, CacheView | Unknown]) -> Formation:
    """Nothing is formed; an engine that these controllers do not have is refused before anything is stopped for it."""
    reason = no_such_engine(spec, site.cloud)
    return Blocked(reason) if reason else ()


def impact(spec: CacheSpec, site: Site, views: Mapping[str, CacheView | Unknown]) -> Sequence[str]:
    """Say for each engine that there was how much of the cache is lost, and what else comes of keys that move."""
    befores = {
        host: view.before
        for host, view in views.items()
        if isinstance(view, CacheView) and isinstance(view.before, Before) and view.before.engine
    }
    notes = []
    for engine in dict.fromkeys(before.engine for before in befores.values()):
        hosts = [host for host, before in befores.items() if before.engine == engine]
        where = "" if len(hosts) == len(site.cloud.names) else f" on {', '.join(hosts)}"
        change = f"{engine} → {spec.engine}{where}" if engine != spec.engine else f"{engine}{where}"
        moves = [_move(befores[host], spec, site, host) for host in hosts]
        if said := _said(moves, engine == spec.engine):
            notes.append(f"{change}: {said}")
    return notes


@dataclasses.dataclass(frozen=True)
class Move:
    """What becomes of the keys on one controller.

    `lost`: the share that is not found any more; `counted`: by the rings, else by chance. `moved`: some key has other
    places than before; `left`: some value stays at a place where it is no longer looked for.
    """

    lost: float = 0.0
    counted: bool = True
    moved: bool = False
    left: bool = False


def _said(moves: Sequence[Move], same: bool) -> str:
    """Put it into words; nothing where no key moves and the engine is the same."""
    lost, counted = sum(move.lost for move in moves) / len(moves), all(move.counted for move in moves)
    if same and not any(move.moved for move in moves):
        return ""
    words = ["kept warm: every key is found where it was"]
    if lost:
        about = "" if counted else "about "
        words = [
            f"emptied in effect of {about}{max(1, round(100 * lost))} % of its keys: they are looked for elsewhere"
        ]
    if any(move.moved for move in moves):
        words.append("until all controllers have changed, one may not see what another changed")
    if any(move.left for move in moves):
        words.append("who changes back before the values that stay behind have expired finds them again")
    return "; ".join(words)


def _move(before: Before, spec: CacheSpec, site: Site, host: str) -> Move:
    text = configuration(spec, site, host)
    (endpoint,) = endpoints(spec, site.cloud)
    own = dict(servers(site))[host]
    old_places, new_places = _places(before.text), _places(text) or endpoint.places
    old, new = _placing(before.engine, before.text, own), _placing(spec.engine, text, own, new_places)
    if old is None or new is None:
        if before.engine == spec.engine == "memcached-proxy" and old_places == new_places:
            return Move()
        copies = max(len(placing[0]) if placing else 1 for placing in (old, new))
        return Move(1 - copies / len(site.cloud.names), counted=False, moved=True, left=True)
    pairs = tuple(zip(old, new, strict=True))
    return Move(
        lost=sum(not one & other for one, other in pairs) / SAMPLE,
        moved=old != new,
        left=any(one - other for one, other in pairs),
    )


def _placing(engine: str, text: str, own: str, places: Sequence[str] = ()) -> Placing | None:
    """Where a controller with this engine puts keys. None: its ring is not known, or its text cannot be read."""
    match engine:
        case "localhost":
            return (frozenset({own}),) * SAMPLE
        case "direct":
            # As python-memcached does it, which is what oslo.cache's memcache_pool and keystonemiddleware use.
            split = (one.rpartition(":") for one in places or _places(text))
            known = tuple(Server(f"{host}:{port}", Address(host, int(port))) for host, _, port in split)
            return _found(known, 1, RingConfig("python-memcached")) if known else None
        case "quorate" | "twemproxy":
            try:
                config = parse(text, CONFIGS[engine])
            except ConfigError:
                return None
            plain = tuple(dataclasses.replace(server, near=False) for server in config.servers)
            return _found(plain, config.copies, config.ring)
        case _:
            return None


@lru_cache(maxsize=8)
def _found(known: tuple[Server, ...], copies: int, ring: RingConfig) -> Placing:
    """Find every key of the sample. The same for all controllers, and it takes a while."""
    made = make(Config("sample", known, ("sample",), copies, ring=ring))
    places = cache(lambda chosen: frozenset(str(known[at].address) for at in chosen))
    return tuple(places(made.copies(key)) for key in _keys())


def _places(text: str) -> tuple[str, ...]:
    """Every `"address:port"` of a text that we wrote, in its order."""
    return tuple(word for word in text.split('"')[1::2] if ":" in word and word.rpartition(":")[2].isdecimal())


@cache
def _keys() -> tuple[bytes, ...]:
    """Keys as dogpile.cache makes them: SHA-1 in hexadecimal."""
    return tuple(hashlib.sha1(b"%d" % n, usedforsecurity=False).hexdigest().encode() for n in range(SAMPLE))

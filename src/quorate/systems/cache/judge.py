"""The cache: views → verdict.

A controller is well when its services are answered, and the whole when none does without a server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import assert_never

from quorate.core.observed import Unknown
from quorate.core.system import Site
from quorate.core.verdict import Judgement, Verdict, failing, merge, ok, unknown
from quorate.systems.cache.config import PORT, PROXIES, SERVER_PORT, CacheSpec
from quorate.systems.cache.probe import Balancer, CacheView, MemcachedProxy, Twemproxy

_FILLING = "f"
"""A mark of our own balancer's registers."""
_NAMES = {Balancer: "quorate", Twemproxy: "twemproxy", MemcachedProxy: "memcached-proxy"}


def judge(spec: CacheSpec, site: Site, views: Mapping[str, CacheView | Unknown]) -> Judgement:
    """The cache as a whole works as long as one controller's services have it, and is well if none lacks a server."""
    members = {name: _member(views.get(name, Unknown(why="not asked")), spec, site) for name in site.cloud.names}
    serving = sum(verdict.is_ok for verdict in members.values())
    reason = f"the cache answers on {serving} of {len(members)} controllers"
    if serving:
        answering = {name: view for name, view in views.items() if members[name].is_ok}
        return Judgement(merge((ok(reason), *_lacking(spec, site, answering))), members)
    unseen = any(isinstance(view, Unknown) or isinstance(view.places, Unknown) for view in views.values())
    return Judgement(unknown(reason) if unseen else failing(reason), members)


def _lacking(spec: CacheSpec, site: Site, views: Mapping[str, CacheView | Unknown]) -> Iterator[Verdict]:
    """Servers that are well where they run, perhaps, and that somebody's services do without; drained ones may be."""
    seen: dict[str, list[str]] = {}
    spared = {word for name in site.drained for word in (name, f"{site.cloud.address(name)}:{SERVER_PORT}")}
    for name, view in views.items():
        if isinstance(view, CacheView):
            for server in set(_without(view, spec)) - spared:
                seen.setdefault(server, []).append(name)
    for server, names in seen.items():
        yield failing(f"the server on {server} is not used by {', '.join(names)}")


def _without(view: CacheView, spec: CacheSpec) -> Iterator[str]:
    match view.speaker:
        case Balancer(servers=servers):
            yield from (name for name, one in servers.items() if one.state != "up")
        case Twemproxy(ejected=ejected):
            yield from (
                name for name, ago in ejected.items() if ago is not None and ago * 1000 < spec.twemproxy.retry_ms
            )
        case _ if spec.engine == "direct" and not isinstance(view.places, Unknown):
            yield from (place for place, why in view.places.items() if why)


def settling(_spec: CacheSpec, site: Site, views: Mapping[str, CacheView | Unknown]) -> str:
    """Servers that came back empty: until they are filled, what they lack is lost with the other server that has it."""
    seen = {name: view.speaker for name, view in views.items() if isinstance(view, CacheView)}
    balancers = [speaker for speaker in seen.values() if isinstance(speaker, Balancer)]
    names = {name for balancer in balancers for name, one in balancer.servers.items() if one.mark == _FILLING}
    unseen = [name for name in site.cloud.names if name not in seen or isinstance(seen[name], Unknown)]
    filled = f"the cache of {', '.join(sorted(names))} is being filled" if names else ""
    return "; ".join(filter(None, (filled, f"the cache of {', '.join(unseen)} was not seen" if unseen else "")))


def _member(view: CacheView | Unknown, spec: CacheSpec, site: Site) -> Verdict:
    if isinstance(view, Unknown):
        return unknown(view.why)
    if isinstance(view.places, Unknown):
        return unknown(view.places.why)
    silent = {place: why for place, why in view.places.items() if why}
    if not view.places or len(silent) == len(view.places):
        reasons = "; ".join(f"{place}: {why}" for place, why in silent.items())
        return failing(f"the cache does not answer at {reasons or f'127.0.0.1:{PORT}'}")
    if spec.engine not in PROXIES:
        without = f"; not {', '.join(f'{place} ({why})' for place, why in silent.items())}" if silent else ""
        return ok(f"{len(view.places) - len(silent)} of {len(view.places)} servers answer{without}")
    return _speaking(view, spec, site)


def _speaking(view: CacheView, spec: CacheSpec, site: Site) -> Verdict:
    speaker = view.speaker
    if speaker is None or isinstance(speaker, Unknown):
        return unknown(f"the cache answers, but {speaker.why if speaker else 'the engine was not asked'}")
    if _NAMES[type(speaker)] != spec.engine:
        # Its services are well; that another engine ought to be there is a difference, which is judged as such.
        found = f"{_NAMES[type(speaker)]} {speaker.version}".strip()
        return ok(f"{found} answers, where {spec.engine} ought to")
    match speaker:
        case Balancer():
            return _balancer(speaker, site)
        case Twemproxy():
            return _twemproxy(speaker, site)
        case MemcachedProxy():
            return ok(f"memcached's proxy {speaker.version} answers")
        case _:
            assert_never(speaker)


def _balancer(balancer: Balancer, site: Site) -> Verdict:
    if set(balancer.servers) != set(site.cloud.names):
        return _other_ring("quorate", balancer.servers)
    ill = [f"{name} is {one.state} ({one.reason})" for name, one in balancer.servers.items() if one.state != "up"]
    if len(ill) == len(balancer.servers):
        return failing(f"quorate answers, but nothing is cached: {'; '.join(ill)}")
    missing = [f"{name} still misses changes" for name, one in balancer.servers.items() if one.mark in {"d", "w"}]
    filled = [f"{name} is being filled" for name, one in balancer.servers.items() if one.mark == _FILLING]
    return ok("; ".join([f"{f'quorate {balancer.version}'.strip()} answers", *ill, *missing, *filled]))


def _twemproxy(proxy: Twemproxy, site: Site) -> Verdict:
    if set(proxy.ejected) != set(site.cloud.names):
        return _other_ring("twemproxy", proxy.ejected)
    return ok(f"twemproxy {proxy.version} answers")


def _other_ring(engine: str, servers: Mapping[str, object]) -> Verdict:
    ring = ", ".join(sorted(servers)) or "nothing"
    return failing(f"{engine} spreads keys over {ring}, not over all controllers")

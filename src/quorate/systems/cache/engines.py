"""The cache: what each engine puts on a controller. All but the one that is chosen are stopped and stay so."""

from __future__ import annotations

from quorate.core.resource import Directory, File, Package, Resource, Unit
from quorate.core.system import Site
from quorate.core.template import render
from quorate.systems.cache.bundle import bundle
from quorate.systems.cache.config import PORT, PROXIES, CacheSpec, Engine, endpoints

PACKAGE = "quorate.systems.cache"
POOL = "cache"
STATS_PORT = 22222
MARK = "/etc/quorate/cache.toml"
BALANCER = "/usr/lib/quorate/quorate-balancer"
CONFIGS: dict[Engine, str] = {
    "quorate": "/etc/quorate/balancer.toml",
    "twemproxy": "/etc/nutcracker/nutcracker.yml",
    "memcached-proxy": "/etc/quorate/memcached-proxy.lua",
}
UNITS: dict[Engine, str] = {
    "quorate": "quorate-balancer.service",
    "twemproxy": "nutcracker.service",
    "memcached-proxy": "quorate-memcached-proxy.service",
}


def resources(spec: CacheSpec, site: Site, host: str) -> tuple[Resource, ...]:
    """The engine's files and unit. All engines have one port, so the others come first: they are stopped before."""
    others = tuple(Unit(UNITS[engine], state="stopped", enabled=False) for engine in PROXIES if engine != spec.engine)
    return (Directory("/etc/quorate"), File(MARK, _mark(spec, site)), *others, *_own(spec, site, host))


def servers(site: Site) -> tuple[tuple[str, str], ...]:
    """Every server's name and `address:port`, in the order of the cloud: names make the rings, not addresses."""
    port = site.endpoint("cache-servers").port
    return tuple((name, f"{site.cloud.address(name)}:{port}") for name in site.cloud.names)


def configuration(spec: CacheSpec, site: Site, host: str) -> str:
    """The text of the engine's own configuration; empty for an engine that is no daemon."""
    known = servers(site)
    match spec.engine:
        case "quorate":
            own = spec.quorate
            copies = min(own.copies, len(known))
            return render(PACKAGE, "balancer.toml.j2", name=host, port=PORT, servers=known, own=own, copies=copies)
        case "twemproxy":
            values = spec.twemproxy.model_dump()
            return render(PACKAGE, "nutcracker.yml.j2", pool=POOL, port=PORT, servers=known, **values)
        case "memcached-proxy":
            return render(PACKAGE, "memcached-proxy.lua.j2", servers=known, own=spec.memcached_proxy)
        case _:
            return ""


def _mark(spec: CacheSpec, site: Site) -> str:
    """Which engine it is, and what services know: a later plan tells from it what a switch means."""
    (endpoint,) = endpoints(spec, site.cloud)
    return render(PACKAGE, "cache.toml.j2", engine=spec.engine, addresses=endpoint.places)


def _own(spec: CacheSpec, site: Site, host: str) -> tuple[Resource, ...]:
    match spec.engine:
        case "quorate":
            return _quorate(spec, site, host)
        case "twemproxy":
            return _twemproxy(spec, site, host)
        case "memcached-proxy":
            return _memcached_proxy(spec, site, host)
        case _:
            return ()


def _quorate(spec: CacheSpec, site: Site, host: str) -> tuple[Resource, ...]:
    """The balancer takes another version of itself and another configuration while it runs, and a unit file not."""
    unit, config = UNITS["quorate"], CONFIGS["quorate"]
    path = f"/etc/systemd/system/{unit}"
    text = render(PACKAGE, f"{unit}.j2", own=spec.quorate, port=PORT, program=BALANCER, config=config)
    return (
        Package("python3"),
        Directory("/usr/lib/quorate"),
        File(BALANCER, bundle(), mode=0o755),
        File(config, configuration(spec, site, host)),
        File(path, text),
        Unit(unit, inputs=(BALANCER, config, path), reloads=(BALANCER, config)),
    )


def _twemproxy(spec: CacheSpec, site: Site, host: str) -> tuple[Resource, ...]:
    config, folder = CONFIGS["twemproxy"], "/etc/systemd/system/nutcracker.service.d"
    return (
        Package("nutcracker"),
        Directory(folder),
        File(config, configuration(spec, site, host)),
        File(f"{folder}/quorate.conf", render(PACKAGE, "nutcracker-unit.conf.j2", stats_port=STATS_PORT)),
        Unit(UNITS["twemproxy"], inputs=(config, f"{folder}/quorate.conf")),
    )


def _memcached_proxy(spec: CacheSpec, site: Site, host: str) -> tuple[Resource, ...]:
    """A second memcached beside the server, that only passes on."""
    unit, config = UNITS["memcached-proxy"], CONFIGS["memcached-proxy"]
    path = f"/etc/systemd/system/{unit}"
    return (
        Package("memcached"),
        File(config, configuration(spec, site, host)),
        File(path, render(PACKAGE, f"{unit}.j2", own=spec.memcached_proxy, port=PORT, config=config)),
        Unit(unit, inputs=(config, path)),
    )

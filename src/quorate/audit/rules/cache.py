"""Clients of memcached: what they do while a server is away, and whether they cache at all.

Sources: oslo.cache (`core.py`: _build_cache_config, `_opts.py`), keystonemiddleware (`auth_token/_opts.py`,
`_cache.py`), dogpile.cache (`cache/backends/memcached.py`); figures measured with the drills.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from quorate.audit.configs import EVERY, LOOPBACK, NO, Config, Peer, configs, items, peer, several
from quorate.audit.estate import Estate
from quorate.audit.node import Node
from quorate.audit.rule import Hit, Rule, Severity

_OSLO = "https://docs.openstack.org/oslo.cache/latest/configuration/index.html"
_TOKENS = "https://docs.openstack.org/keystonemiddleware/latest/middlewarearchitecture.html"
_TOKEN = "keystone_authtoken"  # noqa: S105 - a section
_POOL = "oslo_cache.memcache_pool"
_PYMEMCACHE = "dogpile.cache.pymemcache"
_MEMCACHED = frozenset(
    (_POOL, _PYMEMCACHE, "dogpile.cache.memcached", "dogpile.cache.pylibmc", "dogpile.cache.bmemcached")
)
_LONG = 60
"""Seconds: whoever waits longer sees an outage, and not a delay."""


def _cached(estate: Estate) -> Iterator[tuple[Config, Node]]:
    """Every service that says what it caches with."""
    for one in configs(estate, *EVERY):
        backend = one.option("cache", "backend")
        if backend:
            yield one, backend


def _off(one: Config) -> bool:
    """Keystone caches unless it is told not to; the others do not, unless they are told to."""
    said = one.value("cache", "enabled").lower()
    return said in NO or (not said and one.kind != "keystone")


def waits_for_ever(estate: Estate) -> Iterable[Hit]:
    """The client that has no timeout."""
    for one, backend in _cached(estate):
        if backend.value == _PYMEMCACHE and not _off(one):
            yield Hit(backend.place, f"[cache] backend = {backend.value}")


def switched_off(estate: Estate) -> Iterable[Hit]:
    """A cache that is set up and not switched on."""
    for one, backend in _cached(estate):
        if _off(one) and backend.value != "dogpile.cache.null":
            yield Hit(backend.place, f"[cache] backend = {backend.value}, and enabled is not true")


def nothing_behind(estate: Estate) -> Iterable[Hit]:
    """A cache that is switched on, and keeps nothing."""
    for one in configs(estate, *EVERY):
        enabled = one.option("cache", "enabled")
        backend = one.value("cache", "backend")
        if enabled and one.true("cache", "enabled") and backend in {"", "dogpile.cache.null"}:
            yield Hit(enabled.place, f"[cache] enabled, with {backend or 'no backend'}")


def unused(estate: Estate) -> Iterable[Hit]:
    """Options of a client that is not used."""
    for one in configs(estate, *EVERY):
        set_ = [option for option in one.options("cache") if option.name.startswith("memcache_")]
        backend = one.value("cache", "backend")
        if set_ and backend in {"", "dogpile.cache.null"} and not one.true("cache", "enabled"):
            yield Hit(set_[0].place, f"[cache] {set_[0].name}, with {backend or 'no backend'}")


def in_process(estate: Estate) -> Iterable[Hit]:
    """A cache of each process."""
    for one, backend in _cached(estate):
        if backend.value.startswith("dogpile.cache.memory") and not _off(one):
            yield Hit(backend.place, f"[cache] backend = {backend.value}")


def no_pool(estate: Estate) -> Iterable[Hit]:
    """A connection for each thread."""
    for one, backend in _cached(estate):
        if backend.value == "dogpile.cache.memcached" and not _off(one):
            yield Hit(backend.place, f"[cache] backend = {backend.value}")


def not_of_backend(estate: Estate) -> Iterable[Hit]:
    """Options of another client, at which oslo.cache gives up."""
    for one in configs(estate, *EVERY):
        for name in ("enable_socket_keepalive", "enable_retry_client"):
            found = one.option("cache", name)
            backend = one.value("cache", "backend")
            redis = name == "enable_socket_keepalive" and "redis" in backend  # later releases take it
            if found and one.true("cache", name) and backend != _PYMEMCACHE and not redis:
                yield Hit(found.place, f"[cache] {name} with backend {backend or 'dogpile.cache.null'}")


def no_key(estate: Estate) -> Iterable[Hit]:
    """A lock without a key."""
    for one in configs(estate, *EVERY):
        found = one.option(_TOKEN, "memcache_security_strategy")
        key = one.value(_TOKEN, "memcache_secret_key")
        if found and found.value.lower() in {"mac", "encrypt"} and not key:
            yield Hit(found.place, f"[{_TOKEN}] memcache_security_strategy = {found.value}, and no memcache_secret_key")


def tokens_uncached(estate: Estate) -> Iterable[Hit]:
    """Tokens that every process validates for itself."""
    for one in configs(estate, *EVERY):
        login = one.option(_TOKEN, "auth_url", "auth_type")
        if login and not one.value(_TOKEN, "memcached_servers", "memcache_servers", "cache"):
            yield Hit(login.place, f"[{_TOKEN}] without memcached_servers")


def open_tokens(estate: Estate) -> Iterable[Hit]:
    """Validated tokens that anybody on the network may read and write."""
    for one in configs(estate, *EVERY):
        found = one.option(_TOKEN, "memcached_servers", "memcache_servers")
        away = found and any(not _is_local(entry) for entry in items(found.value))
        if found and away and one.value(_TOKEN, "memcache_security_strategy").lower() in {"", "none"}:
            yield Hit(found.place, f"[{_TOKEN}] memcached_servers without memcache_security_strategy")


def _lists(one: Config) -> Iterator[tuple[str, Node, str, float]]:
    """The lists of servers: section, option, the option that says how long one is left alone, and its default."""
    for section, names, dead in (
        ("cache", ("memcache_servers",), "memcache_dead_retry"),
        (_TOKEN, ("memcached_servers", "memcache_servers"), "memcache_pool_dead_retry"),
    ):
        found = one.option(section, *names)
        if found and (section == _TOKEN or not _off(one)):
            yield section, found, dead, one.number(section, dead) or 300


def _server(entry: str) -> Peer | None:
    """A server of a list; None where its port is none."""
    return peer(entry.removeprefix("inet6:"))


def _is_local(entry: str) -> bool:
    found = _server(entry)
    return found is not None and bool(LOOPBACK.fullmatch(found.host))


def one_address(estate: Estate) -> Iterable[Hit]:
    """The only server, left alone for minutes because it did not answer once."""
    for one in configs(estate, *EVERY):
        for section, found, dead, seconds in _lists(one):
            plain = one.value(_TOKEN, "memcache_use_advanced_pool").lower() in NO
            pooled = not plain if section == _TOKEN else one.value("cache", "backend") == _POOL
            if len(items(found.value)) == 1 and pooled and seconds > _LONG:
                yield Hit(found.place, f"[{section}] one server, and {dead} is {seconds:g} s")


def one_for_all(estate: Estate) -> Iterable[Hit]:
    """One server for several controllers."""
    for one in configs(estate, *EVERY):
        for section, found, *_ in _lists(one) if several(estate, one.kind) else ():
            entries = items(found.value)
            if len(entries) == 1 and not _is_local(entries[0]):
                yield Hit(found.place, f"[{section}] {found.name} = {found.value}")


def each_its_own(estate: Estate) -> Iterable[Hit]:
    """A Keystone on each controller that knows only what it did itself."""
    for one in configs(estate, "keystone") if several(estate, "keystone") else ():
        found = one.option("cache", "memcache_servers")
        entries = items(found.value) if found and not _off(one) else ()
        server = _server(entries[0]) if len(entries) == 1 else None
        if found and server and _is_local(entries[0]) and server.port in {0, 11211}:
            yield Hit(found.place, f"[cache] memcache_servers = {found.value} on each of several controllers")


def bad_entries(estate: Estate) -> Iterable[Hit]:
    """Entries that are no server."""
    for one in configs(estate, *EVERY):
        for section, names in (("cache", ("memcache_servers",)), (_TOKEN, ("memcached_servers", "memcache_servers"))):
            found = one.option(section, *names)
            for entry in items(found.value) if found else ():
                if found and "$" not in entry and "{{" not in entry and not _fits(entry):
                    yield Hit(found.place, f"[{section}] {found.name}: {entry!r} is no server")


def _fits(entry: str) -> bool:
    if entry.startswith(("unix:", "/")):
        return True
    found = _server(entry)
    return found is not None and bool(re.fullmatch(r"[\w.:-]+", found.host)) and "/" not in entry


def stalls(estate: Estate) -> Iterable[Hit]:
    """Servers that are waited for longer than a client of the API waits."""
    for one in configs(estate, *EVERY):
        for section, *names in (
            ("cache", "memcache_socket_timeout", "socket_timeout"),
            (_TOKEN, "memcache_pool_socket_timeout"),
        ):
            found, seconds = one.option(section, *names), one.number(section, *names)
            if found and seconds is not None and seconds > 3:
                yield Hit(found.place, f"[{section}] {found.name} = {found.value}")


def forgotten_early(estate: Estate) -> Iterable[Hit]:
    """Entries that memcached is to drop before oslo.cache does."""
    for one in configs(estate, *EVERY):
        found, behind = one.option("cache", "backend_expiration_time"), one.number("cache", "backend_expiration_time")
        own = one.number("cache", "expiration_time") or 600
        if found and behind is not None and own > behind:
            yield Hit(found.place, f"[cache] backend_expiration_time = {found.value}, expiration_time {own:g}")


RULES = (
    Rule(
        "CAC001",
        Severity.ERROR,
        "a cache client that waits for ever",
        "oslo.cache gives dogpile.cache.pymemcache no timeout. When a memcached does not answer and does not refuse "
        "either, every request that asks it hangs, until no thread is left; when one is killed, requests fail with "
        "errors instead of going on without it.",
        "https://opendev.org/openstack/oslo.cache/src/branch/master/oslo_cache/core.py: _build_cache_config",
        "Write backend = oslo_cache.memcache_pool, with memcache_socket_timeout = 1.",
        "silent-cut on a controller: the API's requests end by the client's own timeout",
        waits_for_ever,
    ),
    Rule(
        "CAC002",
        Severity.WARNING,
        "a cache that is set up, and not switched on",
        "oslo.cache does nothing unless enabled is true: every request goes to the database or to the other service.",
        f"{_OSLO}#cache.enabled",
        "Write [cache] enabled = true, or take the rest out.",
        "",
        switched_off,
    ),
    Rule(
        "CAC003",
        Severity.WARNING,
        "a cache that is switched on, and keeps nothing",
        "The default backend, dogpile.cache.null, forgets at once what it is given.",
        f"{_OSLO}#cache.backend",
        "Write [cache] backend = oslo_cache.memcache_pool, and memcache_servers.",
        "",
        nothing_behind,
    ),
    Rule(
        "CAC004",
        Severity.WARNING,
        "each process has a cache of its own",
        "dogpile.cache.memory is a dictionary in each process, without a limit: what one process changes or revokes, "
        "the others, and the other controllers, go on believing until it runs out.",
        f"{_OSLO}#cache.backend",
        "Write [cache] backend = oslo_cache.memcache_pool, and memcache_servers with every controller's memcached.",
        "",
        in_process,
    ),
    Rule(
        "CAC005",
        Severity.NOTE,
        "a cache client with a connection for each thread",
        "dogpile.cache.memcached opens one for every thread, and each thread finds out for itself that a server is "
        "gone.",
        f"{_OSLO}#cache.backend: memcache_pool is recommended for many threads and for eventlet",
        "Write [cache] backend = oslo_cache.memcache_pool.",
        "",
        no_pool,
    ),
    Rule(
        "CAC006",
        Severity.ERROR,
        "an option that only another cache client has",
        "oslo.cache refuses it with a ConfigurationError: the service does not start.",
        "https://opendev.org/openstack/oslo.cache/src/branch/master/oslo_cache/core.py: _build_cache_config",
        "Take it out: it belongs to dogpile.cache.pymemcache.",
        "",
        not_of_backend,
    ),
    Rule(
        "CAC007",
        Severity.ERROR,
        "cached tokens are to be protected, with no key",
        "keystonemiddleware refuses it with a ConfigurationError: the API does not start.",
        f"{_TOKENS}#memcache-protection",
        "Write memcache_secret_key, the same on all controllers.",
        "",
        no_key,
    ),
    Rule(
        "CAC008",
        Severity.WARNING,
        "each process validates every token at Keystone",
        "Without memcached_servers a token is remembered in the process only: the load on Keystone grows with every "
        "worker, and after a failover all of it comes at once.",
        f"{_TOKENS}#improving-response-time",
        "Write memcached_servers with every controller's memcached, the same list everywhere.",
        "",
        tokens_uncached,
    ),
    Rule(
        "CAC009",
        Severity.NOTE,
        "validated tokens lie open in memcached",
        "memcached asks nobody who he is. Whoever reaches it reads tokens and their roles, and can write some: an API "
        "believes what it finds there.",
        f"{_TOKENS}#memcache-protection",
        "Write memcache_security_strategy = ENCRYPT and a memcache_secret_key, the same on all controllers.",
        "",
        open_tokens,
    ),
    Rule(
        "CAC010",
        Severity.WARNING,
        "the only cache server is left alone for minutes",
        "One missed answer, and each worker counts it as dead for that long. With one address, that of a proxy or a "
        "virtual IP as well, nothing is cached meanwhile.",
        f"{_OSLO}#cache.memcache_dead_retry",
        "Write 1 where there is one address only, or name all servers.",
        "silent-cut on a controller: the share of hits stays low long after it is healed",
        one_address,
    ),
    Rule(
        "CAC011",
        Severity.WARNING,
        "several controllers have one cache server",
        "When its controller is lost nothing is cached anywhere, and each worker waits for it before it finds that "
        "out.",
        f"{_OSLO}#cache.memcache_servers",
        "Name every controller's memcached, the same list everywhere.",
        "power-cut on that controller: requests wait for the socket's timeout, and the load on Keystone rises",
        one_for_all,
    ),
    Rule(
        "CAC012",
        Severity.WARNING,
        "each controller's Keystone has a cache of its own",
        "What one Keystone changes it takes out of its own cache only. The others go on giving the old roles, projects "
        "and revoked tokens until they run out of theirs, 10 minutes by default.",
        f"{_OSLO}#cache.memcache_servers",
        "Name every controller's memcached, the same list everywhere, or a proxy that leads to all of them.",
        "",
        each_its_own,
    ),
    Rule(
        "CAC013",
        Severity.ERROR,
        "an entry of the list of cache servers that is none",
        "The client takes it for a name that it cannot resolve: its share of the keys is never cached, or the service "
        "fails.",
        f"{_OSLO}#cache.memcache_servers",
        "Write host:port, with commas between them.",
        "",
        bad_entries,
    ),
    Rule(
        "CAC014",
        Severity.WARNING,
        "a lost cache server is waited for longer than a cache is worth",
        "Each worker waits that long, once for every connection, before it goes on without it: longer than asking the "
        "database would take, and longer than users wait.",
        f"{_OSLO}#cache.memcache_socket_timeout",
        "Write 1.",
        "silent-cut on a controller: the slowest requests take that long",
        stalls,
    ),
    Rule(
        "CAC015",
        Severity.WARNING,
        "options of a cache that is not used",
        "With no backend, or with dogpile.cache.null, nothing is cached, and nobody reads these options.",
        f"{_OSLO}#cache.backend",
        "Write [cache] backend = oslo_cache.memcache_pool and enabled = true, or take them out.",
        "",
        unused,
    ),
    Rule(
        "CAC016",
        Severity.ERROR,
        "the cache is to drop entries before their time",
        "oslo.cache refuses it with a ConfigurationError: the service does not start.",
        "https://opendev.org/openstack/oslo.cache/src/branch/master/oslo_cache/core.py: _build_cache_config",
        "Write a backend_expiration_time of at least expiration_time, which is 600 where it is not set.",
        "",
        forgotten_early,
    ),
)

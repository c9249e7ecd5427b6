"""twemproxy: what its clients meet when a server of the pool is lost, and what it refuses to start with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from quorate.audit.estate import Estate
from quorate.audit.node import Node
from quorate.audit.rule import Hit, Rule, Severity
from quorate.audit.rules.memcached import is_loopback

_ADVICE = "https://github.com/twitter/twemproxy/blob/master/notes/recommendation.md"
_README = "https://github.com/twitter/twemproxy#configuration"
_NUMBERS = frozenset(
    ("timeout", "backlog", "client_connections", "redis_db", "server_connections", "server_retry_timeout",
     "server_failure_limit")
)  # fmt: skip
_SWITCHES = frozenset(("redis", "tcpkeepalive", "reuseport", "preconnect", "auto_eject_hosts"))
_HASHES = frozenset(
    ("one_at_a_time", "md5", "crc16", "crc32", "crc32a", "fnv1_64", "fnv1a_64", "fnv1_32", "fnv1a_32", "hsieh",
     "murmur", "jenkins")
)  # fmt: skip
_SPREADS = frozenset(("ketama", "modula", "random"))
_KEYS = _NUMBERS | _SWITCHES | {"listen", "hash", "hash_tag", "distribution", "redis_auth", "servers"}


def pools(estate: Estate) -> Iterator[Node]:
    """Every pool."""
    for document in estate.of("nutcracker"):
        yield from document.root.inside


def servers(pool: Node) -> tuple[Node, ...]:
    """Its servers: `ADDRESS:PORT:WEIGHT [NAME]`."""
    listed = pool.last("servers")
    return listed.inside if listed else ()


def first(node: Node) -> str:
    """The first word of a value, which is an address; "" where there is none."""
    return (node.value.split() or [""])[0]


def name(server: Node) -> str:
    """What the ring knows a server by: its name, or its address."""
    words = server.value.split()
    return words[1] if len(words) > 1 else first(server).rpartition(":")[0]


def never_ejected(estate: Estate) -> Iterable[Hit]:
    """Several servers, of which a dead one stays."""
    for pool in pools(estate):
        eject = pool.last("auto_eject_hosts")
        if len(servers(pool)) > 1 and (eject is None or eject.value == "false"):
            yield Hit((eject or pool).place, f"{pool.name}: auto_eject_hosts is {eject.value if eject else 'not set'}")


def endless(estate: Estate) -> Iterable[Hit]:
    """No limit on how long a server may take."""
    for pool in pools(estate):
        if servers(pool) and pool.last("timeout") is None:
            yield Hit(pool.place, f"{pool.name}: timeout is not set")


def slower_than_clients(estate: Estate) -> Iterable[Hit]:
    """A limit that clients do not wait for."""
    said = [
        document.root.get("cache", "memcache_socket_timeout")
        for document in estate.documents
        if document.kind != "nutcracker" and document.root.last("cache", "memcache_socket_timeout")
    ]
    patience = max((float(one) for one in said if one.replace(".", "", 1).isdecimal()), default=1.0)
    for pool in pools(estate):
        limit = pool.last("timeout")
        if limit is not None and limit.value.isdecimal() and int(limit.value) >= patience * 1000:
            yield Hit(limit.place, f"{pool.name}: timeout {limit.value} ms, clients wait {patience:g} s")


def scattered(estate: Estate) -> Iterable[Hit]:
    """Keys that move when a server is ejected, or always."""
    for pool in pools(estate):
        spread = pool.last("distribution")
        if spread is not None and spread.value in ("modula", "random") and len(servers(pool)) > 1:
            yield Hit(spread.place, f"{pool.name}: distribution {spread.value}")


def open_pools(estate: Estate) -> Iterable[Hit]:
    """A pool that others than the machine itself reach."""
    for pool in pools(estate):
        listen = pool.last("listen")
        address = first(listen) if listen is not None else "/"
        if listen is not None and not address.startswith("/") and not is_loopback(address.rpartition(":")[0]):
            yield Hit(listen.place, f"{pool.name}: listen {listen.value}")


def refused(estate: Estate) -> Iterable[Hit]:
    """What `nutcracker --test-conf` says no to (src/nc_conf.c)."""
    for document in estate.of("nutcracker"):
        ports: set[str] = set()
        for pool in document.root.inside:
            yield from (Hit(node.place, f"{pool.name}: {what}") for node, what in _faults(pool))
            listen = pool.last("listen")
            if listen is not None and listen.value in ports:
                yield Hit(listen.place, f"{pool.name}: another pool listens on {listen.value}")
            ports.add(listen.value if listen else "")


def _faults(pool: Node) -> Iterator[tuple[Node, str]]:
    for key in ("listen", "servers"):
        if pool.last(key) is None:
            yield pool, f"there is no {key}"
    for node in pool.inside:
        value = node.value
        if node.name not in _KEYS:
            yield node, f"{node.name} is unknown"
        elif node.name in _NUMBERS and not value.isdecimal():
            yield node, f"{node.name} {value!r} is no whole number"
        elif node.name in _SWITCHES and value not in ("true", "false"):
            yield node, f"{node.name} {value!r} is neither true nor false"
        elif (node.name, value) == ("server_connections", "0"):
            yield node, "server_connections is 0"
        elif node.name == "hash" and value not in _HASHES:
            yield node, f"there is no hash {value!r}"
        elif node.name == "distribution" and value not in _SPREADS:
            yield node, f"there is no distribution {value!r}"
        elif node.name == "hash_tag" and len(value) != 2:
            yield node, f"hash_tag {value!r} is not of two characters"
    yield from _server_faults(servers(pool))


def _server_faults(listed: Iterable[Node]) -> Iterator[tuple[Node, str]]:
    seen: set[str] = set()
    for server in listed:
        address = first(server)
        if not address.startswith("/") and (address.count(":") < 2 or not address.rpartition(":")[2].isdecimal()):
            yield server, f"server {server.value!r} has no port or no weight"
        elif name(server) in seen:
            yield server, f"there are two servers {name(server)!r}"
        seen.add(name(server))


def strangers(estate: Estate) -> Iterable[Hit]:
    """Redis spoken to memcached."""
    for pool in pools(estate):
        speaks = pool.last("redis")
        ports = {first(server).split(":")[-2] for server in servers(pool) if first(server).count(":") >= 2}
        if speaks is not None and speaks.value == "true" and ports == {"11211"}:
            yield Hit(speaks.place, f"{pool.name}: redis true, servers on port 11211")


RULES = (
    Rule(
        "NUT001",
        Severity.ERROR,
        "a dead server stays in the pool",
        "Without auto_eject_hosts its share of the keys fails for as long as it is away, and each such request first "
        "waits for the timeout. Measured with one of three servers dead: 1,203 errors where ejection gave one.",
        _ADVICE,
        "Write auto_eject_hosts: true, server_failure_limit: 2 and server_retry_timeout: 30000.",
        "cache-servers-killed: errors until it is back",
        never_ejected,
    ),
    Rule(
        "NUT002",
        Severity.ERROR,
        "a request waits for ever",
        "Without a timeout twemproxy waits for a server that hangs without end, and for one that was cut off until the "
        "kernel gives up, a quarter of an hour. Meanwhile it does not eject it: silence is no failure to it.",
        _ADVICE,
        "Write timeout: 400 (milliseconds).",
        "silent-cut: requests that hang",
        endless,
    ),
    Rule(
        "NUT003",
        Severity.WARNING,
        "clients give up before twemproxy does",
        "oslo.cache waits 1 s (memcache_socket_timeout). It then takes twemproxy, its only server, for dead for 300 s, "
        "although the other servers of the pool are well.",
        "https://docs.openstack.org/oslo.cache/latest/configuration/index.html",
        "Make timeout much shorter than what clients wait: 400.",
        "silent-cut: how long nothing is found in the cache",
        slower_than_clients,
    ),
    Rule(
        "NUT004",
        Severity.WARNING,
        "keys do not stay with their servers",
        "With modula nearly all keys move when a server is ejected, and again when it is back, to values that are old "
        "by then. With random a value is found only where chance put it.",
        _README,
        "Write distribution: ketama.",
        "cache-servers-killed: the share of hits afterwards",
        scattered,
    ),
    Rule(
        "NUT005",
        Severity.WARNING,
        "others reach the pool",
        "twemproxy asks for no password: who reaches it reads and writes the whole cache.",
        _README,
        "Write listen: 127.0.0.1:PORT: each machine has a twemproxy of its own.",
        "",
        open_pools,
    ),
    Rule(
        "NUT006",
        Severity.ERROR,
        "twemproxy refuses this file",
        "It does not start; `nutcracker --test-conf` says so beforehand.",
        "https://github.com/twitter/twemproxy/blob/master/src/nc_conf.c",
        "Correct what is named here.",
        "",
        refused,
    ),
    Rule(
        "NUT007",
        Severity.ERROR,
        "the pool speaks Redis to memcached",
        "Each request of a memcache client is an error.",
        _README,
        "Take `redis: true` out.",
        "",
        strangers,
    ),
)

"""memcached: who reaches it, and what it does when it is full."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator

from quorate.audit.estate import Document, Estate
from quorate.audit.node import Node
from quorate.audit.rule import Hit, Rule, Severity

_MANUAL = "https://docs.memcached.org/serverguide/configuring/"
_ANY = ("0.0.0.0", "::", "[::]", "*", "INADDR_ANY")  # noqa: S104 - that is what is looked for
_CLIENTS = (
    ("keystone_authtoken", "memcached_servers"),
    ("cache", "memcache_servers"),
    ("DEFAULT", "memcached_servers"),
)


def servers(estate: Estate) -> Iterator[Document]:
    """Every memcached of which the command line was read."""
    yield from estate.of("memcached")


def listens(server: Document) -> tuple[tuple[str, Node], ...]:
    """The addresses that it listens on, each with its option; none is every address."""
    return tuple(
        (address, option)
        for option in server.root.all("-l")
        for address in (re.sub(r"(?<=[^:]):\d+$", "", part.strip()) for part in option.value.split(","))
    )


def guarded(server: Document) -> bool:
    """Whether clients have to log in, or to have a certificate."""
    return any(server.root.last(option) for option in ("-S", "-Y"))


def is_loopback(address: str) -> bool:
    """Whether only the machine itself reaches this address."""
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address == "localhost"


def over_udp(estate: Estate) -> Iterable[Hit]:
    """A UDP port, said, or by default before 1.5.6."""
    for server in servers(estate):
        port = server.root.last("-U")
        if port is not None and port.value != "0":
            yield Hit(port.place, f"-U {port.value}")
        elif port is None and estate.since("memcached", (1, 5, 6)) is False:
            yield Hit(server.place, "-U is not given: UDP on port 11211")


def everywhere(estate: Estate) -> Iterable[Hit]:
    """Every address, or one of the Internet, and no password."""
    for server in servers(estate):
        found = listens(server)
        if not found and not server.root.last("-s") and not guarded(server):
            yield Hit(server.place, "-l is not given: every address")
        for address, option in found:
            if not guarded(server) and (address in _ANY or _is_public(address)):
                yield Hit(option.place, f"-l {option.value}")


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.strip("[]")).is_global
    except ValueError:
        return False


def unguarded(estate: Estate) -> Iterable[Hit]:
    """An address of a network, and no password."""
    for server in servers(estate):
        for address, option in listens(server):
            local = not address or address in _ANY or is_loopback(address) or _is_public(address)
            if not local and not guarded(server):
                yield Hit(option.place, f"-l {option.value}")
                break


def out_of_reach(estate: Estate) -> Iterable[Hit]:
    """Loopback only, while clients look for it under its machine's name or address."""
    asked = [
        (server.strip().removeprefix("inet6:").removeprefix("inet:"), option)
        for document in estate.documents
        for path in _CLIENTS
        if (option := document.root.last(*path))
        for server in option.value.split(",")
    ]
    for server in servers(estate):
        found = listens(server)
        if not found or not server.host or not all(is_loopback(address) for address, _ in found):
            continue
        names = [(name, option) for name, option in asked if name.partition(":")[0].partition(".")[0] == server.host]
        if names:
            yield Hit(found[0][1].place, f"-l {found[0][1].value}, asked for as {names[0][0]}", (names[0][1].place,))


def refusing(estate: Estate) -> Iterable[Hit]:
    """Errors instead of evictions."""
    yield from (Hit(node.place, "-M") for server in servers(estate) for node in server.root.all("-M"))


def few_connections(estate: Estate) -> Iterable[Hit]:
    """Fewer clients than a controller's services have."""
    for server in servers(estate):
        limit = server.root.last("-c")
        if limit is not None and limit.value.isdecimal() and int(limit.value) <= 1024:
            yield Hit(limit.place, f"-c {limit.value}")


def small(estate: Estate) -> Iterable[Hit]:
    """The memory of a daemon that nobody sized."""
    for server in servers(estate):
        memory = server.root.last("-m")
        if memory is not None and memory.value.isdecimal() and int(memory.value) <= 64:
            yield Hit(memory.place, f"-m {memory.value}")


def too_large(estate: Estate) -> Iterable[Hit]:
    """Items for which there is no room (memcached.c: half of the memory)."""
    for server in servers(estate):
        item, memory = server.root.last("-I"), server.root.get("-m", default="64")
        match = re.fullmatch(r"(\d+)([km]?)", item.value.lower()) if item else None
        if item and match and memory.isdecimal():
            bytes_ = int(match[1]) * {"": 1, "k": 1 << 10, "m": 1 << 20}[match[2]]
            if bytes_ > (int(memory) << 20) // 2:
                yield Hit(item.place, f"-I {item.value} of -m {memory}")


def powerful(estate: Estate) -> Iterable[Hit]:
    """Run by root, or ended by anyone."""
    for server in servers(estate):
        user = server.root.last("-u")
        if user is not None and user.value == "root":
            yield Hit(user.place, "-u root")
        yield from (Hit(node.place, "-A") for node in server.root.all("-A"))


RULES = (
    Rule(
        "MEM001",
        Severity.ERROR,
        "memcached answers over UDP",
        "A forged question of few bytes sends the answer, a thousand times as large, to somebody else: the largest "
        "attacks of 2018 were made of this. No client of OpenStack uses it.",
        "https://github.com/memcached/memcached/wiki/ReleaseNotes156",
        "Write -U 0.",
        "",
        over_udp,
    ),
    Rule(
        "MEM002",
        Severity.ERROR,
        "memcached listens everywhere, without a password",
        "Whoever reaches any of the controller's networks reads tokens and sessions, and puts in his own.",
        _MANUAL,
        "Write -l with the controller's address on the management network and 127.0.0.1.",
        "",
        everywhere,
    ),
    Rule(
        "MEM003",
        Severity.NOTE,
        "the management network is trusted with the cache",
        "There is no password and no encryption: every machine of that network may read and write what is cached, "
        "tokens among it.",
        "https://docs.openstack.org/security-guide/databases/database-transport-security.html",
        "Let only controllers reach port 11211, and write memcache_security_strategy = ENCRYPT in "
        "[keystone_authtoken]; or run it with -S or -Y where the clients can log in.",
        "",
        unguarded,
    ),
    Rule(
        "MEM004",
        Severity.ERROR,
        "clients look for this server where it does not listen",
        "Debian's file listens on 127.0.0.1 only, and the services name the server by its machine: each request for "
        "its share of the keys fails, or waits.",
        _MANUAL,
        "Write -l with the controller's address on the management network.",
        "cache-servers-stopped: nothing changes, it was never reached",
        out_of_reach,
    ),
    Rule(
        "MEM005",
        Severity.WARNING,
        "a full cache takes nothing any more",
        "With -M memcached says `out of memory` instead of dropping what was not used for longest: new tokens and "
        "sessions are not kept until old ones expire.",
        _MANUAL,
        "Take -M out, and make -m larger.",
        "",
        refusing,
    ),
    Rule(
        "MEM006",
        Severity.NOTE,
        "no more than 1024 clients at a time",
        "Each worker of each service on each controller holds connections. Who comes after the last one waits without "
        "an answer.",
        _MANUAL,
        "Write -c 4096 or more, and LimitNOFILE of its unit likewise.",
        "",
        few_connections,
    ),
    Rule(
        "MEM007",
        Severity.NOTE,
        "64 MB of memory",
        "That is what memcached takes when nobody says anything. When it is full, tokens and sessions that are in use "
        "are dropped, and Keystone is asked again.",
        _MANUAL,
        "Write -m with what tokens and sessions need: 256 or more.",
        "",
        small,
    ),
    Rule(
        "MEM008",
        Severity.ERROR,
        "an item may be larger than half of the memory",
        "`Cannot set item size limit higher than 1/2 of memory max`: memcached does not start.",
        "https://github.com/memcached/memcached/blob/master/memcached.c",
        "Make -I smaller, or -m more than twice as large.",
        "",
        too_large,
    ),
    Rule(
        "MEM009",
        Severity.WARNING,
        "memcached may do more than it needs",
        "As root a hole in it is one in the machine; with -A every client may end it.",
        _MANUAL,
        "Write -u memcache (Debian) or -u memcached (Red Hat), and take -A out.",
        "",
        powerful,
    ),
)

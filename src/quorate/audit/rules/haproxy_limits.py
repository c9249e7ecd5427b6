"""HAProxy's doors and limits: where it listens, how many it takes, how long it waits, who may rule it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from quorate.audit.estate import Estate
from quorate.audit.node import Node
from quorate.audit.ports import DATABASE
from quorate.audit.proxies import Address, Section, address, is_address, sections, ways
from quorate.audit.rule import Hit, Rule, Severity

_MANUAL = "https://docs.haproxy.org/3.0/configuration.html"
HOUR_MS = 3_600_000
KERNEL_KEEPALIVE_S = 7200
"""net.ipv4.tcp_keepalive_time, seconds, where nobody set it. (tcp(7).)"""
GONE: Mapping[str, str] = {
    "appsession": "1.6",
    "clitimeout": "2.1",
    "contimeout": "2.1",
    "srvtimeout": "2.1",
    "redispatch": "2.1",
    "block": "2.1",
    "nbproc": "2.5",
    **{f"{side}{what}": "2.1" for side in ("req", "rsp") for what in ("add", "del", "deny", "idel", "ideny", "irep")},
    **{f"{side}rep": "2.1" for side in ("req", "rsp")},
    **{f"req{what}": "2.1" for what in ("allow", "iallow", "ipass", "itarpit", "pass", "setbe", "tarpit")},
}
"""Statements that HAProxy refuses, and since which version (its own messages say so)."""


def short_for_databases(estate: Estate) -> Iterable[Hit]:
    """Timeouts that end connections which a database's clients keep for later."""
    for way in ways(estate):
        sides = [*((door, "client") for door in way.doors), (way.section, "server")] if way.serves(DATABASE) else []
        for section, what in sides:
            node, time = section.said("timeout", what), section.time(what)
            if node and time is not None and 0 < time < HOUR_MS:
                yield Hit(node.place, f"{section.name}: timeout {what} {node.words[2]}", (section.node.place,))


def endless(estate: Estate) -> Iterable[Hit]:
    """Sections whose connections nothing ends. Without any `defaults`, a file is taken for a part of one."""
    for section in sections(estate):
        wanted = ["client"] if section.node.name in ("frontend", "listen") else []
        wanted += ["connect", "server"] if section.servers else []
        missing = [what for what in wanted if not section.time(what)]
        if missing and section.defaults:
            yield Hit(section.node.place, f"{section.name}: no timeout {', '.join(missing)}")


def _asks_who(section: Section) -> bool:
    rules = ("http-request", "tcp-request", "acl")
    return bool(section.said("stats", "auth") or section.said("stats", "http-request") or section.node.all(*rules))


def open_statistics(estate: Estate) -> Iterable[Hit]:
    """Statistics pages that anybody who reaches an address may read."""
    for section in sections(estate):
        shown = [one for one in section.node.all("stats") if one.words[1:2] in (("enable",), ("uri",), ("admin",))]
        doors = [found for found, _ in section.binds if not found.local]
        if shown and doors and not _asks_who(section):
            public = ", a public address" if any(map(_is_public, doors)) else ""
            ruled = ", and take servers out of service" if section.said("stats", "admin") else ""
            told = f"{section.name}: whoever reaches {_told(doors[0])}{public} may read it{ruled}"
            yield Hit(shown[0].place, told)


def _is_public(found: Address) -> bool:
    return is_address(found.host) and ipaddress.ip_address(found.host).is_global


def _told(found: Address) -> str:
    return f"{found.host or '*'}:{found.port}"


def open_socket(estate: Estate) -> Iterable[Hit]:
    """Sockets for commands that listen on the network."""
    for document in estate.of("haproxy"):
        for node in document.root.walk():
            if node.words[:2] == ("stats", "socket") and len(node.words) > 2:
                found = address(node.words[2])
                if found and found.port and not found.local:
                    yield Hit(node.place, node.value)


def more_than_all(estate: Estate) -> Iterable[Hit]:
    """Limits of connections that the limit of the whole process does not let anybody reach."""
    for root in estate.merged("haproxy").values():
        whole = root.last("global", "maxconn")
        for section in root.all("defaults", "frontend", "listen") if whole else ():
            own = section.last("maxconn")
            if (
                whole
                and own
                and whole.value.isdecimal()
                and own.value.isdecimal()
                and int(own.value) > int(whole.value)
            ):
                told = f"{' '.join(section.words)}: maxconn {own.value}, of {whole.value} for all"
                yield Hit(own.place, told, (whole.place,))


def nowhere(estate: Estate) -> Iterable[Hit]:
    """Backends that are led to and do not exist."""
    there: dict[str, set[str]] = {}
    for section in sections(estate):
        if section.node.name != "frontend":
            there.setdefault(section.host, set()).add(section.name)
    for section in sections(estate):
        for name, node in section.targets.items():
            if section.host in there and name not in there[section.host]:
                yield Hit(node.place, f"{section.name}: {' '.join(node.words)}")


def one_door_for_two(estate: Estate) -> Iterable[Hit]:
    """Addresses at which two sections listen."""
    seen: dict[tuple[object, ...], tuple[Section, Node]] = {}
    for section in sections(estate):
        for found, node in section.binds:
            card = node.words[node.words.index("interface") :][1:2] if "interface" in node.words else ()
            first, place = seen.setdefault((section.host, found, card), (section, node))
            if first is not section and found.port:
                told = f"{section.name}: {_told(found)}, where {first.name} listens"
                yield Hit(node.place, told, (place.place,))


def refused(estate: Estate) -> Iterable[Hit]:
    """Statements that HAProxy no longer knows, as far as the version that is installed is not older."""
    version = estate.version("haproxy")
    for document in estate.of("haproxy"):
        for section in document.root.inside:
            for node in section.inside:
                since = GONE.get(node.name)
                if since and (version is None or version >= tuple(map(int, since.split(".")))):
                    yield Hit(node.place, f"{' '.join(node.words)}: refused since HAProxy {since}")


def too_late(estate: Estate) -> Iterable[Hit]:
    """Keep-alives whose first probe comes after the connection was ended for being idle."""
    for section in sections(estate):
        first = _first_probe_s(estate, section.host) * 1000
        sides = [("clitcpka", "client", "clitcpka-idle")] if section.node.name != "backend" else []
        sides += [("srvtcpka", "server", "srvtcpka-idle")] if section.servers else []
        for word, side, idle in sides:
            option = section.said("option", word) or section.said("option", "tcpka")
            time = section.time(side)
            inside = option is not None and option in section.node.inside
            if option and inside and time and time < first and not section.said(idle):
                told = f"the first probe after {first / 1000:g} s, timeout {side} after {time / 1000:g} s"
                yield Hit(option.place, f"{section.name}: {option.value}: {told}")
                break


def _first_probe_s(estate: Estate, host: str) -> int:
    """Give net.ipv4.tcp_keepalive_time of a machine."""
    settings = estate.merged("sysctl").get(host)
    said = settings.get("net.ipv4.tcp_keepalive_time") if settings else ""
    return int(said) if said.isdecimal() else KERNEL_KEEPALIVE_S


RULES = (
    Rule(
        "HAP014",
        Severity.WARNING,
        "connections to the database are ended while services keep them for later",
        "oslo.db keeps connections for an hour (connection_recycle_time 3600). HAProxy ends them before, when they are "
        "idle, and in the midst of a statement that takes longer: services connect anew, or fail with 'Lost connection "
        "to MySQL server during query'.",
        "https://docs.openstack.org/oslo.db/latest/reference/opts.html",
        "In the section of the database: `timeout client 1h` and `timeout server 1h`, or more.",
        "",
        short_for_databases,
    ),
    Rule(
        "HAP015",
        Severity.WARNING,
        "connections have no timeout",
        "Clients and servers that go away without a word are kept for ever, until all of maxconn are taken.",
        f"{_MANUAL}#4.2-timeout%20client",
        "Set `timeout connect`, `timeout client` and `timeout server` in `defaults`.",
        "",
        endless,
    ),
    Rule(
        "HAP016",
        Severity.WARNING,
        "HAProxy's statistics are open to anybody",
        "The page names every server with its address and state; with `stats admin` whoever opens it takes them away.",
        f"{_MANUAL}#4.2-stats%20auth",
        "Bind it to 127.0.0.1 or the management address, and add `stats auth USER:PASSWORD`.",
        "",
        open_statistics,
    ),
    Rule(
        "HAP017",
        Severity.ERROR,
        "HAProxy takes commands from the network",
        "The socket asks nobody for a password: whoever reaches it reads sessions and tables and, at level admin, "
        "disables servers and frontends.",
        "https://docs.haproxy.org/3.0/management.html#9.3",
        "Use a file: `stats socket /run/haproxy/admin.sock mode 660 level admin`.",
        "",
        open_socket,
    ),
    Rule(
        "HAP018",
        Severity.WARNING,
        "one section may take more connections than the whole process",
        "The limit of the process is reached first, and is one for all: a single service that is slow fills it, and no "
        "other service is let in.",
        f"{_MANUAL}#3.2-maxconn",
        "Raise `maxconn` in `global` above the sum, or lower those of the sections.",
        "",
        more_than_all,
    ),
    Rule(
        "HAP019",
        Severity.ERROR,
        "a section leads to a backend that does not exist",
        "HAProxy refuses to start with this file; a reload leaves the old one running.",
        f"{_MANUAL}#4.2-default_backend",
        "Correct the name, or write the backend.",
        "",
        nowhere,
    ),
    Rule(
        "HAP020",
        Severity.ERROR,
        "two sections listen at the same address and port",
        "On Linux both bind it (SO_REUSEPORT), and the kernel gives each of them a part of the connections: a share of "
        "the requests ends at the wrong service.",
        f"{_MANUAL}#3.2-noreuseport",
        "Give each section an address or a port of its own.",
        "",
        one_door_for_two,
    ),
    Rule(
        "HAP021",
        Severity.ERROR,
        "a statement that HAProxy no longer knows",
        "HAProxy refuses to start with this file. After an upgrade of the package it does not come back.",
        "https://docs.haproxy.org/2.5/configuration.html",
        "Take it out: `nbproc` has become threads by themselves; `reqrep` and its like are http-request rules; the old "
        "timeouts are `timeout client`, `timeout server`, `timeout connect`.",
        "",
        refused,
    ),
    Rule(
        "HAP022",
        Severity.NOTE,
        "keep-alive probes come after the connection was ended",
        "`option tcpka` only turns the kernel's probes on, whose first one comes after tcp_keepalive_time, 2 hours "
        "unless that was changed. The timeout ends the connection long before.",
        f"{_MANUAL}#4.2-option%20tcpka",
        "Add `clitcpka-idle 30s`, `clitcpka-intvl 5s`, `clitcpka-cnt 3` (and the same with srvtcpka), or leave it out.",
        "",
        too_late,
    ),
)

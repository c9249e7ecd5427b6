"""The kernel's settings that the VIP and its services rest on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from quorate.audit.cluster import agent, clusters, said, setting
from quorate.audit.estate import Estate
from quorate.audit.node import Node
from quorate.audit.ports import SERVICES
from quorate.audit.proxies import sections
from quorate.audit.rule import Hit, Rule, Severity
from quorate.audit.vrrp import vips

_KERNEL = "https://docs.kernel.org/networking/ip-sysctl.html"
EPHEMERAL = (32768, 60999)
"""Ports that the kernel gives to outgoing connections, where nobody set net.ipv4.ip_local_port_range."""


def _settings(estate: Estate) -> Iterator[tuple[str, Node]]:
    yield from estate.merged("sysctl").items()


def not_before_it_comes(estate: Estate) -> Iterable[Hit]:
    """HAProxy at an address that its machine has only at times, where the kernel refuses that.

    Where Pacemaker starts HAProxy after the address, it does no harm.
    """
    moving = set(vips(estate))
    started = False
    for cluster in clusters(estate):
        moving |= {said(setting(vip, "ip")) for vip in cluster.vips}
        started = started or any(agent(one).lower().endswith("haproxy") for one in cluster.primitives)
    for host, settings in () if started else _settings(estate):
        for section in sections(estate):
            for found, node in section.binds if section.host == host else ():
                name = f"net.ipv{6 if ':' in found.host else 4}.ip_nonlocal_bind"
                said_here = settings.last(name)
                free = (said_here and said_here.value == "1") or "transparent" in node.words
                if found.host in moving and not free:
                    also = (said_here.place,) if said_here else ()
                    yield Hit(node.place, f"{section.name}: {found.host}, {name} is {_value(said_here)}", also)


def _value(node: Node | None) -> str:
    return node.value if node else "not set"


def two_values(estate: Estate) -> Iterable[Hit]:
    """Settings of which two files say two things."""
    for _, settings in _settings(estate):
        last: dict[str, Node] = {}
        for node in settings.inside:
            before = last.get(node.name)
            if before and before.value != node.value:
                yield Hit(node.place, f"{node.name} = {node.value}, elsewhere {before.value}", (before.place,))
            last[node.name] = node


def port_taken(estate: Estate) -> Iterable[Hit]:
    """Ports of services among those that the kernel gives away."""
    for host, settings in _settings(estate):
        said_here = settings.last("net.ipv4.ip_local_port_range")
        low, high = _range(said_here.value if said_here else "") or EPHEMERAL
        reserved = settings.get("net.ipv4.ip_local_reserved_ports")
        taken: dict[int, Node] = {}
        for section in sections(estate):
            for found, node in section.binds if section.host == host else ():
                port = found.port or 0
                if found.anywhere and low <= port <= high and port in SERVICES and not _reserved(port, reserved):
                    taken.setdefault(port, node)
        if taken:
            place = said_here.place if said_here else next(iter(taken.values())).place
            yield Hit(place, f"{', '.join(map(str, sorted(taken)))} of {low} to {high}")


def _range(text: str) -> tuple[int, int] | None:
    parts = text.split()
    return (int(parts[0]), int(parts[1])) if len(parts) == 2 and all(part.isdecimal() for part in parts) else None


def _reserved(port: int, text: str) -> bool:
    for part in text.split(","):
        low, _, high = part.strip().partition("-")
        if low.isdecimal() and int(low) <= port <= int(high if high.isdecimal() else low):
            return True
    return False


RULES = (
    Rule(
        "SYS001",
        Severity.ERROR,
        "HAProxy does not start where the VIP is not",
        "A program can bind to an address of another machine only if net.ipv4.ip_nonlocal_bind is 1. On every "
        "controller without the VIP HAProxy fails to start, and is not there when the VIP comes.",
        _KERNEL,
        "Write `net.ipv4.ip_nonlocal_bind = 1` in /etc/sysctl.d (for IPv6 net.ipv6.ip_nonlocal_bind), or bind to "
        "`:PORT transparent`.",
        "power-cut of the holder: the VIP moves to a controller on which nobody listens",
        not_before_it_comes,
    ),
    Rule(
        "SYS002",
        Severity.WARNING,
        "two files set a value differently",
        "Which of them counts depends on the order in which they are read, and whoever reads only one of them is "
        "mistaken.",
        "sysctl.d(5), https://man7.org/linux/man-pages/man5/sysctl.d.5.html",
        "Keep one of them.",
        "",
        two_values,
    ),
    Rule(
        "SYS003",
        Severity.WARNING,
        "the kernel may give a service's port away",
        "An outgoing connection that happens to get the port keeps the service from starting: 'Address already in "
        "use', now and then, after a restart.",
        _KERNEL,
        "Name it in net.ipv4.ip_local_reserved_ports, or leave ip_local_port_range at 32768 to 60999.",
        "",
        port_taken,
    ),
)

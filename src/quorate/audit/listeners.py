"""What clients need to know of load balancers: where they listen, for whom, and how long they wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from quorate.audit import vrrp
from quorate.audit.cluster import clusters, said, setting
from quorate.audit.configs import Peer
from quorate.audit.estate import Estate
from quorate.audit.node import Node
from quorate.audit.proxies import Address, Section, led_to, sections


@dataclass(frozen=True)
class Listener:
    """A place where HAProxy listens, and what is behind it. `timeouts`: seconds by name (`client`, `server`)."""

    at: Address
    section: Node
    servers: tuple[Peer, ...]
    timeouts: dict[str, float]

    def serves(self, place: Peer) -> bool:
        """Whether a client that connects there comes in here."""
        return self.at.port == place.port and (self.at.anywhere or self.at.host == place.host)


@lru_cache(maxsize=1)
def listeners(estate: Estate) -> tuple[Listener, ...]:
    """Every place where a HAProxy listens."""
    return tuple(_listeners(estate))


def _listeners(estate: Estate) -> Iterator[Listener]:
    for section in sections(estate):
        behind = led_to(estate, section) or [section]
        servers = tuple(Peer(server.address.host, server.address.port or 0) for one in behind for server in one.servers)
        waits = {"client": section.time("client"), "server": _least(behind)}
        timeouts = {name: time / 1000 for name, time in waits.items() if time is not None}
        for at, _ in section.binds:
            yield Listener(at, section.node, servers, timeouts)


def _least(behind: list[Section]) -> float | None:
    return min((time for one in behind if (time := one.time("server")) is not None), default=None)


def virtual_addresses(estate: Estate) -> frozenset[str]:
    """Every address that moves between machines: Pacemaker's, keepalived's, and where HAProxy listens."""
    held = (said(setting(vip, "ip")) for cluster in clusters(estate) for vip in cluster.vips)
    return frozenset((*held, *vrrp.vips(estate), *(listener.at.host for listener in listeners(estate))))

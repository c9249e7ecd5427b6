"""What a load balancer does, as far as clients behind and before it need to know: where it listens, and for whom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from quorate.audit.configs import Peer, peer
from quorate.audit.estate import Document, Estate
from quorate.audit.node import Node

_UNITS = {"us": 1e-6, "ms": 1e-3, "": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
ANYWHERE = frozenset(("", "*", "0.0.0.0", "::"))  # noqa: S104 - to be found, not to be bound
_SERVED = re.compile(r"(?:\[[0-9a-fA-F:]+\]|[\w.-]*|\*):\d+")


@dataclass(frozen=True)
class Listener:
    """A place where HAProxy listens, and what is behind it. `timeouts`: seconds by name (`client`, `server`)."""

    at: Peer
    section: Node
    servers: tuple[Peer, ...]
    timeouts: dict[str, float]

    def serves(self, place: Peer) -> bool:
        """Whether a client that connects there comes in here."""
        return self.at.port == place.port and (self.at.host == place.host or self.at.host in ANYWHERE)


def listeners(estate: Estate) -> Iterator[Listener]:
    """Every place where a HAProxy listens."""
    for document in estate.of("haproxy"):
        backends = {section.value.split(" ")[0]: section for section in document.root.all("backend")}
        for section in document.root.all("listen", "frontend"):
            behind = backends.get(section.get("default_backend").split(" ")[0], section)
            servers = tuple(_peers(node.words[2:3]) for node in behind.all("server"))
            flat = tuple(one for some in servers for one in some)
            for node in section.all("bind"):
                for place in _peers(node.words[1:2]):
                    yield Listener(place, section, flat, _timeouts(document, section, behind))


def virtual_addresses(estate: Estate) -> frozenset[str]:
    """Every address that moves between machines: where HAProxy listens, and what Pacemaker and keepalived speak of."""
    said = (
        word
        for document in estate.of("pacemaker", "crm", "cib", "keepalived")
        for node in document.root.walk()
        for text in node.words
        for word in re.findall(r"[0-9a-fA-F.:]{3,}", text)
    )
    return frozenset((*said, *(listener.at.host for listener in listeners(estate))))


def _peers(words: tuple[str, ...]) -> tuple[Peer, ...]:
    entries = [entry for word in words for entry in word.split(",")]
    return tuple(peer(entry) for entry in entries if _SERVED.fullmatch(entry))


def _timeouts(document: Document, section: Node, behind: Node) -> dict[str, float]:
    found: dict[str, float] = {}
    for place in (*document.root.all("defaults"), behind, section):
        for node in place.all("timeout"):
            if len(node.words) > 2 and (seconds := duration(node.words[2])) is not None:
                found[node.words[1]] = seconds
    return found


def duration(text: str) -> float | None:
    """Read a time as HAProxy writes it, in seconds; without a unit it is milliseconds. (Manual, 2.5.)"""
    match = re.fullmatch(r"(\d+)(us|ms|s|m|h|d|)", text)
    return int(match[1]) * _UNITS[match[2]] if match else None

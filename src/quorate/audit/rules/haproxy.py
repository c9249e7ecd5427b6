"""HAProxy: who listens, to whom it leads, and how it notices that somebody is gone."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator

from quorate.audit.estate import Estate
from quorate.audit.node import Node
from quorate.audit.rule import Hit, Rule, Severity

_MANUAL = "https://docs.haproxy.org/3.0/configuration.html"
_NUMERIC = re.compile(r"[\d.]+$")


def proxies(estate: Estate) -> Iterator[Node]:
    """Every section that has servers."""
    for document in estate.of("haproxy"):
        yield from document.root.all("listen", "backend")


def servers(section: Node) -> tuple[Node, ...]:
    """The servers of a section."""
    return section.all("server")


def address(server: Node) -> str:
    """Where a server is, without its port: `server NAME ADDRESS[:PORT] …`."""
    return server.words[2].rpartition(":")[0] or server.words[2] if len(server.words) > 2 else ""


def invalid_addresses(estate: Estate) -> Iterable[Hit]:
    """Addresses of figures and dots that are none."""
    for section in proxies(estate):
        for server in servers(section):
            if _NUMERIC.match(address(server)) and not _is_address(address(server)):
                yield Hit(server.place, f"{section.value}: {server.value}")


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


RULES = (
    Rule(
        "HAP001",
        Severity.ERROR,
        "a server's address is none",
        "HAProxy takes it for a host name, cannot resolve it, and refuses to start with this file; a reload leaves "
        "the old one running.",
        f"{_MANUAL}#5.2",
        "Write the controller's address: four figures from 0 to 255.",
        "",
        invalid_addresses,
    ),
)

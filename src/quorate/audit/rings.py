"""A corosync.conf as Corosync understands it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from quorate.audit.estate import Estate
from quorate.audit.node import Node

TOKEN_MS, COEFFICIENT_MS = 3000, 650
"""Defaults of Corosync 3. (corosync.conf(5).)"""


@dataclass(frozen=True)
class Ring:
    """A corosync.conf."""

    root: Node
    mode: int | None
    """Permissions of its file; None where they are not known."""
    modern: bool | None
    """Whether it is read by Corosync 3; None where that is not known."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Its members, as far as they are listed."""
        return tuple(node for part in self.root.all("nodelist") for node in part.all("node"))

    @property
    def transport(self) -> Node | None:
        """The statement that says how it speaks, if there is one."""
        return self.root.last("totem", "transport")

    @property
    def knet(self) -> bool:
        """Whether it speaks knet for sure: said so, or by the default of Corosync 3."""
        return self.transport.value == "knet" if self.transport else self.modern is True

    @property
    def qdevice(self) -> Node | None:
        """The quorum device."""
        return self.root.last("quorum", "device")

    def on(self, *path: str) -> Node | None:
        """A statement whose value is not 0."""
        node = self.root.last(*path)
        return node if node and node.value not in ("", "0", "no") else None

    def number(self, *path: str) -> int | None:
        """A number, None where there is none."""
        value = self.root.get(*path)
        return int(value) if value.isdecimal() else None


def rings(estate: Estate) -> Iterator[Ring]:
    """Every corosync.conf with a totem section."""
    for document in estate.of("corosync"):
        if document.root.all("totem"):
            yield Ring(document.root, document.text.mode, estate.since("corosync", (3,)))

"""Everything that was read of a cloud: its documents, from which machine each is, and what is installed there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from quorate.audit.node import Node, Place

_VERSION = re.compile(r"(?:\d+:)?(\d{1,9}(?:\.\d{1,9})*)(?!\d)")


@dataclass(frozen=True)
class Text:
    """A file as it was found. `mode`: its permissions, None where that cannot be known (an example, a git checkout)."""

    path: str
    body: str
    host: str = ""
    mode: int | None = None


@dataclass(frozen=True)
class Document:
    """A file that was understood. `kind`: the program that reads it, by the reader's word: haproxy, galera, nova …"""

    kind: str
    text: Text
    root: Node

    @property
    def host(self) -> str:
        """Which machine it is from."""
        return self.text.host

    @property
    def place(self) -> Place:
        """The file as a whole."""
        return self.root.place


@dataclass(frozen=True)
class Unread:
    """A file that should be understood and was not: what is wrong with it. No rule has seen it."""

    place: Place
    why: str


@dataclass(frozen=True, eq=False)
class Estate:
    """What rules look at. `versions`: of installed programs, by kind, as far as they are known.

    It is itself only: what follows from it is found out once (`functools.lru_cache`), however many rules ask.
    """

    documents: tuple[Document, ...]
    versions: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[Unread, ...] = ()

    def of(self, *kinds: str) -> tuple[Document, ...]:
        """The documents of these kinds."""
        return tuple(document for document in self.documents if document.kind in kinds)

    def merged(self, kind: str) -> Mapping[str, Node]:
        """What a program reads on each machine: all its files there as one, in the order of their names."""
        return _merged(self, kind)

    def version(self, kind: str) -> tuple[int, ...] | None:
        """The version of a program; None where it is not known. An epoch and what follows the figures do not count."""
        match = _VERSION.match(self.versions.get(kind, ""))
        return tuple(int(part) for part in match[1].split(".")) if match else None

    def since(self, kind: str, version: Sequence[int]) -> bool | None:
        """Whether a program is of this version or a later one; None where that is not known."""
        found = self.version(kind)
        return None if found is None else found >= tuple(version)


@lru_cache(maxsize=64)
def _merged(estate: Estate, kind: str) -> Mapping[str, Node]:
    found: dict[str, list[Document]] = {}
    for document in sorted(estate.of(kind), key=lambda one: one.text.path):
        found.setdefault(document.host, []).append(document)
    return {
        host: Node(("",), parts[0].place, tuple(node for part in parts for node in part.root.inside))
        for host, parts in found.items()
    }

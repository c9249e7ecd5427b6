"""How a text is read, for tests of the audit's readers."""

from __future__ import annotations

from collections.abc import Iterator

from quorate.audit.estate import Document, Text, Unread
from quorate.audit.kinds import kind_of, read
from quorate.audit.node import Node


def document(path: str, body: str) -> Document | Unread:
    """Read it as what its path says."""
    text = Text(path, body)
    kind = kind_of(text)
    assert kind is not None
    return read(text, kind)


def lines(path: str, body: str) -> list[str]:
    """Say each statement with its line, as deep as it stands."""
    came = document(path, body)
    assert isinstance(came, Document), came

    def told(nodes: tuple[Node, ...], depth: int) -> Iterator[str]:
        for node in nodes:
            yield f"{node.place.line}{'  ' * depth} {'|'.join(node.words)}"
            yield from told(node.inside, depth + 1)

    return list(told(came.root.inside, 0))

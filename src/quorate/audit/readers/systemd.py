"""systemd's units: sections in brackets with `Name=value`, a backslash continues a line. (systemd.syntax(7).)"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from quorate.audit.kinds import Kind, Unreadable
from quorate.audit.node import Node, Place


def read(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read sections, each with its settings inside."""
    head: Node | None = None
    inside: list[Node] = []
    for number, line in _lines(text):
        if line.startswith("[") and line.endswith("]"):
            if head is not None:
                yield replace(head, inside=tuple(inside))
            head, inside = Node((line[1:-1],), at(number)), []
            continue
        name, equals, value = line.partition("=")
        if head is None or not equals:
            raise Unreadable(number, "no section, and no `Name=value` in one")
        inside.append(Node((name.strip(), value.strip()), at(number)))
    if head is not None:
        yield replace(head, inside=tuple(inside))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Put continued lines together; a comment between them does not end them."""
    begun, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if bare.startswith(("#", ";")) or (not bare and not parts):
            continue
        begun = begun if parts else number
        parts.append(bare.removesuffix("\\").strip())
        if not bare.endswith("\\"):
            yield begun, " ".join(parts)
            parts = []
    if parts:
        yield begun, " ".join(parts)


KINDS = (
    Kind(
        "unit",
        ("*.service", "*.service.d/*.conf", "*.timer", "*.socket"),
        read,
        r"^\[(Unit|Service|Timer|Socket|Install)\]",
    ),
)

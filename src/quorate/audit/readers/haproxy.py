"""haproxy.cfg: sections that begin with a keyword, statements of words. (HAProxy Configuration Manual, 2.1 and 2.2.)"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from quorate.audit.kinds import Kind, Unreadable
from quorate.audit.node import Node, Place
from quorate.audit.readers import shell

_SECTIONS = frozenset(
    (
        "global",
        "defaults",
        "frontend",
        "backend",
        "listen",
        "peers",
        "resolvers",
        "userlist",
        "cache",
        "program",
        "mailers",
        "ring",
        "http-errors",
        "log-forward",
        "log-profile",
        "fcgi-app",
        "crt-store",
        "traces",
        "acme",
    )
)


def read(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read sections, each with its lines inside."""
    head: Node | None = None
    lines: list[Node] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = tuple(shell.arguments(line, number, comments=True))
        if not words:
            continue
        if words[0] in _SECTIONS:
            if head is not None:
                yield Node(head.words, head.place, tuple(lines))
            head, lines = Node(words, at(number)), []
        elif head is None:
            raise Unreadable(number, f"{words[0]!r} stands before the first section")
        else:
            lines.append(Node(words, at(number)))
    if head is not None:
        yield Node(head.words, head.place, tuple(lines))


KINDS = (
    Kind(
        "haproxy",
        ("haproxy.cfg", "haproxy*.cfg", "haproxy/*.cfg", "services.d/*.cfg", "haproxy/conf.d/*"),
        read,
        r"^\s*(listen|frontend|backend|defaults)\b",
    ),
)

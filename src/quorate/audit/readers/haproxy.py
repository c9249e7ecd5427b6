"""haproxy.cfg: sections that begin with a keyword, statements of words. (HAProxy Configuration Manual, 2.1 and 2.2.)"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator

from quorate.audit.kinds import Kind, Unreadable
from quorate.audit.node import Node, Place

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
        words = _words(line, number)
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


def _words(line: str, number: int) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(line, comments=True))
    except ValueError as error:
        raise Unreadable(number, f"{error}".lower()) from None


KINDS = (
    Kind(
        "haproxy",
        ("haproxy.cfg", "haproxy*.cfg", "haproxy/*.cfg", "services.d/*.cfg", "haproxy/conf.d/*"),
        read,
        r"^\s*(listen|frontend|backend|defaults)\b",
    ),
)

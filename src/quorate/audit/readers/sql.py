"""Statements of SQL in a file, as far as a rule needs them: one line each, as it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from quorate.audit.kinds import Kind
from quorate.audit.node import Node, Place


def read(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read lines that are no comments; a statement that goes on is told by its first line."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith(("--", "#", "/*")):
            yield Node(("", line.strip()), at(number))


KINDS = (Kind("sql", ("*.sql",), read),)

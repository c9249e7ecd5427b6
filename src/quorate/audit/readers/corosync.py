"""corosync.conf: sections in braces, `key: value`. (Corosync, exec/coroparse.c.)"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from quorate.audit.kinds import Kind, Unreadable
from quorate.audit.node import Node, Place
from quorate.audit.tree import Tree


def read(text: str, at: Callable[[int], Place]) -> Iterable[Node]:
    """Read it as Corosync does: line by line, a comment has a line of its own."""
    tree = Tree(at)
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, colon, value = line.partition(":")
        if line.endswith("{") and "{" not in line[:-1]:
            if line == "{":
                raise Unreadable(number, "a section begins without a name")
            tree.open((line[:-1].strip(),), number)
        elif colon and name.strip():
            tree.statement((name.strip(), value.strip()), number)
        elif line == "}":
            tree.close(number)
        else:
            raise Unreadable(number, f"{line!r} is no section, no end of one and no `key: value`")
    return tree.nodes()


def nothing(_text: str, _at: Callable[[int], Place]) -> Iterable[Node]:
    """Read a key: it has no statements, and nothing of it is to be shown."""
    return ()


KINDS = (
    Kind("corosync", ("corosync.conf", "corosync/*.conf"), read),
    Kind("corosync-key", ("corosync/authkey",), nothing),
)

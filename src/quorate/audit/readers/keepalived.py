"""keepalived.conf: a statement a line, blocks in braces, comments from `!` or `#`. (keepalived.conf(5).)"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from quorate.audit.kinds import Kind, Unreadable
from quorate.audit.node import Node, Place
from quorate.audit.tree import Tree

_TOKEN = re.compile(
    r'\s*(?:(?P<comment>[!#].*)|"(?P<quoted>[^"]*)"|(?P<brace>[{}])|(?P<word>(?:\$\{\w+\}|\\.|\\$|[^\s{}"!#\\])+))'
)


def read(text: str, at: Callable[[int], Place]) -> Iterable[Node]:
    """Read statements and blocks. A file that is included is one of its own."""
    tree, words = Tree(at), list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        place = 0
        while line[place:].strip():
            match = _TOKEN.match(line, place)
            if match is None:
                raise Unreadable(number, "a quotation mark has no second one")
            place = match.end()
            if match["brace"] == "{":
                tree.open(words, number)
                words = []
            elif match["comment"] is None and match["brace"] is None:
                words.append(match["quoted"] if match["quoted"] is not None else match["word"])
            elif words:
                tree.statement(words, number)
                words = []
            if match["brace"] == "}":
                tree.close(number)
        if words and words[-1] == "\\":
            # It goes on in the next line.
            words.pop()
        elif words:
            tree.statement(words, number)
            words = []
    return tree.nodes()


def lines(text: str, at: Callable[[int], Place]) -> Iterable[Node]:
    """Read a script that keepalived runs, for what it asks: a statement a line, comments left out."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield Node(("line", line.strip()), at(number))


KINDS = (
    Kind("keepalived-script", ("keepalived/*.sh", "keepalived/*/*.sh"), lines),
    Kind(
        "keepalived",
        ("keepalived.conf", "keepalived*.conf", "keepalived/*.conf", "keepalived/*/*.conf"),
        read,
        r"^\s*(vrrp_\w+|global_defs|virtual_server|static_\w+)\b",
    ),
)

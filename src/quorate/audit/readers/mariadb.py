"""MariaDB's option files: groups in brackets, `name = value` or a name alone, `!include`.

`-` and `_` are one in a name, and `loose_` before it only says that it may be unknown: names are given with `_` and
without it. Nothing is continued on the next line. (MariaDB Server documentation, Configuring MariaDB with Option
Files; mysys/my_default.c.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from quorate.audit.kinds import Kind, Unreadable
from quorate.audit.node import Node, Place

_GROUP = re.compile(r"\[([^\]]*)\]")
_ESCAPED = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "s": " "}
OPEN = "open quote"
"""The name of what is inside an option whose quote is not closed on its line."""


def read(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read groups, each with its options. Options before the first group are in one without a name (`""`)."""
    head, inside = Node(("",), at(0)), list[Node]()
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if stripped[0] == "!":
            inside.append(Node(tuple(stripped.split(None, 1)), at(number)))
        elif stripped[0] == "[":
            match = _GROUP.match(stripped)
            if match is None:
                raise Unreadable(number, f"{stripped!r} is no group: its bracket is not closed")
            yield Node(head.words, head.place, tuple(inside))
            head, inside = Node((match[1].strip(),), at(number)), []
        else:
            inside.append(_option(_without_comment(stripped), at(number)))
    yield Node(head.words, head.place, tuple(inside))


def _option(line: str, place: Place) -> Node:
    name, equals, value = line.partition("=")
    name = name.strip().replace("-", "_").removeprefix("loose_")
    if not equals:
        return Node((name,), place)
    value = value.strip()
    if value[:1] in ('"', "'") and value[:1]:
        if len(value) == 1 or value[-1] != value[0]:
            return Node((name, value), place, (Node((OPEN,), place),))
        value = value[1:-1]
    return Node((name, _ESCAPED.sub(lambda match: _ESCAPES.get(match[1], match[1]), value)), place)


def _without_comment(line: str) -> str:
    """`#` begins a comment anywhere outside of quotes."""
    quote, escaped = "", False
    for position, letter in enumerate(line):
        if letter in "\"'" and not escaped:
            quote = letter if not quote else "" if quote == letter else quote
        elif letter == "#" and not quote:
            return line[:position].rstrip()
        escaped = bool(quote) and letter == "\\" and not escaped
    return line


KINDS = (
    Kind(
        "mariadb",
        ("*.cnf", "my.cnf", "my.cnf.d/*.cnf", "mysql/conf.d/*.cnf", "mariadb.conf.d/*.cnf"),
        read,
        r"^\s*\[(mysqld?|mariadbd?|server|galera|client|client-server|client-mariadb|sst|mysqld_safe|mysqldump"
        r"|mariabackup|embedded)(-[\d.]+)?\]|^\s*!include|^\s*(wsrep|innodb)[-_]\w+",
    ),
)

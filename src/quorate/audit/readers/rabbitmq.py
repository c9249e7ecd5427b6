"""rabbitmq.conf: `key = value` a line; since RabbitMQ 4.3 a value between three quotes goes on over lines.

(RabbitMQ documentation, Configuration; cuttlefish's grammar.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from quorate.audit.kinds import Kind, Unreadable
from quorate.audit.node import Node, Place

_LONG = "'''"
_LINE = re.compile(r"(?P<key>[^\s=#]+)\s*=\s*(?:'(?P<quoted>(?:[^'\\]|\\.)*)'|(?P<value>[^#]*))\s*(?:#.*)?$")


def read(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read one node a line: the whole key, with its dots, and the value."""
    begun: Node | None = None
    parts: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if begun is not None:
            parts.append(stripped.removesuffix(_LONG))
            if stripped.endswith(_LONG):
                yield Node((begun.name, "\n".join(parts).strip()), begun.place)
                begun = None
            continue
        if not stripped or stripped[0] == "#":
            continue
        key, _, rest = stripped.partition("=")
        if rest.strip().startswith(_LONG) and rest.count(_LONG) == 1:
            begun, parts = Node((key.strip(),), at(number)), [rest.strip().removeprefix(_LONG)]
            continue
        match = _LINE.match(stripped)
        if match is None:
            raise Unreadable(number, f"{stripped!r} is no `key = value`")
        value = match["value"].strip() if match["quoted"] is None else match["quoted"]
        yield Node((match["key"], value), at(number))
    if begun is not None:
        raise Unreadable(begun.place.line, f"the value of {begun.name} is never closed")


KINDS = (
    Kind("rabbitmq", ("rabbitmq.conf", "rabbitmq/conf.d/*.conf"), read, r"^\s*[a-z][\w.@$\\-]*\s*=|^\s*#|\A\s*\Z"),
)

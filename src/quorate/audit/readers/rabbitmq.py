"""rabbitmq.conf: `key = value` a line. (RabbitMQ documentation, Configuration; cuttlefish's grammar.)"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from quorate.audit.kinds import Kind, Unreadable
from quorate.audit.node import Node, Place

_LINE = re.compile(r"(?P<key>[^\s=#]+)\s*=\s*(?:'(?P<quoted>(?:[^'\\]|\\.)*)'|(?P<value>[^#]*))\s*(?:#.*)?$")


def read(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read one node a line: the whole key, with its dots, and the value."""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped[0] == "#":
            continue
        match = _LINE.match(stripped)
        if match is None:
            raise Unreadable(number, f"{stripped!r} is no `key = value`")
        value = match["value"].strip() if match["quoted"] is None else match["quoted"]
        yield Node((match["key"], value), at(number))


KINDS = (
    Kind("rabbitmq", ("rabbitmq.conf", "rabbitmq/conf.d/*.conf"), read, r"^\s*[a-z][\w.@$\\-]*\s*=|^\s*#|\A\s*\Z"),
)

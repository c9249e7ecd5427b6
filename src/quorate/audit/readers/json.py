"""JSON with the line of every value: what RabbitMQ exports as definitions, what Quorate's own health check reads."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator

from quorate.audit.kinds import Kind, Unreadable
from quorate.audit.node import Node, Place

_SPACE = re.compile(r"[ \t\r\n]*")
_SCALAR = re.compile(r"-?\d[\d.eE+-]*|true|false|null")
_DECODER = json.JSONDecoder(strict=False)
_DEEPEST = 100


class _Reader:
    """One text, and where its lines begin."""

    def __init__(self, text: str, at: Callable[[int], Place]) -> None:
        self.text, self.at = text, at
        self.begins = [0, *(match.end() for match in re.finditer("\n", text))]

    def line(self, position: int) -> int:
        return bisect_right(self.begins, position)

    def skip(self, position: int) -> int:
        found = _SPACE.match(self.text, position)
        return found.end() if found else position

    def fail(self, position: int, why: str) -> Unreadable:
        return Unreadable(self.line(position), why)

    def value(self, name: str, position: int, depth: int) -> tuple[Node, int]:
        """Read the value at this position, which has no space before it, as a node of that name."""
        place = self.at(self.line(position))
        letter = self.text[position : position + 1]
        if depth > _DEEPEST:
            raise self.fail(position, f"more than {_DEEPEST} brackets are open")
        if letter in ("{", "["):
            inside, position = self.items(position, letter == "{", depth)
            return Node((name,), place, tuple(inside)), position
        if letter == '"':
            text, position = self.string(position)
            return Node((name, text), place), position
        if match := _SCALAR.match(self.text, position):
            return Node((name, match[0]), place), match.end()
        raise self.fail(position, "a value was expected here")

    def items(self, position: int, named: bool, depth: int) -> tuple[list[Node], int]:
        """Read what is between brackets; the items of a list have no name (`""`)."""
        close, inside = "}" if named else "]", list[Node]()
        position = self.skip(position + 1)
        while not self.text.startswith(close, position):
            name = ""
            if named:
                name, position = self.string(position)
                position = self.skip(position)
                if not self.text.startswith(":", position):
                    raise self.fail(position, f"after the name {name!r} a colon was expected")
                position = self.skip(position + 1)
            node, position = self.value(name, position, depth + 1)
            inside.append(node)
            position = self.skip(position)
            if self.text.startswith(",", position):
                position = self.skip(position + 1)
            elif not self.text.startswith(close, position):
                raise self.fail(position, f"a comma or {close!r} was expected here")
        return inside, position + 1

    def string(self, position: int) -> tuple[str, int]:
        if not self.text.startswith('"', position):
            raise self.fail(position, "a name in quotes was expected here")
        try:
            text, end = _DECODER.raw_decode(self.text, position)
        except json.JSONDecodeError as error:
            raise self.fail(error.pos, error.msg.lower()) from None
        return str(text), end


def read(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read an object; its members are the statements."""
    reader = _Reader(text, at)
    root, position = reader.value("", reader.skip(0), 0)
    if reader.skip(position) != len(text):
        raise reader.fail(position, "something stands after the end")
    yield from root.inside


KINDS = (
    Kind(
        "rabbitmq-definitions",
        ("definitions.json", "rabbitmq/*.json", "*definitions*.json"),
        read,
        r'"(vhosts|users|policies|exchanges|rabbitmq?_version)"\s*:',
        one_line=True,
    ),
    Kind("galera-health", ("quorate-galera-health.json",), read),
)

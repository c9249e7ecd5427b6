"""Sections in brackets with `name = value`: oslo.config, MariaDB's option files, sysctl.conf.

oslo.config continues a value on lines that begin with a space; MariaDB reads `!include` and names without a value, and
`-` and `_` are one to it. (oslo.config, cfg.ConfigParser; MariaDB Server documentation, Configuring MariaDB with Option
Files; sysctl.conf(5).)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from quorate.audit.kinds import Kind, Unreadable
from quorate.audit.node import Node, Place

_SECTION = re.compile(r"\[([^\]]+)\]\s*(?:[#;].*)?$")


def oslo(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read an oslo.config file. An option before the first section belongs to DEFAULT."""
    head, inside = Node(("DEFAULT",), at(0)), list[Node]()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip()[0] in "#;":
            continue
        if match := _SECTION.match(line.strip()):
            yield Node(head.words, head.place, tuple(inside))
            head, inside = Node((match[1].strip(),), at(number)), []
        elif line[0].isspace() and inside:
            last = inside[-1]
            inside[-1] = Node((last.name, f"{last.value}\n{line.strip()}".strip("\n")), last.place)
        else:
            inside.append(_option(line, number, at))
    yield Node(head.words, head.place, tuple(inside))


def _option(line: str, number: int, at: Callable[[int], Place]) -> Node:
    split = min((place for place in (line.find("="), line.find(":")) if place > 0), default=0)
    if not split:
        raise Unreadable(number, f"{line.strip()!r} is no section and no `name = value`")
    value = line[split + 1 :].strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return Node((line[:split].strip(), value), at(number))


_OPENSTACK = (
    "keystone", "nova", "neutron", "glance-api", "glance-registry", "cinder", "heat", "placement", "ceilometer",
)  # fmt: skip

KINDS = (
    *(
        Kind(name.partition("-")[0], (f"{name}.conf", f"{name.partition('-')[0]}/{name}.conf"), oslo)
        for name in _OPENSTACK
    ),
)

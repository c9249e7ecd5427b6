"""sysctl.conf: `name = value`, of which the last one counts. (sysctl.conf(5), sysctl.d(5).)"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from quorate.audit.kinds import Kind
from quorate.audit.node import Node, Place


def read(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read settings; a line that is none is passed over, as sysctl does. Names have dots, whichever way they came."""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        name, equals, value = line.removeprefix("-").partition("=")
        if equals and name.strip() and line[0] not in "#;":
            yield Node((_dotted(name.strip()), " ".join(value.split())), at(number))


def _dotted(name: str) -> str:
    """Write a name with dots. Where the first separator is a slash, dots are part of words, as in eth0/100."""
    slash, dot = name.find("/"), name.find(".")
    if slash < 0 or 0 <= dot < slash:
        return name
    return name.replace(".", "\0").replace("/", ".").replace("\0", "/")


KINDS = (Kind("sysctl", ("sysctl.conf", "sysctl.d/*.conf", "sysctl*.conf"), read),)

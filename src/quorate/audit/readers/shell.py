"""What a shell reads: files of `NAME=value` (rabbitmq-env.conf, /etc/default/garb), and scripts of commands.

A script is not understood, only cut into commands: one a line or between `;`, `&&`, `||` and `|`, with its words.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator

from quorate.audit.kinds import Kind, Unreadable
from quorate.audit.node import Node, Place

_NAME = re.compile(r"(?:export\s+)?(\w+)=(.*)", re.DOTALL)
_ENDS = frozenset((";", "&&", "||", "|", "&"))


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Give lines with their numbers; what a backslash at the end continues is one."""
    begun, number = "", 0
    for here, line in enumerate(text.splitlines(), 1):
        number = number or here
        if line.endswith("\\"):
            begun += line[:-1] + " "
            continue
        yield number, begun + line
        begun, number = "", 0
    if begun:
        yield number, begun


def words(line: str) -> list[str]:
    """Cut a line into words as a shell does, comments left out; one with an open quote at its spaces."""
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
        lexer.whitespace_split = True
        return list(lexer)
    except ValueError:
        return line.split()


def arguments(line: str, number: int, *, comments: bool = False) -> list[str]:
    """Cut what must be well quoted into its words; `comments`: from `#` on it is none of it."""
    try:
        return shlex.split(line, comments=comments)
    except ValueError as error:
        raise Unreadable(number, f"{error}".lower()) from None


def assignments(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read `NAME=value`, `export` or not; other lines say nothing that a rule asks for."""
    for number, line in lines(text):
        if match := _NAME.match(line.strip()):
            try:
                value = " ".join(arguments(match[2], number, comments=True))
            except Unreadable:
                value = match[2].strip()
            yield Node((match[1], value), at(number))


def commands(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read commands, each with its words."""
    for number, line in lines(text):
        begun: list[str] = []
        for word in [*words(line), ";"]:
            if word not in _ENDS:
                begun.append(word)
            elif begun:
                yield Node(tuple(begun), at(number))
                begun = []


KINDS = (
    Kind("rabbitmq-env", ("rabbitmq-env.conf", "rabbitmq-env"), assignments),
    Kind("garb", ("default/garb", "sysconfig/garb", "default/garbd", "sysconfig/garbd"), assignments),
    Kind("shell", ("*.sh", "*.bash", "rabbitmq/ocf-promote"), commands),
)

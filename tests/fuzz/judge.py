"""What a client may hear: its commands told apart, and what is a well-formed reply to each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fuzz.pipe import VALUE
from fuzz.played import require, value_of
from quorate.balancer import outcome
from quorate.balancer.binary import BINARY_MAGIC
from quorate.balancer.command import BAD_CHUNK, Command, Shape
from quorate.balancer.protocol import parse

_ERROR = re.compile(rb"(?:ERROR|(?:ERROR:?|CLIENT_ERROR|SERVER_ERROR) [^\r\n]*)\r\n")
_LINE = re.compile(rb"[A-Z_]+(?: [^\r\n]*)?\r\n|[0-9]{1,20} *\r\n")
_VALUE = re.compile(rb"VALUE ([^ \n]{1,250}) ([0-9]{1,10}) ([0-9]{1,7})(?: ([0-9]{1,20}))?\r\n")
_META = re.compile(rb"(?:(?:HD|EN|NF|NS|EX|MN|OK)((?: [^\n]*)?)|ME [^\n]+)\r\n")
_VA = re.compile(rb"VA ([0-9]{1,7})((?: [^\n]*)?)\r\n")
_NAMELESS = re.compile(rb"get \0[^ \n]*\r\n")
"""Relayed as it came: to memcached a `get` without a key, hence a key that no server has."""
_STAT = re.compile(rb"(?:STAT|PREFIX|ITEM) [^\n]+\r\n")


@dataclass(frozen=True)
class Said:
    """One command as it was said, its block included. `command` is None for a rest that is no whole command."""

    data: bytes
    command: Command | None
    bad_block: bool = False


def commands(said: bytes) -> Iterator[Said]:
    """Tell the commands apart; the last one may be cut off. Nothing follows a command that ends the connection."""
    pos = 0
    while pos < len(said):
        nl = said.find(b"\n", pos)
        if nl < 0 or said[pos] == BINARY_MAGIC:
            break
        line = said[pos:nl].removesuffix(b"\r")
        command = parse(line, VALUE)
        end = nl + 1 + (command.size + 2 if command.size >= 0 else 0)
        if end > len(said):
            break
        yield Said(said[pos:end], command, command.size >= 0 and said[end - 2 : end] != b"\r\n")
        pos = end
        if command.ends:
            return
    if pos < len(said):
        yield Said(said[pos:], None)


def judge(said: Said, heard: bytes, *, exact: bool = True) -> int:
    """Return where the reply to this command ends that `heard` begins with. Violation: it begins with no such reply.

    `exact`: values are those of the played servers, which nobody spoiled. Not for commands whose reply may be hidden
    without that one sees it (meta's q); those are judged with nothing else behind them.
    """
    command = said.command
    if command is None:
        return len(heard)
    if _NAMELESS.fullmatch(said.data) and heard.startswith(b"END\r\n"):
        return len(b"END\r\n")
    if command.answer is not None or said.bad_block:
        answer = BAD_CHUNK if command.answer is None else command.answer
        answer = b"" if outcome.hidden(command, answer) else answer
        require(heard.startswith(answer), "not the balancer's own answer", said.data, heard, answer)
        return len(answer)
    if command.silent == (b"",) or (command.silent and not heard):
        return 0
    if (found := _ERROR.match(heard)) is not None:
        return found.end()
    end = _SHAPES[command.shape](command, heard, exact)
    require(end > 0, "no well-formed reply to", said.data, heard)
    first = heard[:end]
    require(outcome.fits(command, first), "a reply to something else than", said.data, heard)
    require(not command.silent or not outcome.hidden(command, first), "a reply that nobody wants", said.data, heard)
    return end


def _line(command: Command, heard: bytes, exact: bool) -> int:
    del command, exact
    found = _LINE.match(heard)
    return found.end() if found else 0


def _values(command: Command, heard: bytes, exact: bool) -> int:
    pos = 0
    while (head := _VALUE.match(heard, pos)) is not None:
        end = head.end() + int(head[3])
        require(head[1] in command.keys, "a key that nobody asked for", heard)
        require(not exact or heard[head.end() : end] == value_of(head[1]), "a value of another key", heard)
        require(heard[end : end + 2] == b"\r\n", "a value that is longer or shorter than it says", heard)
        require(not exact or (head[4] is not None) == command.seals, "a token too many or too few", heard)
        pos = end + 2
    return pos + 5 if heard.startswith(b"END\r\n", pos) else 0


def _meta(command: Command, heard: bytes, exact: bool) -> int:
    head = _VA.match(heard)
    if head is not None:
        end = head.end() + int(head[1])
        value = heard[head.end() : end]
        require(heard[end : end + 2] == b"\r\n", "a value that is longer or shorter than it says", heard)
        own = value == value_of(command.line[:-2].split(b" ")[1]) if command.verb == b"mg" else value.isdigit()
        require(not exact or own, "a value of another key", heard)
        flags, end = head[2], end + 2
    else:
        head = _META.match(heard)
        if head is None:
            return 0
        flags, end = head[1] or b"", head.end()
    if command.opaque is not None and exact and not heard.startswith(b"EN\r\n"):
        require(command.opaque in flags.split(b" "), "another request's opaque", heard)
    return end


def _lines(command: Command, heard: bytes, exact: bool) -> int:
    del command, exact
    pos = 0
    while (found := _STAT.match(heard, pos)) is not None:
        pos = found.end()
    if heard.startswith(b"END\r\n", pos):
        return pos + 5
    return next((len(word) for word in (b"OK\r\n", b"RESET\r\n") if not pos and heard.startswith(word)), 0)


_SHAPES = {Shape.LINE: _line, Shape.VALUES: _values, Shape.META: _meta, Shape.LINES: _lines}

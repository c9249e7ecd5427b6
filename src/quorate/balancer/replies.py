"""Framing of what a server sends: where one complete reply ends. Nothing is guessed.

What can never be a reply of the awaited shape raises BadReply, and then the connection must go (law 1). That
includes a reply that ends one byte too early or late, so that a connection which lost its step is found at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from quorate.balancer.cas import seal
from quorate.balancer.command import Shape

MAX_REPLY_LINE = 8192
"""Bytes of one line of a reply: `stats settings` repeats command-line options, nothing else comes near."""
ERRORS = (b"ERROR\r\n", b"ERROR ", b"ERROR: ", b"CLIENT_ERROR ", b"SERVER_ERROR ")
"""How an error line begins; it can answer any command."""

_FIXED = frozenset(
    word + b"\r\n"
    for word in (
        b"STORED",
        b"NOT_STORED",
        b"EXISTS",
        b"NOT_FOUND",
        b"DELETED",
        b"TOUCHED",
        b"OK",
        b"RESET",
        b"ERROR",
    )
)
_LINE = re.compile(
    rb"(?:[0-9]{1,20} *|(?:ERROR:?|CLIENT_ERROR|SERVER_ERROR|VERSION|MEMLIMIT_[A-Z_]+|BUSY|BADCLASS|NOSPARE|NOTFULL"
    rb"|SAME|NOTSTARTED) [^\r\n]*)\r\n"
)
_ERROR_LINE = re.compile(rb"(?:ERROR|(?:ERROR:?|CLIENT_ERROR|SERVER_ERROR) [^\r\n]*)\r\n")
_META = re.compile(rb"(?:(?:HD|EN|NF|NS|EX|MN|OK)(?: [^\n]*)?|ME [^\n]+)\r\n")
_VA = re.compile(rb"VA ([0-9]{1,10})(?: [^\n]*)?\r\n")
_VALUE = re.compile(rb"VALUE ([^ \n]+) ([0-9]{1,20}) ([0-9]{1,10})(?: ([0-9]{1,20}))?\r\n")
_VALUE_KEY = re.compile(rb"VALUE ([^ \n]++) [0-9]++ ([0-9]++)(?: [0-9]++)?+\r\n")
_VALUE_SIZE = re.compile(rb"VALUE [^ \n]++ [0-9]{1,20}+ ([0-9]{1,10}+)(?: [0-9]{1,20}+)?+\r\n")
_STAT = re.compile(rb"(?:STAT|PREFIX|ITEM) [^\n]+\r\n")

_WORDS: dict[Shape, tuple[bytes, ...]] = {
    Shape.LINE: (
        *sorted(_FIXED),
        *(b"VERSION ", b"MEMLIMIT_", b"BUSY ", b"BADCLASS ", b"NOSPARE ", b"NOTFULL ", b"SAME ", b"NOTSTARTED "),
        *(b"%d" % digit for digit in range(10)),
    ),
    Shape.VALUES: (b"VALUE ", b"END\r\n"),
    Shape.META: (
        *(code + end for code in (b"HD", b"EN", b"NF", b"NS", b"EX", b"MN", b"OK") for end in (b" ", b"\r\n")),
        *(b"ME ", b"VA "),
    ),
    Shape.LINES: (b"STAT ", b"PREFIX ", b"ITEM ", b"END\r\n", b"OK\r\n", b"RESET\r\n"),
}
_CAS_IN_VALUE = re.compile(rb"(VALUE [^ \n]+ [0-9]+ ([0-9]+) )([0-9]+)\r\n")
_CAS_IN_META = re.compile(rb" c([0-9]{1,20})(?=[ \r])")


class BadReply(Exception):
    """These bytes can never be a reply of that shape."""


def frame(shape: Shape, data: bytes, pos: int) -> int:
    """Return the end of the one reply that starts at `pos`.

    0: it is not complete. -n: it is not complete, and has at least n bytes, counted from `pos`. Raises BadReply.
    """
    if shape is Shape.LINE:
        end = data.find(b"\n", pos) + 1
        if end:
            if data[pos:end] in _FIXED or _LINE.fullmatch(data, pos, end):
                return end
            raise BadReply(data[pos : pos + 80])
        return _partial(shape, data, pos, pos)
    if shape is Shape.VALUES:
        return _frame_values(data, pos)
    if shape is Shape.META:
        return _frame_meta(data, pos)
    return _frame_lines(data, pos)


def _partial(shape: Shape, data: bytes, pos: int, start: int) -> int:
    """Return 0 if the line without an end at `pos` can still become a legal one of the reply that began at `start`."""
    rest = data[pos : pos + MAX_REPLY_LINE + 1]
    if len(rest) > MAX_REPLY_LINE:
        raise BadReply(rest[:80])
    words = _WORDS[shape]
    if pos == start:
        words += ERRORS
    if not any(rest.startswith(word) or word.startswith(rest) for word in words):
        raise BadReply(rest[:80])
    return 0


def _frame_values(data: bytes, start: int) -> int:
    pos = start
    match = _VALUE_SIZE.match
    while (head := match(data, pos)) is not None:  # one match a value: this is what reads of many keys cost most
        end = head.end() + int(head[1])
        pos = end + 2
        if data[end:pos] != b"\r\n":
            if pos <= len(data) or data[end : end + 1] not in b"\r":
                raise BadReply(data[start : start + 80])
            return start - pos - 5
    if data.startswith(b"END\r\n", pos):
        return pos + 5
    end = data.find(b"\n", pos) + 1
    if not end:
        return _partial(Shape.VALUES, data, pos, start)
    if pos == start and _ERROR_LINE.fullmatch(data, pos, end):
        return end
    raise BadReply(data[pos : pos + 80])


def _frame_meta(data: bytes, pos: int) -> int:
    end = data.find(b"\n", pos) + 1
    if not end:
        return _partial(Shape.META, data, pos, pos)
    if _META.fullmatch(data, pos, end):
        return end
    head = _VA.fullmatch(data, pos, end)
    if head is None:
        if _ERROR_LINE.fullmatch(data, pos, end):
            return end
        raise BadReply(data[pos : pos + 80])
    last = end + int(head[1]) + 2
    if last > len(data):
        return pos - last
    if data[last - 2 : last] != b"\r\n":
        raise BadReply(data[pos : pos + 80])
    return last


def _frame_lines(data: bytes, start: int) -> int:
    pos = start
    while True:
        end = data.find(b"\n", pos) + 1
        if not end:
            return _partial(Shape.LINES, data, pos, start)
        if data.startswith(b"END\r\n", pos):
            return end
        if _STAT.fullmatch(data, pos, end) is None:
            if pos == start and (data[pos:end] in {b"OK\r\n", b"RESET\r\n"} or _ERROR_LINE.fullmatch(data, pos, end)):
                return end
            raise BadReply(data[pos : pos + 80])
        pos = end


def values(reply: bytes) -> list[tuple[bytes, int, int, int, int | None]]:
    """Return (key, flags, value start, value end, cas) of each value of a framed VALUES reply, with or without END."""
    found: list[tuple[bytes, int, int, int, int | None]] = []
    pos = 0
    while (head := _VALUE.match(reply, pos)) is not None:
        end = head.end() + int(head[3])
        found.append((head[1], int(head[2]), head.end(), end, None if head[4] is None else int(head[4])))
        pos = end + 2
    return found


def keys(reply: bytes) -> list[bytes]:
    """Return the keys of a framed VALUES reply, with or without END."""
    found: list[bytes] = []
    pos = 0
    match = _VALUE_KEY.match
    while (head := match(reply, pos)) is not None:
        found.append(head[1])
        pos = head.end() + int(head[2]) + 2
    return found


def sealed(reply: bytes, server: int, generation: int) -> bytes:
    """Return a framed reply (of gets, gats, or a meta command with c; END may be missing) with its tokens sealed."""
    if not reply.startswith(b"VALUE "):
        line, newline, block = reply.partition(b"\r\n")
        if line[:2] in {b"HD", b"VA"}:
            line = _CAS_IN_META.sub(lambda match: b" c%d" % seal(int(match[1]), server, generation), line + b"\r")[:-1]
        return line + newline + block
    parts: list[bytes] = []
    pos = 0
    while (head := _CAS_IN_VALUE.match(reply, pos)) is not None:
        parts.append(head[1] + b"%d" % seal(int(head[3]), server, generation))
        end = head.end() + int(head[2]) + 2
        parts.append(reply[head.end() - 2 : end])
        pos = end
    parts.append(reply[pos:])
    return b"".join(parts)


_FIRST = frozenset({b"pid", b"uptime", b"time", b"version", b"libevent", b"pointer_size", b"hash_power_level"})
"""Figures that do not add up: one server's are shown."""
_WHOLE = re.compile(rb"-?[0-9]{1,20}\Z")
_FRACTION = re.compile(rb"-?[0-9]{1,20}\.[0-9]{1,20}\Z")


def merge_stats(replies: Sequence[bytes]) -> bytes:
    """Return one STAT list: numbers that add up are added, the others are the first server's.

    Replies without a STAT line (a server's error) are left out; if none has one, the first reply is returned.
    """
    items = [line for reply in replies for line in reply.split(b"\r\n") if line.startswith(b"ITEM ")]
    if items:  # stats cachedump: every server's keys, each copy of a key
        return b"".join(line + b"\r\n" for line in items) + b"END\r\n"
    merged: dict[bytes, bytes] = {}
    for reply in replies:
        for name, value in _stats(reply):
            merged[name] = _added(name, merged[name], value) if name in merged else value
    if not merged:
        return replies[0] if replies else b"END\r\n"
    return b"".join(b"STAT %s %s\r\n" % item for item in merged.items()) + b"END\r\n"


def _stats(reply: bytes) -> Iterable[tuple[bytes, bytes]]:
    for line in reply.split(b"\r\n"):
        if line.startswith(b"STAT "):
            name, _, value = line[5:].partition(b" ")
            yield name, value


def _added(name: bytes, one: bytes, other: bytes) -> bytes:
    if name in _FIRST:
        return one
    if _WHOLE.match(one) and _WHOLE.match(other):
        return b"%d" % (int(one) + int(other))
    if _FRACTION.match(one) and _FRACTION.match(other):
        return b"%.6f" % (float(one) + float(other))
    return one

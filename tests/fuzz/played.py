"""A memcached for fuzzing: strict about what it is sent, and what it answers depends on nothing but the command.

So the same commands get the same replies however they were cut, paused or mixed with those of others. What it is sent
that a real one could take in two ways, leave unanswered, or hang up on is a `Violation`: all clients of a balancer
share its connections.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence

from quorate.balancer.command import MAX_KEY, MAX_LINE
from quorate.balancer.registers import PREFIX

MOST_OF_A_LINE = 2048
"""Bytes after which memcached hangs up on a line that is no `get` or `gets` (proto_text.c, try_read_command_ascii)."""
BUSY = b"SERVER_ERROR busy\r\n"
STATS = b"STAT pid 7\r\nSTAT uptime 100\r\nSTAT time 5000\r\nSTAT cmd_flush 0\r\nEND\r\n"
STORAGE = {b"set", b"add", b"replace", b"append", b"prepend", b"cas"}
QUIET = {*STORAGE, b"incr", b"decr", b"touch", b"flush_all", b"verbosity", b"cache_memlimit", b"lru", b"extstore"}
_STORED = (b"STORED\r\n", b"STORED\r\n", b"NOT_STORED\r\n", b"SERVER_ERROR out of memory storing object\r\n")


class Violation(AssertionError):
    """A property that must hold does not."""


def require(holds: bool, what: str, *shown: object) -> None:
    """Raise Violation if it does not hold."""
    if not holds:
        raise Violation(" ".join([what, *(repr(one)[:300] for one in shown)]))


def value_of(key: bytes) -> bytes:
    """Return what is stored under a key: it names the key, and holds what a proxy that does not count trips over."""
    return b"is " + key + b"\r\nEND\r\nVALUE x 0 1\r\n" * (zlib.crc32(key) % 3)


class Memcached:
    """One connection's end."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.received = b""

    def take(self, data: bytes) -> bytes:
        """Execute all complete commands; returns their replies."""
        self.received += data
        replies = []
        pos = 0
        while (nl := self.received.find(b"\r\n", pos)) >= 0:
            line = self.received[pos:nl]
            end = nl + 2
            size = block_size(line)
            if size >= 0:
                end += size + 2
                if end > len(self.received):
                    break
                require(self.received[end - 2 : end] == b"\r\n", "a block does not end where it says", line)
            # a line is a C string to memcached; only reads are passed on as they came
            seen = line.partition(b"\0")[0] if line.startswith((b"get ", b"gets ")) else line
            replies.append(b"ERROR\r\n" if seen == b"get " else self._reply(seen))
            pos = end
        self.received = self.received[pos:]
        return b"".join(replies)

    def _reply(self, line: bytes) -> bytes:
        words = line.split(b" ")
        legal(line, words)
        roll = zlib.crc32(line + bytes([self.number])) >> 4
        if words[0] in {b"get", b"gets"}:
            return self._values(words[1:], tokens=words[0] == b"gets")
        if words[0] in {b"gat", b"gats"}:
            return self._values(words[2:], tokens=words[0] == b"gats")
        if words[1:2] and words[1].startswith(PREFIX):
            return b"STORED\r\n" if words[0] in STORAGE else b"HD\r\n"
        return _REPLIES[words[0]](words, roll)

    def has(self, key: bytes) -> bool:
        """Whether it holds the key: three of four, others on another server."""
        return not key.startswith(PREFIX) and bool(zlib.crc32(key + bytes([self.number])) >> 3 & 3)

    def _values(self, keys: Sequence[bytes], *, tokens: bool) -> bytes:
        parts = []
        for key in keys:
            if self.has(key):
                value = value_of(key)
                token = b" %d" % (zlib.crc32(key) + 1) if tokens else b""
                parts.append(b"VALUE %b %d %d%b\r\n%b\r\n" % (key, len(key), len(value), token, value))
        return b"".join(parts) + b"END\r\n"


def block_size(line: bytes) -> int:
    """Return the size of the data block that follows, or -1."""
    words = line.split(b" ")
    at = 4 if words[0] in STORAGE else 2 if words[0] == b"ms" else -1
    if at < 0:
        return -1
    require(len(words) > at and re.fullmatch(rb"[0-9]{1,10}", words[at]) is not None, "a size that is none", line)
    return int(words[at])


def legal(line: bytes, words: list[bytes]) -> None:
    """Require what every memcached reads in one way and answers once."""
    require(words[0] in _REPLIES or words[0] in {b"get", b"gets", b"gat", b"gats"}, "an unknown word", line)
    require(b"" not in words and b"\0" not in line and b"\n" not in line, "an ambiguous line", line)
    most = MAX_LINE if words[0] in {b"get", b"gets"} else MOST_OF_A_LINE
    require(len(line) <= most, "a line on which memcached hangs up", len(line), line)
    keys = words[1:] if words[0] in {b"get", b"gets"} else words[2:] if words[0] in {b"gat", b"gats"} else words[1:2]
    require(max(map(len, keys), default=0) <= MAX_KEY or words[0] not in _KEYED, "a key that is too long", line)
    require(words[-1] != b"noreply" or words[0] not in QUIET or len(words) < 3, "no reply would come", line)
    quiet = words[0] in _META and b"q" in [word[:1] for word in words[3 if words[0] == b"ms" else 2 :]]
    require(not quiet, "no reply may come", line)


# ---- replies by verb


def _store(words: list[bytes], roll: int) -> bytes:
    if words[0] == b"cas":
        return (*_STORED, b"EXISTS\r\n", b"NOT_FOUND\r\n")[roll % 6]
    return _STORED[roll % 4 if words[0] != b"set" else roll % 2]


def _one_of(*replies: bytes) -> Callable[[list[bytes], int], bytes]:
    return lambda words, roll: replies[(roll + len(words)) % len(replies)]


def _flags(words: list[bytes], value: bytes) -> bytes:
    """Return the flags that a meta reply carries, in the order of the command."""
    said = {b"s": len(value), b"t": -1, b"c": 77, b"f": 0, b"h": 1, b"l": 5}
    key, flags = words[1], words[3 if words[0] == b"ms" else 2 :]
    back = []
    for flag in flags:
        if flag[:1] == b"O":
            back.append(flag)
        elif flag[:1] == b"k":
            back += [b"k" + key, b"b"] if b"b" in flags else [b"k" + key]
        elif flag[:1] in said and words[0] != b"md":
            back.append(flag[:1] + b"%d" % said[flag[:1]])
    return b"".join(b" " + one for one in back)


def _meta(*codes: bytes) -> Callable[[list[bytes], int], bytes]:
    def answer(words: list[bytes], roll: int) -> bytes:
        code = codes[roll % len(codes)]
        if code == b"EN":
            return b"EN\r\n"
        value = value_of(words[1]) if words[0] == b"mg" else b"12"
        if code == b"HD" and b"v" in words[2:] and words[0] in {b"mg", b"ma"}:
            return b"VA %d%b\r\n%b\r\n" % (len(value), _flags(words, value), value)
        return BUSY if code == b"" else code + _flags(words, value) + b"\r\n"

    return answer


def _delete(words: list[bytes], roll: int) -> bytes:
    if words[2:] in ([], [b"b"]):
        return (b"HD\r\n", b"NF\r\n")[roll % 2]
    return _meta(b"HD", b"NF", b"EX")(words, roll)


def _statistics(words: list[bytes], roll: int) -> bytes:
    if words[1:] == [b"conns"]:
        return b"END\r\n"
    if words[1:2] == [b"reset"]:
        return b"RESET\r\n"
    if words[1:2] == [b"detail"]:
        return b"OK\r\n" if words[2:3] != [b"dump"] else b"PREFIX a get 1 hit 1 set 1 del 0\r\nEND\r\n"
    return STATS if words[1:] == [] else b"STAT items:1:number %d\r\nEND\r\n" % (roll % 100)


_number = _one_of(
    b"12\r\n", b"NOT_FOUND\r\n", b"7 \r\n", b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
)
_tuned = _one_of(b"OK\r\n", b"ERROR\r\n", b"CLIENT_ERROR bad command line format\r\n")
_META = {b"mg", b"ms", b"md", b"ma", b"me"}
_REPLIES: dict[bytes, Callable[[list[bytes], int], bytes]] = {
    **dict.fromkeys(STORAGE, _store),
    b"incr": _number,
    b"decr": _number,
    b"touch": _one_of(b"TOUCHED\r\n", b"NOT_FOUND\r\n", BUSY),
    b"delete": _one_of(b"DELETED\r\n", b"NOT_FOUND\r\n", BUSY),
    b"mg": _meta(b"HD", b"HD", b"EN", b""),
    b"ms": _meta(b"HD", b"HD", b"NS", b""),
    b"md": _delete,
    b"ma": _meta(b"HD", b"NF", b"NS", b"EX", b""),
    b"me": lambda words, roll: (
        b"ME %b exp=-1 la=1 cas=3 fetch=no cls=1 size=63\r\n" % words[1] if roll % 2 else b"EN\r\n"
    ),
    b"flush_all": _one_of(b"OK\r\n"),
    **dict.fromkeys((b"verbosity", b"cache_memlimit", b"lru", b"lru_crawler", b"slabs", b"extstore"), _tuned),
    b"stats": _statistics,
}
_KEYED = {*STORAGE, *_META, b"get", b"gets", b"gat", b"gats", b"incr", b"decr", b"touch", b"delete"}

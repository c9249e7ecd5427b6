"""What one client command is once it is understood: the words that parser, session and operations share.

Here are the limits of the parsers, each under its name, and VERBS, the one table that says for every verb of the
protocol where it goes. The flags of a meta command can change that: `meta.py`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import NamedTuple

MAX_KEY = 250
"""Bytes of one key (memcached's KEY_MAX_LENGTH); a base64 key counts as it is on the wire."""
MAX_LINE = 65536
"""Bytes of one command line without its ending: 257 of the longest keys in one `get`. memcached hangs up on 2,048
bytes without a newline unless they begin with `get ` or `gets `, where it has no limit; ours bounds the memory."""
MAX_SENT = 2048
"""Bytes of a line that a server is sent, but `get` and `gets`: on a longer one memcached may hang up, which would cost
every client the connection."""
MAX_BLOCK = 2**31 - 3
"""Bytes of a data block that memcached's parser can express (INT_MAX less CRLF); the real limit is the value's."""
MAX_NUMBER = 2**64 - 1
"""A CAS token, a delta; a larger number is malformed."""
MAX_META_WORDS = 19
"""Words of a meta command with its verb and key."""
MAX_OPAQUE = 32
"""Bytes of an opaque with its flag letter."""

ERROR = b"ERROR\r\n"
BAD_LINE = b"CLIENT_ERROR bad command line format\r\n"
BAD_CHUNK = b"CLIENT_ERROR bad data chunk\r\n"
BAD_EXPTIME = b"CLIENT_ERROR invalid exptime argument\r\n"
BAD_DELTA = b"CLIENT_ERROR invalid numeric delta argument\r\n"
LINE_TOO_LONG = b"CLIENT_ERROR line too long\r\n"
TOO_LARGE = b"SERVER_ERROR object too large for cache\r\n"
NO_QUORUM = b"SERVER_ERROR no quorum\r\n"


class Way(enum.Enum):
    """Which servers a command is sent to, and in which order."""

    NEAREST = "nearest"  # any copy may answer
    HOME_READ = "home read"  # the key's home answers: it carries a token, or the server keeps a note about the reader
    EVERY = "every"  # all copies at once: the outcome does not depend on what they hold
    HOME_FIRST = "home first"  # the home decides, then the other copies follow it (`outcome.follow`)
    SERVERS = "servers"  # every server; there is no key
    STATS = "stats"  # the balancer joins what all servers say
    LOCAL = "local"  # the balancer answers itself


class Shape(enum.Enum):
    """How a server's reply is framed (`replies.frame`)."""

    LINE = "line"
    VALUES = "values"  # VALUE … END
    META = "meta"  # HD, EN, NF, NS, EX, MN, OK, ME, or VA with a data block
    LINES = "lines"  # STAT and the like until END; or one of END, OK, RESET


class Verb(NamedTuple):
    """One row of VERBS."""

    way: Way
    shape: Shape
    least: int  # words, the verb counted
    most: int
    replies: tuple[bytes, ...] = ()  # how a reply can begin, error lines aside
    refusal: bytes = NO_QUORUM  # what a client hears when the change cannot be done


_ANY = 2**31
_STORE = (b"STORED\r\n", b"NOT_STORED\r\n")
_NUMBER = tuple(b"%d" % digit for digit in range(10))
_META = _ANY  # meta.py counts the words itself: too many get an answer of their own

VERBS: dict[bytes, Verb] = {
    b"get": Verb(Way.NEAREST, Shape.VALUES, 2, _ANY, (b"VALUE ", b"END\r\n")),
    b"bget": Verb(Way.NEAREST, Shape.VALUES, 2, _ANY, (b"VALUE ", b"END\r\n")),  # ancient name of get
    b"gets": Verb(Way.HOME_READ, Shape.VALUES, 2, _ANY, (b"VALUE ", b"END\r\n")),
    b"gat": Verb(Way.HOME_FIRST, Shape.VALUES, 2, _ANY, (b"VALUE ", b"END\r\n")),
    b"gats": Verb(Way.HOME_FIRST, Shape.VALUES, 2, _ANY, (b"VALUE ", b"END\r\n")),
    b"set": Verb(Way.EVERY, Shape.LINE, 5, 6, _STORE, b"NOT_STORED\r\n"),
    b"add": Verb(Way.HOME_FIRST, Shape.LINE, 5, 6, _STORE, b"NOT_STORED\r\n"),
    b"replace": Verb(Way.HOME_FIRST, Shape.LINE, 5, 6, _STORE, b"NOT_STORED\r\n"),
    b"append": Verb(Way.HOME_FIRST, Shape.LINE, 5, 6, _STORE, b"NOT_STORED\r\n"),
    b"prepend": Verb(Way.HOME_FIRST, Shape.LINE, 5, 6, _STORE, b"NOT_STORED\r\n"),
    # pymemcache takes NOT_STORED after cas for a broken server; EXISTS is what every client retries from
    b"cas": Verb(Way.HOME_FIRST, Shape.LINE, 6, 7, (*_STORE, b"EXISTS\r\n", b"NOT_FOUND\r\n"), b"EXISTS\r\n"),
    b"incr": Verb(Way.HOME_FIRST, Shape.LINE, 3, 4, (b"NOT_FOUND\r\n", *_NUMBER)),
    b"decr": Verb(Way.HOME_FIRST, Shape.LINE, 3, 4, (b"NOT_FOUND\r\n", *_NUMBER)),
    b"touch": Verb(Way.HOME_FIRST, Shape.LINE, 3, 4, (b"TOUCHED\r\n", b"NOT_FOUND\r\n")),
    b"delete": Verb(Way.EVERY, Shape.LINE, 2, 4, (b"DELETED\r\n", b"NOT_FOUND\r\n")),
    b"mg": Verb(Way.NEAREST, Shape.META, 2, _META, (b"HD", b"VA ", b"EN")),
    b"ms": Verb(Way.EVERY, Shape.META, 2, _META, (b"HD", b"NS", b"EX", b"NF"), b"NS\r\n"),
    b"md": Verb(Way.EVERY, Shape.META, 2, _META, (b"HD", b"NF", b"EX", b"NS")),
    b"ma": Verb(Way.HOME_FIRST, Shape.META, 2, _META, (b"HD", b"VA ", b"NF", b"NS", b"EX")),
    b"me": Verb(Way.HOME_READ, Shape.META, 1, _META, (b"ME ", b"EN")),
    b"mn": Verb(Way.LOCAL, Shape.META, 1, _ANY),
    b"flush_all": Verb(Way.SERVERS, Shape.LINE, 1, 3, (b"OK\r\n",)),
    b"verbosity": Verb(Way.SERVERS, Shape.LINE, 2, 3, (b"OK\r\n",)),
    b"cache_memlimit": Verb(Way.SERVERS, Shape.LINE, 2, 3, (b"OK\r\n", b"MEMLIMIT_")),
    b"lru": Verb(Way.SERVERS, Shape.LINE, 2, _ANY, (b"OK\r\n",)),
    b"lru_crawler": Verb(Way.SERVERS, Shape.LINE, 1, _ANY, (b"OK\r\n", b"BUSY ", b"BADCLASS ", b"NOTSTARTED ")),
    b"slabs": Verb(
        Way.SERVERS, Shape.LINE, 1, _ANY, (b"OK\r\n", b"BUSY ", b"BADCLASS ", b"NOSPARE ", b"NOTFULL ", b"SAME ")
    ),
    b"extstore": Verb(Way.SERVERS, Shape.LINE, 2, _ANY, (b"OK\r\n",)),
    b"stats": Verb(
        Way.STATS, Shape.LINES, 1, _ANY, (b"STAT ", b"PREFIX ", b"ITEM ", b"END\r\n", b"OK\r\n", b"RESET\r\n")
    ),
    b"version": Verb(Way.LOCAL, Shape.LINE, 1, _ANY),
    b"quit": Verb(Way.LOCAL, Shape.LINE, 1, _ANY),
    b"shutdown": Verb(Way.LOCAL, Shape.LINE, 1, _ANY),  # one client must not stop a cache of many
    b"watch": Verb(Way.LOCAL, Shape.LINE, 1, _ANY),  # a stream that never ends, from one server of many
    b"refresh_certs": Verb(Way.LOCAL, Shape.LINE, 1, _ANY),
}
"""Every verb of memcached 1.6's text protocol. Any other word is answered ERROR."""


@dataclass(slots=True)
class Command:
    """One client command.

    A LOCAL command with `keys` is a `set` that is too large: memcached drops the old value then, so the keys are
    to be deleted at every copy (`outcome.delete_line`). LOCAL with `size`: the data block is swallowed unseen.
    """

    verb: bytes
    way: Way
    shape: Shape
    line: bytes = b""  # what a server is sent, with CRLF; without noreply and q, so that every server replies
    keys: tuple[bytes, ...] = ()  # as on the wire
    hashed: tuple[bytes, ...] = ()  # what the ring hashes: a base64 key is decoded
    size: int = -1  # bytes of the data block without its CRLF; -1: there is none
    silent: tuple[bytes, ...] = ()  # beginnings of replies that the client does not want to see
    cas: int | None = None  # the token that the client gave
    answer: bytes | None = None  # of a LOCAL command; empty where memcached says nothing
    opaque: bytes | None = None  # of a meta command, with its letter O
    ends: bool = False  # the connection closes after the answer
    seals: bool = False  # replies carry a CAS token: `replies.sealed` before the client sees it


def local(answer: bytes, *, size: int = -1, ends: bool = False, verb: bytes = b"") -> Command:
    """A command that the balancer answers by itself."""
    return Command(verb, Way.LOCAL, Shape.LINE, answer=answer, size=size, ends=ends)


def subset(command: Command, indexes: list[int]) -> bytes:
    """The line of a get, gets, gat or gats for some of its keys (they go to different servers)."""
    head = command.line.split(b" ", 2)[: 2 if command.verb in {b"gat", b"gats"} else 1]
    return b" ".join([*head, *[command.keys[index] for index in indexes]]) + b"\r\n"


def split(command: Command) -> list[Command]:
    """One command for each key of a get, gets, gat or gats: each gat has a home of its own and copies that follow."""
    return [
        replace(command, line=subset(command, [index]), keys=(key,), hashed=(key,))
        for index, key in enumerate(command.keys)
    ]

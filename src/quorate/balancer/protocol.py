"""Client commands: one line in, one Command out. What replies mean is in `outcome.py`; meta commands are in `meta.py`.

A server must never take one of our commands for two, nor leave one unanswered. So nothing is passed on as it came
that a memcached could read in another way: numbers and sizes are written anew, `noreply` is taken off, and a line with
a data block is sent only if every memcached 1.6 certainly takes the block.
"""

from __future__ import annotations

from collections.abc import Callable

from quorate.balancer.command import (
    BAD_DELTA,
    BAD_EXPTIME,
    BAD_LINE,
    ERROR,
    LINE_TOO_LONG,
    MAX_BLOCK,
    MAX_KEY,
    MAX_LINE,
    MAX_SENT,
    TOO_LARGE,
    VERBS,
    Command,
    Shape,
    Way,
    local,
)
from quorate.balancer.meta import META_READERS
from quorate.balancer.numerals import signed, unsigned

VERSION = b"VERSION 1.6.18-quorate\r\n"
"""The memcached whose words all servers know (Debian 12's); clients read the number to see what they may say."""
_BAD_DELETE = b"CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"
_SILENT = (b"",)  # noreply hides every reply, errors too, as memcached does

Reader = Callable[[list[bytes], int], Command]


def parse(line: bytes, max_value: int) -> Command:
    """Return the command of one line without its ending (LF or CRLF). Never raises: bad input is a LOCAL command."""
    if len(line) > MAX_LINE:
        return local(LINE_TOO_LONG, ends=True)
    if b"\0" in line:  # memcached handles lines as C strings
        line = line[: line.index(b"\0")]
    words = line.split(b" ")
    if b"" in words:
        words = [word for word in words if word]
        if not words:
            return local(ERROR)
    read = _READERS.get(words[0])
    if read is None:
        return _unknown(words)
    verb = VERBS[words[0]]
    if not verb.least <= len(words) <= verb.most:
        return local(ERROR, verb=words[0])
    command = read(words, max_value)
    if len(command.line) > MAX_SENT and command.shape is not Shape.VALUES:
        return local(LINE_TOO_LONG, ends=True)
    return command


def _unknown(words: list[bytes]) -> Command:
    """ERROR; but a browser, or somebody who makes it speak to us, is hung up on, as memcached does."""
    if words[-1].startswith(b"HTTP/") and len(words[0]) > 1 and words[0][:1] not in b"mgsacidt":
        return local(b"", ends=True)
    return local(ERROR)


def _bad(answer: bytes, *, quiet: bool, size: int = -1) -> Command:
    return local(b"" if quiet else answer, size=size)


def _get(words: list[bytes], max_value: int) -> Command:
    del max_value
    verb = b"get" if words[0] == b"bget" else words[0]
    keys = tuple(words[1:])
    return _reads(verb, keys, verb + b" " + b" ".join(keys) + b"\r\n")


def _gat(words: list[bytes], max_value: int) -> Command:
    del max_value
    exptime = signed(words[1])
    if exptime is None:
        return local(BAD_EXPTIME)
    keys = tuple(words[2:])
    if not keys:
        return local(b"END\r\n")
    return _reads(words[0], keys, b"%s %d %s\r\n" % (words[0], exptime, b" ".join(keys)))


def _reads(verb: bytes, keys: tuple[bytes, ...], line: bytes) -> Command:
    for key in keys:
        if len(key) > MAX_KEY:
            return local(BAD_LINE)
    return Command(verb, VERBS[verb].way, Shape.VALUES, line, keys, keys, seals=verb in {b"gets", b"gats"})


def _store(words: list[bytes], max_value: int) -> Command:
    verb, key = words[0], words[1]
    quiet = words[-1] == b"noreply"
    if len(key) > MAX_KEY:
        return _bad(BAD_LINE, quiet=quiet)
    flags, exptime, size = unsigned(words[2]), signed(words[3]), unsigned(words[4])
    cas = unsigned(words[5]) if verb == b"cas" else None
    if flags is None or exptime is None or size is None or size > MAX_BLOCK or (cas is None and verb == b"cas"):
        return _bad(BAD_LINE, quiet=quiet)
    if size > max_value:
        command = _bad(TOO_LARGE, quiet=quiet, size=size)
        if verb == b"set":
            command.verb, command.keys, command.hashed = verb, (key,), (key,)
        return command
    line = b"%s %s %d %d %d" % (verb, key, flags & 0xFFFFFFFF, exptime, size)
    if cas is not None:
        line += b" %d" % cas
    keys = (key,)
    silent = _SILENT if quiet else ()
    return Command(verb, VERBS[verb].way, Shape.LINE, line + b"\r\n", keys, keys, size, silent, cas)


def _number(words: list[bytes], max_value: int) -> Command:
    """Incr, decr and touch."""
    del max_value
    verb, key = words[0], words[1]
    quiet = words[-1] == b"noreply"
    if len(key) > MAX_KEY:
        return _bad(BAD_LINE, quiet=quiet)
    value = signed(words[2]) if verb == b"touch" else unsigned(words[2])
    if value is None:
        return _bad(BAD_EXPTIME if verb == b"touch" else BAD_DELTA, quiet=quiet)
    line = b"%s %s %d\r\n" % (verb, key, value)
    return Command(verb, Way.HOME_FIRST, Shape.LINE, line, (key,), (key,), silent=_SILENT if quiet else ())


def _delete(words: list[bytes], max_value: int) -> Command:
    del max_value
    key = words[1]
    quiet = len(words) > 2 and words[-1] == b"noreply"
    # `delete KEY 0` is the form of memcached 1.2, when a delete could lock the key for a time
    if len(words) > 2 and words[2:] not in ([b"0"], [b"noreply"], [b"0", b"noreply"]):
        return _bad(_BAD_DELETE, quiet=quiet)
    if len(key) > MAX_KEY:
        return _bad(BAD_LINE, quiet=quiet)
    line = b"delete " + key + b"\r\n"
    return Command(b"delete", Way.EVERY, Shape.LINE, line, (key,), (key,), silent=_SILENT if quiet else ())


def _flush_all(words: list[bytes], max_value: int) -> Command:
    del max_value
    quiet = words[-1] == b"noreply"
    exptime: int | None = 0
    if len(words) != (2 if quiet else 1):
        exptime = signed(words[1])
    if exptime is None:
        return _bad(BAD_EXPTIME, quiet=quiet)
    line = b"flush_all %d\r\n" % exptime if exptime else b"flush_all\r\n"
    return Command(b"flush_all", Way.SERVERS, Shape.LINE, line, silent=_SILENT if quiet else ())


def _verbosity(words: list[bytes], max_value: int) -> Command:
    if unsigned(words[1]) is None:
        return _bad(BAD_LINE, quiet=words[-1] == b"noreply")
    return _tune(words, max_value)


def _tune(words: list[bytes], max_value: int) -> Command:
    """What is set on every server: the servers judge the arguments."""
    del max_value
    verb = words[0]
    quiet = words[-1] == b"noreply" and (verb in _QUIET_TUNES or words[:2] == [b"slabs", b"automove"])
    if quiet:
        words = words[:-1]
        if words[-1] == b"noreply" or len(words) < VERBS[verb].least:  # a server would still see a noreply
            return local(b"")
    elif verb == b"lru_crawler" and len(words) == 3 and words[1] in {b"metadump", b"mgdump"}:
        return local(b"ERROR %s not allowed\r\n" % (b"metadump" if words[1] == b"metadump" else b"key dump"))
    line = b" ".join(words) + b"\r\n"
    return Command(verb, Way.SERVERS, Shape.LINE, line, silent=_SILENT if quiet else ())


_QUIET_TUNES = frozenset({b"verbosity", b"cache_memlimit", b"lru", b"extstore"})


def _stats(words: list[bytes], max_value: int) -> Command:
    del max_value
    line = b" ".join(words) + b"\r\n"
    match words[1:]:
        case [b"reset", *_]:
            return Command(b"stats", Way.SERVERS, Shape.LINES, b"stats reset\r\n")
        case [b"detail", b"on" | b"off" as switch, *_]:
            return Command(b"stats", Way.SERVERS, Shape.LINES, b"stats detail %s\r\n" % switch)
        case [b"detail", b"dump", *_]:
            return Command(b"stats", Way.STATS, Shape.LINES, b"stats detail dump\r\n")
        case [b"detail", *_]:
            return local(b"CLIENT_ERROR usage: stats detail on|off|dump\r\n")
    return Command(b"stats", Way.STATS, Shape.LINES, line)


def _says(answer: bytes, *, ends: bool = False) -> Reader:
    """Return a reader of commands that are always answered the same."""

    def read(words: list[bytes], max_value: int) -> Command:
        del max_value
        return local(answer, ends=ends, verb=words[0])

    return read


_READERS: dict[bytes, Reader] = {
    b"get": _get,
    b"bget": _get,
    b"gets": _get,
    b"gat": _gat,
    b"gats": _gat,
    b"set": _store,
    b"add": _store,
    b"replace": _store,
    b"append": _store,
    b"prepend": _store,
    b"cas": _store,
    b"incr": _number,
    b"decr": _number,
    b"touch": _number,
    b"delete": _delete,
    b"flush_all": _flush_all,
    b"verbosity": _verbosity,
    b"cache_memlimit": _tune,
    b"lru": _tune,
    b"lru_crawler": _tune,
    b"slabs": _tune,
    b"extstore": _tune,
    b"stats": _stats,
    b"version": _says(VERSION),
    b"quit": _says(b"", ends=True),
    b"mn": _says(b"MN\r\n"),
    b"shutdown": _says(b"ERROR: shutdown not enabled\r\n"),
    b"watch": _says(b"CLIENT_ERROR watch commands not allowed\r\n"),
    b"refresh_certs": _says(ERROR),
    **META_READERS,
}

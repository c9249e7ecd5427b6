"""Meta commands (mg ms md ma me): what their flags mean for the way they take, and what is sent to servers.

`q` is taken off, so that a server always replies and the balancer hides what memcached would hide. `b` keys are decoded
for the ring, since memcached stores `Zm9v` with b and `foo` as one item. Only flags that every 1.6 refuses are refused
here; a server judges the rest.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable

from quorate.balancer.command import (
    BAD_LINE,
    MAX_BLOCK,
    MAX_KEY,
    MAX_META_WORDS,
    MAX_OPAQUE,
    TOO_LARGE,
    Command,
    Shape,
    Way,
    local,
)
from quorate.balancer.numerals import signed, unsigned

_DUPLICATE = b"CLIENT_ERROR duplicate flag\r\n"
_INVALID = b"CLIENT_ERROR invalid flag\r\n"
_BAD_TOKEN = b"CLIENT_ERROR bad token in command line format\r\n"
_BAD_KEY = b"CLIENT_ERROR error decoding key\r\n"
_BAD_FLAGS = b"CLIENT_ERROR invalid or duplicate flag\r\n"  # all that md and ma say
_LONG_FLAGS = b"CLIENT_ERROR options flags too long\r\n"
_LONG_MG_FLAGS = b"CLIENT_ERROR options flags are too long\r\n"
_LONG_OPAQUE = b"CLIENT_ERROR opaque token too long\r\n"
_BAD_MS_MODE = b"CLIENT_ERROR invalid mode for ms M token\r\n"
_BAD_MA_MODE = b"CLIENT_ERROR invalid mode for ma M token\r\n"

_LETTERS = frozenset(b"bNTRlOPLkstcfvhuqFCMJDIEx")  # E and x are newer than Debian 12's: the servers judge them
_SIGNED = dict.fromkeys(b"NTR", _BAD_TOKEN)
_UNSIGNED = {
    ord("C"): _BAD_TOKEN,
    ord("E"): _BAD_TOKEN,
    ord("J"): b"CLIENT_ERROR invalid numeric initial value\r\n",
    ord("D"): b"CLIENT_ERROR invalid numeric delta value\r\n",
    ord("F"): b"",  # memcached sets no text of its own
}
_BAD_MODE_LENGTH = b"CLIENT_ERROR incorrect length for M token\r\n"
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]")
_UNSAFE = re.compile(rb"[ \n\0]")  # what a key on the wire cannot hold


class _Bad(Exception):
    """A malformed command; the text is memcached's answer."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(answer)
        self.answer = answer


def decoded(key: bytes) -> bytes:
    """Return the bytes of a base64 key, as leniently as memcached decodes; empty: it does not decode."""
    key = _NOT_BASE64.sub(b"", key)
    if not key or len(key) % 4:
        return b""
    first = key.find(b"=")
    if first < 0:
        return binascii.a2b_base64(key)
    block = key[: first - first % 4 + 4]  # memcached stops after the block with the padding
    pad = block.count(b"=")
    return binascii.a2b_base64(block.replace(b"=", b"A"))[:-pad] if pad <= 2 else b""


def encoded(key: bytes) -> bytes:
    """Return a key in base64."""
    return binascii.b2a_base64(key, newline=False)


def delete_key(key: bytes) -> bytes:
    """Return the line that deletes a key, whatever bytes it holds; its reply is HD or NF."""
    if _UNSAFE.search(key):
        return b"md " + encoded(key) + b" b\r\n"
    return b"md " + key + b"\r\n"


def _flags(words: list[bytes]) -> dict[int, bytes]:
    """Return the flags by their letters, checked as memcached checks them before it does anything; raise _Bad."""
    flags: dict[int, bytes] = {}
    error = BAD_LINE
    failed = False
    for word in words:
        letter = word[0]
        if letter >= 127 or letter in flags:
            raise _Bad(_DUPLICATE)
        if letter not in _LETTERS:
            raise _Bad(_INVALID)
        flags[letter] = word
        if letter in _SIGNED:
            bad, text = signed(word[1:]) is None, _SIGNED[letter]
        elif letter in _UNSIGNED:
            bad, text = unsigned(word[1:]) is None, _UNSIGNED[letter]
        elif letter == 77:  # M
            bad, text = len(word) != 2, _BAD_MODE_LENGTH
        else:
            continue
        if bad:
            failed = True
            error = text or error
    if failed:
        raise _Bad(error)
    return flags


class _Parsed:
    """A meta command whose flags are well formed."""

    def __init__(self, words: list[bytes], start: int) -> None:
        self.flags = _flags(words[start:])
        self.wire = self.key = self.hashed = words[1]
        if 98 in self.flags:  # b
            self.hashed = decoded(words[1])
            if not self.hashed:
                raise _Bad(_BAD_KEY)
            self.key = encoded(self.hashed)
        self.opaque = self.flags.get(79)  # O
        self.quiet = 113 in self.flags  # q
        self.cas: int | None = None

    def has(self, letters: bytes) -> bool:
        """Whether any of these flags is set."""
        return not self.flags.keys().isdisjoint(letters)

    def mode(self, default: bytes, legal: bytes, error: bytes) -> bytes:
        """Return the letter of M; raise _Bad with `error`."""
        mode = self.flags.get(77, b"M" + default)[1:]
        if mode not in legal:
            raise _Bad(error)
        return mode

    def compare(self, *, matters: bool) -> None:
        """Take the token to compare with; where memcached ignores it, it is not sent at all."""
        if 67 in self.flags:  # C
            if matters:
                self.cas = unsigned(self.flags[67][1:])
                self.flags[67] = b"C%d" % (self.cas or 0)
            else:
                del self.flags[67]

    def command(self, verb: bytes, way: Way, silent: tuple[bytes, ...], size: int = -1) -> Command:
        """Return the command with its line written anew."""
        head = [verb, self.key] if size < 0 else [verb, self.key, b"%d" % size]
        line = b" ".join(head + [word for letter, word in self.flags.items() if letter != 113]) + b"\r\n"
        return Command(
            verb,
            way,
            Shape.META,
            line,
            (self.wire,),
            (self.hashed,),
            size=size,
            silent=silent if self.quiet else (),
            cas=self.cas,
            opaque=self.opaque,
            seals=99 in self.flags,  # c
        )


def _check_opaque(parsed: _Parsed) -> None:
    if parsed.opaque is not None and len(parsed.opaque) > MAX_OPAQUE:
        raise _Bad(_LONG_OPAQUE)


def _mg(words: list[bytes], max_value: int) -> Command:
    del max_value
    if len(words[1]) > MAX_KEY:
        return local(BAD_LINE)
    if len(words) > MAX_META_WORDS:
        return local(_LONG_MG_FLAGS)
    try:
        parsed = _Parsed(words, 2)
        _check_opaque(parsed)
    except _Bad as bad:
        return local(bad.answer)
    parsed.compare(matters=False)
    way = Way.HOME_FIRST if parsed.has(b"T") else Way.HOME_READ if parsed.has(b"cNRE") else Way.NEAREST
    return parsed.command(b"mg", way, (b"EN",))


def _ms(words: list[bytes], max_value: int) -> Command:
    if len(words[1]) > MAX_KEY or len(words) == 2:
        return local(BAD_LINE)
    if len(words) > MAX_META_WORDS:
        return local(_LONG_FLAGS)
    size = unsigned(words[2])
    if size is None or size > MAX_BLOCK:
        return local(BAD_LINE)
    try:
        parsed = _Parsed(words, 3)
        mode = parsed.mode(b"S", b"EAPRS", _BAD_MS_MODE)
        _check_opaque(parsed)
    except _Bad as bad:
        return local(bad.answer, size=size)
    if size > max_value:
        command = local(TOO_LARGE, size=size, verb=b"ms")
        command.keys, command.hashed = (parsed.wire,), (parsed.hashed,)
        return command
    token = parsed.flags.get(67, b"C0")
    # in add mode a token means nothing, and 0 is "any" where append and prepend compare
    parsed.compare(matters=mode in b"SR" or (mode in b"AP" and bool(unsigned(token[1:]))))
    every = mode == b"S" and not parsed.has(b"Cc")
    return parsed.command(b"ms", Way.EVERY if every else Way.HOME_FIRST, (b"HD",), size)


def _md(words: list[bytes], max_value: int) -> Command:
    del max_value
    parsed = _short(words)
    if isinstance(parsed, Command):
        return parsed
    parsed.compare(matters=True)
    return parsed.command(b"md", Way.HOME_FIRST if parsed.has(b"CIx") else Way.EVERY, (b"HD",))


def _ma(words: list[bytes], max_value: int) -> Command:
    del max_value
    parsed = _short(words)
    if isinstance(parsed, Command):
        return parsed
    try:
        parsed.mode(b"I", b"I+D-", _BAD_MA_MODE)
    except _Bad as bad:
        return local(bad.answer)
    parsed.compare(matters=bool(unsigned(parsed.flags.get(67, b"C0")[1:])))
    return parsed.command(b"ma", Way.HOME_FIRST, (b"HD", b"VA "))


def _short(words: list[bytes]) -> _Parsed | Command:
    """What md and ma check alike."""
    if len(words[1]) > MAX_KEY:
        return local(BAD_LINE)
    if len(words) > MAX_META_WORDS:
        return local(_LONG_FLAGS)
    try:
        parsed = _Parsed(words, 2)
    except _Bad:
        return local(_BAD_FLAGS)
    try:
        _check_opaque(parsed)
    except _Bad as bad:
        return local(bad.answer)
    return parsed


def _me(words: list[bytes], max_value: int) -> Command:
    del max_value
    if len(words) < 2 or len(words[1]) > MAX_KEY:
        return local(BAD_LINE)
    key = words[1]
    if words[2:3] != [b"b"]:
        return Command(b"me", Way.HOME_READ, Shape.META, b"me " + key + b"\r\n", (key,), (key,))
    hashed = decoded(key)
    if not hashed:
        return local(BAD_LINE)
    return Command(b"me", Way.HOME_READ, Shape.META, b"me " + encoded(hashed) + b" b\r\n", (key,), (hashed,))


META_READERS: dict[bytes, Callable[[list[bytes], int], Command]] = {
    b"mg": _mg,
    b"ms": _ms,
    b"md": _md,
    b"ma": _ma,
    b"me": _me,
}


def _words(command: Command) -> tuple[list[bytes], list[bytes]]:
    """Return the words before the flags, and the flags."""
    words = command.line[:-2].split(b" ")
    start = 3 if command.verb == b"ms" else 2
    return words[:start], words[start:]


def reply(command: Command, code: bytes) -> bytes:
    """Return a reply of the balancer's own, with the opaque and the key that the command wants back."""
    head, flags = _words(command)
    line = [code]
    for flag in flags:
        if flag[:1] == b"O":
            line.append(flag)
        elif flag[:1] == b"k":
            line.append(b"k" + head[1])
            if any(other[:1] == b"b" for other in flags):
                line.append(b"b")
    return b" ".join(line) + b"\r\n"


def with_cas(command: Command, token: int) -> bytes:
    """Return the line with the server's own token."""
    head, flags = _words(command)
    return b" ".join(head + [b"C%d" % token if flag[:1] == b"C" else flag for flag in flags]) + b"\r\n"


def follows_by_delete(command: Command) -> bool:
    """Whether copies are emptied of the key after the home said yes, because what it did cannot be repeated there.

    With I the reply does not tell whether the value was taken as good or as stale; with N not whether the home made
    a new item, which a copy that still holds an older one would not.
    """
    flags = {flag[:1] for flag in _words(command)[1]}
    if command.verb == b"ms":
        return {b"I", b"C"} <= flags or (b"N" in flags and not flags.isdisjoint((b"M",)))
    return command.verb == b"ma" and b"N" in flags


_KEPT = {b"mg": b"bT", b"md": b"bITEx", b"ma": b"bDMTEv", b"ms": b"bFTE"}


def follow(command: Command, home_reply: bytes) -> bytes | None:
    """Return the line for the other copies once the home said `home_reply`; None: they need nothing."""
    verb = command.verb
    done = home_reply.startswith((b"HD", b"VA "))
    head, flags = _words(command)
    if verb == b"md" and (home_reply.startswith(b"NF") or (done and not any(flag[:1] in b"Ix" for flag in flags))):
        return delete_key(command.hashed[0])  # what the home has lost, a copy may still have
    if not done:
        return None
    if follows_by_delete(command):
        return delete_key(command.hashed[0])
    kept = _KEPT[verb]
    if verb == b"ms" and any(flag in {b"MA", b"MP"} for flag in flags):
        kept += b"M"
    return b" ".join(head + [flag for flag in flags if flag[:1] in kept]) + b"\r\n"


def agrees(command: Command, home_reply: bytes, copy_reply: bytes) -> bool:
    """Whether the copy now holds what the home holds, or nothing."""
    if command.verb == b"ms":
        return copy_reply.startswith((b"HD", b"NF") if follows_by_delete(command) else b"HD")
    if copy_reply.startswith(b"VA "):
        return home_reply.partition(b"\r\n")[2] == copy_reply.partition(b"\r\n")[2]
    return copy_reply.startswith((b"HD", b"NF", b"EN"))

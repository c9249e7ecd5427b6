"""Ways to say one change or one read in memcached's text protocol, and what their replies may be, byte for byte."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from real.truth.checker import DECLINED

Reading = Callable[[asyncio.StreamReader], Awaitable[None]]
CONDITIONAL = ("add", "replace", "cas")
"""Changes that may be declined though all is well."""
SIZES = (20, 200, 2_000, 30_000)


class Refused(Exception):
    """The reply says that it was not done; the connection is fine."""


class Wrong(Exception):
    """A reply that this request cannot have."""


@dataclass(frozen=True)
class Change:
    """One request that changes a key, and the replies that say that it was done or not done."""

    word: str
    request: bytes
    done: tuple[bytes, ...]
    undone: tuple[bytes, ...] = ()

    async def read(self, reader: asyncio.StreamReader) -> None:
        """Take the reply; raise Refused or Wrong unless it was done."""
        line = (await reader.readuntil(b"\r\n"))[:-2]
        if line in self.undone:
            raise Refused(DECLINED if self.word in CONDITIONAL else line.decode())
        _refused(line)
        if line not in self.done:
            raise Wrong(f"{line[:80]!r} to {self.word}")


def change(rng: random.Random, kind: Literal["set", "delete"], key: str, number: int, *, meta: bool) -> Change:
    """Throw one of the ways to overwrite or delete a key. `meta`: whether the meta commands are understood."""
    if kind == "delete":
        if meta and rng.random() < 0.3:
            return Change("md", f"md {key}\r\n".encode(), (b"HD", b"NF"))
        return Change("delete", f"delete {key}\r\n".encode(), (b"DELETED", b"NOT_FOUND"))
    body, lifetime = value(key, number, rng.choices(SIZES, [6, 4, 3, 1])[0]), rng.choice([0, 600])
    word = rng.choices(["set", "replace", "add", "ms"], [12, 2, 1, 4 * meta])[0]
    if word == "ms":
        head = f"ms {key} {len(body)} T{lifetime} F{flags(number)}"
        return Change(word, head.encode() + b"\r\n" + body + b"\r\n", (b"HD",), (b"NS",))
    head = f"{word} {key} {flags(number)} {lifetime} {len(body)}"
    return Change(word, head.encode() + b"\r\n" + body + b"\r\n", (b"STORED",), (b"NOT_STORED",))


def compare_and_swap(key: str, number: int, token: int) -> Change:
    """Return the command that overwrites the value that had this token."""
    body = value(key, number, SIZES[0])
    head = f"cas {key} {flags(number)} 0 {len(body)} {token}"
    undone = (b"EXISTS", b"NOT_FOUND", b"NOT_STORED")
    return Change("cas", head.encode() + b"\r\n" + body + b"\r\n", (b"STORED",), undone)


def retrieval(rng: random.Random, keys: Sequence[str], *, meta: bool) -> bytes:
    """Throw one of the ways to read keys."""
    word = rng.choices(["get", "gets", "gat 600", "mg"], [4, 2, meta, 2 * meta * (len(keys) == 1)])[0]
    if word == "mg":
        return f"mg {keys[0]} k f v\r\n".encode()
    return f"{word} {' '.join(keys)}\r\n".encode()


async def read_values(reader: asyncio.StreamReader, asked: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Take the reply of any retrieval; return the number of each key's value that is there, and its token if told."""
    found: dict[str, int] = {}
    tokens: dict[str, int] = {}
    while True:
        line = (await reader.readuntil(b"\r\n"))[:-2]
        if line in {b"END", b"EN k" + asked[0].encode()}:
            return found, tokens
        _refused(line)
        words = line.split(b" ")
        match words:
            case [b"VALUE", key, mark, size]:
                pass
            case [b"VALUE", key, mark, size, token] if token.isdigit():
                tokens[key.decode("ascii", "replace")] = int(token)
            case [b"VA", size, tagged_key, tagged] if tagged_key[:1] + tagged[:1] == b"kf":
                key, mark = tagged_key[1:], tagged[1:]
            case _:
                raise Wrong(f"{line[:80]!r} to a read")
        name = key.decode("ascii", "replace")
        if name not in asked or name in found or not size.isdigit():
            raise Wrong(f"{line[:80]!r} though {', '.join(asked)} were asked for, {', '.join(found)} answered")
        found[name] = number_in(name, mark, await reader.readexactly(int(size) + 2))
        if words[0] == b"VA":
            return found, tokens


def value(key: str, number: int, size: int) -> bytes:
    """Return the one value that has this key, number and size: no piece of one passes for another."""
    head = f"{key} {number} {size} ".encode()
    return (head * (size // len(head) + 1))[:size]


def flags(number: int) -> int:
    """Return the flags that go with a value of this number."""
    return number % 65_536


def number_in(key: str, mark: bytes, body: bytes) -> int:
    """Return the number of this key's value, line end included; raise Wrong if it is not one that `value` made."""
    parts = body[:40].split(b" ", 2)
    if len(parts) == 3 and parts[0] == key.encode() and parts[1].isdigit():
        number = int(parts[1])
        if body == value(key, number, len(body) - 2) + b"\r\n" and mark == b"%d" % flags(number):
            return number
    raise Wrong(f"{len(body)} bytes with flags {mark!r} for {key}: {body[:60]!r}")


def _refused(line: bytes) -> None:
    if line.startswith(b"SERVER_ERROR"):
        raise Refused(line.decode("ascii", "replace"))

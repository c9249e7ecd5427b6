"""What the clients make of replies: everything that is not exactly right is wrong."""

from __future__ import annotations

import asyncio
import random

import pytest

from real.truth import dialect
from real.truth.dialect import Change, Refused, Wrong, value


def stream(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


def item(key: str, number: int, size: int = 50, flags: int | None = None) -> bytes:
    body = value(key, number, size)
    return b"VALUE %s %d %d\r\n%s\r\n" % (key.encode(), number if flags is None else flags, len(body), body)


async def test_values_say_what_they_are() -> None:
    reply = item("a", 3) + item("b", 70, 3000) + b"END\r\n"
    assert await dialect.read_values(stream(reply), ["a", "b", "c"]) == ({"a": 3, "b": 70}, {})


async def test_tokens_are_kept() -> None:
    body = value("a", 3, 20)
    reply = b"VALUE a 3 %d 99\r\n%s\r\nEND\r\n" % (len(body), body)
    assert await dialect.read_values(stream(reply), ["a"]) == ({"a": 3}, {"a": 99})


async def test_meta_replies_are_read() -> None:
    body = value("a", 3, 20)
    assert await dialect.read_values(stream(b"VA %d ka f3\r\n%s\r\n" % (len(body), body)), ["a"]) == ({"a": 3}, {})
    assert await dialect.read_values(stream(b"EN ka\r\n"), ["a"]) == ({}, {})


@pytest.mark.parametrize(
    "reply",
    [
        item("b", 3) + b"END\r\n",
        item("a", 3) + item("a", 3) + b"END\r\n",
        item("a", 3, flags=4) + b"END\r\n",
        b"VALUE a 3 20\r\n" + value("b", 3, 20) + b"\r\nEND\r\n",
        b"VALUE a 3 20\r\n" + value("a", 3, 40)[20:] + b"\r\nEND\r\n",
        b"VALUE a 3 4\r\na 3 4xxEND\r\n",
        b"STORED\r\n",
        b"ERROR\r\n",
        b"CLIENT_ERROR bad\r\n",
        b"VALUE a\r\n",
        b"EN kb\r\n",
    ],
)
async def test_anything_else_is_wrong(reply: bytes) -> None:
    with pytest.raises(Wrong):
        await dialect.read_values(stream(reply), ["a"])


async def test_refusals_are_no_breach() -> None:
    with pytest.raises(Refused):
        await dialect.read_values(stream(b"SERVER_ERROR out\r\n"), ["a"])
    change = Change("set", b"", (b"STORED",), (b"NOT_STORED",))
    for reply in (b"NOT_STORED\r\n", b"SERVER_ERROR late\r\n"):
        with pytest.raises(Refused):
            await change.read(stream(reply))
    with pytest.raises(Wrong):
        await change.read(stream(b"DELETED\r\n"))


@pytest.mark.parametrize("meta", [True, False])
def test_each_way_to_say_it_is_thrown(meta: bool) -> None:
    rng = random.Random(1)
    words = {dialect.change(rng, "set", "a", 1, meta=meta).word for _ in range(200)}
    assert words == {"set", "replace", "add"} | ({"ms"} if meta else set())
    words = {dialect.retrieval(rng, ["a"], meta=meta).split()[0].decode() for _ in range(200)}
    assert words == {"get", "gets"} | ({"gat", "mg"} if meta else set())
    assert {dialect.retrieval(rng, ["a", "b"], meta=True).split()[0] for _ in range(200)} == {b"get", b"gets", b"gat"}

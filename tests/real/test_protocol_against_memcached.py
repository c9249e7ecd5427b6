"""Every verb in right and wrong forms, said to two memcacheds: to one as the client says it, to one as `parse` does.

Both must give the client the same bytes, every reply must be framed exactly, and what the balancer answers by itself
must be what memcached says. Each deliberate difference is in DIFFERENT, with its reason.
"""

from __future__ import annotations

import re
import shutil
from base64 import b64encode
from collections.abc import Iterator

import pytest

from quorate.balancer import outcome
from quorate.balancer.command import Command, Shape, Way
from quorate.balancer.protocol import parse
from quorate.balancer.replies import frame
from real.daemons import Memcached
from real.protocol_cases import CLASSIC, DIFFERENT, META, OTHER, STORAGE

MAX_VALUE = 1000
MASKED = re.compile(rb"(VALUE [^ ]+ \d+ \d+ | [ctl]|(?:cas|exp|la)=)-?\d+")
"""Tokens (1.6.38 also counts the malformed commands, which we do not send) and seconds, which may just have passed."""


@pytest.fixture
def pair() -> Iterator[tuple[Memcached, Memcached]]:
    if shutil.which("memcached") is None:
        pytest.skip("no memcached on this machine")
    one, two = Memcached(), Memcached()
    yield one, two
    one.stop()
    two.stop()


def as_the_balancer_says_it(server: Memcached, command: Command, block: bytes) -> bytes:
    if command.answer is not None:
        return command.answer
    reply = server.ask(command.line + block)
    end = frame(command.shape, reply, 0)
    assert end == len(reply), command.line
    assert frame(command.shape, reply + b"END\r\n", 0) == end
    assert frame(command.shape, b"x" + reply + b"STORED\r\n", 1) == end + 1
    for cut in range(min(len(reply), 2000)):
        assert -end <= frame(command.shape, reply[:cut], 0) <= 0, reply[:cut]
    assert outcome.fits(command, reply), reply
    return b"" if outcome.hidden(command, reply) else reply


def both(pair: tuple[Memcached, Memcached], case: bytes) -> tuple[bytes, bytes, Command]:
    line, bar, value = case.partition(b"|")
    block = value + b"\r\n" if bar else b""
    theirs = pair[0].ask(line + b"\r\n" + block)
    command = parse(line, MAX_VALUE)
    assert (command.size >= 0) == bool(bar), case
    assert command.size in {-1, len(value)}
    return theirs, as_the_balancer_says_it(pair[1], command, block), command


@pytest.mark.parametrize("cases", [STORAGE + STORAGE, STORAGE + CLASSIC, META, META + META, OTHER])
def test_the_client_hears_what_memcached_says(pair: tuple[Memcached, Memcached], cases: list[bytes]) -> None:
    for case in cases:
        theirs, ours, command = both(pair, case)
        if case in DIFFERENT:
            assert command.way in {Way.STATS, Way.LOCAL}
        else:
            assert MASKED.sub(rb"\1#", ours) == MASKED.sub(rb"\1#", theirs), case


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_either_line_ending_is_taken(pair: tuple[Memcached, Memcached], ending: bytes) -> None:
    assert pair[0].ask(b"get a" + ending) == b"END\r\n"


def test_the_differences_are_these(pair: tuple[Memcached, Memcached]) -> None:
    pair[0].ask(b"ms cnt 1\r\n1\r\n")
    assert both(pair, b"version")[1].startswith(b"VERSION 1.6")
    assert parse(b"watch", MAX_VALUE).answer == b"CLIENT_ERROR watch commands not allowed\r\n"
    assert parse(b"lru_crawler metadump all", MAX_VALUE).answer == b"ERROR metadump not allowed\r\n"
    assert parse(b"set a 0 0 4294967299", MAX_VALUE).answer == b"CLIENT_ERROR bad command line format\r\n"
    assert parse(b"set a -18446744073709551615 0 3", MAX_VALUE).answer == b"CLIENT_ERROR bad command line format\r\n"
    assert pair[0].ask(b"set a 0 0 4294967299\r\nabc\r\n") == b"STORED\r\n"
    assert pair[0].ask(b"set a -18446744073709551615 0 3\r\nabc\r\n") == b"STORED\r\n"
    theirs, ours, _ = both(pair, b"ma cnt O" + b"o" * 32)
    assert theirs == ours
    assert pair[0].ask(b"get cnt\r\n") == b"VALUE cnt 0 1\r\n2\r\nEND\r\n"
    assert both(pair, b"ma vivified N60 q")[:2] == (b"HD\r\n", b"")
    assert both(pair, b"ms m 1001|" + b"v" * 1001)[:2] == (b"HD\r\n", b"SERVER_ERROR object too large for cache\r\n")


@pytest.mark.parametrize("line", [b"quit", b"GET / HTTP/1.1"])
def test_it_hangs_up_where_memcached_does(pair: tuple[Memcached, Memcached], line: bytes) -> None:
    with pair[0].connect() as client:
        client.sendall(line + b"\r\n")
        assert client.recv(100) == b""
    assert parse(line, MAX_VALUE).ends


@pytest.mark.parametrize("verb", [b"set", b"ms"])
def test_a_value_that_is_too_large_takes_the_old_one_with_it(pair: tuple[Memcached, Memcached], verb: bytes) -> None:
    size = 1048576
    numbers = b"0 0 " if verb == b"set" else b""
    for server in pair:
        server.ask(b"set a 0 0 3\r\nold\r\n")
    command = parse(b"%s a %s%d" % (verb, numbers, size), MAX_VALUE)
    assert pair[0].ask(b"%s a %s%d\r\n%s\r\n" % (verb, numbers, size, b"v" * size)) == command.answer
    assert pair[0].ask(b"get a\r\n") == b"END\r\n"
    assert pair[1].ask(outcome.delete_line(command)) == b"HD\r\n"
    assert outcome.certain(parse(b"%s a %s%d" % (verb, numbers, size), size), command.answer or b"")


@pytest.mark.parametrize("key", [b"a", b"a b", b"\x00\n", b"\xff\r", b"k" * 186])
def test_any_key_can_be_deleted(pair: tuple[Memcached, Memcached], key: bytes) -> None:
    line = outcome.delete_line(Command(b"set", Way.EVERY, Shape.LINE, hashed=(key,)))
    assert pair[0].ask(b"ms %s 1 b\r\nx\r\n" % b64encode(key)) == b"HD\r\n"
    assert pair[0].ask(line) == b"HD\r\n"
    assert pair[0].ask(line) == b"NF\r\n"

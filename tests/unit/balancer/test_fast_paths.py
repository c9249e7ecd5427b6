"""What is read by a short cut is read as the long way reads it."""

from __future__ import annotations

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer_stage import Stage
from quorate.balancer.command import Command, Shape, Way
from quorate.balancer.gather import ManyKeys, Part
from quorate.balancer.protocol import parse
from quorate.balancer.replies import BadReply, frame
from quorate.balancer.session import many_keys, plain_set

LIMIT = 1_000_000
_STAGE = Stage(copies=1)
_PIPE = Stage(copies=1)
_WORDS = st.lists(
    st.sampled_from([b"", b"k", b"a\tb", b"a\0b", b"k" * 250, b"k" * 251, b"0", b"-1", b"+1", b"1000001", b"9" * 9])
    | st.binary(max_size=6).filter(lambda word: not {b" "[0], b"\n"[0]} & set(word)),
    min_size=1,
    max_size=6,
)


@given(_WORDS, st.sampled_from([b"\r\n", b"\n"]))
def test_a_plain_set_is_what_the_parser_makes_of_it(words: list[bytes], end: bytes) -> None:
    line = b" ".join([b"set", *words])
    short = plain_set(line + end, 0, LIMIT)
    if short is not None:
        whole = parse(line, LIMIT)
        assert short.line.rstrip().split(b" ") == [
            *whole.line.rstrip().split(b" ")[:2],
            *short.line.rstrip().split(b" ")[2:],
        ]
        assert [int(n) for n in short.line.rstrip().split(b" ")[2:]] == [
            int(n) for n in whole.line.rstrip().split(b" ")[2:]
        ]
        short.line = whole.line
        assert short == whole


@pytest.mark.parametrize("line", [b"set k 0 0 5\r\n", b"set a\tb 4294967 0 0\r\n"])
def test_a_plain_set_is_read_by_the_short_cut(line: bytes) -> None:
    assert plain_set(line, 0, LIMIT) is not None


@pytest.mark.parametrize(
    "line", [b"set k 0 0 5 noreply\r\n", b"set k 0 -1 5\r\n", b"set k 0 0 1000001\r\n", b"set  k 0 0 5\r\n"]
)
def test_an_unusual_set_goes_the_long_way(line: bytes) -> None:
    assert plain_set(line, 0, LIMIT) is None


@given(_WORDS)
def test_a_get_of_many_keys_is_what_the_parser_makes_of_it(words: list[bytes]) -> None:
    line = b" ".join([b"get", *words])
    short = many_keys(b"xx" + line + b"\r\n", 2, len(line) + 3)
    if short is not None:
        assert short == parse(line, LIMIT)


_VALUES = st.lists(
    st.tuples(
        st.sampled_from([b"0", b"1"]), st.sampled_from([b"", b"x", b"y", b"\r\n", b"END\r\n", b"VALUE a 0 1\r\nx"])
    )
    | st.none(),
    min_size=1,
    max_size=6,
)


def _part(count: int) -> Part:
    keys = [b"k%d" % number for number in range(count)]
    command = Command(b"get", Way.NEAREST, Shape.VALUES, b"", tuple(keys), tuple(keys))
    return Part(ManyKeys(_STAGE.worker, None, command), keys, ())


def _reply(values: list[tuple[bytes, bytes] | None]) -> bytes:
    there = [(n, *value) for n, value in enumerate(values) if value is not None]
    return b"".join(b"VALUE k%d %b %d\r\n%b\r\n" % (n, f, len(v), v) for n, f, v in there) + b"END\r\n"


@given(_VALUES, st.binary(max_size=8))
def test_the_values_of_a_part_are_framed_as_any_values(values: list[tuple[bytes, bytes] | None], more: bytes) -> None:
    part, reply = _part(len(values)), _reply(values)
    before = b"END\r\n"
    assert part.frame(before + reply + more, len(before)) == len(before) + len(reply)
    assert part.missing == [b"k%d" % n for n, value in enumerate(values) if value is None]
    for length in range(len(reply)):
        end = part.frame(before + reply[:length], len(before))
        assert -len(reply) <= end <= 0


@given(_VALUES, st.data())
def test_a_reply_with_one_byte_changed_is_refused_or_framed_as_any_values(
    values: list[tuple[bytes, bytes] | None], data: st.DataObject
) -> None:
    reply = bytearray(_reply(values))
    place = data.draw(st.integers(0, len(reply) - 1))
    reply[place] = data.draw(st.integers(0, 255))
    try:
        end = _part(len(values)).frame(bytes(reply), 0)
    except BadReply:
        return
    try:
        assert max(0, end) == max(0, frame(Shape.VALUES, bytes(reply), 0))
    except BadReply:
        assert end <= 0  # told later, when what seems to be missing has come


@given(st.lists(_VALUES, min_size=1, max_size=4), st.data())
def test_lone_gets_get_their_values_whatever_came_before(
    reads: list[list[tuple[bytes, bytes] | None]], data: st.DataObject
) -> None:
    # What flags and sizes look like is remembered, only a few at a time here; every read may be cut anywhere.
    key = _PIPE.key_on(0)
    with mock.patch("quorate.balancer.session.TAILS", 2):
        for read in reads:
            wanted = b"".join(_lone(key, value) for value in read)
            cut = data.draw(st.integers(0, len(wanted)))  # which may end the example
            _PIPE.ask(b"get %b\r\n" % key * len(read))
            _PIPE.say(0, wanted[:cut])
            _PIPE.say(0, wanted[cut:])
            assert _PIPE.answer() == wanted
    assert _PIPE.is_quiet


@pytest.mark.parametrize("damage", [(b"VALUE", b"VALUF"), (b"END", b"ENX"), (b"VALUE k", b"VALUE j")])
def test_a_size_that_is_known_by_heart_excuses_nothing(damage: tuple[bytes, bytes]) -> None:
    stage = Stage(copies=1)
    key = stage.key_on(0)
    right = _lone(key, (b"0", b"abc"))
    for _ in range(2):
        stage.ask(b"get %b\r\n" % key)
        stage.say(0, right)
    assert stage.answer() == 2 * right
    stage.ask(b"get %b\r\n" % key)
    stage.say(0, right.replace(*damage))
    assert stage.reset == [0]


def _lone(key: bytes, value: tuple[bytes, bytes] | None) -> bytes:
    return b"VALUE %b %b %d\r\n%b\r\nEND\r\n" % (key, value[0], len(value[1]), value[1]) if value else b"END\r\n"

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.balancer import cas, outcome
from quorate.balancer.binary import binary_answer
from quorate.balancer.command import MAX_LINE, VERBS, Command, Shape, Way, split, subset
from quorate.balancer.protocol import parse

MAX_VALUE = 1000


def sent(line: bytes) -> bytes:
    return parse(line, MAX_VALUE).line


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"get a", (Way.NEAREST, Shape.VALUES, b"get a\r\n", (b"a",), -1)),
        (b" get  a  b ", (Way.NEAREST, Shape.VALUES, b"get a b\r\n", (b"a", b"b"), -1)),
        (b"bget a", (Way.NEAREST, Shape.VALUES, b"get a\r\n", (b"a",), -1)),
        (b"gets a b", (Way.HOME_READ, Shape.VALUES, b"gets a b\r\n", (b"a", b"b"), -1)),
        (b"gat 10 a b", (Way.HOME_FIRST, Shape.VALUES, b"gat 10 a b\r\n", (b"a", b"b"), -1)),
        (b"set a 1 2 3", (Way.EVERY, Shape.LINE, b"set a 1 2 3\r\n", (b"a",), 3)),
        (b"set a 1 2 3 noreply", (Way.EVERY, Shape.LINE, b"set a 1 2 3\r\n", (b"a",), 3)),
        (b"add a 0 -1 0", (Way.HOME_FIRST, Shape.LINE, b"add a 0 -1 0\r\n", (b"a",), 0)),
        (b"cas a 1 2 3 45", (Way.HOME_FIRST, Shape.LINE, b"cas a 1 2 3 45\r\n", (b"a",), 3)),
        (b"incr a +5", (Way.HOME_FIRST, Shape.LINE, b"incr a 5\r\n", (b"a",), -1)),
        (b"touch a 5 noreply", (Way.HOME_FIRST, Shape.LINE, b"touch a 5\r\n", (b"a",), -1)),
        (b"delete a 0 noreply", (Way.EVERY, Shape.LINE, b"delete a\r\n", (b"a",), -1)),
        (b"flush_all 10 noreply", (Way.SERVERS, Shape.LINE, b"flush_all 10\r\n", (), -1)),
        (b"slabs automove 1 noreply", (Way.SERVERS, Shape.LINE, b"slabs automove 1\r\n", (), -1)),
        (b"stats", (Way.STATS, Shape.LINES, b"stats\r\n", (), -1)),
        (b"stats reset", (Way.SERVERS, Shape.LINES, b"stats reset\r\n", (), -1)),
        (b"mg a v", (Way.NEAREST, Shape.META, b"mg a v\r\n", (b"a",), -1)),
        (b"ms a 3", (Way.EVERY, Shape.META, b"ms a 3\r\n", (b"a",), 3)),
    ],
)
def test_a_command_is_understood(line: bytes, expected: tuple[Way, Shape, bytes, tuple[bytes, ...], int]) -> None:
    command = parse(line, MAX_VALUE)
    assert (command.way, command.shape, command.line, command.keys, command.size) == expected
    assert command.hashed == command.keys
    assert command.answer is None


@pytest.mark.parametrize(
    ("line", "line_sent"),
    [
        (b"set a 4294967297 4294967296 3", b"set a 1 0 3\r\n"),
        (b"set a 0 2147483648 3", b"set a 0 -2147483648 3\r\n"),
        (b"set a 0 0 3\tx", b"set a 0 0 3\r\n"),
        (b"get a\x00b c", b"get a\r\n"),
        (b"verbosity 1 noreply", b"verbosity 1\r\n"),
    ],
)
def test_what_memcached_reads_loosely_is_written_anew(line: bytes, line_sent: bytes) -> None:
    assert sent(line) == line_sent


def test_a_line_that_is_too_long_ends_the_connection() -> None:
    command = parse(b"get " + b"a " * MAX_LINE, MAX_VALUE)
    assert command.ends
    assert command.answer == b"CLIENT_ERROR line too long\r\n"


def test_a_value_that_is_too_large_names_the_key_to_delete() -> None:
    command = parse(b"set a 0 0 1001", MAX_VALUE)
    assert (command.way, command.size, command.hashed) == (Way.LOCAL, 1001, (b"a",))
    assert command.answer == b"SERVER_ERROR object too large for cache\r\n"
    assert parse(b"add a 0 0 1001", MAX_VALUE).keys == ()
    assert parse(b"set a 0 0 1001 noreply", MAX_VALUE).answer == b""


@pytest.mark.parametrize("noreply", [b"flush_all noreply noreply", b"verbosity noreply", b"lru mode noreply noreply"])
def test_no_server_is_ever_asked_not_to_reply(noreply: bytes) -> None:
    assert parse(noreply, MAX_VALUE).answer == b""


LETTERS = (
    b"get set cas ms mg md ma me stats touch incr 0 1 -1 99999999999 noreply b k O1 N5 T5 C7 MA MS I q v a Zm9v \r \t"
)
WORDS = st.sampled_from([*LETTERS.split(b" "), *VERBS, b"k" * 250, b"k" * 251])


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.binary(max_size=80), st.lists(WORDS, max_size=9).map(b" ".join)))
def test_any_bytes_give_one_line_that_asks_for_a_reply(line: bytes) -> None:
    command = parse(line.replace(b"\n", b""), MAX_VALUE)
    if command.answer is not None:
        assert command.way is Way.LOCAL
        assert command.answer.endswith(b"\r\n") or not command.answer
        return
    assert command.line.endswith(b"\r\n")
    assert b"\n" not in command.line[:-1]
    assert b"\0" not in command.line
    words = command.line[:-2].split(b" ")
    assert words[0] in VERBS
    assert b"" not in words
    if command.verb not in {b"get", b"gets", b"gat", b"gats", b"delete", b"stats", b"slabs", b"lru_crawler"}:
        assert words[-1] != b"noreply" or len(words) == 2  # a key may be called so
    if command.shape is Shape.META and command.verb != b"me":
        assert not any(word.startswith(b"q") for word in words[2:])
    again = parse(command.line[:-2], MAX_VALUE)
    assert (again.line, again.hashed, again.size, again.way) == (
        command.line,
        command.hashed,
        command.size,
        command.way,
    )
    assert not again.silent
    assert (command.size >= 0) == (command.verb in {b"set", b"add", b"replace", b"append", b"prepend", b"cas", b"ms"})
    assert 0 <= max(command.size, 0) <= MAX_VALUE
    for own in (outcome.refusal(command), outcome.miss(command), outcome.exists(command)):
        assert own.endswith(b"\r\n")


def test_many_keys_are_parted() -> None:
    command = parse(b"gat 7 a b c", MAX_VALUE)
    assert subset(command, [2, 0]) == b"gat 7 c a\r\n"
    assert [(one.line, one.keys) for one in split(command)] == [
        (b"gat 7 a\r\n", (b"a",)),
        (b"gat 7 b\r\n", (b"b",)),
        (b"gat 7 c\r\n", (b"c",)),
    ]
    assert subset(parse(b"gets a b", MAX_VALUE), [1]) == b"gets b\r\n"


@pytest.mark.parametrize(
    ("line", "home", "follows"),
    [
        (b"add a 1 2 3 noreply", b"STORED\r\n", b"set a 1 2 3\r\n"),
        (b"add a 1 2 3", b"NOT_STORED\r\n", None),
        (b"cas a 1 2 3 44", b"STORED\r\n", b"set a 1 2 3\r\n"),
        (b"cas a 1 2 3 44", b"EXISTS\r\n", None),
        (b"append a 0 0 3", b"STORED\r\n", b"append a 0 0 3\r\n"),
        (b"append a 0 0 3", b"SERVER_ERROR out of memory\r\n", None),
        (b"incr a 3", b"10\r\n", b"incr a 3\r\n"),
        (b"incr a 3", b"NOT_FOUND\r\n", None),
        (b"incr a 3", b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n", None),
        (b"touch a 3", b"TOUCHED\r\n", b"touch a 3\r\n"),
        (b"gats 3 a", b"VALUE a 0 1 9\r\nx\r\nEND\r\n", b"gat 3 a\r\n"),
        (b"gat 3 a", b"END\r\n", None),
    ],
)
def test_copies_follow_their_home(line: bytes, home: bytes, follows: bytes | None) -> None:
    assert outcome.follow(parse(line, MAX_VALUE), home) == follows


@pytest.mark.parametrize(
    ("line", "home", "copy", "agrees"),
    [
        (b"add a 0 0 1", b"STORED\r\n", b"STORED\r\n", True),
        (b"append a 0 0 1", b"STORED\r\n", b"NOT_STORED\r\n", False),
        (b"incr a 1", b"10\r\n", b"10\r\n", True),
        (b"incr a 1", b"10\r\n", b"11\r\n", False),
        (b"incr a 1", b"10\r\n", b"NOT_FOUND\r\n", True),
        (b"incr a 1", b"10\r\n", b"SERVER_ERROR out of memory\r\n", False),
        (b"gats 1 a", b"VALUE a 0 1 7\r\nx\r\nEND\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n", True),
        (b"gats 1 a", b"VALUE a 0 1 7\r\nx\r\nEND\r\n", b"VALUE a 0 1\r\ny\r\nEND\r\n", False),
        (b"gat 1 a", b"VALUE a 0 1\r\nx\r\nEND\r\n", b"END\r\n", True),
        (b"gat 1 a", b"VALUE a 0 1\r\nx\r\nEND\r\n", b"SERVER_ERROR\r\n", False),
    ],
)
def test_a_copy_agrees_or_is_deleted(line: bytes, home: bytes, copy: bytes, *, agrees: bool) -> None:
    command = parse(line, MAX_VALUE)
    assert outcome.agrees(command, home, copy) is agrees
    assert outcome.delete_line(command) == b"md a\r\n"


@pytest.mark.parametrize(
    ("line", "reply", "certain", "succeeded"),
    [
        (b"set a 0 0 1", b"STORED\r\n", True, True),
        (b"set a 0 0 1", b"NOT_STORED\r\n", False, False),
        (b"set a 0 0 1", b"SERVER_ERROR object too large for cache\r\n", True, False),
        (b"set a 0 0 1", b"SERVER_ERROR out of memory reading request\r\n", False, False),
        (b"set a 0 0 1", b"CLIENT_ERROR bad data chunk\r\n", False, False),
        (b"delete a", b"DELETED\r\n", True, True),
        (b"delete a", b"NOT_FOUND\r\n", True, False),
        (b"delete a", b"ERROR\r\n", False, False),
        (b"ms a 1", b"HD O1\r\n", True, True),
        (b"ms a 1", b"NS\r\n", False, False),
        (b"md a", b"NF\r\n", True, False),
    ],
)
def test_what_is_certain_after_a_reply(line: bytes, reply: bytes, *, certain: bool, succeeded: bool) -> None:
    command = parse(line, MAX_VALUE)
    assert outcome.certain(command, reply) is certain
    assert outcome.succeeded(command, reply) is succeeded
    assert outcome.fits(command, reply)


def test_a_reply_to_another_verb_does_not_fit() -> None:
    assert not outcome.fits(parse(b"delete a", MAX_VALUE), b"STORED\r\n")
    assert not outcome.fits(parse(b"set a 0 0 1", MAX_VALUE), b"DELETED\r\n")
    assert not outcome.fits(parse(b"incr a 1", MAX_VALUE), b"TOUCHED\r\n")


def test_noreply_hides_every_reply() -> None:
    command = parse(b"set a 0 0 1 noreply", MAX_VALUE)
    assert outcome.hidden(command, b"STORED\r\n")
    assert outcome.hidden(command, b"SERVER_ERROR x\r\n")
    assert not outcome.hidden(parse(b"set a 0 0 1", MAX_VALUE), b"STORED\r\n")


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        (b"set a 0 0 1", b"NOT_STORED\r\n"),
        (b"cas a 0 0 1 1", b"EXISTS\r\n"),
        (b"delete a", b"SERVER_ERROR no quorum\r\n"),
        (b"incr a 1", b"SERVER_ERROR no quorum\r\n"),
        (b"gat 1 a", b"END\r\n"),
        (b"get a", b"END\r\n"),
        (b"flush_all", b"SERVER_ERROR no quorum\r\n"),
    ],
)
def test_what_cannot_be_done_is_refused_in_the_verbs_own_words(line: bytes, refusal: bytes) -> None:
    assert outcome.refusal(parse(line, MAX_VALUE)) == refusal


def test_a_delete_that_nobody_can_contradict_is_done() -> None:
    assert outcome.gone(parse(b"delete a", MAX_VALUE)) == b"DELETED\r\n"
    assert outcome.gone(parse(b"set a 0 0 1", MAX_VALUE)) is None


@given(st.integers(1, 2**52 - 1), st.integers(0, cas.SERVERS - 1), st.integers(1, cas.GENERATIONS))
def test_a_sealed_token_opens_to_what_it_was(token: int, server: int, generation: int) -> None:
    sealed = cas.seal(token, server, generation)
    assert 0 < sealed < 2**64
    assert cas.unseal(sealed) == (token, server, generation)


@given(st.integers(0, 2**64 - 1))
def test_any_number_opens(number: int) -> None:
    token, server, generation = cas.unseal(number)
    assert 0 <= token < 2**52
    assert 0 <= server <= cas.SERVERS
    assert 0 <= generation <= cas.GENERATIONS


def test_foreign_and_wide_tokens_belong_to_nobody() -> None:
    assert cas.unseal(5)[2] == 0
    assert cas.unseal(cas.seal(2**60, 1, 1))[1] == cas.SERVERS
    assert cas.seal(0, 3, 3) == 0
    assert [cas.next_generation(n) for n in (0, 1, 62, 63)] == [1, 2, 63, 1]


def test_the_servers_own_token_is_put_back() -> None:
    assert outcome.with_cas(parse(b"cas a 1 2 3 44 noreply", MAX_VALUE), 9) == b"cas a 1 2 3 9\r\n"
    assert outcome.exists(parse(b"cas a 1 2 3 44", MAX_VALUE)) == b"EXISTS\r\n"


def test_a_binary_request_gets_a_binary_error() -> None:
    request = bytes([0x80, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]) + b"\x01\x02\x03\x04" + bytes(8) + b"k"
    answer = binary_answer(request)
    assert binary_answer(request[:23]) == b""
    assert answer[:2] == bytes([0x81, 0x00])
    assert answer[6:8] == bytes([0x00, 0x81])
    assert answer[12:16] == b"\x01\x02\x03\x04"
    assert int.from_bytes(answer[8:12], "big") == len(answer) - 24


def test_the_table_names_every_verb_that_is_read() -> None:
    for verb, row in VERBS.items():
        words = b" ".join([verb, *[b"1"] * min(row.least + 3, row.most - 1, 4)])
        assert isinstance(parse(words, MAX_VALUE), Command)

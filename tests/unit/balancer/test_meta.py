from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.balancer import outcome
from quorate.balancer.command import Way
from quorate.balancer.meta import decoded, delete_key, encoded
from quorate.balancer.protocol import parse

MAX_VALUE = 1000
BASE64_OF_A_B = base64.b64encode(b"a b")


@pytest.mark.parametrize(
    ("line", "way"),
    [
        (b"mg a", Way.NEAREST),
        (b"mg a v t f s k O1 q h l u", Way.NEAREST),
        (b"mg a v c", Way.HOME_READ),
        (b"mg a v N30", Way.HOME_READ),
        (b"mg a v R30", Way.HOME_READ),
        (b"mg a N30 E5", Way.HOME_READ),
        (b"mg a v T30", Way.HOME_FIRST),
        (b"mg a v C5", Way.NEAREST),
        (b"ms a 1", Way.EVERY),
        (b"ms a 1 MS T9 F1 k O1 I E77", Way.EVERY),
        (b"ms a 1 c", Way.HOME_FIRST),
        (b"ms a 1 C9", Way.HOME_FIRST),
        (b"ms a 1 ME", Way.HOME_FIRST),
        (b"ms a 1 MA", Way.HOME_FIRST),
        (b"ms a 1 MP", Way.HOME_FIRST),
        (b"ms a 1 MR", Way.HOME_FIRST),
        (b"md a q k", Way.EVERY),
        (b"md a C1", Way.HOME_FIRST),
        (b"md a I T30", Way.HOME_FIRST),
        (b"md a x", Way.HOME_FIRST),
        (b"ma a", Way.HOME_FIRST),
        (b"me a", Way.HOME_READ),
        (b"mn", Way.LOCAL),
    ],
)
def test_flags_decide_the_way(line: bytes, way: Way) -> None:
    assert parse(line, MAX_VALUE).way is way


@pytest.mark.parametrize(
    ("line", "sent", "silent"),
    [
        (b"mg a q v", b"mg a v\r\n", (b"EN",)),
        (b"ms a 1 q T5", b"ms a 1 T5\r\n", (b"HD",)),
        (b"md a O1 q", b"md a O1\r\n", (b"HD",)),
        (b"ma a q", b"ma a\r\n", (b"HD", b"VA ")),
        (b"mg a C7 v", b"mg a v\r\n", ()),
        (b"ms a 1 ME C7", b"ms a 1 ME\r\n", ()),
        (b"ms a 1 MA C0", b"ms a 1 MA\r\n", ()),
        (b"ma a C0 v", b"ma a v\r\n", ()),
    ],
)
def test_a_server_always_replies_and_hears_no_token_that_means_nothing(
    line: bytes, sent: bytes, silent: tuple[bytes, ...]
) -> None:
    command = parse(line, MAX_VALUE)
    assert (command.line, command.silent, command.cas) == (sent, silent, None)


def test_what_q_hides_is_hidden_and_nothing_else() -> None:
    command = parse(b"mg a q v", MAX_VALUE)
    assert outcome.hidden(command, b"EN\r\n")
    assert not outcome.hidden(command, b"HD\r\n")
    assert not outcome.hidden(command, b"SERVER_ERROR x\r\n")
    assert not outcome.hidden(parse(b"ms a 1 q", MAX_VALUE), b"NS\r\n")


def test_a_base64_key_is_hashed_as_what_it_stands_for() -> None:
    command = parse(b"mg " + BASE64_OF_A_B + b" b k v O77", MAX_VALUE)
    assert (command.keys, command.hashed, command.opaque) == ((BASE64_OF_A_B,), (b"a b",), b"O77")
    assert parse(b"mg Zm9v b", MAX_VALUE).hashed == parse(b"mg foo", MAX_VALUE).hashed


@pytest.mark.parametrize(
    ("key", "bytes_"),
    [
        (b"Zm9v", b"foo"),
        (b"Zg==", b"f"),
        (b"Zm8=", b"fo"),
        (b"Z-m9v", b"foo"),
        (b"Zg==Zm9v", b"f"),
        (b"Z=9v", b"d\x0f"),
        (b"Z", b""),
        (b"Z===", b""),
        (b"====", b""),
        (b"!!!!", b""),
    ],
)
def test_base64_is_read_as_memcached_reads_it(key: bytes, bytes_: bytes) -> None:
    assert decoded(key) == bytes_


@given(st.binary(min_size=1, max_size=187))
def test_base64_there_and_back(key: bytes) -> None:
    assert decoded(encoded(key)) == key


@given(st.binary(min_size=1, max_size=187))
def test_a_delete_names_the_same_key_again(key: bytes) -> None:
    line = delete_key(key)
    assert parse(line[:-2], MAX_VALUE).hashed == (key,)


@pytest.mark.parametrize(
    ("line", "answer", "size"),
    [
        (b"mg", b"ERROR", -1),
        (b"mg a v v", b"CLIENT_ERROR duplicate flag", -1),
        (b"mg a !", b"CLIENT_ERROR invalid flag", -1),
        (b"mg a Tx", b"CLIENT_ERROR bad token in command line format", -1),
        (b"mg a O" + b"o" * 32, b"CLIENT_ERROR opaque token too long", -1),
        (b"mg Z b", b"CLIENT_ERROR error decoding key", -1),
        (b"mg a " + b"v " * 20, b"CLIENT_ERROR options flags are too long", -1),
        (b"ms a", b"CLIENT_ERROR bad command line format", -1),
        (b"ms a S5", b"CLIENT_ERROR bad command line format", -1),
        (b"ms a 5 Mx", b"CLIENT_ERROR invalid mode for ms M token", 5),
        (b"ms a 5 Tx q", b"CLIENT_ERROR bad token in command line format", 5),
        (b"ms a 5 Fx", b"CLIENT_ERROR bad command line format", 5),
        (b"ms a 1001 q", b"SERVER_ERROR object too large for cache", 1001),
        (b"md a !", b"CLIENT_ERROR invalid or duplicate flag", -1),
        (b"ma a Mx", b"CLIENT_ERROR invalid mode for ma M token", -1),
        (b"me", b"CLIENT_ERROR bad command line format", -1),
    ],
)
def test_bad_forms_are_answered_and_their_block_is_swallowed(line: bytes, answer: bytes, size: int) -> None:
    command = parse(line, MAX_VALUE)
    assert (command.way, command.answer, command.size) == (Way.LOCAL, answer + b"\r\n", size)


@pytest.mark.parametrize(
    ("line", "home", "follows", "block"),
    [
        (b"ms a 2 ME T9 F3 k O1 c q", b"HD\r\n", b"ms a 2 T9 F3\r\n", True),
        (b"ms a 2 MR C9 E7", b"HD\r\n", b"ms a 2 E7\r\n", True),
        (b"ms YSBi 2 b c", b"HD c1\r\n", b"ms YSBi 2 b\r\n", True),
        (b"ms a 2 MA O1", b"HD O1\r\n", b"ms a 2 MA\r\n", True),
        (b"ms a 2 MA N30", b"HD\r\n", b"md a\r\n", False),
        (b"ms YSBi 2 b I C5", b"HD\r\n", b"md YSBi b\r\n", False),
        (b"ms a 2 ME", b"NS\r\n", None, True),
        (b"ms a 2 C5", b"EX\r\n", None, True),
        (b"ma a D5 v k t", b"VA 1 ka t-1\r\n6\r\n", b"ma a D5 v\r\n", False),
        (b"ma a N30 J1", b"HD\r\n", b"md a\r\n", False),
        (b"ma a", b"NF\r\n", None, False),
        (b"md a C5 k", b"HD ka\r\n", b"md a\r\n", False),
        (b"md a C5", b"NF\r\n", b"md a\r\n", False),
        (b"md a C5", b"EX\r\n", None, False),
        (b"md a I T30 k", b"HD ka\r\n", b"md a I T30\r\n", False),
        (b"mg a v k T30", b"VA 1 ka\r\nx\r\n", b"mg a T30\r\n", False),
        (b"mg a v k T30", b"EN ka\r\n", None, False),
    ],
)
def test_copies_follow_their_home(line: bytes, home: bytes, follows: bytes | None, *, block: bool) -> None:
    command = parse(line, MAX_VALUE)
    assert outcome.follow(command, home) == follows
    assert outcome.follow_has_block(command) is block


@pytest.mark.parametrize(
    ("line", "home", "copy", "agrees"),
    [
        (b"ms a 1 ME", b"HD\r\n", b"HD\r\n", True),
        (b"ms a 1 MA", b"HD\r\n", b"NS\r\n", False),
        (b"ms a 1 I C1", b"HD\r\n", b"NF\r\n", True),
        (b"ma a v", b"VA 1 ka\r\n6\r\n", b"VA 1\r\n6\r\n", True),
        (b"ma a v", b"VA 1 ka\r\n6\r\n", b"VA 1\r\n7\r\n", False),
        (b"ma a", b"HD\r\n", b"NF\r\n", True),
        (b"md a I", b"HD\r\n", b"SERVER_ERROR out of memory\r\n", False),
        (b"mg a T5", b"HD\r\n", b"EN\r\n", True),
    ],
)
def test_a_copy_agrees_or_is_deleted(line: bytes, home: bytes, copy: bytes, *, agrees: bool) -> None:
    assert outcome.agrees(parse(line, MAX_VALUE), home, copy) is agrees


def test_own_replies_give_back_the_opaque_and_the_key() -> None:
    assert outcome.miss(parse(b"mg a k O5 v", MAX_VALUE)) == b"EN ka O5\r\n"
    assert outcome.miss(parse(b"mg YSBi O5 b k", MAX_VALUE)) == b"EN O5 kYSBi b\r\n"
    assert outcome.refusal(parse(b"ms a 1 O5 q", MAX_VALUE)) == b"NS O5\r\n"
    assert outcome.exists(parse(b"ms a 1 k C5", MAX_VALUE)) == b"EX ka\r\n"
    assert outcome.gone(parse(b"md a O1", MAX_VALUE)) == b"HD O1\r\n"
    assert outcome.gone(parse(b"md a C1", MAX_VALUE)) is None
    assert outcome.refusal(parse(b"md a", MAX_VALUE)) == b"SERVER_ERROR no quorum\r\n"


def test_the_servers_own_token_is_put_back() -> None:
    command = parse(b"ms a 2 T5 C99 k", MAX_VALUE)
    assert command.cas == 99
    assert outcome.with_cas(command, 7) == b"ms a 2 T5 C7 k\r\n"
    assert outcome.with_cas(parse(b"md Ca C99", MAX_VALUE), 7) == b"md Ca C7\r\n"

"""The whole pipe: a client and all servers are played byte for byte, and at the end it is empty."""

from __future__ import annotations

import pytest

from balancer_stage import Stage
from quorate.balancer.conn import FIRST_WINDOW


@pytest.fixture
def stage() -> Stage:
    return Stage()


def value(key: bytes, data: bytes = b"hi") -> bytes:
    return b"VALUE %b 0 %d\r\n%b\r\n" % (key, len(data), data)


def test_a_lone_get_is_relayed_as_it_is(stage: Stage) -> None:
    key = stage.key_on(0, 1)
    stage.ask(b"get %b\r\n" % key)
    assert stage.told(0) == b"get %b\r\n" % key
    stage.say(0, value(key) + b"END\r\n")
    assert stage.answer() == value(key) + b"END\r\n"
    assert stage.is_quiet


def test_replies_come_in_the_clients_order_whoever_is_first(stage: Stage) -> None:
    near, far = stage.key_on(0, 1), stage.key_on(1, 2)
    stage.ask(b"get %b\r\nget %b\r\nversion\r\n" % (far, near))
    stage.say(0, value(near) + b"END\r\n")
    assert stage.answer() == b""
    stage.say(1, value(far) + b"END\r\n")
    assert stage.answer().startswith(value(far) + b"END\r\n" + value(near) + b"END\r\nVERSION ")
    assert stage.is_quiet


def test_any_cut_of_the_bytes_gives_the_same(stage: Stage) -> None:
    key = stage.key_on(0, 1)
    reply = value(key, b"END\r\n" * 3) + b"END\r\n"
    for byte in b"get %b\r\n" % key:
        stage.ask(bytes([byte]))
    for byte in reply:
        stage.say(0, bytes([byte]))
    assert stage.answer() == reply
    assert stage.is_quiet


def test_a_miss_is_asked_of_the_other_copy(stage: Stage) -> None:
    key = stage.key_on(0, 1)
    stage.ask(b"get %b\r\n" % key)
    stage.say(0, b"END\r\n")
    assert stage.answer() == b""
    assert stage.told(1) == b"get %b\r\n" % key
    stage.say(1, value(key) + b"END\r\n")
    assert stage.answer() == value(key) + b"END\r\n"
    assert stage.is_quiet


def test_a_key_that_memcached_reads_in_part_is_a_miss(stage: Stage) -> None:
    key = stage.key_on(0, 1) + b"\0b"
    first, second = stage.worker.route(key).copies
    stage.ask(b"get %b\r\n" % key)
    for server in (first, second):
        stage.say(server, value(key[:-2]) + b"END\r\n")
    assert stage.answer() == b"END\r\n"
    assert stage.is_quiet


def test_a_late_reply_never_answers_another_request(stage: Stage) -> None:
    key, other = stage.key_on(0, 1), stage.key_on(0, 2)
    stage.ask(b"get %b\r\n" % key)
    stage.later(0.02)  # hedged
    stage.say(1, value(key, b"from 1") + b"END\r\n")
    assert stage.answer() == value(key, b"from 1") + b"END\r\n"
    stage.ask(b"get %b\r\n" % other)
    stage.say(0, value(key, b"late") + b"END\r\n")
    assert stage.answer() == b""
    stage.say(0, value(other, b"right") + b"END\r\n")
    assert stage.answer() == value(other, b"right") + b"END\r\n"
    assert stage.is_quiet


@pytest.mark.parametrize(
    "reply",
    [
        b"VALUE other 0 2\r\nhi\r\nEND\r\n",
        b"VALUE %b 0 2\r\nhi!\r\nEND\r\n",
        b"VALUE %b 0 x\r\nhi\r\nEND\r\n",
        b"VALUE %b 0 2x\nhi\r\nEND\r\n",
        b"VALUE %b x 2\r\nhi\r\nEND\r\n",
        b"VALUE %b 0 2 7\r\nhi\r\nEND\r\n",
        b"EVIL %b 0 2\r\nhi\r\nEND\r\n",
        b"STORED\r\n",
        b"nonsense\r\n",
    ],
)
def test_what_is_no_reply_ends_the_connection_and_another_copy_answers(stage: Stage, reply: bytes) -> None:
    key = stage.key_on(0, 1)
    stage.ask(b"get %b\r\n" % key)
    stage.say(0, reply.replace(b"%b", key))
    assert stage.reset == [0]
    stage.say(1, value(key) + b"END\r\n")
    assert stage.answer() == value(key) + b"END\r\n"


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        (b"delete %b\r\n", b"STORED\r\n"),
        (b"ms %b 2\r\nhi\r\n", b"STORED\r\n"),
        (b"incr %b 1\r\n", b"STORED\r\n"),
        (b"touch %b 1\r\n", b"STORED\r\n"),
        (b"set %b 0 0 2\r\nhi\r\n", b"STORED \r\n"),
    ],
)
def test_what_answers_a_set_answers_nothing_else(stage: Stage, said: bytes, reply: bytes) -> None:
    key = stage.key_on(0, 1)
    stage.ask(said.replace(b"%b", key))
    stage.say(0, reply)
    assert stage.reset == [0]


@pytest.mark.parametrize("length", range(1, len(b"VALUE key 0 12\r\n")))
def test_a_head_may_come_in_two_pieces(stage: Stage, length: int) -> None:
    key = stage.key_on(0, 1)
    stage.ask(b"get %b\r\n" % key)
    whole = value(key, b"twelve bytes") + b"END\r\n"
    stage.say(0, whole[:length])
    assert stage.answer() == b""
    stage.say(0, whole[length:])
    assert stage.answer() == whole
    assert stage.is_quiet


def test_what_nobody_asked_for_ends_the_connection(stage: Stage) -> None:
    stage.say(2, b"END\r\n")
    assert stage.reset == [2]


def test_a_set_goes_to_both_copies_and_is_answered_when_both_have_it(stage: Stage) -> None:
    key = stage.key_on(1, 2)
    stage.ask(b"set %b 0 0 2\r\nhi\r\n" % key)
    assert stage.told(1) == stage.told(2) == b"set %b 0 0 2\r\nhi\r\n" % key
    stage.say(1, b"STORED\r\n")
    assert stage.answer() == b""
    stage.say(2, b"STORED\r\n")
    assert stage.answer() == b"STORED\r\n"
    assert stage.is_quiet


def test_a_copy_that_cannot_store_is_cleaned_before_the_answer(stage: Stage) -> None:
    key = stage.key_on(1, 2)
    stage.ask(b"set %b 0 0 2\r\nhi\r\n" % key)
    stage.told(2)
    stage.say(1, b"STORED\r\n")
    stage.say(2, b"SERVER_ERROR busy\r\n")
    assert stage.answer() == b""
    assert stage.told(2) == b"md %b\r\n" % key
    stage.say(2, b"HD\r\n")
    assert stage.answer() == b"STORED\r\n"
    assert stage.is_quiet


def test_noreply_is_stripped_and_nothing_is_answered(stage: Stage) -> None:
    key = stage.key_on(1, 2)
    stage.ask(b"delete %b noreply\r\nversion\r\n" % key)
    assert stage.told(1) == b"delete %b\r\n" % key
    stage.say(1, b"DELETED\r\n")
    stage.say(2, b"NOT_FOUND\r\n")
    assert stage.answer().startswith(b"VERSION ")
    assert stage.is_quiet


def test_what_has_one_home_is_not_overtaken(stage: Stage) -> None:
    key = stage.key_on(1, 2)
    stage.ask(b"add %b 0 0 1\r\n5\r\ndelete %b\r\n" % (key, key))
    assert stage.told(1) == b"add %b 0 0 1\r\n5\r\n" % key
    assert stage.told(2) == b""
    stage.say(1, b"STORED\r\n")
    assert stage.told(2) == b"set %b 0 0 1\r\n5\r\n" % key
    stage.say(2, b"STORED\r\n")
    assert stage.answer() == b"STORED\r\n"
    assert stage.told(1) == stage.told(2) == b"delete %b\r\n" % key
    stage.say(1, b"DELETED\r\n")
    stage.say(2, b"DELETED\r\n")
    assert stage.answer() == b"DELETED\r\n"
    assert stage.is_quiet


def test_many_keys_are_asked_where_they_are_and_again_where_they_are_missed(stage: Stage) -> None:
    near, far = stage.key_on(0, 1), stage.key_on(1, 2)
    stage.ask(b"get %b %b\r\n" % (near, far))
    assert stage.told(0) == b"get %b\r\n" % near
    assert stage.told(1) == b"get %b\r\n" % far
    stage.say(1, value(far) + b"END\r\n")
    stage.say(0, b"END\r\n")
    assert stage.told(1) == b"get %b\r\n" % near
    stage.say(1, b"END\r\n")
    assert stage.answer() == value(far) + b"END\r\n"
    assert stage.is_quiet


def test_values_that_were_not_asked_for_end_the_connection(stage: Stage) -> None:
    one, two = stage.key_on(0, 1), stage.key_on(0, 2)
    stage.ask(b"get %b %b\r\n" % (one, two))
    stage.say(0, value(b"other") + b"END\r\n")
    assert stage.reset == [0]


def test_a_client_that_asks_too_much_at_once_is_not_read_until_some_is_answered(stage: Stage) -> None:
    key = stage.key_on(0, 1)
    paused: list[bool] = []
    stage.client.pause = lambda: paused.append(True)
    stage.client.resume = lambda: stage.client.data_received(b"")
    stage.ask(b"get %b\r\n" % key * 600)
    assert paused
    assert len(stage.client.queue) == FIRST_WINDOW
    for _ in range(600):
        assert len(stage.client.queue) <= FIRST_WINDOW
        stage.say(0, value(key) + b"END\r\n")
    assert stage.answer() == (value(key) + b"END\r\n") * 600
    assert stage.is_quiet


def test_a_value_that_is_too_large_is_refused_and_takes_the_old_one_with_it(stage: Stage) -> None:
    key = stage.key_on(1, 2)
    stage.ask(b"set %b 0 0 2000000\r\n" % key)
    stage.ask(b"x" * 2000000 + b"\r\nversion\r\n")
    assert stage.told(1) == b"md %b\r\n" % key
    stage.say(1, b"HD\r\n")
    stage.say(2, b"NF\r\n")
    answer = stage.answer()
    assert answer.startswith(b"SERVER_ERROR object too large for cache\r\nVERSION ")
    assert stage.is_quiet


def test_the_items_that_stats_cachedump_lists_are_a_reply(stage: Stage) -> None:
    """Found by pymemcache's tests: whichever server had something to list was given up, for everybody."""
    stage.ask(b"stats cachedump 1 1\r\n")
    for number in range(3):
        stage.say(number, b"ITEM key%d [1 b; 0 s]\r\nEND\r\n" % number)
    assert stage.reset == []
    assert stage.answer() == b"".join(b"ITEM key%d [1 b; 0 s]\r\n" % number for number in range(3)) + b"END\r\n"

"""What fuzzing found, each as the shortest input that showed it."""

from __future__ import annotations

import os

import pytest

from balancer_stage import Stage
from fuzz.answers import NUMBER
from fuzz.pipe import KEPT, Pipe
from fuzz.shapes import edited
from quorate.balancer import config, handover, outcome, registers, replies
from quorate.balancer.command import LINE_TOO_LONG, MAX_LINE, MAX_SENT
from quorate.balancer.config import ConfigError
from quorate.balancer.protocol import parse
from quorate.balancer.server import READ


def test_a_null_in_a_key_does_not_cost_everybody_the_connection() -> None:
    """memcached takes `get a`, answers with a, and that was no answer to `a NUL b`."""
    pipe = Pipe()
    assert pipe.hear([b"get a\0b\r\n"]) in {pipe.hear([b"get a\r\n"]), b"END\r\n"}
    pipe.require_quiet()


def test_a_key_that_begins_with_nul_is_a_miss() -> None:
    """memcached sees a `get` without a key and answers ERROR, once."""
    pipe = Pipe()
    assert pipe.hear([b"get \0\r\nget bystander\r\n"]) == b"END\r\n" + Pipe().hear([b"get bystander\r\n"])


@pytest.mark.parametrize("line", [b"stats ", b"mg a v P", b"mg a T9\t", b"lru_crawler ", b"slabs ", b"verbosity 1 "])
def test_a_line_on_which_memcached_hangs_up_is_not_passed_on(line: bytes) -> None:
    """One client's 20,000 bytes without a newline had all servers hang up on all clients."""
    command = parse(line + b"x" * 20_000, 1024)
    assert (command.answer, command.ends) == (LINE_TOO_LONG, True)
    assert parse(line + b"x" * (MAX_SENT - len(line) - 20), 1024).answer != LINE_TOO_LONG


def test_reads_of_many_keys_may_be_long() -> None:
    for verb in (b"get", b"gets", b"gat 0"):
        assert parse(verb + b" key" * 5000, 1024).answer is None


def test_a_line_of_the_greatest_length_may_be_cut_anywhere() -> None:
    line = b"get " + b"k " * ((MAX_LINE - 4) // 2)
    assert len(line) == MAX_LINE
    pipe = Pipe()
    assert pipe.hear([line + b"\r", b"\n"]) == pipe.hear([line + b"\r\n"])


@pytest.mark.parametrize("said", [b"gets %b\r\n", b"gat 0 %b\r\n", b"gats 0 %b\r\n", b"gets %b x\r\n"])
def test_a_value_of_another_key_answers_no_read_with_a_token(said: bytes) -> None:
    stage = Stage()
    key = stage.key_on(1, 2)
    stage.ask(said % key)
    stage.say(1, b"VALUE other 0 2 7\r\nhi\r\nEND\r\n")
    assert stage.reset == [1]
    assert b"other" not in stage.answer()


@pytest.mark.parametrize("head", [b"VALUX %b 0 2", b"VALUE %b x 2", b"VALUE %b 0 +2", b"VALUE %b 2", b"VALUE %b 0 0 2"])
@pytest.mark.parametrize("said", [b"get %b\r\n", b"get %b x\r\n"])
def test_a_head_that_no_client_can_read_is_not_passed_on(head: bytes, said: bytes) -> None:
    stage = Stage()
    key = stage.key_on(0, 1)
    stage.ask(said % key)
    stage.say(0, head % key + b"\r\nhi\r\nEND\r\n")
    assert stage.reset == [0]


def test_what_is_no_answer_to_a_command_for_all_servers_ends_the_connection() -> None:
    stage = Stage()
    stage.ask(b"verbosity 1\r\n")
    stage.say(1, b"STORED\r\n")
    assert stage.reset == [1]


@pytest.mark.parametrize("said", [b"ms %b 2\r\nhi\r\n", b"ms %b 2 ME\r\nhi\r\n"])
def test_a_classic_reply_is_none_to_a_meta_command(said: bytes) -> None:
    stage = Stage()
    stage.ask(said % stage.key_on(0, 1))
    stage.say(0, b"STORED\r\n")
    assert stage.reset == [0]


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        (b"stats\r\n", b"STAT a %b\r\nSTAT b 1.%b\r\nEND\r\n" % (NUMBER, NUMBER)),
        (b"mg %b c\r\n", b"HD c%b\r\n" % NUMBER),
        (b"ma %b c\r\n", b"HD c%b\r\n" % NUMBER),
    ],
)
def test_a_number_of_many_digits_leaves_nobody_without_an_answer(said: bytes, reply: bytes) -> None:
    """Python refuses to read more than 4,300 digits; the request was already off the list, and waited for ever."""
    stage = Stage()
    key = stage.key_on(0, 1)
    stage.ask(said.replace(b"%b", key))
    for number in range(3):
        if stage.told(number):
            stage.say(number, reply)
    assert stage.answer() == reply
    assert stage.is_quiet


def test_a_register_of_many_digits_is_none() -> None:
    """One client could write it, and every balancer gave up every server that showed it."""
    assert registers.decode(b"1 x %b r ... -" % NUMBER, 3) is None
    assert registers.decode(b"1 x 5 r ... b:%b" % NUMBER, 3) is None
    assert registers.decode(b"1 x %b r ... -" % (b"9" * 20), 3) is not None


@pytest.mark.parametrize(
    "left",
    [
        b"[]",
        b'{"clients": [], "debts": {}, "life": "", "seq": 0, "filling": []}',
        b'{"clients": {"1": ["", "", 1e999]}, "debts": {}, "life": "", "seq": 0, "filling": []}',
        b"[" * 100_000,
    ],
)
def test_a_state_that_cannot_be_read_is_none(left: bytes) -> None:
    with pytest.raises(handover.UNREADABLE):
        handover.decode(left)
    memory = os.memfd_create("state")
    os.write(memory, b"[]\n" + left)
    assert handover.read_state(memory)[0] == handover.State()


def test_a_mistake_in_a_file_is_told_in_one_line() -> None:
    with pytest.raises(ConfigError) as refused:
        config.parse('listen = "a\\nb"\n"k\\ney" = 1\n', "b.toml")
    assert [mistake for mistake in refused.value.mistakes if "\n" in mistake] == []
    assert any('"a\\nb": no port' in mistake for mistake in refused.value.mistakes)


def test_a_client_that_says_more_while_it_is_blocked_is_not_read() -> None:
    """40 MB of `incr … noreply` were kept, and copied for each of them: everybody waited, and servers were given up."""
    pipe = Pipe()
    talker = pipe.join()
    talker.say(b"incr a 1\r\n" + b"x" * 10 * KEPT)
    assert len(talker.unread) * READ > 8 * KEPT
    assert not talker.reading
    pipe.worker.flush()
    assert not talker.reading


def test_what_waits_behind_many_blocking_commands_is_bounded() -> None:
    command = b"append a 0 0 1000 noreply\r\n%b\r\n" % (b"x" * 1000)
    heard = Pipe().hear([command * (3 * KEPT // len(command)), b"get bystander\r\n"])
    assert heard.startswith(b"VALUE bystander ")


def test_helpers_of_fuzzing() -> None:
    assert edited(b"abcd", [(1, 2, b"X")]) == b"aXd"
    assert outcome.fits(parse(b"gets a", 10), b"VALUE a 0 1 5\r\nx\r\nEND\r\n")
    assert replies.keys(b"VALUE a 0 1 5\r\nx\r\nEND\r\n") == [b"a"]

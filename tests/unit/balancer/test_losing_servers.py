"""What is done when a server is lost, before anybody is answered, and how it comes back."""

from __future__ import annotations

import pytest

from balancer_stage import Stage
from quorate.balancer.registers import Shown, decode


@pytest.fixture
def stage() -> Stage:
    return Stage()


def marks(told: bytes) -> str:
    """Return the marks of the register in what a server was sent."""
    value = told.split(b"set quorate:balancer:s0 ", 1)[1].split(b"\r\n")[1]
    register = decode(value, 3)
    assert register is not None
    return register.marks


def test_a_set_that_one_copy_misses_is_answered_only_when_a_quorum_knows(stage: Stage) -> None:
    key = stage.key_on(1, 2)
    stage.ask(b"set %b 0 0 2\r\nhi\r\n" % key)
    stage.say(1, b"STORED\r\n")
    stage.later(0.07)
    assert stage.reset == [2]
    assert stage.answer() == b""
    assert marks(stage.told(0)) == marks(stage.told(1)) == "..d"
    stage.say(0, b"STORED\r\n")
    assert stage.answer() == b""
    stage.say(1, b"STORED\r\n")
    assert stage.answer() == b"STORED\r\n"
    assert list(stage.worker.health[2].debt.keys) == [b"md %b\r\n" % key]


def test_the_next_changes_do_not_wait(stage: Stage) -> None:
    key = stage.key_on(1, 2)
    stage.ask(b"set %b 0 0 2\r\nhi\r\n" % key)
    stage.say(1, b"STORED\r\n")
    stage.later(0.07)
    stage.say(0, b"STORED\r\n")
    stage.say(1, b"STORED\r\n")
    stage.answer()
    stage.told(1)
    stage.ask(b"delete %b\r\n" % key)
    stage.say(1, b"DELETED\r\n")
    assert stage.answer() == b"DELETED\r\n"


def test_without_a_quorum_reads_miss_and_changes_are_refused_in_time(stage: Stage) -> None:
    key = stage.key_on(0, 1)
    for number in (1, 2):
        stage.worker.give_up(stage.backends[number], "cut")
    stage.later(0.6)
    stage.worker.update_routes()
    stage.ask(b"get %b\r\ndelete %b\r\n" % (key, key))
    stage.say(0, b"DELETED\r\n")
    for _ in range(8):
        stage.later(0.05)
    assert stage.answer() == b"END\r\nSERVER_ERROR no quorum\r\n"


def test_a_server_that_another_balancer_marks_is_not_read(stage: Stage) -> None:
    key = stage.key_on(0, 1)
    stage.worker.view.absorb(1, {"s1": Shown(b"1 x 5 ring d.. -", 1)}, stage.worker.now)
    stage.worker.update_routes()
    stage.ask(b"get %b\r\n" % key)
    assert stage.told(0) == b""
    assert stage.told(1) == b"get %b\r\n" % key


def test_a_balancer_says_nothing_before_it_has_read_what_it_said_in_its_former_life() -> None:
    stage = Stage(begun=False)
    stage.registers["s0"] = b"1 former 99 ring .d. -"
    stage.worker.health[2].lost("ECONNREFUSED", stage.worker.now)
    for number in (0, 1):
        stage.connect(number)
        assert b"set quorate" not in stage.serve(number)
    assert stage.worker.marks == ".d."
    assert stage.worker.health[1].debt.overflow is not None
    assert marks(stage.probe()) == ".d."


def lose_a_change(stage: Stage) -> bytes:
    """Server 2 misses a set, and everybody knows; returns the key."""
    key = stage.key_on(1, 2)
    stage.ask(b"set %b 0 0 2\r\nhi\r\n" % key)
    stage.told(1)
    stage.say(1, b"STORED\r\n")
    stage.later(0.07)
    stage.serve(0)
    stage.serve(1)
    assert stage.answer() == b"STORED\r\n"
    return key


def test_what_it_missed_is_deleted_once_its_old_connections_are_gone(stage: Stage) -> None:
    key = lose_a_change(stage)
    stage.listed.add("10.9.9.9:2")  # a thread of the server still sleeps on our old connection
    stage.connect(2)
    stage.serve(2)
    told = b"".join(stage.probe() for _ in range(5))
    assert b"stats conns\r\n" in told
    assert b"md " not in told
    stage.ask(b"get %b\r\n" % key)
    assert stage.told(2) == b""
    assert stage.told(1) == b"get %b\r\n" % key
    stage.say(1, b"END\r\n")
    assert stage.answer() == b"END\r\n"
    stage.listed.clear()
    assert b"md %b\r\n" % key in b"".join(stage.probe() for _ in range(4))
    stage.probe()
    assert stage.worker.marks in {"...", "..f"}


def test_a_log_that_overflows_has_the_server_emptied_once(stage: Stage) -> None:
    lose_a_change(stage)
    for number in range(8):
        stage.worker.miss(2, b"md k%d\r\n" % number)
    stage.connect(2)
    stage.serve(2)
    told = b"".join(stage.probe() for _ in range(12))
    assert told.count(b"flush_all\r\n") == 1
    assert b" ..w " in told
    assert stage.worker.marks in {"...", "..f"}


@pytest.mark.parametrize(("emptied", "marks"), [((1,), ".f."), ((0, 1, 2), "..."), ((1, 2), "...")])
def test_a_server_is_filled_only_from_others_that_were_not_emptied_as_well(
    stage: Stage, emptied: tuple[int, ...], marks: str
) -> None:
    stage.probe()
    stage.worker.now += 0.1
    stage.worker.probe()
    stage.worker.flush()
    before = dict(stage.registers)
    for number in range(3):
        stage.registers = {} if number in emptied else dict(before)  # a client of another balancer said flush_all
        stage.serve(number)
    stage.registers = before
    for number in emptied:
        stage.flushes = 1
        stage.serve(number)
    stage.flushes = 0
    stage.probe()
    assert stage.worker.marks == marks
    assert [text for text in stage.log if "was emptied" in text] == [
        f"server s{n} was emptied or restarted" for n in emptied
    ]


def test_the_first_that_waits_empties_it_for_all() -> None:
    stage = Stage(name="s2")
    stage.worker.view.absorb(1, {"s0": Shown(b"1 x 5 ring .w. -", 1)}, stage.worker.now)
    assert stage.worker.view.rank(1) == 1
    assert stage.worker.view.rank(2) == 0


def test_the_debts_of_the_dead_are_taken_over_in_the_open(stage: Stage) -> None:
    stage.registers["s1"] = b"1 x 5 ring ..d -"
    stage.probe()
    assert stage.worker.view.mark(2, stage.worker.now) == "d"
    for _ in range(120):
        stage.probe()
    assert stage.worker.view.mark(2, stage.worker.now) == "."
    assert stage.worker.view.taken == {"s1": 5}
    assert b" s1:5\r\n" in stage.probe()


@pytest.mark.parametrize(("there", "guard"), [(None, b"ME"), (b"1 x 4 ring ... -", b"C1")])
def test_a_server_that_does_not_show_the_newest_register_of_the_silent_is_told(
    stage: Stage, there: bytes | None, guard: bytes
) -> None:
    newest = b"1 x 5 ring d.. s2:3"
    stage.registers["s1"] = newest
    stage.probe()
    for _ in range(3):
        assert b"ms quorate:" not in stage.probe(), "every server shows it"
    stage.registers.pop("s1")
    stage.registers |= {"s1": there} if there is not None else {}
    assert b"ms quorate:balancer:s1 19 %b\r\n%b\r\n" % (guard, newest) in stage.probe() + stage.probe()
    assert stage.registers["s1"] == newest
    assert b"ms quorate:" not in stage.probe()


def test_a_register_that_advances_is_its_owners_to_write(stage: Stage) -> None:
    for seq in range(9):
        stage.registers["s1"] = b"1 x %d ring d.. -" % (50 + seq)
        stage.probe()
        stage.registers["s1"] = b"1 x 4 ring ... -"  # a server that is behind
        assert b"ms quorate:" not in stage.probe()


def test_our_own_register_passed_on_after_an_emptying_hides_nothing(stage: Stage) -> None:
    stage.probe()
    old = stage.registers["s0"]
    stage.probe()
    stage.worker.now += 0.1
    stage.worker.probe()
    stage.worker.flush()
    stage.registers["s0"] = old
    stage.flushes = 1
    for number in (0, 0, 1, 2):
        stage.serve(number)
    assert "server s0 was emptied or restarted" in stage.log


def test_a_pause_of_the_process_resets_everything(stage: Stage) -> None:
    stage.worker.overslept(stage.worker.now + 5)
    assert sorted(stage.reset) == [0, 1, 2]
    assert not stage.worker.view.is_valid(stage.worker.now)


def test_a_balancer_that_puts_keys_elsewhere_is_told_of_once(stage: Stage) -> None:
    stage.registers["s1"] = b"1 x 5 otherring ... -"
    for _ in range(3):
        stage.probe()
    assert len([line for line in stage.log if "s1" in line and "other servers" in line]) == 1

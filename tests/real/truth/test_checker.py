"""Each thing that the checker must find, in a history made by hand, and what it must let pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from real.truth import checker
from real.truth.checker import BOUND, IMPATIENT, Absence, History, Operation, Outcome
from real.truth.recorder import Recorder
from real.truth.schedule import Event


def put(number: int, begin: float, end: float, outcome: Outcome = "ok", via: int = 0) -> Operation:
    return Operation("set", "a", number, begin, end, outcome, via)


def delete(number: int, begin: float, end: float, outcome: Outcome = "ok", via: int = 0) -> Operation:
    return Operation("delete", "a", number, begin, end, outcome, via)


def read(number: int | None, begin: float, end: float, via: int = 0, outcome: Outcome = "ok") -> Operation:
    return Operation("get", "a", number, begin, end, outcome, via)


def found(*operations: Operation) -> dict[str, int]:
    return dict(checker.check(History(operations)).kinds)


def test_a_quiet_history_is_clean() -> None:
    report = checker.check(History((put(1, 1, 2), read(1, 3, 4), put(2, 5, 6), read(2, 7, 8), delete(3, 9, 10))))
    assert report.clean
    assert (report.reads, report.changes, report.lost, report.errors) == (2, 3, 0, 0)


def test_an_older_value_is_stale() -> None:
    assert found(put(1, 1, 2), put(2, 3, 4), read(1, 5, 6)) == {"stale": 1}


def test_an_older_value_is_stale_after_several_changes() -> None:
    assert found(put(1, 1, 2), put(2, 3, 4), put(3, 4, 4.5, "unknown"), read(1, 5, 6)) == {"stale": 1}


def test_a_value_after_a_delete_is_resurrected() -> None:
    assert found(put(1, 1, 2), delete(2, 3, 4), read(1, 5, 6)) == {"resurrected": 1}


@pytest.mark.parametrize("outcome", ["failed", "unknown"])
def test_a_value_that_nobody_vouched_for_is_a_zombie_after_a_later_change(outcome: Outcome) -> None:
    assert found(put(1, 1, 2, outcome), put(2, 3, 4), read(2, 5, 6), read(1, 7, 8)) == {"zombie": 1}
    assert found(put(1, 1, 2, outcome), delete(2, 3, 4), read(1, 7, 8)) == {"zombie": 1}


@pytest.mark.parametrize("outcome", ["failed", "unknown"])
def test_a_value_that_nobody_vouched_for_may_appear_while_it_is_the_newest(outcome: Outcome) -> None:
    assert found(put(1, 1, 2), put(2, 3, 4, outcome), read(1, 5, 6), read(2, 7, 8), read(1, 9, 10)) == {}


@pytest.mark.parametrize("outcome", ["failed", "unknown"])
def test_a_change_that_nobody_vouched_for_need_not_be_seen(outcome: Outcome) -> None:
    assert found(put(1, 1, 2), delete(2, 3, 4, outcome), read(1, 5, 6)) == {}


def test_a_read_that_began_before_the_acknowledgement_may_see_either() -> None:
    assert found(put(1, 1, 2), put(2, 3, 5), read(1, 4.9, 6), read(2, 4, 6)) == {}


def test_another_balancer_may_learn_it_within_the_bound() -> None:
    first, second = put(1, 1, 2), put(2, 3, 4)
    assert found(first, second, read(1, 4 + BOUND - 0.01, 9, via=1)) == {}
    assert found(first, second, read(1, 4 + BOUND + 0.01, 9, via=1)) == {"stale": 1}
    assert found(first, second, read(1, 4.01, 9, via=0)) == {"stale": 1}


def test_the_bound_is_of_the_balancer_that_acknowledged_not_of_the_last_change() -> None:
    newest = put(3, 4.1, 4.2, via=0)
    assert found(put(1, 1, 2), put(2, 3, 4, via=1), newest, read(1, 4.3, 5, via=1)) == {"stale": 1}


def test_a_value_that_nobody_has_written_is_wrong() -> None:
    assert found(put(1, 1, 2), read(7, 3, 4)) == {"wrong": 1}
    assert found(put(1, 5, 6), read(1, 3, 4)) == {"wrong": 1}
    assert found(delete(1, 1, 2), read(1, 3, 4)) == {"wrong": 1}


@pytest.mark.parametrize(
    "operation", [read(1, 1, 2, outcome="wrong"), put(1, 1, 2, "wrong"), delete(1, 1, 2, "wrong")], ids=lambda o: o.kind
)
def test_a_reply_of_another_request_is_wrong(operation: Operation) -> None:
    assert found(operation) == {"wrong": 1}


def test_a_miss_is_never_wrong_but_a_lost_hit_is_counted() -> None:
    report = checker.check(History((put(1, 1, 2), read(None, 3, 4), delete(2, 5, 6), read(None, 7, 8))))
    assert (report.clean, report.lost) == (True, 1)


def test_a_miss_while_the_key_changes_is_no_lost_hit() -> None:
    changing = (put(1, 1, 2), read(None, 3, 6), delete(2, 5, 7), put(3, 8, 9, "failed"), read(None, 10, 11))
    assert checker.check(History(changing)).lost == 0


def test_errors_and_stalls_are_counted_where_the_balancer_is_there() -> None:
    operations = (put(1, 1, 2, "failed"), put(2, 10, 13, "unknown"), read(None, 20, 20.25, outcome="failed"))
    report = checker.check(History(operations, closed=((1, 2, 0), (8, 14, 0)), absences=(Absence(0, 9.5, 12.9),)))
    assert (report.errors, report.closed, report.slowest) == (2, 1, 1)


def test_impatience_of_a_client_is_no_error() -> None:
    operation = Operation("set", "a", 1, 1, 2, "unknown", 0, why=IMPATIENT)
    assert checker.check(History((operation,))).errors == 0


def test_a_crash_is_not_clean() -> None:
    assert not checker.check(History(crashed=("balancer 1",))).clean


def test_a_history_comes_back_from_disk(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "history.jsonl")
    recorder.operation(put(1, 1, 2))
    recorder.fault(Event(3, "freeze", "balancer", 2), 3.0)
    recorder.fault(Event(3, "freeze", "server", 1), 3.0)
    recorder.fault(Event(4, "thaw", "balancer", 2), 4.0)
    recorder.closed(1, 0.5, "reset")
    recorder.crashed("server 0")
    recorder.close()
    history = checker.load(tmp_path / "history.jsonl")
    assert history.operations == (put(1, 1, 2),)
    assert [(absence.via, absence.begin) for absence in history.absences] == [(2, 3.0)]
    assert [(opened, via) for opened, _, via in history.closed] == [(0.5, 1)]
    assert history.crashed == ("server 0",)


def test_a_finding_names_the_read_and_the_change() -> None:
    report = checker.check(History((put(1, 1, 2), put(2, 3, 4), read(1, 5, 6))))
    text = "\n".join(checker.lines(report))
    assert "stale: [5.0000 6.0000] get a → 1" in text
    assert "acknowledged 1.0000 s before: [3.0000 4.0000] set a #2" in text

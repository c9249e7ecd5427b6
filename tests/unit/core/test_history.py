from __future__ import annotations

from typing import Any

import pytest

from quorate.core.history import Operation, Outage, outages, worst

LETTERS: dict[str, Any] = {"o": "ok", "f": "failed", "u": "unknown"}


def history(text: str, took: float = 0.25) -> list[Operation]:
    """One operation a second, each by its outcome's letter; a dot: nobody asked."""
    return [
        Operation(float(start), start + took, LETTERS[letter]) for start, letter in enumerate(text) if letter != "."
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("oooo", []),
        ("oofoo", [Outage(2.0, 3.25, 1)]),
        ("oouoo", [Outage(2.0, 3.25, 1)]),  # what may have happened did not succeed
        ("offfo", [Outage(1.0, 4.25, 3)]),
        ("ofooofoooo", [Outage(1.0, 2.25, 1), Outage(5.0, 6.25, 1)]),  # three good seconds between them
        ("ofoofoooo", [Outage(1.0, 5.25, 2)]),  # a success that did not last
        ("ofofofoooo", [Outage(1.0, 6.25, 3)]),
        ("ooff", [Outage(2.0, 3.25, 2)]),  # as far as was seen
        ("ff", [Outage(0.0, 1.25, 2)]),
        ("of....o", [Outage(1.0, 6.25, 1)]),  # while nobody asked nobody knows that it was well
    ],
)
def test_outages(text: str, found: list[Outage]) -> None:
    assert list(outages(history(text))) == found
    assert worst(history(text)) == max((outage.seconds for outage in found), default=0.0)


def test_the_order_in_which_operations_ended_does_not_matter() -> None:
    told = history("oofoo")
    assert outages(told[::-1]) == outages(told)


def test_an_answer_that_never_came_is_an_outage_only_until_others_succeed() -> None:
    told = [
        *history("ooo"),
        Operation(3.0, 5.0, "unknown", "no answer"),
        Operation(3.5, 3.75, "ok"),
        Operation(9.0, 9.25, "ok"),
    ]
    assert outages(told) == (Outage(3.0, 3.75, 1),)


@pytest.mark.parametrize(("lasting", "count"), [(0.5, 2), (3.0, 1)])
def test_how_long_a_success_must_last_is_the_caller_s(lasting: float, count: int) -> None:
    assert len(outages(history("ofofoo"), lasting=lasting)) == count


@pytest.mark.parametrize(("took", "found"), [(0.5, ()), (2.0, (Outage(3.0, 5.0, 0),))])
def test_patience_does_not_hide_an_outage(took: float, found: tuple[Outage, ...]) -> None:
    """All succeed in the end: their kernels said everything again, and whoever took over answered."""
    until = 3.0 + took
    late = [Operation(start, until, "ok") for start in (3.0, 3.5, 4.0) if start < until]
    assert outages([*history("ooo"), *late, Operation(6.0, 6.25, "ok")]) == found


def test_a_failure_within_a_stall_is_part_of_it() -> None:
    told = [
        *history("ooo"),
        Operation(3.0, 5.0, "ok"),
        Operation(3.5, 4.5, "failed"),
        Operation(5.0, 5.25, "ok"),
        Operation(9.0, 9.25, "ok"),
    ]
    assert outages(told) == (Outage(3.0, 5.25, 1),)

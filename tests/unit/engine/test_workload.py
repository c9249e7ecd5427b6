from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fake_time
from quorate.core.client import Facts, Failed, Uncertain
from quorate.core.history import Operation, outages
from quorate.engine.workload import LATE, Pacer, watch

ZERO = 90.0
"""The drill's clock began ten seconds ago."""


class Scripted:
    """Does to each operation what the test says."""

    def __init__(self, act: Callable[[int, Facts], Awaitable[None]]) -> None:
        self._act = act
        self.begun: list[tuple[int, float]] = []

    async def prepare(self) -> None: ...

    async def operate(self, number: int, facts: Facts) -> None:
        self.begun.append((number, fake_time.clock().time()))
        await self._act(number, facts)

    async def finish(self) -> Mapping[str, Any]:
        return {}

    async def close(self) -> None: ...


def work(
    act: Callable[[int, Facts], Awaitable[None]],
    *,
    seconds: float,
    rate: float = 10.0,
    bound: float = 3.0,
    at_once: int = 400,
    phase: float = 0.0,
) -> list[Operation]:
    """Let a client work so long; its operations in the order of their starts."""
    told: list[Operation] = []

    async def main() -> int:
        stop = asyncio.Event()
        pacer = Pacer(Scripted(act), rate=rate, bound=bound, note=told.append, zero=ZERO, at_once=at_once, phase=phase)
        running = asyncio.create_task(pacer.run(stop))
        await asyncio.sleep(seconds)
        stop.set()
        return await running

    assert fake_time.run(main()) == len(told)
    return sorted(told, key=lambda operation: operation.start)


def takes(seconds: float) -> Callable[[int, Facts], Awaitable[None]]:
    async def act(_number: int, _facts: Facts) -> None:
        await asyncio.sleep(seconds)

    return act


def test_operations_begin_when_they_are_due_and_times_count_from_zero() -> None:
    told = work(takes(0.02), seconds=0.55)
    assert [round(operation.start, 6) for operation in told] == [10.0, 10.1, 10.2, 10.3, 10.4, 10.5]
    assert all(operation.seconds == pytest.approx(0.02) for operation in told)
    assert {operation.outcome for operation in told} == {"ok"}


def test_the_first_one_waits_for_its_phase() -> None:
    assert [round(operation.start, 6) for operation in work(takes(0.0), seconds=0.2, phase=0.07)] == [10.07, 10.17]


def test_a_stall_is_not_hidden() -> None:
    """All answers come when the stall ends: each operation that was due meanwhile has waited since it was due."""

    async def act(_number: int, _facts: Facts) -> None:
        until = 101.0 - fake_time.clock().time()
        await asyncio.sleep(max(until, 0.0))

    told = work(act, seconds=1.5, bound=5.0)
    assert [round(operation.seconds, 6) for operation in told][:10] == [
        1.0,
        0.9,
        0.8,
        0.7,
        0.6,
        0.5,
        0.4,
        0.3,
        0.2,
        0.1,
    ]
    assert [operation.seconds for operation in told][11:] == pytest.approx([0.0] * 4)


def test_what_is_not_answered_within_the_bound_is_unknown_and_what_it_set_out_to_do_is_told() -> None:
    async def act(number: int, facts: Facts) -> None:
        facts["number"] = number
        await asyncio.sleep(1000)
        facts["answer"] = "never seen"

    (told,) = work(act, seconds=0.05, bound=2.0)
    assert (told.outcome, told.note, told.facts) == ("unknown", "no answer within 2 s", {"number": 0})
    assert told.seconds == pytest.approx(2.0)


def test_facts_that_come_later_change_nothing_that_was_told() -> None:
    kept: list[Facts] = []

    async def act(_number: int, facts: Facts) -> None:
        facts["kind"] = "set"
        kept.append(facts)
        await asyncio.sleep(1000)

    (told,) = work(act, seconds=0.05, bound=1.0)
    kept[0]["server"] = "a thread that went on"
    assert told.facts == {"kind": "set"}


@pytest.mark.parametrize(
    ("error", "outcome", "note"),
    [
        (Failed("wrong body: {}"), "failed", "wrong body: {}"),
        (Uncertain("OSError: hung up"), "unknown", "OSError: hung up"),
        (TimeoutError("timed out"), "unknown", "timed out"),
        (ConnectionRefusedError("refused"), "failed", "ConnectionRefusedError: refused"),
        (KeyError("token"), "failed", "KeyError: 'token'"),
        (Failed("x" * 1000), "failed", "x" * 300),
    ],
)
def test_what_a_client_raises(error: Exception, outcome: str, note: str) -> None:
    async def act(_number: int, facts: Facts) -> None:
        facts["key"] = "a"
        raise error

    (told,) = work(act, seconds=0.05)
    assert (told.outcome, told.note, told.facts) == (outcome, note, {"key": "a"})


def test_one_that_finds_no_room_has_failed() -> None:
    told = work(takes(0.35), seconds=0.95, at_once=2)
    failed = [round(operation.start - 10, 6) for operation in told if operation.outcome == "failed"]
    assert failed == [0.2, 0.3, 0.6, 0.7]
    assert {operation.note for operation in told if operation.note} == {"2 operations are waiting already"}


def test_operations_that_were_due_while_the_process_stood_still() -> None:
    """Those within their bound are begun late and have waited; the others were never asked."""

    async def act(number: int, _facts: Facts) -> None:
        if number == 2:
            fake_time.clock().stand_still(1.05)

    told = work(act, seconds=1.6, bound=0.5)
    outcomes = [operation.outcome for operation in told]
    assert outcomes == ["ok"] * 3 + ["unknown"] * 5 + ["ok"] * 8
    assert told[8].start == pytest.approx(10.8)
    assert told[8].seconds == pytest.approx(0.45)
    assert told[4].note == "not begun: the drill's own process stood still"


def test_one_that_was_begun_late_is_not_waited_for_any_longer() -> None:
    async def act(number: int, _facts: Facts) -> None:
        if number == 0:
            fake_time.clock().stand_still(0.4)
        await asyncio.sleep(1000)

    told = work(act, seconds=0.3, bound=0.5)
    assert [operation.seconds for operation in told] == pytest.approx([0.5] * len(told))
    assert len(told) > 3


def test_standing_still_is_told_once_with_its_length() -> None:
    pauses: list[tuple[float, float]] = []

    async def main() -> None:
        watching = asyncio.create_task(watch(lambda at, seconds: pauses.append((at, seconds)), zero=ZERO))
        await asyncio.sleep(1.0)
        fake_time.clock().stand_still(LATE / 2)
        await asyncio.sleep(1.0)
        fake_time.clock().stand_still(2.0)
        await asyncio.sleep(1.0)
        watching.cancel()

    fake_time.run(main())
    ((at, seconds),) = pauses
    assert at == pytest.approx(12.05, abs=0.03)
    assert seconds == pytest.approx(2.0, abs=0.03)


def test_a_run_that_is_cancelled_leaves_nothing_running() -> None:
    cancelled: list[int] = []

    async def act(number: int, _facts: Facts) -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise

    async def main() -> None:
        pacer = Pacer(Scripted(act), rate=10, bound=500, note=lambda _: None)
        running = asyncio.create_task(pacer.run(asyncio.Event()))
        await asyncio.sleep(0.35)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await asyncio.sleep(0)

    fake_time.run(main())
    assert sorted(cancelled) == [0, 1, 2, 3]


@settings(deadline=None)  # it is the machine's time that would be judged
@given(began=st.floats(0.5, 5.0), lasted=st.floats(0.3, 6.0), bound=st.floats(0.2, 4.0))
def test_the_outage_that_is_measured_is_the_true_one(began: float, lasted: float, bound: float) -> None:
    """Nothing answers for a time; whoever asked then never hears. Measured to one interval, however long the bound."""

    async def act(_number: int, _facts: Facts) -> None:
        if began <= fake_time.clock().time() - 100.0 < began + lasted:
            await asyncio.sleep(1000)

    (outage,) = outages(work(act, seconds=began + lasted + 4, rate=10, bound=bound))
    assert outage.began - 10 == pytest.approx(began, abs=0.11)
    assert outage.ended - 10 == pytest.approx(began + lasted, abs=0.11)

"""Outage arithmetic: whatever clients did, in whatever order it became known, the outage found is the true one."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from quorate.core.history import Operation, outages

LASTING = 3.0


@st.composite
def truths(draw: st.DrawFn) -> tuple[list[tuple[float, float]], list[Operation]]:
    """Times in which a service was down, and what clients saw who asked at any time.

    Whoever asks while it is down fails or hangs; down times are further apart than a success must last, so that each is
    an outage of its own.
    """
    downs: list[tuple[float, float]] = []
    now = 0.0
    for _ in range(draw(st.integers(0, 4))):
        now += LASTING + 1.0 + draw(st.floats(0, 10))
        length = draw(st.floats(0.01, 8))
        downs.append((now, now + length))
        now += length
    end = now + LASTING + 5.0
    rate = draw(st.integers(2, 20))
    starts = [number / rate for number in range(int(end * rate))]
    operations = []
    for start in starts:
        down = any(began <= start < ended for began, ended in downs)
        took = draw(st.floats(0.001, 2.0)) if down else 0.002
        outcome = draw(st.sampled_from(["failed", "unknown"])) if down else "ok"
        operations.append(Operation(start, start + took, outcome))  # type: ignore[arg-type]
    return downs, operations


@given(truths(), st.randoms(use_true_random=False))
def test_every_outage_that_somebody_met_is_found_and_no_other(
    truth: tuple[list[tuple[float, float]], list[Operation]], dice: object
) -> None:
    downs, operations = truth
    interval = operations[1].start - operations[0].start if len(operations) > 1 else 1.0
    shuffled = list(operations)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    found = outages(shuffled, lasting=LASTING)
    met = [down for down in downs if any(down[0] <= o.start < down[1] for o in operations)]
    assert len(found) == len(met)
    for outage, (began, ended) in zip(found, met, strict=True):
        assert began <= outage.began <= began + interval
        assert ended <= outage.ended <= ended + interval + 0.003
        assert outage.failed == sum(began <= o.start < ended for o in operations)


@example([(0.0, 0.0, "failed"), (0.0, 0.0, "ok"), (0.0, 1.0, "ok")])
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 5), st.sampled_from(["ok", "failed", "unknown"]))))
def test_whatever_was_seen_outages_are_in_order_apart_and_hold_all_failures(
    seen: list[tuple[float, float, str]],
) -> None:
    operations = [Operation(start, start + took, outcome) for start, took, outcome in seen]  # type: ignore[arg-type]
    found = outages(operations, lasting=LASTING)
    failures = [operation for operation in operations if operation.outcome != "ok"]
    assert sum(outage.failed for outage in found) == len(failures)
    assert all(outage.seconds >= 0 for outage in found)
    assert all(one.began < other.began for one, other in pairwise(found))
    for failure in failures:
        assert any(outage.began <= failure.start for outage in found)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 5)), min_size=2), st.floats(0.1, 5))
def test_patient_clients_see_the_times_in_which_they_waited_and_nobody_was_served(
    seen: list[tuple[float, float]], stall: float
) -> None:
    operations = [Operation(start, start + took, "ok") for start, took in seen]
    ends = sorted(operation.end for operation in operations)
    found = outages(operations, stall=stall)
    for outage in found:
        assert outage.failed == 0
        assert outage.seconds > stall
        assert not any(outage.began < end < outage.ended for end in ends)
    for last, following in pairwise(sorted(set(ends))):
        due = min((o.start for o in operations if o.start >= last), default=following)
        if following - due > stall:
            assert any(outage.began <= due and following <= outage.ended for outage in found)

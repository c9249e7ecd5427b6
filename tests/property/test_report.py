"""Pictures leave nothing out that matters, whatever the operations are, and labels can be read wherever they fall."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quorate.core.history import Operation
from quorate.report.marks import _rows
from quorate.report.thinning import cells, starts, successes

ENDED = 60.0
HISTORIES = st.lists(
    st.builds(
        lambda start, waited, outcome: Operation(start, start + waited, outcome),
        st.floats(0, ENDED),
        st.floats(0, 5),
        st.sampled_from(["ok", "failed", "unknown"]),
    ),
    max_size=60,
)
COLUMNS = st.integers(1, 600)


@given(HISTORIES, COLUMNS)
def test_every_failure_has_a_mark_within_a_column_of_it(history: list[Operation], columns: int) -> None:
    at = starts(history, "failed", 0.0, ENDED, columns)
    assert len(at) <= columns + 1
    for operation in history:
        if operation.outcome == "failed":
            assert min(abs(mark - operation.start) for mark in at) <= ENDED / columns


@given(HISTORIES, COLUMNS)
def test_the_slowest_success_is_drawn(history: list[Operation], columns: int) -> None:
    waits = [operation.seconds for operation in history if operation.outcome == "ok"]
    drawn = successes(history, 0.0, ENDED, columns)
    assert max((column.slowest for column in drawn), default=None) == max(waits, default=None)
    assert min((column.fastest for column in drawn), default=None) == min(waits, default=None)


@given(HISTORIES, COLUMNS)
def test_a_cell_never_hides_the_worst_of_its_operations(history: list[Operation], columns: int) -> None:
    history.sort(key=lambda operation: operation.start)
    drawn = cells(history, 0.0, ENDED, columns)
    assert len(drawn) == columns
    for outcome in ("failed", "unknown", "ok"):
        if any(operation.outcome == outcome for operation in history):
            assert any(drawn)
        if outcome == "failed":
            assert (outcome in drawn) is any(operation.outcome == outcome for operation in history)


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0.1, 2)), max_size=12))
def test_no_line_runs_through_a_label(told: list[tuple[float, float]]) -> None:
    placed = sorted(told)
    places, lengths = [place for place, _ in placed], [length for _, length in placed]
    rows = _rows(places, lengths)
    for one, (place, length) in enumerate(placed):
        for other in range(one + 1, len(placed)):
            if places[other] < place + length:
                assert rows[one] > rows[other]

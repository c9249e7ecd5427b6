from __future__ import annotations

from quorate.core.history import Operation
from quorate.report.thinning import Column, cells, starts, successes


def history(*told: tuple[float, str]) -> list[Operation]:
    return [Operation(start, start + 0.1, outcome) for start, outcome in told]  # type: ignore[arg-type]


def test_a_slow_client_s_line_has_no_gaps() -> None:
    told = history((0, "ok"), (2, "failed"), (4, "unknown"), (6, "ok"), (8, "ok"))
    assert cells(told, 0, 10, 10) == ["ok", "ok", "failed", "failed", "unknown", "unknown", "ok", "ok", "ok", ""]


def test_where_operations_are_missing_nothing_is_drawn() -> None:
    told = history(*((at, "ok") for at in (0, 1, 2, 3, 8, 9)))
    assert cells(told, 0, 10, 10) == ["ok"] * 4 + [""] * 4 + ["ok"] * 2


def test_the_worst_of_a_cell_is_shown() -> None:
    told = history((0.1, "ok"), (0.2, "failed"), (0.3, "unknown"), (1.1, "unknown"), (1.2, "ok"))
    assert cells(told, 0, 2, 2) == ["failed", "unknown"]


def test_nothing_gives_nothing() -> None:
    assert cells([], 0, 1, 3) == ["", "", ""]
    assert successes([], 0, 1, 3) == []
    assert starts([], "failed", 0, 1, 3) == []


def test_successes_of_a_column_keep_fastest_and_slowest() -> None:
    told = [
        Operation(0.1, 0.4, "ok"),
        Operation(0.2, 2.2, "ok"),
        Operation(0.3, 0.4, "ok"),
        Operation(0.4, 9, "failed"),
    ]
    (column,) = successes(told, 0, 1, 1)
    assert column == Column(0.1, told[2].seconds, told[1].seconds)


def test_what_lies_outside_is_left_out() -> None:
    told = history((-1, "failed"), (5, "failed"), (11, "failed"))
    assert starts(told, "failed", 0, 10, 100) == [5]

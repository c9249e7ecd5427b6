from __future__ import annotations

from collections.abc import Sequence

import pytest

from made_runs import Wish, cut_off, made
from quorate.core.campaign import campaign, not_held
from quorate.core.findings import Campaign, CampaignRow, Finding, FunctionRow, LevelWord, Result


def row(measured: float | None, predicted: float | None = 3.0, *, held: bool | None = None) -> FunctionRow:
    return FunctionRow(
        function="virtual_ip",
        objective_s=2.5,
        predicted_s=predicted,
        measured_s=measured,
        held=held,
        level="ok",
        reason="",
    )


def run(
    *rows: FunctionRow,
    drill: str = "power-cut",
    lost: int | None = 0,
    holders: LevelWord | None = "ok",
    level: LevelWord = "ok",
) -> Result:
    findings = () if holders is None else (Finding(checker="vip-holders", level=holders, reason=""),)
    told = {"drill": drill, "rows": rows, "lost": lost, "findings": findings, "level": level}
    return made().result.model_copy(update=told)


def only(results: Sequence[Result]) -> CampaignRow:
    (found,) = campaign(results).rows
    return found


def test_a_row_holds_every_run_s_figure_and_the_largest_prediction() -> None:
    found = only([run(row(1.2, 3.0)), run(row(2.6, 3.4)), run(row(1.9, 3.2))])
    assert found.measured_s == (1.2, 2.6, 1.9)
    assert (found.predicted_s, found.objective_s) == (3.4, 2.5)
    assert (found.median_s, found.worst_s) == (1.9, 2.6)
    assert found.held
    assert not_held(found) == ""


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([row(3.1)], "out for 3.10 s, which is longer than the 3.00 s that were predicted"),
        ([row(0.4), row(0.5)], "3.00 s were predicted, more than 3 times the median of 0.45 s"),
        ([row(1.5), row(None)], "1 run of 2 could not be seen"),
        ([row(None), row(None)], "2 runs of 2 could not be seen"),
        ([row(1.5, 3.0), row(2.4, 2.0, held=False)], "one run was longer than what was predicted of that run"),
    ],
)
def test_a_prediction_that_does_not_hold_says_why(rows: list[FunctionRow], why: str) -> None:
    found = only([run(one) for one in rows])
    assert not found.held
    assert not_held(found) == why


def test_pauses_that_nobody_notices_are_all_alike() -> None:
    assert only([run(row(0.0, 0.0)), run(row(0.25, 0.0))]).held


def test_what_nothing_bounds_is_no_prediction() -> None:
    told = campaign([run(row(20.0, None)), run(row(1.0, 3.0))])
    assert told.rows[0].predicted_s is None
    assert told.rows[0].held
    assert (told.predictions, told.predictions_held) == (0, 0)


def test_predictions_are_counted_by_drill_and_function() -> None:
    told = campaign([run(row(1.5)), run(row(9.0), drill="freeze"), run(row(1.4)), run(row(8.0), drill="freeze")])
    assert [(one.drill, len(one.measured_s), one.held) for one in told.rows] == [
        ("power-cut", 2, True),
        ("freeze", 2, False),
    ]
    assert (told.runs, told.predictions, told.predictions_held) == (4, 2, 1)


def test_losses_that_nobody_can_say_are_not_counted_as_none() -> None:
    told = campaign([run(lost=2), run(lost=None), run(lost=3, drill="freeze")])
    assert (told.lost, told.lost_unknown) == (5, 1)
    assert [(drill.lost, drill.lost_unknown, drill.runs) for drill in told.drills] == [(2, 1, 2), (3, 0, 1)]


def test_two_holders_are_counted_and_so_is_what_was_not_watched() -> None:
    told = campaign([run(holders=level) for level in ("ok", "failing", "unknown", None)])
    assert (told.two_holders, told.two_holders_unknown) == (1, 2)


def test_runs_that_are_not_ok_are_named() -> None:
    told = campaign([run(level="failing"), run(level="unknown"), run()])
    name = made().result.run
    assert (told.failing, told.unknown) == ((name,), (name,))


def test_a_campaign_survives_json() -> None:
    told = campaign([made(Wish(seed=1)).result, cut_off(made()).result])
    assert Campaign.model_validate_json(told.model_dump_json()) == told


def test_no_run_is_no_proof() -> None:
    told = campaign([])
    assert (told.runs, told.rows, told.drills, told.predictions_held) == (0, (), (), 0)

from __future__ import annotations

from dataclasses import replace

import pytest

from made_runs import HEAL, INJECT, Wish, cut_off, empty, made
from quorate.core.findings import FunctionRow, Span
from quorate.core.history import Operation
from quorate.core.record import HolderLine, LookLine, Mark
from quorate.report.run import Moment, lanes, missed, moments, notices, paused, phases, story
from records import record, written


def row(measured: float | None, **more: float | None) -> FunctionRow:
    bounds = {"objective_s": 2.0, "predicted_s": 3.0, **more}
    return FunctionRow(function="virtual_ip", measured_s=measured, level="ok", reason="", **bounds)  # type: ignore[arg-type]


def out(began: float, ended: float) -> FunctionRow:
    return row(ended - began).model_copy(update={"outages": (Span(began=began, ended=ended),)})


def test_every_moment_is_found_in_order() -> None:
    told = moments(made().record)
    assert [moment.kind for moment in told] == ["fault", "alarm", "takeover", "heal", "whole"]
    assert told[1].at == 9.0
    assert told[1].detail == "status said failing (corosync: controller1 is lost, galera: 2 of 3 are synced)"


def test_addresses_that_move_together_are_one_takeover_at_the_first_announcement() -> None:
    (takeover,) = [moment for moment in moments(made().record) if moment.kind == "takeover"]
    assert takeover.at == pytest.approx(INJECT + 1.1)
    assert takeover.detail == "10.77.0.100, 10.77.1.100 went to controller2"


def test_addresses_that_part_are_two_takeovers() -> None:
    record = made().record
    record.holders.append(HolderLine(address="10.77.1.100", holder="controller3", first=20.0, last=30.0))
    assert [moment.detail for moment in moments(record) if moment.kind == "takeover"] == [
        "10.77.0.100, 10.77.1.100 went to controller2",
        "10.77.1.100 went to controller3",
    ]


def test_an_alarm_before_the_fault_is_not_the_fault_s() -> None:
    record = made().record
    record.looks.insert(0, LookLine(at=2.0, level="unknown"))
    assert [moment.at for moment in moments(record) if moment.kind == "alarm"] == [9.0]


def test_not_to_see_is_an_alarm_too() -> None:
    record = made().record
    record.looks = [LookLine(at=INJECT + 0.5, level="unknown")]
    assert [moment.detail for moment in moments(record) if moment.kind == "alarm"] == [
        "status said unknown (no reason was given)"
    ]


def test_the_story_has_what_was_done_as_well() -> None:
    names = [event.name for event in story(made().record)]
    assert names == ["calm", "fault", "injected", "proved", "alarm", "takeover", "heal", "healed", "whole", "end"]


def test_every_client_has_a_lane_and_so_have_operations_of_nobody_we_know() -> None:
    record = made().record
    record.operations["stranger"] = [Operation(1.0, 1.1, "ok")]
    drawn = lanes(record)
    assert [lane.client.name for lane in drawn] == [*(c.name for c in record.header.workloads), "stranger"]
    assert [lane.client.name for lane in drawn if lane.taken] == ["cache_controller1"]


def test_lanes_count_outcomes() -> None:
    record = made().record
    record.operations["token_issue"] = [Operation(1, 2, "ok"), Operation(0, 3, "unknown"), Operation(3, 4, "failed")]
    lane = next(lane for lane in lanes(record) if lane.client.name == "token_issue")
    assert lane.counts == {"ok": 1, "failed": 1, "unknown": 1}
    assert [operation.start for operation in lane.operations] == [0, 1, 3]


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (row(1.9), ""),
        (row(None), ""),
        (row(2.5), "out for 2.50 s; the objective is 2.00 s"),
        (row(3.5), "out for 3.50 s; the objective is 2.00 s and at most 3.00 s were predicted"),
        (row(0.25, predicted_s=0.0), ""),
        (row(9.0, predicted_s=None, objective_s=None), ""),
    ],
)
def test_bounds_that_were_missed(one: FunctionRow, why: str) -> None:
    assert missed(one) == why


def test_an_outage_is_divided_by_what_happened_within_it() -> None:
    told = (
        Moment(8.0, "sign", "before it began"),
        Moment(9.0, "sign", "the power is cut (b)"),
        Moment(9.5, "takeover", "a went to b"),
        Moment(11.0, "heal", ""),
    )
    assert [(phase.name, round(phase.seconds, 2)) for phase in phases(out(8.2, 12.2), told)] == [
        ("until the power is cut (b)", 0.8),
        ("until a went to b", 0.5),
        ("until the fault was healed", 1.5),
        ("until clients were served again", 1.2),
    ]
    assert sum(phase.seconds for phase in phases(out(8.2, 12.2), told)) == pytest.approx(4.0)


def test_what_was_never_out_has_no_phases() -> None:
    assert phases(row(0.0), ()) == ()


def test_a_pause_that_several_functions_wait_for_is_told_once() -> None:
    told = paused(made().result.predictions)
    assert [one.functions for one in told] == [("token_validation", "token_issue", "virtual_ip"), ("database_write",)]
    assert [round(one.seconds, 2) for one in told] == [2.9, 3.4]


def test_what_a_reader_must_know_first() -> None:
    assert list(notices(made())) == []
    assert list(notices(cut_off(made()))) == ["The record of this run was cut off. What it does not show is unknown."]
    assert any("never injected" in notice for notice in notices(empty()))
    run = made()
    run.record.marks.append(Mark(name="pause", at=HEAL, seconds=4.0))
    assert any("stood still for 4.00 s" in notice for notice in notices(run))


def test_a_seed_makes_the_same_run_again() -> None:
    assert made(Wish(seed=7)) == made(Wish(seed=7))
    assert made(Wish(seed=7)) != made(Wish(seed=8))


def test_the_page_misses_no_prediction_that_was_kept_as_exactly_as_clients_know() -> None:
    assert missed(row(1.9, predicted_s=1.5, resolution_s=0.5)) == ""
    assert "at most" in missed(row(1.9, predicted_s=1.5, resolution_s=0.1))


def test_a_lane_shows_the_outages_that_were_judged() -> None:
    rows = [replace(one, end=7.0, outcome="ok") if 5.0 <= one.start < 7.0 else one for one in written()]
    told = record(operations={"database_write": rows})
    assert [(o.began, o.ended) for o in lanes(told)[0].outages] == [(5.0, 7.0)]
    told = record(operations={"database_write": rows}, marks=[*told.marks, Mark(name="pause", at=5.0, seconds=1.8)])
    assert lanes(told)[0].outages == ()

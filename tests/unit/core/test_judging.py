from __future__ import annotations

from dataclasses import replace

import pytest

from quorate.core import checkers
from quorate.core.checkers import Checker
from quorate.core.findings import Finding, FunctionRow, Result
from quorate.core.history import Operation
from quorate.core.judging import judge
from quorate.core.record import HitLine, LookLine, Mark, Record, Watched, encode, operation_line, parse
from quorate.errors import InvalidInput
from records import VIP, cached, header, lines, record, written


def row(result: Result, function: str) -> FunctionRow:
    return next(row for row in result.rows if row.function == function)


def finding(result: Result, checker: str) -> Finding:
    return next(finding for finding in result.findings if finding.checker == checker)


def text_of(told: Record) -> list[str]:
    operations = [operation_line(by, one) for by, history in told.operations.items() for one in history]
    first, *rest = lines(told)
    return [encode(first), *operations, *map(encode, rest)]


def test_a_fault_that_went_as_it_should_is_ok() -> None:
    result = judge(record())
    assert (result.level, result.lost, result.whole_s, result.alarm_s) == ("ok", 0, 5.0, 1.5)
    write = row(result, "database_write")
    assert write.measured_s == pytest.approx(2.01)
    assert (write.objective_s, write.predicted_s, write.held) == (6.0, 4.0, True)
    assert write.errors == {"OperationalError: NNNN lost": 20}
    assert write.latency["during"].worst == pytest.approx(500)
    assert result.takeovers == ("writer: controller1 → controller2",)


def test_a_record_that_was_written_and_read_is_judged_alike() -> None:
    told = parse(text_of(record()), "record.jsonl")  # times are rounded when they are written
    again = parse(text_of(told), "record.jsonl")
    assert judge(again) == judge(told)
    assert Result.model_validate_json(judge(again).model_dump_json()) == judge(told)


def test_a_record_that_was_cut_off_is_no_proof() -> None:
    text = text_of(record())[:-1]
    result = judge(parse([*text, '{"what": "mark", "na'], "record.jsonl"))
    assert result.level == "unknown"
    assert "cut off" in finding(result, "record").reason
    assert "cut off" in row(result, "database_write").reason


@pytest.mark.parametrize("bad", ['{"what": "joke"}\n', "[]\n", "no JSON\n", '{"what": "mark", "name": "x", "at": 1}\n'])
def test_a_line_that_is_none_is_named(bad: str) -> None:
    text = text_of(record())
    with pytest.raises(InvalidInput) as error:
        parse([text[0], text[1], bad, *text[2:]], "record.jsonl")
    assert str(error.value.problems[0]).startswith("record.jsonl:3: ")


def test_an_outage_beyond_its_objective_is_failing_and_beyond_the_prediction_is_said() -> None:
    slow = written(down=(5.0, 13.0))
    numbers = [[int(one.facts["number"])] * 2 for one in slow if one.outcome == "ok"]
    operations = record().operations | {"database_write": slow}
    result = judge(record(operations=operations, finals={"database_write": {"numbers": numbers}}))
    write = row(result, "database_write")
    assert (write.level, write.held) == ("failing", False)
    assert "objective 6 s" in result.reason


def test_beyond_the_redundancy_nothing_was_promised() -> None:
    slow = written(down=(5.0, 13.0))
    numbers = [[int(one.facts["number"])] * 2 for one in slow if one.outcome == "ok"]
    result = judge(
        record(
            header=header(within=False),
            operations=record().operations | {"database_write": slow},
            finals={"database_write": {"numbers": numbers}},
        )
    )
    assert result.level == "ok"


def test_what_failed_before_the_fault_is_no_figure_of_the_fault() -> None:
    result = judge(record(operations=record().operations | {"database_write": written(down=(3.0, 7.0))}))
    assert row(result, "database_write").level == "unknown"


def test_what_was_under_way_when_the_fault_came_failed_by_it() -> None:
    rows = record().operations["database_write"]
    hit = [replace(one, end=5.4, outcome="failed", note="lost") if one.start == 4.9 else one for one in rows]
    result = judge(record(operations=record().operations | {"database_write": hit}))
    assert row(result, "database_write").level == "ok"
    assert row(result, "database_write").outages[0].began == 4.9


def test_clients_on_a_lost_machine_do_not_count_and_those_on_others_do() -> None:
    dead = [Operation(at / 10, at / 10 + 1, "failed", "refused") for at in range(50, 100)]
    assert row(judge(record(operations=record().operations | {"cache@controller1": dead})), "cache").measured_s == 0
    process = header(hits=(HitLine(host="controller1", part="cache", loss="refused"),))
    hit = judge(record(header=process, operations=record().operations | {"cache@controller1": dead}))
    assert row(hit, "cache").measured_s == pytest.approx(5.9)


def test_a_function_of_which_nothing_is_left_is_judged_by_all_its_clients() -> None:
    all_gone = header(hits=tuple(HitLine(host=f"controller{n}", part="machine", loss="silent") for n in (1, 2)))
    dead = [Operation(at / 10, at / 10 + 1, "failed", "refused") for at in range(50, 100)]
    told = record(header=all_gone, operations={f"cache@controller{n}": dead for n in (1, 2)})
    assert row(judge(told), "cache").measured_s == pytest.approx(5.9)


def test_a_client_that_did_nothing_was_not_seen() -> None:
    result = judge(record(operations={"cache@controller2": record().operations["cache@controller2"]}))
    assert row(result, "database_write").measured_s is None
    assert row(result, "database_write").reason == "database_write did nothing"
    assert result.level == "unknown"


def test_a_checker_that_crashes_is_unknown() -> None:
    def crash(_record: Record) -> Finding:
        raise ZeroDivisionError("oops")

    result = judge(record(), [*checkers.CHECKERS, Checker("broken", crash)])
    assert finding(result, "broken").level == "unknown"
    assert "oops" in finding(result, "broken").reason
    assert result.level == "unknown"


# ---- each checker turns red


def test_a_row_that_was_acknowledged_and_is_gone_is_found() -> None:
    found = [[0, 10], [12, 49], [70, 299]]
    result = judge(record(finals={"database_write": {"numbers": found, "more_than_once": [[5, 2, ["controller1"]]]}}))
    assert (result.level, result.lost) == ("failing", 1)
    assert finding(result, "lost").evidence == (
        "database_write: row 11 was acknowledged and is not there",
        "database_write: row 5 is there more than once",
    )


def test_rows_that_nobody_looked_for_are_unknown_not_there() -> None:
    result = judge(record(finals={}))
    assert finding(result, "lost").level == "unknown"
    assert result.lost is None


@pytest.mark.parametrize(
    ("operations", "stale"),
    [
        ([(1.0, "set", 1), (2.0, "set", 2), (3.0, "get", 2)], False),
        ([(1.0, "set", 1), (2.0, "set", 2), (3.0, "get", 1)], True),
        ([(1.0, "set", 1), (2.0, "delete", 2), (3.0, "get", 1)], True),  # what was deleted is alive again
        ([(1.0, "set", 1), (2.0, "delete", 2), (3.0, "get", None)], False),
        ([(1.0, "set", 1), (2.0, "set", 2), (2.005, "get", 1)], False),  # it began before the change was acknowledged
        ([(1.0, "set", 1), (2.0, "get", None)], False),  # a miss is never stale
    ],
)
def test_stale_reads(operations: list[tuple[float, str, int | None]], stale: bool) -> None:
    told = record(operations=record().operations | {"cache@controller2": cached(*operations)})
    assert (finding(judge(told), "stale").level == "failing") is stale


@pytest.mark.parametrize(("read_at", "stale"), [(2.3, False), (2.7, True)])
def test_through_another_controller_a_change_shows_a_little_later(read_at: float, stale: bool) -> None:
    told = record(
        operations=record().operations
        | {
            "cache@controller1": cached((1.0, "set", 1), (2.0, "set", 2)),
            "cache@controller2": cached((read_at, "get", 1)),
        }
    )
    assert (finding(judge(told), "stale").level == "failing") is stale


def test_two_writers_at_once_are_found_and_one_failover_is_none() -> None:
    assert finding(judge(record()), "writers").level == "ok"
    both = [
        Operation(at / 10, at / 10 + 0.01, "ok", "", {"number": at, "server": f"controller{1 + at % 2}"})
        for at in range(300)
    ]
    told = record(
        operations=record().operations | {"database_write": both},
        finals={"database_write": {"numbers": [[0, 299]]}},
    )
    assert finding(judge(told), "writers").level == "failing"


def test_two_holders_are_found_and_an_address_that_nobody_watched_is_unknown() -> None:
    two = record(watches=[Watched(address=VIP, two_holders=True, overlaps=("controller1 and controller2",))])
    assert finding(judge(two), "vip-holders").level == "failing"
    assert finding(judge(record(watches=[])), "vip-holders").level == "unknown"
    assert finding(judge(record(watches=[Watched(address=VIP, two_holders=None)])), "vip-holders").level == "unknown"


def test_a_cloud_that_is_not_whole_in_the_end_is_failing() -> None:
    looks = [*record().looks, LookLine(at=29.0, level="failing", why={"database": "2 of 3 members"})]
    assert finding(judge(record(looks=looks)), "whole").evidence == ("database: 2 of 3 members",)
    assert finding(judge(record(looks=looks)), "whole").level == "failing"
    assert finding(judge(record(looks=[])), "whole").level == "unknown"


def test_a_status_that_never_told_of_it_is_failing() -> None:
    blind = record(looks=[LookLine(at=at, level="ok") for at in (3.0, 8.0, 17.0, 25.0)])
    assert finding(judge(blind), "alarm").level == "failing"
    short = record(header=header(hold=0.0), looks=[LookLine(at=at, level="ok") for at in (3.0, 8.0, 25.0)])
    assert finding(judge(short), "alarm").level == "ok"


@pytest.mark.parametrize(("lasts", "level"), [(0.0, "failing"), (1.0, "ok"), (3.0, "failing")])
def test_what_was_over_before_anybody_looked_is_no_failing_of_the_looker(lasts: float, level: str) -> None:
    hits = (HitLine(host="controller1", part="cache", loss="hung", lasts=lasts),)
    blind = record(header=header(hits=hits), looks=[LookLine(at=at, level="ok") for at in (3.0, 7.0, 17.0, 25.0)])
    assert blind.mark("inject") == 5.0
    assert finding(judge(blind), "alarm").level == level


@pytest.mark.parametrize(
    ("lasts", "looks", "level"), [(1.0, (3.0,), "failing"), (1.0, (), "unknown"), (10.0, (17.0,), "failing")]
)
def test_who_did_not_look_while_it_lasted_is_not_excused(lasts: float, looks: tuple[float, ...], level: str) -> None:
    # What is kept away until the heal, as a stopped process is, ends by nothing else.
    hits = (HitLine(host="controller1", part="cache", loss="drained", lasts=lasts),)
    blind = record(header=header(hits=hits, hold=10.0), looks=[LookLine(at=at, level="ok") for at in looks])
    assert finding(judge(blind), "alarm").level == level


def test_a_drill_that_stood_still_itself_says_so() -> None:
    marks = [*record().marks, Mark(name="pause", at=6.0, seconds=0.9)]
    assert finding(judge(record(marks=marks)), "noise").level == "unknown"


@pytest.mark.parametrize(("own", "measured"), [(0.0, 2.0), (0.3, 2.0), (1.8, 0.0)])
def test_patience_hides_no_outage_and_the_drill_s_own_pause_is_none(own: float, measured: float) -> None:
    """All that was asked between 5 s and 7 s is answered at 7 s."""
    rows = [replace(one, end=7.0, outcome="ok") if 5.0 <= one.start < 7.0 else one for one in written()]
    marks = [*record().marks, Mark(name="pause", at=5.0, seconds=own)]
    write = row(judge(record(operations=record().operations | {"database_write": rows}, marks=marks)), "database_write")
    assert write.measured_s == pytest.approx(measured)
    assert (write.failed, write.resolution_s) == (0, 0.1)

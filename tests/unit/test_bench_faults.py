"""The pure parts of bench/faults.py: what a history is judged to be, and the tables."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from itertools import islice, pairwise

import faults
import faults_clients
import faults_engines
import faults_report
import pytest
from faults_inject import BEGIN, END, FAULTS, Fault
from faults_judge import MISS, WRONG, Findings, Op, Window, judge, merged, parse, quantile, shortcomings

WINDOW = Window(2.0, 6.0, 11.0)
ADDRESSES = {"c1": "10.0.0.1", "c2": "10.0.0.2", "c3": "10.0.0.3"}


def op(
    kind: str, version: int, result: int | str | None, *, at: float = 3.0, late: float = 0.0, took: float = 0.001
) -> Op:
    ended = None if result is None else at + late + took
    return Op(kind, 7, version, at, at + late, ended, result)


def of(*ops: Op, closed: tuple[float, ...] = (), undone: tuple[float, ...] = ()) -> Findings:
    return judge(ops, closed, WINDOW, undone)


FIRST = op("set", 1, 1, at=-1.0)
WELL = of(FIRST, op("get", 1, 1))


def test_a_read_of_what_was_written_is_well() -> None:
    assert (WELL.errors, WELL.closed, WELL.hits_lost, WELL.stale, WELL.wrong, WELL.hung) == (0, 0, 0, 0, 0, False)
    assert not shortcomings(merged([WELL]))


def test_a_miss_after_a_write_is_a_lost_hit_each_time_and_one_key() -> None:
    found = of(FIRST, op("get", 1, MISS), op("get", 1, MISS))
    assert (found.hits_lost, found.keys_lost) == (2, 1)


def test_a_miss_after_a_delete_or_of_what_never_was_is_none() -> None:
    assert of(op("get", 0, MISS)).hits_lost == 0
    assert of(FIRST, op("delete", 2, 1), op("get", 2, MISS)).hits_lost == 0


@pytest.mark.parametrize("doubtful", [op("set", 2, 0), op("set", 2, "TimeoutError"), op("delete", 2, None)])
def test_while_a_change_is_in_doubt_old_new_and_nothing_are_all_well(doubtful: Op) -> None:
    for read in (1, 2, MISS):
        found = of(FIRST, doubtful, op("get", 2, read))
        assert (found.hits_lost, found.stale, found.wrong) == (0, 0, 0)


def test_an_older_value_is_stale() -> None:
    found = of(FIRST, op("set", 2, 1), op("get", 2, 1), op("get", 2, 1))
    assert (found.stale, found.stale_keys, found.hits_lost) == (2, 1, 0)


def test_a_deleted_value_that_is_back_is_stale() -> None:
    assert of(FIRST, op("delete", 2, 1), op("get", 2, 1)).stale == 1


def test_an_abandoned_write_that_came_after_a_later_one_is_stale() -> None:
    assert of(FIRST, op("set", 2, "TimeoutError"), op("set", 3, 1), op("get", 3, 2)).stale == 1


def test_another_workers_look_counts_for_what_it_finds_and_not_for_its_errors() -> None:
    found = of(FIRST, op("set", 2, 1), op("look", 2, 1, at=11.5), op("look", 2, "ConnectionError", at=11.6))
    assert (found.stale, found.errors) == (1, 0)


def test_another_keys_value_is_wrong() -> None:
    assert of(FIRST, op("get", 1, WRONG)).wrong == 1


def test_exceptions_and_refused_changes_are_errors_by_kind() -> None:
    found = of(op("get", 0, "TimeoutError"), op("set", 1, 0), op("get", 0, 0))
    assert found.errors == 2
    assert found.error_kinds == {"TimeoutError": 1, "refused": 1}


def test_a_delete_that_found_nothing_is_no_error_and_leaves_doubt() -> None:
    found = of(FIRST, op("delete", 2, 0), op("get", 2, MISS), op("get", 2, 1))
    assert (found.errors, found.hits_lost, found.stale) == (0, 0, 0)


def test_waiting_counts_from_when_it_was_due() -> None:
    found = of(FIRST, op("get", 1, 1, late=0.2, took=0.05))
    assert (found.worst_ms, found.worst_operation_ms) == (250.0, 50.0)


def test_only_waits_since_the_fault_are_the_faults() -> None:
    found = of(FIRST, op("get", 1, 1, at=1.0, took=0.5), op("get", 1, 1, at=7.0, took=0.2))
    assert (found.before_ms, found.worst_ms, found.p99_ms) == (500.0, 200.0, 0.0)


def test_what_was_under_way_when_the_fault_began_waited_for_the_fault() -> None:
    found = of(FIRST, op("get", 1, 1, at=1.9, took=0.5))
    assert (found.before_ms, found.worst_ms) == (0.0, 500.0)


def test_what_never_ended_waited_until_the_end_and_hung() -> None:
    found = of(FIRST, op("get", 1, None), undone=(4.0, 5.0))
    assert (found.worst_ms, found.undone, found.hung) == (8000.0, 2, True)
    assert shortcomings(merged([found]))


def test_what_was_begun_just_before_the_end_did_not_hang() -> None:
    assert not of(FIRST, op("get", 1, None, at=10.9)).hung


def test_several_runs_count_as_the_worst_and_wait_as_the_median() -> None:
    runs = [replace(WELL, errors=count, worst_ms=worst) for count, worst in ((0, 10.0), (2, 20.0), (0, 400.0))]
    case = merged(runs)
    assert (case["errors"], case["worst_ms"], case["worst_max_ms"], case["runs"]) == (2, 20.0, 400.0, 3)
    assert shortcomings(case) == ["2 errors", "worst stall 400 ms (of all runs)"]


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile([], 0.99) == 0.0
    assert quantile(list(range(100)), 0.99) == 99


def test_the_clients_rows_are_operations() -> None:
    assert parse([["get", 7, 1, 3.0, 3.0, 3.001, 1]]) == [op("get", 1, 1)]


def test_a_value_says_whose_it_is() -> None:
    assert faults_clients.version_of("a-1", faults_clients.text("a-1", 5)) == 5
    assert faults_clients.version_of("a-1", faults_clients.text("a-1", 5).encode()) == 5
    assert faults_clients.version_of("a-1", faults_clients.text("a-2", 5)) == WRONG
    assert faults_clients.version_of("a-1", b"\xff") == WRONG
    assert faults_clients.version_of("a-1", None) == MISS


def test_the_schedule_is_even_mixed_and_repeatable() -> None:
    plan = {**faults.LOAD, "seed": 3}
    due = list(faults_clients.schedule(plan))
    assert due == list(faults_clients.schedule(plan))
    first = [kind for at, kind, _ in due if at < 1]
    assert (first.count("get"), first.count("set"), first.count("delete")) == (500, 50, 20)
    assert {round(570 * (after[0] - before[0]), 6) for before, after in islice(pairwise(due), 2000)} == {1.0}
    assert max(key for _, _, key in due) < plan["keys"]


@pytest.mark.parametrize("fault", FAULTS.values())
def test_a_fault_happens_while_the_clients_work(fault: Fault) -> None:
    times = [at for at, _ in fault.acts]
    assert times == sorted(times)
    assert all(BEGIN <= at < END for at in times)
    assert fault.window.healed is None or fault.window.began <= fault.window.healed < END


def test_clients_get_one_address_or_all() -> None:
    assert faults_engines.ENGINES["quorate"].servers(ADDRESSES) == ["127.0.0.1:22122"]
    assert faults_engines.ENGINES["direct"].servers(ADDRESSES)[2] == "10.0.0.3:11211"


def test_the_balancers_file_names_this_machine_and_all_servers() -> None:
    table = tomllib.loads(faults_engines.balancer_toml("c2", ADDRESSES))
    assert (table["name"], table["balancers"]) == ("c2", ["c1", "c2", "c3"])
    assert [server["address"] for server in table["servers"]] == [f"{host}:11211" for host in ADDRESSES.values()]


def test_the_second_pool_is_the_first_moved_on() -> None:
    first, second = [line for line in faults_engines.routes_tuned("c1", ADDRESSES).splitlines() if "backends" in line]
    assert first.index("10.0.0.1") < first.index("10.0.0.2") < first.index("10.0.0.3")
    assert second.index("10.0.0.2") < second.index("10.0.0.3") < second.index("10.0.0.1")


def test_the_tables_name_every_case_and_every_broken_promise() -> None:
    bad = replace(WELL, errors=3, stale=1, hung=True)
    judged = [(("quorate", "cut", "pylibmc"), bad), (("twemproxy", "cut", "pylibmc"), WELL)]
    cases = faults_report.cases(judged)
    page = faults_report.markdown(cases)
    assert "| quorate | pylibmc | 3 | 0 | 0 | > 1 (1), hung 1/1 | 1 | 0 | 1 | 0 |" in page
    assert "- not kept: cut, pylibmc: 3 errors, 1 stale, hung in 1 runs" in page
    assert "Kept in every case" in faults_report.markdown(faults_report.cases([(judged[0][0], WELL)]))
    assert "twemproxy" in faults_report.text(cases)
    assert faults_report.nested(cases)["quorate"]["cut"]["pylibmc"]["errors"] == 3


def test_the_head_tells_how_often_each_engine_was_measured_and_how() -> None:
    judged = [(("quorate", "cut", "pylibmc"), WELL)] * 2 + [(("twemproxy", "cut", "pylibmc"), WELL)]
    page = faults_report.markdown(faults_report.cases(judged), "On a quiet host.")
    assert "Runs of each case: 2 (quorate); 1 (twemproxy)" in page
    assert "\nOn a quiet host.\n\n## All" in page
    assert "Runs of each case: 1:" in faults_report.markdown(faults_report.cases(judged[2:]))


def test_a_page_without_figures_says_so() -> None:
    assert "Not measured yet" in faults_report.markdown({})

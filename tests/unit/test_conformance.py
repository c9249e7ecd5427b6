from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from conformance import engines, suites
from conformance.engines import Layout
from conformance.run import options
from conformance.suites import ENGINE, Counts, Entry, Outcome, Suite

HERE = Path(suites.__file__).parent
SUITE = Suite("s", tests=3, skipped=1)
BINARY = Entry("s", ("*::Binary*",), ("balancer",), "speaks another protocol")


def line(test: str, when: str, outcome: str = "passed", longrepr: object = None) -> str:
    kind = "TestReport" if when != "collect" else "CollectReport"
    said = {"$report_type": kind, "nodeid": test, "when": when, "outcome": outcome, "longrepr": longrepr}
    return json.dumps(said)


def test_a_pytest_report_tells_how_each_test_ended() -> None:
    crash = {"reprcrash": {"message": "AssertionError: assert 1 == 2\n +  where 1 = f()"}}
    report = [
        json.dumps({"$report_type": "SessionStart"}),
        *(line("a", when) for when in ("setup", "call", "teardown")),
        *(line("b", "setup"), line("b", "call", "failed", crash), line("b", "teardown")),
        *(line("c", "setup", "skipped", ["f.py", 3, "not here"]), line("c", "teardown")),
        *(line("d", "setup"), line("d", "call"), line("d", "teardown", "failed", "left\nsomething open")),
        line("e.py", "collect", "failed", {"longrepr": "ImportError"}),
        line("f", "setup"),
        '{"$report_type": "TestRep',
    ]
    assert suites.pytest_outcomes("\n".join(report)) == [
        Outcome("a", "passed"),
        Outcome("b", "failed", "AssertionError: assert 1 == 2 / +  where 1 = f()"),
        Outcome("c", "skipped"),
        Outcome("d", "failed", "left / something open"),
        Outcome("e.py", "failed", "{'longrepr': 'ImportError'}"),
        Outcome("f", "failed", "did not end in time"),
    ]


def test_of_a_traceback_the_end_is_told() -> None:
    text = "NOTE: strange\nTraceback (most recent call last):\n  File x\n    f()\nMismatchError: 1 != 2\n"
    report = "\n".join([line("a", "call", "failed", {"reprcrash": {"message": text}})])
    assert suites.pytest_outcomes(report) == [Outcome("a", "failed", "f() / MismatchError: 1 != 2")]


def test_memccapable_writes_between_a_name_and_its_verdict() -> None:
    output = (
        "ascii version                           [pass]\n"
        "ascii flush                             [CLIENT_ERROR parsing request\n]\n[FAIL]\n"
        "ascii flush noreply                     [FAIL]\n"
        "ascii stat                              2 of 4 tests failed\n[pass]\n"
    )
    assert [(outcome.test, outcome.verdict) for outcome in suites.memccapable_outcomes(output)] == [
        ("ascii version", "passed"),
        ("ascii flush", "failed"),
        ("ascii flush noreply", "failed"),
        ("ascii stat", "passed"),
    ]


@pytest.mark.parametrize(
    ("outcomes", "counts", "failures"),
    [
        (["a passed", "b passed", "c skipped"], Counts(2, 0, 1), []),
        (["a passed", "b failed", "c skipped"], Counts(1, 1, 1), ["b"]),
        (["a passed", "x::Binary::t failed", "c skipped"], Counts(1, 0, 1, 1), []),
        (["a passed"], Counts(1, 2), ["(whole suite)"]),
        (["a passed", "b skipped", "c skipped"], Counts(1, 1, 1), ["(whole suite)"]),
        (["a passed", "b passed", "c passed", f"{ENGINE} failed"], Counts(3, 1), [ENGINE]),
    ],
    ids=["well", "failed", "by nature", "vanished", "skipped too much", "engine ended"],
)
def test_what_counts(outcomes: list[str], counts: Counts, failures: list[str]) -> None:
    said = [Outcome(text.rpartition(" ")[0], text.rpartition(" ")[2]) for text in outcomes]  # type: ignore[arg-type]
    found, failed = suites.judge(SUITE, "balancer", said, [BINARY])
    assert found == counts
    assert [outcome.test for outcome in failed] == failures


def test_an_entry_holds_for_its_engines_only() -> None:
    assert BINARY.covers("balancer", "s", "x::BinaryTest::t")
    assert not BINARY.covers("direct", "s", "x::BinaryTest::t")
    assert not BINARY.covers("balancer", "t", "x::BinaryTest::t")


def test_an_entry_of_which_nothing_fails_is_out_of_date() -> None:
    assert suites.stale("balancer", [BINARY], {"s": ["x::Text::t"]}) == [BINARY]
    assert suites.stale("balancer", [BINARY], {"s": ["x::Binary::t"]}) == []
    assert suites.stale("balancer", [BINARY], {"t": []}) == []
    assert suites.stale("direct", [BINARY], {"s": []}) == []


def test_tests_of_one_name_fall_to_different_shards() -> None:
    collected = "".join(f"f.py::{c}::{t}\n" for c in "AB" for t in ("fast", "slow")) + "\n4 tests collected in 0.1s\n"
    dealt = suites.shards(collected, 2)
    assert dealt == [["f.py::A::fast", "f.py::A::slow"], ["f.py::B::fast", "f.py::B::slow"]]
    assert len(suites.shards(collected, 9)) == 4


@pytest.mark.parametrize(
    ("engine", "known"),
    [
        ("balancer", [Layout(1, 1), Layout(3, 1), Layout(3, 2)]),
        ("direct", [Layout(1, 1)]),
        ("twemproxy", [Layout(1, 1), Layout(3, 1)]),
    ],
)
def test_layouts_that_exist(engine: str, known: list[Layout]) -> None:
    assert engines.layouts(engine, [1, 3], [1, 2]) == known
    assert options(["--engine", engine]).layouts == known
    assert options(["--engine", engine, "--quick"]).layouts == known[-1:]


def test_the_balancer_s_configuration_is_what_it_reads() -> None:
    config = tomllib.loads(engines.balancer_toml(range(11311, 11314), 2))
    assert (config["listen"], config["name"], config["copies"]) == ("127.0.0.1:11211", "s1", 2)
    assert [server["address"] for server in config["servers"]] == [f"127.0.0.1:{11310 + n}" for n in (1, 2, 3)]


def test_servers_are_started_before_what_stands_in_front(tmp_path: Path) -> None:
    for engine in ("balancer", "twemproxy", "memcached-proxy"):
        *servers, front = engines.daemons(engine, Layout(3, 1), tmp_path)
        assert [command.words[0] for command in servers] == ["memcached"] * 3
        assert front.file is not None
        assert (
            f"127.0.0.1:{engines.PORT}" in " ".join([*front.words, front.file[1]]) or str(engines.PORT) in front.words
        )


def test_the_data_files_agree() -> None:
    known = suites.suites((HERE / "suites.toml").read_text(encoding="utf-8"))
    for entry in suites.entries((HERE / "by_nature.toml").read_text(encoding="utf-8")):
        assert entry.suite in known
        assert set(entry.engines) <= set(engines.ENGINES)
        assert entry.reason
    pinned = (HERE / "sdists.lock").read_text(encoding="utf-8").lower().replace(".", "_").replace("==", "-")
    for suite in known.values():
        assert suite.folder.lower().replace(".", "_") in pinned
        assert all((HERE / "supplied" / source).is_file() for source in suite.supplied.values())

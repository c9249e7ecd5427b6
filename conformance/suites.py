"""What the suites are, what their reports say, and what counts as passed. Pure: text in, counts out."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

Verdict = Literal["passed", "failed", "skipped"]


ENGINE = "(engine)"
"""The name under which an engine fails that does not answer, or ends: no test of the suite."""


@dataclass(frozen=True)
class Suite:
    """A published test suite; the fields are explained in suites.toml."""

    name: str
    tests: int
    skipped: int
    folder: str = ""
    options: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    supplied: Mapping[str, str] = field(default_factory=dict)
    shards: int = 1
    racy: tuple[str, ...] = ()

    def is_racy(self, test: str) -> bool:
        """Tell whether the test fails now and then with memcached itself."""
        return any(fnmatchcase(test, pattern) for pattern in self.racy)


@dataclass(frozen=True)
class Entry:
    """Tests that cannot pass by nature with these engines, and the reason."""

    suite: str
    tests: tuple[str, ...]
    engines: tuple[str, ...]
    reason: str

    def covers(self, engine: str, suite: str, test: str) -> bool:
        """Tell whether the failure of that test is this entry's."""
        if engine not in self.engines or suite != self.suite:
            return False
        return any(fnmatchcase(test, pattern) for pattern in self.tests)


@dataclass(frozen=True)
class Outcome:
    """How one test ended, and for a failure why, in a line or two."""

    test: str
    verdict: Verdict
    why: str = ""


@dataclass
class Counts:
    """How many tests of a suite ended how."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    by_nature: int = 0

    def add(self, other: Counts) -> None:
        """Add another run's."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.by_nature += other.by_nature

    def __str__(self) -> str:
        said = {name: count for name, count in asdict(self).items() if count or name == "passed"}
        return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in said.items())


def suites(text: str) -> dict[str, Suite]:
    """Read suites.toml."""
    found = {}
    for name, table in tomllib.loads(text).items():
        lists = {field: tuple(value) for field, value in table.items() if isinstance(value, list)}
        found[name] = Suite(name, **{**table, **lists})
    return found


def entries(text: str) -> list[Entry]:
    """Read by_nature.toml."""
    tables = tomllib.loads(text).get("entries", [])
    return [Entry(t["suite"], tuple(t["tests"]), tuple(t["engines"]), t["reason"]) for t in tables]


def shards(collected: str, count: int) -> list[list[str]]:
    """Deal the tests that pytest lists (`--collect-only -q`) out to so many shards.

    By name: classes inherit the tests that sleep longest, and those are to fall to different shards.
    """
    tests = sorted((line for line in collected.splitlines() if "::" in line), key=lambda test: test.split("::")[::-1])
    return [tests[first::count] for first in range(min(count, len(tests)))]


def pytest_outcomes(report: str) -> list[Outcome]:
    """Read a report of pytest-reportlog: JSON lines, three a test; the report of a run that was killed ends early."""
    phases: dict[str, list[dict[str, Any]]] = {}
    for line in report.splitlines():
        try:
            said = json.loads(line)
        except json.JSONDecodeError:  # the last line of a run that was killed
            continue
        kind = said.get("$report_type")
        if kind == "TestReport" or (kind == "CollectReport" and said["outcome"] == "failed"):
            phases.setdefault(said["nodeid"], []).append(said)
    return [_outcome(test, said) for test, said in phases.items()]


def _outcome(test: str, phases: Sequence[Mapping[str, Any]]) -> Outcome:
    for phase in phases:
        if phase["outcome"] == "failed":
            return Outcome(test, "failed", _why(phase["longrepr"]))
    if any(phase["outcome"] == "skipped" for phase in phases):
        return Outcome(test, "skipped")
    if phases[-1]["when"] != "teardown":
        return Outcome(test, "failed", "did not end in time")
    return Outcome(test, "passed")


def _why(longrepr: object) -> str:
    """Return the first lines of an exception's message, or the end of a traceback or of whatever else there is."""
    crash = longrepr.get("reprcrash") if isinstance(longrepr, Mapping) else None
    text = str(crash["message"] if crash else longrepr)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[:4] if crash and "Traceback" not in text else lines[-2:])[:400]


def memccapable_outcomes(output: str) -> list[Outcome]:
    """Read what memccapable writes: a name and [pass] or [FAIL] for each test, now and then with something between."""
    found = re.findall(r"^(ascii [a-z ]+?) {2,}(.*?)\[(pass|FAIL)\]", output, re.MULTILINE | re.DOTALL)
    return [
        Outcome(name, "passed" if word == "pass" else "failed", " ".join(between.split()))
        for name, between, word in found
    ]


def judge(
    suite: Suite, engine: str, outcomes: Iterable[Outcome], natural: Sequence[Entry]
) -> tuple[Counts, list[Outcome]]:
    """Count one run of a suite, and name what failed without an entry.

    A test that did not run, or that is skipped here and not with memcached itself, counts as failed.
    """
    counts, failures, seen = Counts(), [], 0
    for outcome in outcomes:
        seen += outcome.test != ENGINE
        if outcome.verdict == "passed":
            counts.passed += 1
        elif outcome.verdict == "skipped":
            counts.skipped += 1
        elif any(entry.covers(engine, suite.name, outcome.test) for entry in natural):
            counts.by_nature += 1
        else:
            counts.failed += 1
            failures.append(outcome)
    if (missing := suite.tests - seen) > 0:
        counts.failed += missing
        failures.append(Outcome("(whole suite)", "failed", f"{missing} of {suite.tests} tests did not run"))
    if (more := counts.skipped - suite.skipped) > 0:
        counts.skipped -= more
        counts.failed += more
        failures.append(Outcome("(whole suite)", "failed", f"{more} tests skipped that run with memcached itself"))
    return counts, failures


def stale(engine: str, natural: Sequence[Entry], failed: Mapping[str, Iterable[str]]) -> list[Entry]:
    """Return the entries of this engine, of the suites that ran, of which no test failed. `failed`: suite to tests."""
    return [
        entry
        for entry in natural
        if engine in entry.engines
        and entry.suite in failed
        and not any(entry.covers(engine, entry.suite, test) for test in failed[entry.suite])
    ]

"""Run the clients' own test suites through the balancer, or through something else to compare: README.md.

The last line is one JSON object: for each suite, and for `total`, how many tests passed, failed, were skipped, and
failed by nature (by_nature.toml says why), summed over the layouts. The exit code is 1 if anything failed otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from conformance.engines import ENGINES, ROOT, Layout, layouts, missing, proxy_command
from conformance.fetch import Fetched, fetched
from conformance.sandbox import ENDED, SILENT
from conformance.suites import (
    ENGINE,
    Counts,
    Outcome,
    Suite,
    entries,
    judge,
    memccapable_outcomes,
    pytest_outcomes,
    shards,
    stale,
    suites,
)

HERE = Path(__file__).resolve().parent
A_TEST, A_RUN = 45, 240
"""Seconds that a test, and one sandbox, may take. The longest test sleeps for 12 s."""
LOOKS = 3
"""How often a racy test may be tried."""


@dataclass(frozen=True)
class Job:
    """One sandbox: a suite, or a shard of it, in one layout."""

    suite: Suite
    layout: Layout
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Tools:
    """What every sandbox needs to know."""

    engine: str
    proxy: tuple[str, ...]
    fetched: Fetched
    folder: Path


def pytest_words(tools: Tools, suite: Suite, tests: Sequence[str] = ()) -> list[str]:
    """Return a suite's pytest command: its own options for coverage and colours left out."""
    plain = ["-q", "-o", "addopts=", "-p", "no:cacheprovider", "-W", "ignore", "--tb=short", f"--timeout={A_TEST}"]
    return [str(tools.fetched.python), "-B", "-m", "pytest", *plain, *suite.options, *(tests or suite.paths)]


def selections(tools: Tools, suite: Suite) -> list[tuple[str, ...]]:
    """Return what each shard of the suite runs; nothing said is everything."""
    if suite.shards == 1:
        return [()]
    words = [*pytest_words(tools, suite), "--collect-only"]
    where = tools.fetched.trees / suite.folder
    environment = {**os.environ, **suite.environment}
    said = subprocess.run(words, cwd=where, env=environment, capture_output=True, text=True, check=False)
    return [tuple(shard) for shard in shards(said.stdout, suite.shards)]


def run(job: Job, tools: Tools) -> list[Outcome]:
    """Run a job; tests that are known to be racy may fail twice."""
    outcomes = once(job, tools)
    for _ in range(LOOKS - 1):
        again = sorted({o.test for o in outcomes if o.verdict == "failed" and job.suite.is_racy(o.test)})
        if not again:
            break
        sure = [o for o in outcomes if o.test not in again]
        outcomes = sure + once(replace(job, tests=tuple(again)), tools)
    return outcomes


def once(job: Job, tools: Tools) -> list[Outcome]:
    """Run one sandbox to its end, and read what came of it."""
    folder = Path(tempfile.mkdtemp(prefix=f"{job.suite.name.replace(', ', '-')}-{job.layout}-", dir=tools.folder))
    if job.suite.folder:
        words = pytest_words(tools, job.suite, job.tests)
        command = [*words, f"--report-log={folder / 'report.jsonl'}"]
    else:
        command = ["memccapable", "-h", "127.0.0.1", "-p", "11211", "-a", "-t", "5"]
    said = {
        "engine": tools.engine,
        "servers": job.layout.servers,
        "copies": job.layout.copies,
        "folder": str(folder),
        "proxy": tools.proxy,
        "command": command,
        "where": str(tools.fetched.trees / job.suite.folder),
        "environment": dict(job.suite.environment),
    }
    (folder / "job.json").write_text(json.dumps(said), encoding="utf-8")
    code = _sandboxed([sys.executable, "-m", "conformance.sandbox", str(folder / "job.json")])
    outcomes = _read(job.suite, folder)
    if code in {SILENT, ENDED}:
        log = (folder / "engine.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        how = "never answered" if code == SILENT else "ended while the tests ran"
        outcomes.append(Outcome(ENGINE, "failed", f"{how}: {' / '.join(log[-3:])}"))
    return outcomes


def _sandboxed(command: Sequence[str]) -> int:
    """Run it in namespaces of its own: none of its processes outlives it."""
    spaces = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid():
        spaces += ["--user", "--map-root-user"]
    try:
        return subprocess.run(["unshare", *spaces, *command], cwd=ROOT, timeout=A_RUN, check=False).returncode
    except subprocess.TimeoutExpired:
        return -1  # the tests that did not end are counted as failed


def _read(suite: Suite, folder: Path) -> list[Outcome]:
    report = folder / ("report.jsonl" if suite.folder else "output.txt")
    text = report.read_text(encoding="utf-8", errors="replace") if report.exists() else ""
    return pytest_outcomes(text) if suite.folder else memccapable_outcomes(text)


def show(name: str, counts: Counts, failures: Sequence[Outcome]) -> None:
    """Write one line, and two for each failure."""
    sys.stdout.write(f"{name:28} {counts}\n")
    for outcome in failures:
        sys.stdout.write(f"    FAILED {outcome.test}\n           {outcome.why}\n")


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    known = suites((HERE / "suites.toml").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(prog="python -m conformance.run", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--engine", choices=ENGINES, default="balancer")
    parser.add_argument("--suite", action="append", choices=list(known), help="only this one; may be repeated")
    parser.add_argument("--servers", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--quick", action="store_true", help="the largest layout only")
    parser.add_argument("--jobs", type=int, default=12, help="sandboxes at a time; they mostly sleep")
    asked = parser.parse_args(arguments)
    asked.suites = [suite for name, suite in known.items() if asked.suite is None or name in asked.suite]
    asked.layouts = layouts(asked.engine, asked.servers, asked.copies)[-1 if asked.quick else 0 :]
    return asked


def main(arguments: Sequence[str]) -> int:
    """Run all that was asked for."""
    asked = options(arguments)
    if lacking := missing(asked.engine):
        sys.stderr.write(f"conformance: these Debian packages are missing: {' '.join(lacking)}\n")
        return 5
    proxy = proxy_command() if asked.engine == "memcached-proxy" else ()
    every = list(suites((HERE / "suites.toml").read_text(encoding="utf-8")).values())
    folder = Path(tempfile.mkdtemp(prefix="quorate-conformance-"))
    tools = Tools(asked.engine, proxy, fetched(every), folder)
    chosen = {suite.name: selections(tools, suite) for suite in asked.suites}
    jobs = [Job(s, layout, tests) for s in asked.suites for tests in chosen[s.name] for layout in asked.layouts]
    jobs.sort(key=lambda job: -job.suite.shards)  # the long ones first
    with ThreadPoolExecutor(asked.jobs) as pool:
        results = list(zip(jobs, pool.map(lambda job: run(job, tools), jobs), strict=True))
    sums, well = report(asked, results)
    if well:
        shutil.rmtree(folder)
    else:
        sys.stdout.write(f"the logs are in {folder}\n")
    sys.stdout.write(json.dumps(sums) + "\n")
    return 0 if well else 1


def report(
    asked: argparse.Namespace, results: Sequence[tuple[Job, list[Outcome]]]
) -> tuple[dict[str, dict[str, int]], bool]:
    """Write what passed and what did not; return the sums, and whether all is well."""
    natural = entries((HERE / "by_nature.toml").read_text(encoding="utf-8"))
    sums = {suite.name: Counts() for suite in asked.suites}
    failed: dict[str, list[str]] = {suite.name: [] for suite in asked.suites}
    for layout in asked.layouts:
        sys.stdout.write(f"{asked.engine}, {layout.servers} servers, copies {layout.copies}\n")
        for suite in asked.suites:
            outcomes = [o for job, found in results if (job.suite, job.layout) == (suite, layout) for o in found]
            counts, failures = judge(suite, asked.engine, outcomes, natural)
            show(f"  {suite.name}", counts, failures)
            sums[suite.name].add(counts)
            failed[suite.name] += [outcome.test for outcome in outcomes if outcome.verdict == "failed"]
    old = stale(asked.engine, natural, failed)
    for entry in old:
        sys.stdout.write(f"by_nature.toml is out of date: nothing of {entry.suite} {list(entry.tests)} fails\n")
    total = Counts()
    for counts in sums.values():
        total.add(counts)
    every = {**sums, "total": total}
    return {name: asdict(counts) for name, counts in every.items()}, not total.failed and not old


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What clients notice when a memcached server fails: five client libraries, eight faults, five engines.

`python bench/faults.py [--quick] [--runs N] [--engine E] [--fault F] [--client C] [--output json] [--markdown FILE]`
as root. Three lab machines, each with a memcached; the clients run on the first, the fault hits the third. With
`--output json` each line is one client's run, and the last line is one JSON object: `cases` (engine → fault → client →
figures), `shortcomings` (where the balancer misses its promise), `runs` and `load`. A run takes about 16 s; all of
them, five times, an hour. Histories are on disk before they are judged: `--judge` reads them again, without a lab.

faults_clients.py  the clients; sent to the machine
faults_engines.py  what stands between clients and servers, and how it is set up
faults_inject.py   what is done to the third machine, when, and how it is undone
faults_judge.py    pure: one client's history → findings
faults_report.py   pure: findings → tables
"""

from __future__ import annotations

import argparse
import gzip
import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import faults_clients
import faults_engines
import faults_report
from faults_engines import ENGINES, Engine
from faults_inject import END, FAULTS, Fault, Scene, undo
from faults_judge import Findings, judge, parse

from quorate.errors import QuorateError
from quorate.lab.lab import Lab

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "lab/bench-faults"
SCRIPT = "/root/faults_clients.py"
LOAD = {"seconds": int(END), "gets": 500, "sets": 50, "deletes": 20, "keys": 1000}
QUICK: dict[str, Any] = {
    "engine": ["quorate", "twemproxy"],
    "fault": ["killed", "cut"],
    "client": ["pymemcache"],
    "runs": 1,
}

Record = dict[str, Any]
"""One client's run, as it is kept on disk: engine, fault, run and what the client printed."""


def say(text: str) -> None:
    """Tell the reader how far it is."""
    sys.stderr.write(f"{text}\n")


def measure(scene: Scene, engine: Engine, fault: Fault, clients: Sequence[str], seed: int) -> list[Record]:
    """Do one run: set all up anew, let the clients work, do the fault in time, undo it; returns what they saw."""
    faults_engines.start(scene.lab, engine, restarts=fault.restarts)
    faults_engines.prefer(scene.lab)
    addresses = {machine: scene.lab.address(machine) for machine in scene.lab.machines()}
    plan = {**LOAD, "clients": list(clients), "servers": engine.servers(addresses), "seed": seed}
    command = f"exec timeout 60 python3 {SCRIPT} {shlex.quote(json.dumps(plan))}"
    with subprocess.Popen(
        [*scene.lab.ssh(scene.client), command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        try:
            said = program.stdout.readline() if program.stdout else ""
            if said != "ready\n":
                raise QuorateError(
                    f"{engine.name}: the clients did not find their keys: {said.strip()}\n"
                    f"{faults_engines.last_words(scene.lab, scene.client)}"
                )
            faults_engines.prefer(scene.lab)  # again, for the clients
            start = time.monotonic() + 0.5
            if program.stdin:
                program.stdin.write(f"{start}\n")
                program.stdin.flush()
            for at, act in fault.acts:
                time.sleep(max(0.0, start + at - time.monotonic()))
                act(scene)
            output, _ = program.communicate(timeout=END + 20)
        finally:
            program.kill()
            undo(scene)
    seen = [json.loads(line) for line in output.splitlines() if line]
    if [record["client"] for record in seen] != list(clients):
        raise QuorateError(f"{engine.name}, {fault.name}: only {len(seen)} of {len(clients)} clients ended")
    return seen


def patiently(scene: Scene, engine: Engine, fault: Fault, clients: Sequence[str], seed: int) -> list[Record]:
    """Measure; once more, if that could not be done: an hour's work is not lost to one slow start."""
    try:
        return measure(scene, engine, fault, clients, seed)
    except QuorateError as error:
        say(f"again, since it could not be measured: {error}")
        return measure(scene, engine, fault, clients, seed)


def campaign(scene: Scene, asked: argparse.Namespace) -> Iterator[Record]:
    """Measure all that is asked; engines in turn, so that whatever else this host does hits all alike."""
    number, total = 0, asked.runs * len(asked.fault) * len(asked.engine)
    for run in range(1, asked.runs + 1):
        for fault in asked.fault:
            for engine in asked.engine:
                number += 1
                path = asked.history / f"{engine}.{fault}.{run}.json.gz"
                if asked.resume and path.exists():
                    yield from kept(path)
                    continue
                say(f"{number}/{total} run {run}: {engine}, {fault}")
                about = {"engine": engine, "fault": fault, "run": run}
                seen = patiently(scene, ENGINES[engine], FAULTS[fault], asked.client, run)
                records = [{**about, **record} for record in seen]
                keep(path, records)
                yield from records


def keep(path: Path, records: Sequence[Record]) -> None:
    """Write histories to disk, before anybody judges them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    with gzip.open(draft, "wt", compresslevel=1) as file:
        file.writelines(f"{json.dumps(record)}\n" for record in records)
    draft.replace(path)


def kept(path: Path) -> Iterator[Record]:
    """Read histories again."""
    with gzip.open(path, "rt") as file:
        yield from map(json.loads, file)


def all_kept(asked: argparse.Namespace) -> Iterator[Record]:
    """Read all histories that there are of what is asked."""
    for path in sorted(asked.history.glob("*.json.gz")):
        engine, fault, _ = path.name.removesuffix(".json.gz").rsplit(".", 2)
        if engine in asked.engine and fault in asked.fault:
            yield from (record for record in kept(path) if record["client"] in asked.client)


def judged(record: Record) -> Findings:
    """Judge one client's run."""
    if record["problem"]:
        raise QuorateError(f"{record['engine']}, {record['fault']}, {record['client']}: {record['problem']}")
    window = FAULTS[record["fault"]].window
    return judge(parse(record["rows"]), record["closed"], window, record["undone"])


def in_lab(asked: argparse.Namespace) -> Iterator[Record]:
    """Bring the lab up, measure, take it down."""
    lab = Lab(asked.name, progress=say)
    lab.down()  # what a killed run left
    try:
        lab.up(FOLDER / "cloud", machines=3, subnet=asked.subnet, packages=faults_engines.PACKAGES, force=True)
        faults_engines.install(lab)
        first, *_, last = lab.machines()
        source = Path(faults_clients.__file__).read_text(encoding="utf-8")
        (lab.machine(first).root / SCRIPT[1:]).write_text(source, encoding="utf-8")
        yield from campaign(Scene(lab, first, last), asked)
    finally:
        if not asked.keep:
            lab.down()


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", choices=["text", "json"], default="text")
    parser.add_argument("--markdown", type=Path, help="write the tables for docs/ to this file")
    parser.add_argument("--about", default="", help="and say this there of how it was measured")
    parser.add_argument("--runs", type=int, help="of each case (5)")
    parser.add_argument("--quick", action="store_true", help="two engines, two faults, one client, one run")
    for name, known in (("engine", ENGINES), ("fault", FAULTS), ("client", faults_clients.CLIENTS)):
        parser.add_argument(f"--{name}", action="append", choices=list(known), help="only this; may be repeated")
    parser.add_argument("--history", type=Path, default=FOLDER / "history", help="where histories are kept")
    parser.add_argument("--resume", action="store_true", help="measure only what is not in --history")
    parser.add_argument("--judge", action="store_true", help="measure nothing: judge what is in --history")
    parser.add_argument("--keep", action="store_true", help="leave the lab up")
    parser.add_argument("--name", default="bench-faults", help="the lab's name")
    parser.add_argument("--subnet", default="10.82.0.0/24", help="the lab's addresses")
    asked = parser.parse_args()
    everything: dict[str, Any] = {
        "engine": list(ENGINES),
        "fault": list(FAULTS),
        "client": list(faults_clients.CLIENTS),
        "runs": 5,
    }
    for name, value in {**everything, **(QUICK if asked.quick else {})}.items():
        if getattr(asked, name) is None:
            setattr(asked, name, value)
    return asked


def main() -> int:
    """Run the bench."""
    asked = arguments()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # the lab goes, as after Ctrl-C
    found: list[tuple[faults_report.Key, Findings]] = []
    try:
        for record in all_kept(asked) if asked.judge else in_lab(asked):
            key = (record["engine"], record["fault"], record["client"])
            findings = judged(record)
            found.append((key, findings))
            if asked.output == "json":
                about = {name: record[name] for name in ("engine", "fault", "client", "run")}
                sys.stdout.write(json.dumps({**about, **asdict(findings)}) + "\n")
                sys.stdout.flush()
    except QuorateError as error:
        say(f"bench: {error}{error.hint and f' ({error.hint})'}")
        return error.exit_code
    cases = faults_report.cases(sorted(found, key=lambda item: _order(item[0])))
    if asked.markdown:
        asked.markdown.write_text(faults_report.markdown(cases, asked.about), encoding="utf-8")
    short = faults_report.failures(cases, "quorate")
    if asked.output == "text":
        sys.stdout.write(faults_report.text(cases))
        sys.stdout.writelines(f"quorate falls short: {line}\n" for line in short)
    runs = max((case["runs"] for case in cases.values()), default=0)
    result = {"runs": runs, "load": LOAD, "shortcomings": short, "cases": faults_report.nested(cases)}
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


def _order(key: faults_report.Key) -> tuple[int, int, int]:
    engine, fault, client = key
    return list(ENGINES).index(engine), list(FAULTS).index(fault), list(faults_clients.CLIENTS).index(client)


if __name__ == "__main__":
    sys.exit(main())

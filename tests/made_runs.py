"""Runs that nobody ran: records as a drill writes them and results as a judge gives them, from a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from quorate.core.findings import Finding, FunctionRow, Latency, LevelWord, Result, Span
from quorate.core.history import Operation, outages
from quorate.core.record import (
    Client,
    Done,
    Header,
    HitLine,
    HolderLine,
    LookLine,
    Mark,
    PauseLine,
    PredictionLine,
    Record,
    StageLine,
    Watched,
)
from quorate.report.run import Run

CLIENTS = (
    ("token_validation", "token_validation", "", 1.9, 8.0),
    ("token_issue", "token_issue", "", 2.3, 45.0),
    ("database_write", "database_write", "", 2.1, 6.0),
    ("virtual_ip_5000", "virtual_ip", "", 1.2, 0.9),
    ("cache_controller1", "cache", "controller1", 25.0, 0.6),
    ("cache_controller2", "cache", "controller2", 0.0, 0.6),
    ("cache_controller3", "cache", "controller3", 0.0, 0.6),
)
"""Name, function, whose server it uses, seconds out after the fault, usual milliseconds."""
OBJECTIVES = {"token_validation": 3.0, "token_issue": 3.0, "database_write": 2.0, "virtual_ip": 2.0, "cache": 1.0}
STAGES = (
    StageLine(name="detection", seconds=1.0, source="corosync totem.token 1000 ms"),
    StageLine(name="consensus", seconds=1.2, source="corosync totem.consensus = 1.2 token"),
    StageLine(name="fencing", seconds=0.4, source="measured: Redfish power-off in the lab"),
    StageLine(name="takeover", seconds=0.3, source="ocf:heartbeat:IPaddr2 start, then gratuitous ARP"),
)
INJECT, HEAL, WHOLE, ENDED = 8.0, 38.0, 51.5, 60.0


@dataclass(frozen=True)
class Wish:
    """What the run should be like."""

    seed: int = 1
    rate: float = 20.0
    slower: float = 1.0
    drill: str = "power-cut"
    host: str = "controller1"
    note: str = "ConnectTimeout: no route to 10.77.0.100"
    clients: Sequence[tuple[str, str, str, float, float]] = CLIENTS


def made(wish: Wish = Wish()) -> Run:
    """Make a record as it would be after a power cut, and judge it in a simple way."""
    dice = random.Random(wish.seed)
    record = Record(_header(wish))
    for name, _, _, out, usual in wish.clients:
        record.operations[name] = _history(dice, wish, out * wish.slower * dice.uniform(0.9, 1.1), usual)
    record.marks = [
        Mark(name="calm", at=0.0),
        Mark(name="inject", at=INJECT),
        Mark(name="injected", at=INJECT + 0.21),
        Mark(name="proved", at=INJECT + 0.4),
        Mark(name="heal", at=HEAL),
        Mark(name="healed", at=HEAL + 2.5),
        Mark(name="whole", at=WHOLE),
        Mark(name="end", at=ENDED),
    ]
    record.looks = [_look(at, wish) for at in range(int(ENDED))]
    moved = INJECT + 1.1 * wish.slower
    for number, address in enumerate(("10.77.0.100", "10.77.1.100")):
        record.holders.append(HolderLine(address=address, holder=wish.host, first=0.1, last=INJECT, announced=None))
        at = moved + number * 0.06
        record.holders.append(
            HolderLine(address=address, holder="controller2", first=at + 0.01, last=ENDED, announced=at)
        )
        record.watches.append(Watched(address=address, two_holders=False))
    record.add(Done())
    return Run(judged(record), record)


def cut_off(run: Run) -> Run:
    """The same, as if the drill's own machine had died during the fault."""
    record = Record(
        run.record.header,
        {name: [o for o in history if o.end < INJECT + 3] for name, history in run.record.operations.items()},
        [mark for mark in run.record.marks if mark.at < INJECT + 3],
        [look for look in run.record.looks if look.at < INJECT + 3],
    )
    told = {"level": "unknown", "reason": "the record was cut off", "lost": None, "whole_s": None}
    return Run(judged(record).model_copy(update=told), record)


def empty(wish: Wish = Wish()) -> Run:
    """A header and nothing else."""
    record = Record(_header(wish))
    return Run(judged(record), record)


def _header(wish: Wish) -> Header:
    functions = dict.fromkeys(function for _, function, _, _, _ in wish.clients)
    return Header(
        run=f"20261128T101500-{wish.drill}-{wish.seed}",
        cloud="lab",
        began="2026-11-28T10:15:00+00:00",
        drill=wish.drill,
        summary=f"The power of {wish.host}, which holds the virtual IP, is cut",
        seed=wish.seed,
        hits=(HitLine(host=wish.host, part="machine", loss="silent"),),
        roles={"virtual-ip": wish.host, "writer": wish.host},
        within=True,
        hold=30.0,
        workloads=tuple(
            Client(name=name, function=function, objective=function, rate=wish.rate, at=at)
            for name, function, at, _, _ in wish.clients
        ),
        objectives=OBJECTIVES,
        predictions=tuple(_prediction(function, wish) for function in functions),
        vips=("10.77.0.100", "10.77.1.100"),
        watched=("10.77.0.100", "10.77.1.100"),
    )


def _prediction(function: str, wish: Wish) -> PredictionLine:
    if function == "cache":
        return PredictionLine(function=function, seconds=0.0)
    stages = STAGES if function != "database_write" else (*STAGES, StageLine(
        name="writer elected", seconds=0.5, source="galera evs.suspect_timeout, haproxy inter * fall"
    ))  # fmt: skip
    pause = PauseLine(
        function="virtual_ip",
        because=f"{wish.host} is silent and must be fenced before its addresses are taken",
        stages=stages,
        takes_over=("controller2", "controller3"),
    )
    return PredictionLine(function=function, seconds=sum(stage.seconds for stage in stages), chain=(pause,))


def _history(dice: random.Random, wish: Wish, out: float, usual: float) -> list[Operation]:
    found = []
    for number in range(int(ENDED * wish.rate)):
        start = round(number / wish.rate, 5)
        waited = usual / 1000 * dice.lognormvariate(0, 0.35)
        if INJECT <= start < INJECT + out:
            refused = dice.random() < 0.6
            end = start + (dice.uniform(0.001, 0.1) if refused else 3.0)
            found.append(
                Operation(start, end, "failed" if refused else "unknown", wish.note if refused else "no answer")
            )
        else:
            if INJECT + out <= start < INJECT + out + 1.5:
                waited *= dice.uniform(2, 30)
            found.append(Operation(start, start + waited, "ok"))
    return found


def _look(at: float, wish: Wish) -> LookLine:
    if INJECT + 1 <= at < WHOLE:
        return LookLine(at=at, level="failing", why={"corosync": f"{wish.host} is lost", "galera": "2 of 3 are synced"})
    return LookLine(at=at, level="ok")


def judged(record: Record) -> Result:
    """Judge a record, only as well as pictures need it."""
    header = record.header
    rows = tuple(
        _row(record, function, [client for client in header.workloads if client.function == function])
        for function in dict.fromkeys(client.function for client in header.workloads)
    )
    bad = [row.function for row in rows if row.level == "failing"]
    level: LevelWord = "failing" if bad else "unknown" if any(row.level == "unknown" for row in rows) else "ok"
    return Result(
        run=header.run,
        cloud=header.cloud,
        drill=header.drill,
        summary=header.summary,
        began=header.began,
        seed=header.seed,
        hits=tuple(hit.host for hit in header.hits),
        roles=header.roles,
        within=header.within,
        marks={mark.name: mark.at for mark in record.marks},
        ended=max((mark.at for mark in record.marks), default=0.0),
        rows=rows,
        findings=_findings(record),
        predictions=header.predictions,
        takeovers=("10.77.0.100 went to controller2",),
        lost=0 if record.complete else None,
        whole_s=WHOLE - HEAL if record.complete else None,
        alarm_s=1.0 if record.complete else None,
        level=level,
        reason=f"out for longer than promised: {', '.join(bad)}" if bad else f"every function is {level}",
    )


def _findings(record: Record) -> tuple[Finding, ...]:
    seen = record.complete
    return (
        Finding(
            checker="vip-holders",
            level="ok" if seen else "unknown",
            reason="no address had two holders" if seen else "the record was cut off",
        ),
        Finding(
            checker="stale-reads",
            level="failing" if seen else "unknown",
            reason="1 read gave a value older than an acknowledged write",
            evidence=("key q:17 was set to 4 at 9.31 s, acknowledged", "key q:17 gave 3 at 9.52 s"),
        ),
        Finding(checker="lost-rows", level="ok", reason="all 1,130 acknowledged rows were found"),
    )


def _row(record: Record, function: str, clients: Sequence[Client]) -> FunctionRow:
    taken = {hit.host for hit in record.header.hits}
    own = [o for client in clients if client.at not in taken for o in record.operations.get(client.name, ())]
    seen = bool(own) and record.complete
    spans = [
        Span(began=o.began, ended=o.ended, failed=o.failed)
        for client in clients
        if client.at not in taken
        for o in outages(record.operations.get(client.name, ()))
    ]
    measured = max((span.seconds for span in spans), default=0.0) if seen else None
    predicted = next(line.seconds for line in record.header.predictions if line.function == function)
    objective = record.header.objectives[function]
    late = measured is not None and measured > objective
    kinds = {kind: len(list(same)) for kind, same in groupby(sorted(o.note for o in own if o.outcome != "ok"))}
    return FunctionRow(
        function=function,
        objective_s=objective,
        predicted_s=predicted,
        measured_s=measured,
        operations=len(own),
        failed=sum(o.outcome == "failed" for o in own),
        unknown=sum(o.outcome == "unknown" for o in own),
        outages=tuple(spans),
        errors=kinds,
        latency=_latencies(own),
        held=None if measured is None or predicted is None else measured <= max(predicted, 0.3),
        level="unknown" if measured is None else "failing" if late else "ok",
        reason="nothing was seen" if measured is None else "over its objective" if late else "back in time",
    )


def _latencies(operations: Sequence[Operation]) -> dict[str, Latency]:
    edges = {"before": (0.0, INJECT), "during": (INJECT, HEAL), "after": (HEAL, ENDED)}
    found = {}
    for phase, (began, ended) in edges.items():
        within = [o for o in operations if began <= o.start < ended]
        waits = sorted(o.seconds * 1000 for o in within)
        if waits:
            bounds = [0.25 * 1.3**power for power in range(40)]
            counts = tuple(
                (round(high, 3), sum(low <= w < high for w in waits))
                for low, high in zip([0.0, *bounds], bounds, strict=False)
            )
            found[phase] = Latency(
                operations=len(waits),
                failed=sum(o.outcome != "ok" for o in within),
                p50=waits[len(waits) // 2],
                p90=waits[int(len(waits) * 0.9)],
                p99=waits[int(len(waits) * 0.99)],
                worst=waits[-1],
                counts=counts,
            )
    return found


def named(run: Run, host: str) -> Run:
    """The same, with another name for the controller that takes over."""
    record = replace(
        run.record,
        holders=[
            line.model_copy(update={"holder": host}) if line.holder == "controller2" else line
            for line in run.record.holders
        ],
    )
    return Run(run.result, record)

"""From a drill's record to its result: what each function did, beside what was predicted and what was promised.

The same record gives the same result, whenever and wherever it is judged. What a record does not show is unknown.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from quorate.core import checkers
from quorate.core.failure import kept
from quorate.core.fault import MACHINE
from quorate.core.findings import Finding, FunctionRow, Latency, LevelWord, Result, Span
from quorate.core.history import STALL, Operation, Outage, outages
from quorate.core.record import Client, PredictionLine, Record

BOUNDS = tuple(round(1.3**step, 2) for step in range(43))
"""Upper bounds of the latency histogram, milliseconds: 1 ms to a minute, each 1.3 times the one before."""
_ORDER: tuple[LevelWord, ...] = ("ok", "unknown", "failing")


def judge(record: Record, which: Sequence[checkers.Checker] = checkers.CHECKERS) -> Result:
    """Judge everything."""
    header = record.header
    rows = tuple(_row(record, function) for function in _functions(record))
    findings = checkers.run(which, record)
    if not record.complete:
        cut = "the record was cut off: what came after its end is unknown"
        findings = (*findings, Finding(checker="record", level="unknown", reason=cut))
    lost = checkers.lost_rows(record)
    level, reason = _verdict(rows, findings)
    return Result(
        run=header.run,
        cloud=header.cloud,
        drill=header.drill,
        summary=header.summary,
        began=header.began,
        seed=header.seed,
        hits=tuple(f"{hit.part} of {hit.host}: {hit.loss}" for hit in header.hits),
        roles=header.roles,
        within=header.within,
        marks={mark.name: mark.at for mark in reversed(record.marks) if mark.name != "pause"},
        ended=_end(record),
        rows=rows,
        findings=findings,
        predictions=header.predictions,
        takeovers=_takeovers(record),
        lost=sum(map(len, lost.values())) if lost else None,
        whole_s=checkers.whole_after(record),
        alarm_s=checkers.alarm_after(record),
        level=level,
        reason=reason,
    )


def _verdict(rows: Sequence[FunctionRow], findings: Sequence[Finding]) -> tuple[LevelWord, str]:
    told: list[tuple[LevelWord, str]] = [(row.level, f"{row.function}: {row.reason}") for row in rows]
    told += [(finding.level, f"{finding.checker}: {finding.reason}") for finding in findings]
    worst: LevelWord = max((level for level, _ in told), key=_ORDER.index, default="unknown")
    if worst == "ok":
        return "ok", "every function kept its objective, nothing was lost"
    return worst, "; ".join(reason for level, reason in told if level == worst)


def _functions(record: Record) -> list[str]:
    return list(dict.fromkeys(client.function for client in record.header.workloads))


def _end(record: Record) -> float:
    seen = [operation.end for history in record.operations.values() for operation in history]
    return max((*seen, *(mark.at for mark in record.marks), *(look.at for look in record.looks)), default=0.0)


def _clients(record: Record, function: str) -> list[Client]:
    """Clients whose own controller the fault does not take: what stands on a lost machine is lost with it.

    A function of which nothing else is left is judged by all of its clients.
    """
    gone = {hit.host for hit in record.header.hits if hit.part == MACHINE}
    clients = [one for one in record.header.workloads if one.function == function]
    return [one for one in clients if one.at not in gone] or clients


def _row(record: Record, function: str) -> FunctionRow:
    clients = _clients(record, function)
    calm = record.mark("calm") or 0.0
    histories = {
        client.name: [one for one in record.operations.get(client.name, []) if one.start >= calm] for client in clients
    }
    injected = record.mark("inject")
    objective = min((record.header.objectives[c.objective] for c in clients), default=None)
    predicted = _prediction(record, function)
    bound = predicted.seconds if predicted else None
    resolution = max(1 / client.rate for client in clients)
    every = [operation for history in histories.values() for operation in history]
    found = [outage for history in histories.values() for outage in outages_of(record, history)]
    spans = [Span(began=o.began, ended=o.ended, failed=o.failed) for o in found]
    unseen = [name for name, history in histories.items() if not history]
    measured = max((span.seconds for span in spans), default=0.0) if not unseen else None
    if measured is not None and not record.complete and not (objective is not None and measured > objective):
        measured = None  # what came after the end of the record may have been longer
    row = FunctionRow(
        function=function,
        objective_s=objective,
        predicted_s=bound,
        measured_s=measured,
        resolution_s=round(resolution, 3),
        operations=len(every),
        failed=sum(operation.outcome == "failed" for operation in every),
        unknown=sum(operation.outcome == "unknown" for operation in every),
        outages=tuple(sorted(spans, key=lambda span: span.began)),
        errors=dict(Counter(_kind(o.note) for o in every if o.outcome != "ok").most_common(12)),
        latency=_phases(record, every),
        held=None if bound is None or measured is None else kept(bound, measured, resolution),
        level="unknown",
        reason="",
    )
    # What was under way when the fault came, and failed by it, is no failure before it.
    early = [[o for o in history if injected is None or o.end < injected] for history in histories.values()]
    before = [one.began for history in early for one in outages_of(record, history) if one.failed]
    level, reason = _judged(record, row, unseen, before)
    return row.model_copy(update={"level": level, "reason": reason})


def outages_of(record: Record, history: Sequence[Operation]) -> list[Outage]:
    """Those of the cloud: what was merely late, because this process stood still meanwhile, is none."""
    pauses = [(mark.at, mark.at + mark.seconds) for mark in record.marks if mark.name == "pause"]

    def others(outage: Outage) -> float:
        own = sum(max(0.0, min(end, outage.ended) - max(begin, outage.began)) for begin, end in pauses)
        return outage.seconds - own

    return [one for one in outages(history, lasting=checkers.LASTING) if one.failed or others(one) > STALL]


def _judged(record: Record, row: FunctionRow, unseen: Sequence[str], before: Sequence[float]) -> tuple[LevelWord, str]:
    if record.mark("inject") is None:
        return "unknown", "the fault was never injected"
    if unseen:
        return "unknown", f"{', '.join(unseen)} did nothing"
    if row.measured_s is None:
        return "unknown", "the record was cut off, and it may have been out for longer"
    if before:
        return "unknown", f"it was out before the fault, at {min(before):.1f} s"
    said = f"out for {row.measured_s:.2f} s" if row.measured_s else "never out"
    if row.objective_s is not None and row.measured_s > row.objective_s:
        level: LevelWord = "failing" if record.header.within else "ok"
        beyond = "" if record.header.within else " (no promise: the fault is beyond what the cloud is built for)"
        return level, f"{said}, objective {row.objective_s:g} s{beyond}"
    return "ok", said


def _prediction(record: Record, function: str) -> PredictionLine | None:
    return next((p for p in record.header.predictions if p.function == function), None)


def _kind(note: str) -> str:
    """One kind of error for all that differ in numbers only."""
    return "".join("N" if char.isdigit() else char for char in note)[:120] or "no reason given"


def _phases(record: Record, every: Sequence[Operation]) -> dict[str, Latency]:
    injected, healed = record.mark("inject"), record.mark("whole") or record.mark("healed")
    if injected is None:
        return {"before": latency(every)} if every else {}
    phases: dict[str, list[Operation]] = {"before": [], "during": [], "after": []}
    for operation in every:
        calm = operation.start < injected
        name = "before" if calm else "during" if healed is None or operation.start < healed else "after"
        phases[name].append(operation)
    return {name: latency(operations) for name, operations in phases.items() if operations}


def latency(operations: Sequence[Operation]) -> Latency:
    """The distribution of what users waited, those that failed included: they waited, too."""
    waited = sorted(operation.seconds * 1000 for operation in operations)
    counts = [0] * len(BOUNDS)
    for one in waited:
        counts[min(bisect_left(BOUNDS, one), len(BOUNDS) - 1)] += 1

    def at(part: float) -> float:
        return round(waited[min(len(waited) - 1, int(len(waited) * part))], 2) if waited else 0.0

    return Latency(
        operations=len(waited),
        failed=sum(operation.outcome != "ok" for operation in operations),
        p50=at(0.5),
        p90=at(0.9),
        p99=at(0.99),
        worst=round(waited[-1], 2) if waited else 0.0,
        counts=tuple(zip(BOUNDS, counts, strict=True)),
    )


def _takeovers(record: Record) -> tuple[str, ...]:
    """Who served in whose place, as clients saw it."""
    told = []
    for client in record.header.workloads:
        if client.shows:
            served = [
                str(o.facts["server"])
                for o in sorted(record.operations.get(client.name, ()), key=lambda operation: operation.start)
                if o.outcome == "ok" and "server" in o.facts
            ]
            order = [name for index, name in enumerate(served) if not index or served[index - 1] != name]
            told.append(f"{client.shows}: {' → '.join(order[:12]) or 'nobody'}")
    return tuple(told)

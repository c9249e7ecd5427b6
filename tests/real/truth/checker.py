"""A history → what went wrong in it. Pure.

A history is what clients saw: each operation with its begin and end on one monotonic clock, its outcome, and the
balancer that it went through; each key has one writer, whose changes follow one another, so their order is total.

Findings, each a breach of the guarantee:
- **stale**: a read returned a value older than a change that was acknowledged `bound` before the read began.
  The bound is 0 through the balancer that acknowledged the change, and BOUND through another.
- **resurrected**: the same, where the change that should have been seen is a delete.
- **zombie**: the same, where the value is one of a write that failed or whose outcome its client never learnt.
- **wrong**: a reply that answers another request: another key's value, a value that nobody has written yet, a reply
  that the command does not have, or bytes that are no reply.

Counted, not judged: misses of values that were there (a miss is always correct), errors, connections that were closed,
the slowest operation; none of them while the balancer that was asked is itself killed or frozen.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

BOUND = 0.6
"""Seconds until another balancer must know: one lease and one probe interval."""
GRACE = 0.5
"""Seconds after a balancer is back in which its clients may still be coming back."""

Outcome = Literal["ok", "failed", "unknown", "wrong"]
BREACHES = ("stale", "resurrected", "zombie", "wrong")
COUNTS = ("reads", "changes", "lost", "errors", "closed", "crashed")
IMPATIENT = "impatient"
"""Why an outcome is unknown that the client could have waited for: no error."""
DECLINED = "declined"
"""Why a change was not done whose condition was not met (add, replace, cas): no error."""


@dataclass(frozen=True)
class Operation:
    """One `set`, `delete` or `get` of one key, as its client saw it.

    `number` is the counter in the value: of a change the one that it carries (deletes are counted too), of a read the
    one that it returned, None for a miss. `failed`: the reply said that it was not done. `unknown`: no reply came.
    `wrong`: what came is in `why`.
    """

    kind: Literal["set", "delete", "get"]
    key: str
    number: int | None
    begin: float
    end: float
    outcome: Outcome
    via: int
    client: str = ""
    why: str = ""

    def __str__(self) -> str:
        what = "" if self.kind == "delete" else f" → {self.number}" if self.kind == "get" else ""
        number = f" #{self.number}" if self.kind != "get" else ""
        why = f" ({self.why})" if self.why else ""
        return (
            f"[{self.begin:.4f} {self.end:.4f}] {self.kind} {self.key}{number}{what} {self.outcome}"
            f" by {self.client} through {self.via}{why}"
        )


@dataclass(frozen=True)
class Absence:
    """A time in which a balancer was killed or frozen."""

    via: int
    begin: float
    end: float


@dataclass(frozen=True)
class History:
    """Everything that is judged.

    `closed`: when a connection was opened, when its client found it closed, and to which balancer. `crashed`: the
    daemons that ended though nobody killed them.
    """

    operations: tuple[Operation, ...] = ()
    closed: tuple[tuple[float, float, int], ...] = ()
    absences: tuple[Absence, ...] = ()
    crashed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One breach: the read, and the change that it should have seen."""

    kind: str
    read: Operation
    missed: Operation | None = None
    source: Operation | None = None

    def __str__(self) -> str:
        lines = [f"{self.kind}: {self.read}"]
        if self.missed:
            lines.append(f"  acknowledged {self.read.begin - self.missed.end:.4f} s before: {self.missed}")
        if self.source:
            lines.append(f"  what it returned: {self.source}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Report:
    """What a history holds. `slowest` in seconds."""

    findings: tuple[Finding, ...] = ()
    reads: int = 0
    changes: int = 0
    lost: int = 0
    errors: int = 0
    closed: int = 0
    crashed: int = 0
    slowest: float = 0.0

    @property
    def kinds(self) -> Counter[str]:
        """How many findings of each kind."""
        return Counter(finding.kind for finding in self.findings)

    @property
    def clean(self) -> bool:
        """Whether the guarantee held and every daemon lived."""
        return not self.findings and not self.crashed

    def counts(self) -> Counter[str]:
        """Everything that can be added up over many histories."""
        return Counter({name: getattr(self, name) for name in COUNTS})


def load(path: Path) -> History:
    """Read a history that clients have written, a JSON object a line."""
    operations: list[Operation] = []
    closed: list[tuple[float, float, int]] = []
    absences: list[Absence] = []
    crashed: list[str] = []
    out: dict[int, float] = {}
    last = 0.0
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        kind = entry.pop("entry")
        if kind == "operation":
            operations.append(Operation(**entry))
            last = max(last, operations[-1].end)
        elif kind == "closed":
            closed.append((entry["opened"], entry["found"], entry["via"]))
        elif kind == "crashed":
            crashed.append(entry["who"])
        elif kind == "fault" and entry["role"] == "balancer" and entry["act"] in {"kill", "freeze"}:
            out.setdefault(entry["index"], entry["begin"])
        elif kind == "fault" and entry["role"] == "balancer" and entry["act"] in {"start", "thaw"}:
            absences.append(Absence(entry["index"], out.pop(entry["index"]), entry["end"]))
    absences += [Absence(via, begin, last) for via, begin in out.items()]
    return History(tuple(operations), tuple(closed), tuple(absences), tuple(crashed))


def check(history: History, bound: float = BOUND) -> Report:
    """Judge a history. Sound: a time is noted before a request is sent and after its reply has been read."""
    changes: dict[str, list[Operation]] = defaultdict(list)
    reads: list[Operation] = []
    for operation in history.operations:
        if operation.kind == "get":
            reads.append(operation)
        else:
            changes[operation.key].append(operation)
    for of_key in changes.values():
        of_key.sort(key=lambda change: change.begin)
    present = [operation for operation in history.operations if not _absent(history.absences, operation)]
    findings = [Finding("wrong", operation) for operation in history.operations if operation.outcome == "wrong"]
    findings += filter(None, (_judge(read, changes[read.key], bound) for read in reads if read.outcome == "ok"))
    return Report(
        findings=tuple(sorted(findings, key=lambda finding: finding.read.begin)),
        reads=len(reads),
        changes=sum(map(len, changes.values())),
        lost=sum(_lost(read, changes[read.key]) for read in reads),
        errors=sum(o.outcome in {"failed", "unknown"} and o.why not in {IMPATIENT, DECLINED} for o in present),
        closed=sum(not _within(history.absences, via, opened, found) for opened, found, via in history.closed),
        crashed=len(history.crashed),
        slowest=max((operation.end - operation.begin for operation in present), default=0.0),
    )


def _judge(read: Operation, changes: Sequence[Operation], bound: float) -> Finding | None:
    """Compare what a read returned with the last change that it had to see."""
    if read.number is None:
        return None
    place = next((place for place, change in enumerate(changes) if change.number == read.number), None)
    source = None if place is None else changes[place]
    if source is None or place is None or source.kind != "set" or source.begin > read.end:
        return Finding("wrong", read, source=source)
    newer = reversed(changes[place + 1 :])
    missed = next((change for change in newer if _must_be_seen(change, read, bound)), None)
    if missed is None:
        return None
    kind = "zombie" if source.outcome != "ok" else "resurrected" if missed.kind == "delete" else "stale"
    return Finding(kind, read, missed, source)


def _must_be_seen(change: Operation, read: Operation, bound: float) -> bool:
    return change.outcome == "ok" and change.end + (0.0 if change.via == read.via else bound) < read.begin


def _lost(read: Operation, changes: Sequence[Operation]) -> bool:
    """Whether a read missed a value that was acknowledged before and that nobody was changing."""
    if read.outcome != "ok" or read.number is not None:
        return False
    before: Operation | None = None
    for change in changes:
        if change.begin <= read.end:
            before = change
    return before is not None and before.kind == "set" and before.outcome == "ok" and before.end < read.begin


def _absent(absences: Iterable[Absence], operation: Operation) -> bool:
    return _within(absences, operation.via, operation.begin, operation.end)


def _within(absences: Iterable[Absence], via: int, begin: float, end: float) -> bool:
    return any(out.via == via and begin <= out.end + GRACE and end >= out.begin for out in absences)


def lines(report: Report, most: int = 10) -> Iterator[str]:
    """Say the report in words, with at most so many findings at length."""
    kinds = ", ".join(f"{report.kinds[kind]} {kind}" for kind in BREACHES)
    yield (
        f"{kinds}; {report.reads} reads, {report.changes} changes, {report.lost} hits lost, {report.errors} errors, "
        f"{report.closed} closed, {report.crashed} crashed, slowest {report.slowest * 1000:.0f} ms"
    )
    for finding in report.findings[:most]:
        yield str(finding)
    if len(report.findings) > most:
        yield f"… and {len(report.findings) - most} more"

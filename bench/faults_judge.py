"""What one client saw of a fault: its history, and the judgement of it. Pure: an old history can be judged again.

Each client is the only one that changes its keys, and does one thing after another. Its changes are numbered, and a
value holds its key and its number. So a value that is read is *stale* when its number is below that of the last
acknowledged change of its key: an older value, a deleted one that is back, or an abandoned write that came after all. A
miss is a *lost hit* when the last acknowledged change of the key was a write and no later change of it is in doubt.

Waiting is measured from when an operation was due, not from when it was begun: whoever waits behind a stalled operation
waits as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

MISS = -1
"""What a get returns when there is no value."""
WRONG = -2
"""What a get returns when the value is another key's, or none of ours."""
DONE, REFUSED = 1, 0
"""What a change returns, where it raises nothing."""
HUNG = 1.0
"""What had not ended when the run did hung when it was begun so many seconds before."""


@dataclass(frozen=True)
class Op:
    """One operation: times in seconds since the run began.

    `kind` is get, set, delete, or look: a get by a second client that was opened after the run, as another worker's.
    `version` numbers a change. `result` is None where the operation never ended, a text where the client raised.
    """

    kind: str
    key: int
    version: int
    due: float
    began: float
    ended: float | None
    result: int | str | None


@dataclass(frozen=True)
class Window:
    """When the fault began and when it was mended (None: not during the run); `end` is the run's end. Seconds."""

    began: float
    healed: float | None
    end: float


@dataclass(frozen=True)
class Findings:
    """What one client saw in one run. Times in milliseconds."""

    errors: int
    error_kinds: Mapping[str, int]
    closed: int
    hits_lost: int
    keys_lost: int
    stale: int
    stale_keys: int
    wrong: int
    worst_ms: float
    worst_operation_ms: float
    p99_ms: float
    before_ms: float
    undone: int
    hung: bool


@dataclass
class Known:
    """What a client may rely on about one key."""

    floor: int = 0
    present: bool | None = False
    """None: a change of it is in doubt."""

    def change(self, op: Op) -> None:
        """Take in a change and what became of it."""
        if op.result == DONE:
            self.floor, self.present = op.version, op.kind == "set"
        else:
            self.present = None

    def verdict(self, version: int) -> str:
        """Judge what a read returned: "", lost, stale or wrong."""
        if version == MISS:
            return "lost" if self.present else ""
        if version == WRONG:
            return "wrong"
        return "stale" if version < self.floor else ""


def parse(rows: Iterable[Sequence[Any]]) -> list[Op]:
    """Read the rows that a client wrote."""
    return [Op(*row) for row in rows]


def judge(ops: Sequence[Op], closed: Sequence[float], window: Window, undone: Sequence[float] = ()) -> Findings:
    """Judge one client's history: also when connections of its went, and when what it never began was due."""
    seen: dict[str, list[int]] = {"": [], "lost": [], "stale": [], "wrong": []}
    keys: dict[int, Known] = {}
    errors: Counter[str] = Counter()
    for op in ops:
        known = keys.setdefault(op.key, Known())
        changes = op.kind in {"set", "delete"}
        if changes:
            known.change(op)
        elif isinstance(op.result, int):
            seen[known.verdict(op.result)].append(op.key)
        if isinstance(op.result, str) and op.kind != "look":
            errors[op.result] += 1
        elif op.kind == "set" and op.result == REFUSED:  # of a delete it may say that there was nothing to delete
            errors["refused"] += 1
    mine = [op for op in ops if op.kind != "look" and op.due >= 0]
    spans = [(op.due, op.began, _end(op, window)) for op in mine] + [(due, window.end, window.end) for due in undone]
    during = [span for span in spans if span[2] >= window.began]
    before = [1000 * (ended - due) for due, _, ended in spans if ended < window.began]
    mended = window.end if window.healed is None else window.healed
    waits = [1000 * (ended - due) for due, _, ended in during]
    inside = [1000 * (ended - due) for due, _, ended in during if due <= mended]
    return Findings(
        errors=errors.total(),
        error_kinds=dict(errors),
        closed=len(closed),
        hits_lost=len(seen["lost"]),
        keys_lost=len(set(seen["lost"])),
        stale=len(seen["stale"]),
        stale_keys=len(set(seen["stale"])),
        wrong=len(seen["wrong"]),
        worst_ms=round(max(waits, default=0.0), 1),
        worst_operation_ms=round(max((1000 * (ended - began) for _, began, ended in during), default=0.0), 1),
        p99_ms=round(quantile(inside, 0.99), 1),
        before_ms=round(max(before, default=0.0), 1),
        undone=len(undone),
        hung=any(op.ended is None and window.end - op.began > HUNG for op in mine),
    )


def _end(op: Op, window: Window) -> float:
    """When it ended; what never did has waited until the run's end, at least."""
    return max(window.end, op.began) if op.ended is None else op.ended


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of all does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


COUNTS = ("errors", "closed", "hits_lost", "keys_lost", "stale", "stale_keys", "wrong", "undone")
TIMES = ("worst_ms", "worst_operation_ms", "p99_ms", "before_ms")


def merged(runs: Sequence[Findings]) -> dict[str, Any]:
    """Sum several runs of one case up: the worst run's counts, the median and the worst of times."""
    rows = [asdict(run) for run in runs]
    result: dict[str, Any] = {"runs": len(rows)}
    result |= {name: max(row[name] for row in rows) for name in COUNTS}
    for name in TIMES:
        result[name] = round(median(row[name] for row in rows), 1)
        result[name.replace("_ms", "_max_ms")] = max(row[name] for row in rows)
    result["hung"] = sum(row["hung"] for row in rows)
    kinds: Counter[str] = Counter()
    for row in rows:
        kinds.update(row["error_kinds"])
    result["error_kinds"] = dict(kinds)
    return result


STALL_MEDIAN_MS = 100.0
STALL_MOST_MS = 300.0


def shortcomings(case: Mapping[str, Any]) -> list[str]:
    """Say what keeps a case (see `merged`) from what the balancer promises; empty when nothing does."""
    found = [f"{case[name]} {name}" for name in ("errors", "closed", "hits_lost", "stale", "wrong") if case[name]]
    if case["hung"]:
        found.append(f"hung in {case['hung']} runs")
    if case["worst_ms"] > STALL_MEDIAN_MS:
        found.append(f"worst stall {case['worst_ms']:g} ms (median of runs)")
    if case["worst_max_ms"] > STALL_MOST_MS:
        found.append(f"worst stall {case['worst_max_ms']:g} ms (of all runs)")
    return found

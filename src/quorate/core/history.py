"""What clients saw: operations with their outcome, and the outage that they add up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal


@dataclass(frozen=True)
class Operation:
    """One operation of a client, times in seconds of one monotonic clock.

    `start`: when it was due, whatever held it up. `unknown`: it may or may not have happened (the answer never came).
    `note`: why it failed, for people. `facts`: what checkers need to know of it, as plain values.
    """

    start: float
    end: float
    outcome: Literal["ok", "failed", "unknown"]
    note: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """How long its user waited."""
        return self.end - self.start


@dataclass(frozen=True)
class Outage:
    """From the start of the first operation that did not succeed to the end of the first lasting success."""

    began: float
    ended: float
    failed: int

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.ended - self.began


def outages(history: Sequence[Operation], *, lasting: float = 3.0) -> tuple[Outage, ...]:
    """Find the outages, oldest first.

    A success lasts when no operation begun within the next `lasting` seconds fails. An outage without a lasting success
    ends, as far as was seen, with the last operation.
    """
    ordered = sorted(history, key=lambda operation: operation.start)
    found: list[Outage] = []
    position = 0
    while position < len(ordered):
        if ordered[position].outcome == "ok":
            position += 1
            continue
        first = position
        last = first
        for index in range(first, len(ordered)):
            if ordered[index].start > ordered[last].start + lasting:
                break
            if ordered[index].outcome != "ok":
                last = index
        after = [operation.end for operation in ordered[last + 1 :] if operation.outcome == "ok"]
        ended = min(after, default=max(operation.end for operation in ordered[first:]))
        failed = sum(operation.outcome != "ok" for operation in ordered[first : last + 1])
        found.append(Outage(ordered[first].start, ended, failed))
        position = last + 1
    return tuple(found)


def worst(history: Sequence[Operation]) -> float:
    """The longest outage in seconds; 0.0 where every operation succeeded."""
    return max((outage.seconds for outage in outages(history)), default=0.0)


def gaps(history: Sequence[Operation], threshold: float) -> tuple[tuple[float, float], ...]:
    """Times longer than `threshold` in which no operation succeeded, each from one success to the next.

    Slow successes show here and not as an outage: nothing failed, and yet nobody was served.
    """
    ends = sorted(operation.end for operation in history if operation.outcome == "ok")
    return tuple((before, after) for before, after in pairwise(ends) if after - before > threshold)

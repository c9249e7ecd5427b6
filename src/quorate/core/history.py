"""What clients saw: operations with their outcome, and the outage that they add up to."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
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
    """A time in which the function was not there. `failed`: operations that did not succeed; 0: all did, too late."""

    began: float
    ended: float
    failed: int

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.ended - self.began


STALL = 0.5
"""Seconds in which somebody waits and nobody is served: an outage, though all may succeed in the end."""


def outages(history: Sequence[Operation], *, lasting: float = 3.0, stall: float = STALL) -> tuple[Outage, ...]:
    """Find the outages, oldest first and apart.

    One is from the start of the first operation that did not succeed to the end of the first lasting success, which is
    one within whose next `lasting` seconds no operation that fails begins; without any it ends, as far as was seen,
    with the last operation. The other kind is a time of more than `stall` seconds in which none succeeded, from the
    start of the first operation that was due in it: clients that are patient enough see a failover only so.
    """
    ordered = sorted(history, key=lambda operation: operation.start)
    found: list[Outage] = []
    for one in sorted([*_failing(ordered, lasting), *_stalls(ordered, stall)], key=lambda outage: outage.began):
        if found and (one.began < found[-1].ended or one.began == found[-1].began):  # one may have no length
            before = found.pop()
            one = Outage(before.began, max(before.ended, one.ended), before.failed + one.failed)  # noqa: PLW2901
        found.append(one)
    return tuple(found)


def _failing(ordered: Sequence[Operation], lasting: float) -> Iterator[Outage]:
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
        yield Outage(ordered[first].start, ended, failed)
        position = last + 1


def _stalls(ordered: Sequence[Operation], threshold: float) -> Iterator[Outage]:
    starts = [operation.start for operation in ordered]
    served = sorted(operation.end for operation in ordered if operation.outcome == "ok")
    for last, following in pairwise(served):
        due = bisect_left(starts, last)
        if due < len(starts) and following - starts[due] > threshold:
            yield Outage(starts[due], following, 0)


def worst(history: Sequence[Operation]) -> float:
    """The longest outage in seconds; 0.0 where there was none."""
    return max((outage.seconds for outage in outages(history)), default=0.0)

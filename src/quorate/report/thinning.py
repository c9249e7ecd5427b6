"""Which of many operations are drawn: a picture has so many columns, and more than one mark in each shows no more.

Of the successes of a column the fastest and the slowest are kept, so that a stall of one operation is still seen. Of
what failed each column keeps a mark: every failure is where it was, to the width of a column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from quorate.core.history import Operation


@dataclass(frozen=True)
class Column:
    """The successes that began within a column: when the first did, and the least and most that a user waited."""

    at: float
    fastest: float
    slowest: float


def successes(operations: Iterable[Operation], began: float, ended: float, columns: int) -> list[Column]:
    """The successes that began within this stretch, at most one value for each column."""
    width = (ended - began) / columns
    kept: dict[int, Column] = {}
    for operation in operations:
        if operation.outcome == "ok" and began <= operation.start <= ended:
            place = int((operation.start - began) / width)
            old = kept.get(place)
            waited = operation.seconds
            if old is None:
                kept[place] = Column(operation.start, waited, waited)
            elif waited < old.fastest or waited > old.slowest:
                kept[place] = Column(old.at, min(old.fastest, waited), max(old.slowest, waited))
    return [kept[place] for place in sorted(kept)]


def starts(
    operations: Iterable[Operation],
    outcome: Literal["failed", "unknown"],
    began: float,
    ended: float,
    columns: int,
) -> list[float]:
    """When the operations of this outcome began, at most one for each column."""
    width = (ended - began) / columns
    kept: dict[int, float] = {}
    for operation in operations:
        if operation.outcome == outcome and began <= operation.start <= ended:
            kept.setdefault(int((operation.start - began) / width), operation.start)
    return [kept[place] for place in sorted(kept)]


def cells(operations: Sequence[Operation], began: float, ended: float, columns: int) -> list[str]:
    """The worst that began in each cell: `failed`, `unknown`, `ok`, or an empty word where nothing began."""
    worst = ("", "ok", "unknown", "failed")
    found = [0] * columns
    width = (ended - began) / columns
    for operation in operations:
        if began <= operation.start <= ended:
            place = min(int((operation.start - began) / width), columns - 1)
            found[place] = max(found[place], worst.index(operation.outcome))
    return [worst[level] for level in found]

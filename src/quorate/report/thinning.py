"""Which of many operations are drawn: a picture has so many columns, and more than one mark in each shows no more.

Of the successes of a column the fastest and the slowest are kept, so that a stall of one operation is still seen. Of
what failed each column keeps a mark: every failure is where it was, to the width of a column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

from quorate.core.history import Operation

MISSING = 2.5
"""After so many times the usual step without an operation, something is missing."""
_WORST = ("", "ok", "unknown", "failed")


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
    """The worst that began in each cell: `failed`, `unknown`, `ok`, or an empty word where nothing began.

    A client may be slower than a cell is wide: between two of its operations that follow each other as usual, empty
    cells say what the first of them says. Operations are in the order in which they began.
    """
    width = (ended - began) / columns
    inside = [operation for operation in operations if began <= operation.start <= ended]
    places = [min(int((operation.start - began) / width), columns - 1) for operation in inside]
    found = [0] * columns
    for operation, place in zip(inside, places, strict=True):
        found[place] = max(found[place], _WORST.index(operation.outcome))
    steps = [after.start - before.start for before, after in pairwise(inside)]
    usual = median(steps) if steps else 0.0
    for step, (place, following) in zip(steps, pairwise(places), strict=True):
        if step <= MISSING * usual:
            found[place + 1 : following] = [found[place]] * (following - place - 1)
    return [_WORST[level] for level in found]

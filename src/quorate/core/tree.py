"""What works while which parts do, and the smallest losses that stop it.

A formula is monotone: losing more never mends anything. Every gate is of one kind, `AtLeast` (k of n), which is AND
for k = n and OR for k = 1; a name is a part or another formula. The *minimal cut sets* of a formula are the sets of
parts whose loss stops it and of which none can be spared; those of one part are its single points of failure. (W. E.
Vesely et al., Fault Tree Handbook, NUREG-0492, 1981, chapters VII and VIII.)

Cut sets are found up to an order, from the leaves up. A gate of n that needs k is stopped by whatever stops n - k + 1
of those below it: unions of their cuts are tried, and left out where they cannot stop enough any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import combinations
from typing import Generic, TypeVar


@dataclass(frozen=True)
class AtLeast:
    """Works while at least `count` of these do."""

    count: int
    of: tuple[Formula, ...]


Formula = str | AtLeast
Formulas = Mapping[str, Formula]
Cut = frozenset[str]


def every(*of: Formula) -> AtLeast:
    """Works while all of these do."""
    return AtLeast(len(of), of)


def some(*of: Formula) -> AtLeast:
    """Works while any of these does."""
    return AtLeast(1, of)


def majority(*of: Formula) -> AtLeast:
    """Works while more than half of these do."""
    return AtLeast(len(of) // 2 + 1, of)


def parts(formulas: Formulas) -> frozenset[str]:
    """All names that are no formulas."""
    return frozenset(name for formula in formulas.values() for name in _names(formula) if name not in formulas)


def _names(formula: Formula) -> Iterator[str]:
    if isinstance(formula, str):
        yield formula
    else:
        for below in formula.of:
            yield from _names(below)


def parts_below(name: str, formulas: Formulas) -> frozenset[str]:
    """All names that are no formulas, and on which this one rests."""
    walk = Walk(formulas, lambda part: frozenset({part}), lambda _count, below: frozenset().union(*below))
    return walk.named(name)


T = TypeVar("T")


class Walk(Generic[T]):
    """Work something out from the leaves up, each formula once. ValueError names a circle.

    `part` says what it is for a part; `gate` for a gate, given its count and what it is for each of those below.
    """

    def __init__(self, formulas: Formulas, part: Callable[[str], T], gate: Callable[[int, list[T]], T]) -> None:
        self._formulas = formulas
        self._part = part
        self._gate = gate
        self._known: dict[str, T] = {}
        self._above: list[str] = []

    def named(self, name: str) -> T:
        """What it is for a formula, or for a part."""
        if name not in self._formulas:
            return self._part(name)
        if name in self._above:
            raise ValueError(f"formulas rest on each other in a circle: {', '.join((*self._above, name))}")
        if name not in self._known:
            self._above.append(name)
            self._known[name] = self._of(self._formulas[name])
            self._above.pop()
        return self._known[name]

    def _of(self, formula: Formula) -> T:
        if isinstance(formula, str):
            return self.named(formula)
        return self._gate(formula.count, [self._of(one) for one in formula.of])


def works(names: Iterable[str], formulas: Formulas, lost: AbstractSet[str]) -> dict[str, bool]:
    """Whether each works when these parts are lost, all at once."""
    walk = Walk(formulas, lambda part: part not in lost, lambda count, below: sum(below) >= count)
    return {name: walk.named(name) for name in names}


def cut_sets(names: Iterable[str], formulas: Formulas, order: int) -> dict[str, tuple[Cut, ...]]:
    """The minimal cut sets of each, of at most so many parts; small ones first, then by name."""
    numbered = sorted(parts(formulas))
    numbers = {name: number for number, name in enumerate(numbered)}

    def part(name: str) -> set[_Set]:
        return {(numbers[name],)} if name in numbers else set()

    walk = Walk(formulas, part, lambda count, below: _stopping(count, below, order))
    return {
        name: tuple(
            frozenset(numbered[number] for number in one)
            for one in sorted(walk.named(name), key=lambda one: (len(one), one))
        )
        for name in names
    }


_Set = tuple[int, ...]
"""Parts by their numbers, in order."""


def _stopping(count: int, below: list[set[_Set]], order: int) -> set[_Set]:
    """What stops a gate, given what stops each of those below it."""
    needed = len(below) - count + 1
    if needed == 1:
        return _minimal(one for sets in below for one in sets)
    stops: dict[_Set, int] = {}
    for number, sets in enumerate(below):
        for one in sets:
            stops[one] = stops.get(one, 0) | 1 << number
    return _minimal(_unions(stops, needed, order))


def _minimal(sets: Iterable[_Set]) -> set[_Set]:
    """Those that hold no other one."""
    kept: set[_Set] = set()
    for one in sorted(sets, key=len):
        if not any(smaller in kept for size in range(1, len(one) + 1) for smaller in combinations(one, size)):
            kept.add(one)
    return kept


def _unions(stops: Mapping[_Set, int], needed: int, order: int) -> Iterator[_Set]:
    """Unions of cuts, of at most `order` parts, that stop at least so many of those below a gate.

    Cuts are added in the order of how many they stop: no later one stops more, and of one size of union only so many
    can be part. So where the next one is too weak, all others are.
    """
    cuts = sorted(stops.items(), key=lambda cut: -cut[1].bit_count())
    together = order if all(len(cut) == 1 for cut in stops) else (1 << order) - 1

    def wider(start: int, union: _Set, stopped: int, room: int) -> Iterator[_Set]:
        count = stopped.bit_count()
        if count >= needed:
            yield union
            return
        for number in range(start, len(cuts)):
            cut, more = cuts[number]
            if count + room * more.bit_count() < needed:
                return
            both = tuple(sorted({*union, *cut}))
            if len(both) <= order:
                yield from wider(number + 1, both, stopped | more, room - 1)

    return wider(0, (), 0, together)

"""What works while which parts do, and the smallest losses that stop it.

A formula is monotone: losing more never mends anything. Every gate is of one kind, `AtLeast` (k of n), which is AND
for k = n and OR for k = 1; a name is a part or another formula. The *minimal cut sets* of a formula are the sets of
parts whose loss stops it and of which none can be spared; those of one part are its single points of failure. (W. E.
Vesely et al., Fault Tree Handbook, NUREG-0492, 1981, chapters VII and VIII.)

Cut sets are found up to an order, from the leaves up. A gate of n that needs k is stopped by whatever stops n - k + 1
of those below it: unions of their cuts are tried, and left out where they cannot stop enough any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import combinations


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


def works(name: str, formulas: Formulas, lost: AbstractSet[str]) -> bool:
    """Whether it works when these parts are lost, all at once. ValueError names a circle."""
    return _Evaluation(formulas, lost).named(name)


class _Evaluation:
    def __init__(self, formulas: Formulas, lost: AbstractSet[str]) -> None:
        self._formulas = formulas
        self._lost = lost
        self._known: dict[str, bool] = {}
        self._above: list[str] = []

    def named(self, name: str) -> bool:
        if name not in self._formulas:
            return name not in self._lost
        if name not in self._known:
            with_circle_refused(name, self._above)
            self._known[name] = self._of(self._formulas[name])
            self._above.pop()
        return self._known[name]

    def _of(self, formula: Formula) -> bool:
        if isinstance(formula, str):
            return self.named(formula)
        return sum(map(self._of, formula.of)) >= formula.count


def with_circle_refused(name: str, above: list[str]) -> None:
    """Go one deeper. ValueError where the name is being looked at already."""
    if name in above:
        raise ValueError(f"formulas rest on each other in a circle: {', '.join((*above, name))}")
    above.append(name)


def cut_sets(names: Iterable[str], formulas: Formulas, order: int) -> dict[str, tuple[Cut, ...]]:
    """The minimal cut sets of each, of at most so many parts; small ones first, then by name."""
    search = _Search(formulas, order)
    return {name: search.told(name) for name in names}


_Set = tuple[int, ...]
"""Parts by their numbers, in order."""


class _Search:
    def __init__(self, formulas: Formulas, order: int) -> None:
        self._formulas = formulas
        self._order = order
        self._parts = sorted(parts(formulas))
        self._numbers = {name: number for number, name in enumerate(self._parts)}
        self._known: dict[str, set[_Set]] = {}
        self._above: list[str] = []

    def told(self, name: str) -> tuple[Cut, ...]:
        found = sorted(self._named(name), key=lambda one: (len(one), one))
        return tuple(frozenset(self._parts[number] for number in one) for one in found)

    def _named(self, name: str) -> set[_Set]:
        if name not in self._formulas:
            return {(self._numbers[name],)} if name in self._numbers else set()
        if name not in self._known:
            with_circle_refused(name, self._above)
            self._known[name] = self._of(self._formulas[name])
            self._above.pop()
        return self._known[name]

    def _of(self, formula: Formula) -> set[_Set]:
        if isinstance(formula, str):
            return self._named(formula)
        needed = len(formula.of) - formula.count + 1
        below = [self._of(one) for one in formula.of]
        if needed == 1:
            return minimal(one for sets in below for one in sets)
        stops: dict[_Set, int] = {}
        for number, sets in enumerate(below):
            for one in sets:
                stops[one] = stops.get(one, 0) | 1 << number
        return minimal(_unions(stops, needed, self._order))


def minimal(sets: Iterable[_Set]) -> set[_Set]:
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

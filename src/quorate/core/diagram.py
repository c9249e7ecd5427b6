"""How likely formulas do not hold, exactly: binary decision diagrams over the parts that they rest on.

A diagram asks for one part after the other, each in the same order on every way, whether it works; equal questions are
asked once. Once it is built, probabilities need one walk over it, however many losses there are. (R. E. Bryant,
Graph-Based Algorithms for Boolean Function Manipulation, IEEE Transactions on Computers C-35(8), 1986; A. Rauzy, New
algorithms for fault trees analysis, Reliability Engineering & System Safety 40, 1993.)

Parts are asked for in the order in which a walk through the formulas meets them, so that what belongs together (a
controller, its disk, its processes) is near each other. How large a diagram becomes is known only by building it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from quorate.core.tree import Formulas, Walk

LOST, WORKS = 0, 1
"""The two answers, as nodes."""
MOST_NODES = 100_000
"""Above this nothing is exact: about a second, and fifty megabytes."""
MOST_PARTS = 400
"""As above: a way through a diagram is as long as there are parts, and is walked by recursion."""


class TooLarge(Exception):
    """The diagram of these formulas would be larger than what is worth its exactness."""


@dataclass(frozen=True)
class Chance:
    """How likely a formula does not hold at any moment, and how much each part has to do with it.

    `birnbaum`: by how much more likely it is when the part is lost than when it works (Z. W. Birnbaum, On the
    importance of different components in a multicomponent system, 1969). Parts that it does not rest on are left out.
    """

    fails: float
    birnbaum: Mapping[str, float]


class Diagram:
    """The diagrams of several formulas, with what they have in common built once.

    ValueError names a circle. TooLarge: it would have more than `most` nodes.
    """

    def __init__(self, names: Iterable[str], formulas: Formulas, most: int = MOST_NODES) -> None:
        self._most = most
        self._nodes: list[tuple[int, int, int]] = [(MOST_PARTS, LOST, LOST), (MOST_PARTS, WORKS, WORKS)]
        self._known: dict[tuple[int, int, int], int] = {}
        self._chosen: dict[tuple[int, int, int], int] = {}
        self._numbers: dict[str, int] = {}
        walk = Walk(formulas, self._part, self._at_least)
        self._roots = {name: walk.named(name) for name in names}
        self._parts = tuple(self._numbers)

    def _part(self, name: str) -> int:
        number = self._numbers.setdefault(name, len(self._numbers))
        if number == MOST_PARTS:
            raise TooLarge(f"more than {MOST_PARTS} parts")
        return self._node(number, LOST, WORKS)

    def _node(self, part: int, lost: int, works: int) -> int:
        """Ask for a part, unless both answers lead to the same."""
        if lost == works:
            return lost
        key = (part, lost, works)
        found = self._known.get(key)
        if found is None:
            if len(self._nodes) >= self._most:
                raise TooLarge(f"more than {self._most} nodes")
            found = self._known[key] = len(self._nodes)
            self._nodes.append(key)
        return found

    def _at_least(self, count: int, below: Sequence[int]) -> int:
        """So many of these hold: `held[j]` is whether j at least of those from here on do."""
        held = [WORKS] + [LOST] * count
        for after, one in enumerate(reversed(below)):
            before = len(below) - 1 - after
            # More than there are from here on cannot hold, and fewer than those before leave over nobody asks for.
            for wanted in range(min(count, after + 1), max(1, count - before) - 1, -1):
                held[wanted] = self._choose(one, held[wanted], held[wanted - 1])
        return held[count]

    def _choose(self, which: int, lost: int, works: int) -> int:
        """Put a diagram in place of a question: where it holds `works` goes on, else `lost`."""
        if which == WORKS or lost == works:
            return works
        if which == LOST:
            return lost
        if (lost, works) == (LOST, WORKS):
            return which
        key = (which, lost, works)
        found = self._chosen.get(key)
        if found is None:
            nodes = self._nodes
            part = min(nodes[which][0], nodes[lost][0], nodes[works][0])
            (w0, w1), (l0, l1), (k0, k1) = (
                nodes[one][1:] if nodes[one][0] == part else (one, one) for one in (which, lost, works)
            )
            found = self._chosen[key] = self._node(part, self._choose(w0, l0, k0), self._choose(w1, l1, k1))
        return found

    def __len__(self) -> int:
        return len(self._nodes)

    def chance(self, name: str, lost: Mapping[str, float]) -> Chance:
        """How likely the formula does not hold, when each part is lost with this probability, whatever others are."""
        root = self._roots[name]
        fails = self._fails(root, lost)
        reached = dict.fromkeys(fails, 0.0) | {root: 1.0}
        birnbaum: dict[str, float] = {}
        for node in sorted(fails, reverse=True):  # a node is younger than those that it leads to
            if node in (LOST, WORKS):
                continue
            part, down, up = self._nodes[node]
            one = self._parts[part]
            birnbaum[one] = birnbaum.get(one, 0.0) + reached[node] * (fails[down] - fails[up])
            reached[down] += reached[node] * lost[one]
            reached[up] += reached[node] * (1 - lost[one])
        return Chance(fails[root], birnbaum)

    def fails(self, name: str, lost: Mapping[str, float]) -> float:
        """Only how likely it does not hold. Nothing is subtracted, so that rare events keep all their digits."""
        return self._fails(self._roots[name], lost)[self._roots[name]]

    def _fails(self, root: int, lost: Mapping[str, float]) -> dict[int, float]:
        """Of every node that can be reached."""
        found: dict[int, float] = {LOST: 1.0, WORKS: 0.0}
        for node in sorted(self._below(root)):
            part, down, up = self._nodes[node]
            chance = lost[self._parts[part]]
            found[node] = chance * found[down] + (1 - chance) * found[up]
        return found

    def _below(self, root: int) -> set[int]:
        seen: set[int] = set()
        waiting = [root]
        while waiting:
            node = waiting.pop()
            if node not in seen and node not in (LOST, WORKS):
                seen.add(node)
                waiting += self._nodes[node][1:]
        return seen

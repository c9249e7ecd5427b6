"""How likely a formula does not hold, where its diagram would be too large: by chance, with an interval that is honest.

What fails is rare, so that plain dice would almost never show it. They are loaded, and the weight is known:

- Losses that hold a cut set of at most `order` parts: a cut set is drawn by its own probability, its parts are lost,
  all others by chance, and each loss is counted once, however many cut sets it holds. (R. M. Karp, M. Luby, N. Madras,
  Monte-Carlo approximation algorithms for enumeration problems, Journal of Algorithms 10, 1989.)
- All other losses that stop it take more than `order` parts. How likely so many are lost is known exactly, and among
  those losses plain dice are thrown. Where none of them shows a failure, the interval still has room for what they
  may have missed: nothing is cut off silently.

Both means lie between 0 and 1, and both intervals hold for every number of samples, not only for many: empirical
Bernstein bounds (A. Maurer, M. Pontil, Empirical Bernstein Bounds and Sample-Variance Penalization, COLT 2009, theorem
4, on both sides). Together they are wrong in at most 5 % of all seeds.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import accumulate, combinations
from math import log, prod, sqrt
from random import Random
from statistics import fmean, variance

from quorate.core.tree import Cut, Formulas, cut_sets, parts_below, works

WRONG = 0.05
"""How often the interval may miss."""


@dataclass(frozen=True)
class Interval:
    """A probability: what is expected, and between which bounds it lies (95 %)."""

    expected: float
    low: float
    high: float


def sampled(
    name: str, formulas: Formulas, lost: Mapping[str, float], dice: Random, *, order: int = 2, samples: int = 2000
) -> Interval:
    """How likely the formula does not hold, when each part is lost with this probability, whatever others are."""
    cuts = dict.fromkeys(cut_sets([name], formulas, order)[name])
    chances = {one: lost[one] for one in sorted(parts_below(name, formulas))}
    small = large = Interval(0.0, 0.0, 0.0)
    weights = [prod(lost[one] for one in cut) for cut in cuts]
    if sum(weights):
        drawn = dice.choices(list(cuts), cum_weights=list(accumulate(weights)), k=samples)
        held = (_held(cuts, cut.union(_some(chances, dice)), order) for cut in drawn)
        small = _bounded([1 / count for count in held], sum(weights))
    tails = _tails(list(chances.values()), order + 1)
    if tails[0][-1]:
        missed = []
        for _ in range(samples):
            gone = frozenset(_many(chances, tails, order + 1, dice))
            missed.append(float(not _held(cuts, gone, order) and not works([name], formulas, gone)[name]))
        large = _bounded(missed, tails[0][-1])
    both = [one + other for one, other in zip(astuple(small), astuple(large), strict=True)]
    return Interval(both[0], both[1], min(1.0, both[2]))


def _bounded(seen: Sequence[float], times: float) -> Interval:
    """Its mean, which lies between 0 and 1. Half of WRONG is spent here, half of that on each side."""
    mean, count, rare = fmean(seen), len(seen), log(2 / (WRONG / 4))
    wide = sqrt(2 * variance(seen) * rare / count) + 7 * rare / (3 * (count - 1))
    return Interval(times * mean, times * max(0.0, mean - wide), times * min(1.0, mean + wide))


def _held(cuts: Container[Cut], gone: frozenset[str], order: int) -> int:
    """How many of the cut sets a loss holds."""
    return sum(frozenset(few) in cuts for size in range(1, order + 1) for few in combinations(gone, size))


def _some(chances: Mapping[str, float], dice: Random) -> Iterator[str]:
    """Draw a loss."""
    return (one for one, chance in chances.items() if dice.random() < chance)


def _tails(chances: Sequence[float], most: int) -> list[list[float]]:
    """How likely at least j of the parts from i on are lost: `[i][j]`, j up to `most`."""
    tails = [[1.0] + [0.0] * most]
    for chance in reversed(chances):
        after = tails[-1]
        tails.append([1.0] + [chance * after[j - 1] + (1 - chance) * after[j] for j in range(1, most + 1)])
    return tails[::-1]


def _many(chances: Mapping[str, float], tails: Sequence[Sequence[float]], least: int, dice: Random) -> Iterator[str]:
    """Draw a loss of at least so many parts, each such loss as likely as it is among them."""
    for number, (one, chance) in enumerate(chances.items()):
        bound = chance * tails[number + 1][least - 1] / tails[number][least] if least else chance
        if dice.random() < bound:
            yield one
            least = max(0, least - 1)

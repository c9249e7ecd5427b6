"""What a failure does, said beforehand: which functions pause, for how long at most, and who takes over.

Systems say how they react to what is hit (`Drills.reacts`), in stages whose lengths follow from the timers that are
configured, each with its source. A function that rests on others is out until all of them are back; they recover side
by side, so the longest counts. Bounds are worst cases: whoever measures more has found something, and so has whoever
measures much less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NOTICEABLE = 0.3
"""Seconds below which a pause is none: a client's own retry and the noise of a busy host are of this size."""
LOOSE = 3.0
"""A bound that is more than so many times what is measured says little."""


@dataclass(frozen=True)
class Stage:
    """One part of a pause: at most so many seconds, and where that is written or was measured."""

    name: str
    seconds: float
    source: str


@dataclass(frozen=True)
class Pause:
    """A function stands still because of one thing that was hit, until it is through all stages.

    `takes_over`: who may serve afterwards, best guess first. `losable`: what of what was acknowledged may be lost, in
    words; empty: nothing.
    """

    function: str
    because: str
    stages: tuple[Stage, ...]
    takes_over: tuple[str, ...] = ()
    losable: str = ""

    @property
    def seconds(self) -> float:
        """How long it lasts at most."""
        return sum(stage.seconds for stage in self.stages)


@dataclass(frozen=True)
class Prediction:
    """What is expected of one function: `seconds` at most; None: nothing bounds it (no quorum is left, say)."""

    function: str
    seconds: float | None
    pauses: tuple[Pause, ...] = ()

    @property
    def deciding(self) -> Pause | None:
        """The pause that lasts longest."""
        return max(self.pauses, key=lambda pause: pause.seconds, default=None)


def predict(
    functions: Sequence[str], uses: Mapping[str, Sequence[str]], pauses: Sequence[Pause], *, bounded: bool
) -> tuple[Prediction, ...]:
    """Say for each function how long it is out at most, from its own pauses and those of all that it rests on.

    `bounded`: the fault leaves what the cloud needs to recover by itself; if not, nothing is promised.
    """
    told = []
    for function in functions:
        below = resting_on(function, uses)
        own = tuple(pause for pause in pauses if pause.function in below)
        seconds = max((pause.seconds for pause in own), default=0.0) if bounded else None
        told.append(Prediction(function, seconds, own))
    return tuple(told)


def resting_on(function: str, uses: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """The function and all that it rests on, directly or not."""
    found: set[str] = set()
    left = [function]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += uses.get(name, ())
    return frozenset(found)


def holds(predicted: float | None, measured: Sequence[float]) -> bool:
    """Whether a bound was kept by every run and says something: not more than LOOSE times the median of the runs.

    Pauses that nobody notices are all alike; what is bounded by nothing holds whatever happens.
    """
    if predicted is None or not measured:
        return predicted is None
    ordered = sorted(measured)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return max(ordered) <= max(predicted, NOTICEABLE) and predicted <= max(LOOSE * median, NOTICEABLE)

"""What a failure does, said beforehand: which functions pause, for how long at most, and who takes over.

Systems say how they react to what is hit (`Drills.reacts`), in stages whose lengths follow from the timers that are
configured, each with its source. A function that rests on others is out until all of them are back; they recover side
by side, so the longest counts. Bounds are worst cases: whoever measures more has found something, and so has whoever
measures much less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

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

    `after`: functions that must be back before the first stage begins. `takes_over`: who may serve afterwards, best
    guess first. `losable`: what of what was acknowledged may be lost, in words; empty: nothing.
    """

    function: str
    because: str
    stages: tuple[Stage, ...]
    after: tuple[str, ...] = ()
    takes_over: tuple[str, ...] = ()
    losable: str = ""

    @property
    def seconds(self) -> float:
        """How long its own stages last at most."""
        return sum(stage.seconds for stage in self.stages)


@dataclass(frozen=True)
class Prediction:
    """What is expected of one function: `seconds` at most; None: nothing bounds it (no quorum is left, say).

    `chain`: the pauses, one after the other, that last longest.
    """

    function: str
    seconds: float | None
    chain: tuple[Pause, ...] = ()


def predict(
    functions: Sequence[str], uses: Mapping[str, Sequence[str]], pauses: Sequence[Pause], *, bounded: bool
) -> tuple[Prediction, ...]:
    """Say for each function how long it is out at most, from its own pauses and those of all that it rests on.

    `bounded`: the fault leaves what the cloud needs to recover by itself; if not, nothing is promised.
    """
    told = []
    for function in functions:
        chain = longest(function, uses, pauses)
        told.append(Prediction(function, _length(chain) if bounded else None, chain))
    return tuple(told)


def longest(function: str, uses: Mapping[str, Sequence[str]], pauses: Sequence[Pause]) -> tuple[Pause, ...]:
    """The pauses that decide when the function is back, in their order. ValueError names a circle."""
    return _longest(function, uses, pauses, ())


def _longest(
    function: str, uses: Mapping[str, Sequence[str]], pauses: Sequence[Pause], above: tuple[str, ...]
) -> tuple[Pause, ...]:
    if function in above:
        raise ValueError(f"functions rest on each other in a circle: {', '.join((*above, function))}")
    path = (*above, function)
    chains = [_longest(below, uses, pauses, path) for below in uses.get(function, ())]
    for pause in pauses:
        if pause.function == function:
            before = max((_longest(below, uses, pauses, path) for below in pause.after), key=_length, default=())
            chains.append((*before, pause))
    return max(chains, key=_length, default=())


def _length(chain: Sequence[Pause]) -> float:
    return sum(pause.seconds for pause in chain)


def kept(predicted: float, measured: float, resolution: float) -> bool:
    """Whether a bound was kept. Whoever asks every `resolution` seconds knows a begin and an end no better."""
    return measured <= max(predicted, NOTICEABLE) + resolution


def tells(predicted: float, usual: float, resolution: float) -> bool:
    """Whether a bound says something: it is not more than LOOSE times what is usual, or nobody would notice."""
    return predicted <= max(LOOSE * (usual + resolution), NOTICEABLE)


def holds(predicted: float | None, measured: Sequence[float], resolution: float = 0.0) -> bool:
    """Whether a bound was kept by every run and says something; what is bounded by nothing holds whatever happens."""
    if predicted is None or not measured:
        return predicted is None
    return kept(predicted, max(measured), resolution) and tells(predicted, median(measured), resolution)

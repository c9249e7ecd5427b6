"""What judging a drill's record gives: one row for each function, one finding for each checker. JSON-able values.

`Campaign` sums up many runs: a row for each drill and function, with every run's figure, so that worst and median are
anybody's to compute.
"""

from __future__ import annotations

from statistics import median
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from quorate.core.record import PredictionLine

LevelWord = Literal["ok", "unknown", "failing"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Span(_Value):
    """A stretch of the drill's time, seconds."""

    began: float
    ended: float
    failed: int = 0

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.ended - self.began


class Latency(_Value):
    """How long users waited in one phase, milliseconds. `counts`: operations by upper bound of latency, in order."""

    operations: int
    failed: int
    p50: float
    p90: float
    p99: float
    worst: float
    counts: tuple[tuple[float, int], ...] = ()


class FunctionRow(_Value):
    """One function in one run. Seconds; None: it could not be seen, or nothing bounds it.

    `measured_s`: the longest outage of any client of the function that the fault does not take itself; `resolution_s`:
    how often the slowest of them asks, so that much may be missing or be too much; `held`: whether the prediction was
    kept (its looseness takes several runs to judge).
    """

    function: str
    objective_s: float | None
    predicted_s: float | None
    measured_s: float | None
    resolution_s: float = 0.0
    operations: int = 0
    failed: int = 0
    unknown: int = 0
    outages: tuple[Span, ...] = ()
    errors: dict[str, int] = Field(default_factory=dict)
    latency: dict[str, Latency] = Field(default_factory=dict, description="By phase: before, during, after.")
    held: bool | None = None
    level: LevelWord
    reason: str


class Finding(_Value):
    """What one checker came to. `evidence`: lines for people, at most a dozen."""

    checker: str
    level: LevelWord
    reason: str
    evidence: tuple[str, ...] = ()


class Result(_Value):
    """One run, judged. `lost`: what was acknowledged and later not found, over all clients.

    `whole_s`: from the heal until all redundancy was back; `alarm_s`: from the fault until `status` said so. None: it
    was never seen. `marks`: when things were done, by name.
    """

    run: str
    cloud: str
    drill: str
    summary: str
    began: str
    seed: int
    hits: tuple[str, ...]
    roles: dict[str, str]
    within: bool
    marks: dict[str, float]
    ended: float
    rows: tuple[FunctionRow, ...]
    findings: tuple[Finding, ...]
    predictions: tuple[PredictionLine, ...]
    takeovers: tuple[str, ...] = ()
    lost: int | None = None
    whole_s: float | None = None
    alarm_s: float | None = None
    level: LevelWord
    reason: str


class CampaignRow(_Value):
    """One drill and one function over all runs. `held`: every run within the bound, and the bound says something.

    `measured_s` has a figure for each run in which the function could be seen; `unseen` counts the others.
    `resolution_s`: how exact these figures are.
    """

    drill: str
    function: str
    objective_s: float | None
    predicted_s: float | None
    measured_s: tuple[float, ...]
    resolution_s: float = 0.0
    unseen: int = 0
    held: bool

    @property
    def worst_s(self) -> float | None:
        """The longest of all runs."""
        return max(self.measured_s, default=None)

    @property
    def median_s(self) -> float | None:
        """The one in the middle."""
        return median(self.measured_s) if self.measured_s else None


class CampaignDrill(_Value):
    """One drill over all runs, for all functions together.

    `lost` counts what was seen to be lost; `lost_unknown` the runs of which nobody can say. The same for
    `two_holders`, runs in which two held an address at once.
    """

    drill: str
    summary: str
    runs: int
    lost: int
    lost_unknown: int = 0
    two_holders: int
    two_holders_unknown: int = 0
    whole_s: tuple[float, ...] = ()
    alarm_s: tuple[float, ...] = ()


class Campaign(_Value):
    """Many runs. `predictions` and `predictions_held` count rows whose prediction is bounded.

    `lost_unknown`, `two_holders_unknown` and `unknown` say of how many runs, and which, nobody can say.
    """

    cloud: str
    runs: int
    lost: int
    lost_unknown: int = 0
    two_holders: int
    two_holders_unknown: int = 0
    predictions: int
    predictions_held: int
    rows: tuple[CampaignRow, ...]
    drills: tuple[CampaignDrill, ...] = ()
    failing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

"""The timeline around the fault, large: one lane for each client.

A lane shows how long users waited (a point or a bar for each moment, on a log scale) and, on two rails above, what
failed (a cross) and what nobody can say of (a ring). Outages are hatched, with their length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from quorate.report import marks
from quorate.report.drawing import BLUE, GREY, ORANGE, PALE, VERMILLION, bare, figure, settings, svg
from quorate.report.marks import LEFT, RIGHT
from quorate.report.run import Lane, Moment, Run, lanes, moments
from quorate.report.thinning import starts, successes
from quorate.report.words import seconds

BEFORE, AFTER, LONGEST = 2.0, 2.0, 60.0
"""Seconds that are shown before the fault, after the last that counts, and after the fault at most."""
COLUMNS = 520
LOWEST, TOP = -0.6, 6.4
"""The height of a lane: latency as powers of ten of milliseconds, and above them the rails."""
SLOWEST, FAILED, UNKNOWN = 4.2, 4.95, 5.9
FOOT, LANE, GAP = 0.75, 0.86, 0.3
"""Inches."""
_CROSS: dict[str, Any] = {"marker": "x", "color": VERMILLION, "markersize": 4.4, "markeredgewidth": 1.3}
_RING: dict[str, Any] = {"marker": "o", "color": ORANGE, "markerfacecolor": "white", "markersize": 4.4}

_RAILS: dict[Literal["failed", "unknown"], tuple[float, dict[str, Any]]] = {
    "failed": (FAILED, _CROSS),
    "unknown": (UNKNOWN, _RING),
}


def around_the_fault(run: Run) -> Markup | None:
    """From shortly before the fault until clients were served again; None: there was no fault."""
    fault = run.record.mark("inject")
    if fault is None:
        return None
    told, drawn = moments(run.record), lanes(run.record)
    with settings(f"{run.result.run} around"):
        return _draw(run, drawn, told, *_stretch(run, fault, drawn, told))


def _stretch(run: Run, fault: float, drawn: Sequence[Lane], told: Sequence[Moment]) -> tuple[float, float]:
    healed = run.record.mark("heal")
    soon = fault + LONGEST if healed is None else healed
    ends = [moment.at for moment in told if fault <= moment.at < soon]
    ends += [o.ended for lane in drawn if not lane.taken for o in lane.outages if fault - 0.5 <= o.began < soon]
    ended = max([fault + 6.0, *ends]) + AFTER
    return max(fault - BEFORE, 0.0), max(min(ended, fault + LONGEST, run.ended), fault + 1.0)


def _draw(run: Run, drawn: Sequence[Lane], told: Sequence[Moment], began: float, ended: float) -> Markup:
    labels = marks.labels(told, began, ended)
    head = labels.height + 0.05
    height = head + FOOT + max(len(drawn), 1) * (LANE + GAP)
    picture = figure(height)
    for number, lane in enumerate(drawn):
        bottom = height - head - (number + 1) * (LANE + GAP)
        axes = picture.add_axes((LEFT, bottom / height, RIGHT - LEFT, LANE / height))
        axes.set_xlim(began, labels.ended)
        _lane(axes, lane)
        marks.pauses(axes, run.record.marks)
        marks.lines(axes, told)
        last = number == len(drawn) - 1
        axes.tick_params(axis="x", length=3 if last else 0, labelbottom=last)
    above = picture.add_axes((LEFT, 1 - head / height, RIGHT - LEFT, 0.001))
    above.set_xlim(began, labels.ended)
    above.set_axis_off()
    labels.draw(above)
    _legend(picture, run)
    return svg(picture, f"Timeline of every client around the fault of run {run.result.run}")


def _lane(axes: Axes, lane: Lane) -> None:
    began, ended = axes.get_xlim()
    bare(axes)
    axes.set_ylim(LOWEST, TOP)
    axes.xaxis.set_major_locator(MaxNLocator(12, steps=[1, 2, 5, 10]))
    ticks = {0.0: "1 ms", 1.5: "30 ms", 3.0: "1 s", FAILED: "failed", UNKNOWN: "unknown"}
    axes.set_yticks(list(ticks), list(ticks.values()), fontsize=6.5)
    axes.tick_params(axis="y", length=0)
    axes.axhspan((SLOWEST + FAILED) / 2, TOP, color=PALE, alpha=0.6, linewidth=0, zorder=0)
    axes.set_title(title(lane), loc="left", pad=3)
    for outage in lane.outages:
        if outage.ended >= began and outage.began <= ended:
            _outage(axes, max(outage.began, began), min(outage.ended, ended), outage.seconds)
    _waits(axes, lane, began, ended)
    for outcome, (rail, form) in _RAILS.items():
        at = starts(lane.operations, outcome, began, ended, COLUMNS)
        axes.plot(at, [rail] * len(at), linestyle="none", zorder=4, **form)
    if not lane.operations:
        axes.text((began + ended) / 2, 2.0, "no operation was recorded", ha="center", va="center", color=GREY)


def _waits(axes: Axes, lane: Lane, began: float, ended: float) -> None:
    """Draw all successes of a lane as one path: as a shape of its own each would make the page ten times as large."""
    points: list[tuple[float, float]] = []
    for column in successes(lane.operations, began, ended, COLUMNS):
        points += [(column.at, _scale(column.fastest)), (column.at, _scale(column.slowest) + 0.02)]
    if points:
        codes = [Path.MOVETO, Path.LINETO] * (len(points) // 2)
        path = Path(points, codes)
        axes.add_patch(PathPatch(path, fill=False, edgecolor=BLUE, linewidth=2.2, capstyle="round", zorder=3))


def _scale(waited: float) -> float:
    return min(max(math.log10(max(waited * 1000, 1e-9)), LOWEST + 0.2), SLOWEST)


def _outage(axes: Axes, began: float, ended: float, length: float) -> None:
    axes.axvspan(
        began, ended, ymax=(SLOWEST + 0.3 - LOWEST) / (TOP - LOWEST), facecolor="#fdf1e7", edgecolor=VERMILLION,
        hatch="////", linewidth=0, alpha=0.55, zorder=0,
    )  # fmt: skip
    axes.text(
        (began + ended) / 2, 3.1, f"out {seconds(length)}", ha="center", va="center", fontsize=8, fontweight="bold",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.2}, zorder=5, clip_on=True,
    )  # fmt: skip


def title(lane: Lane) -> str:
    """What a lane is, and what came of its operations in the whole run."""
    if not lane.operations:
        told = "nothing was seen"
    else:
        counts = lane.counts
        longest = max((outage.seconds for outage in lane.outages), default=0.0)
        told = ", ".join(f"{number:,} {outcome}" for outcome, number in counts.items())
        told += f", longest outage {seconds(longest)}" if longest else ", never out"
    where = f" (uses {lane.client.at}, which the fault takes)" if lane.taken else ""
    return f"{lane.client.name}{where}: {told}"


def _legend(picture: Figure, run: Run) -> None:
    forms: list[Artist] = [
        Line2D([], [], color=BLUE, linewidth=2.2, label="ok: how long it took"),
        Line2D([], [], linestyle="none", label="failed", **_CROSS),
        Line2D([], [], linestyle="none", label="unknown: no answer in time", **_RING),
        Patch(facecolor="#fdf1e7", edgecolor=VERMILLION, hatch="////", linewidth=0, label="outage"),
        *marks.pause_form(run.record.marks),
    ]
    picture.legend(handles=forms, loc="lower left", bbox_to_anchor=(LEFT, 0.0), ncols=5, frameon=False)
    picture.text(RIGHT, 0.15 / picture.get_figheight(), "seconds of the drill", ha="right")

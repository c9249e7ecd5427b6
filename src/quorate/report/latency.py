"""How long users waited: for each function one curve before the fault, one during it and one after it.

To the right are the slower and rarer operations: at 99 % the point that one of a hundred operations is slower than.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from quorate.core.findings import FunctionRow, Latency
from quorate.report.drawing import BLUE, GREEN, PALE, VERMILLION, figure, settings, svg
from quorate.report.run import Run

ABREAST = 3
HEAD, FOOT, TALL, GAP = 0.05, 0.3, 1.75, 0.6
"""Inches."""
RAREST = 3.5
"""The right edge, in nines: three are 99.9 %."""
PHASES: dict[str, dict[str, Any]] = {
    "before": {"color": BLUE, "linestyle": "-", "marker": "o", "markersize": 7, "markerfacecolor": "white"},
    "during": {"color": VERMILLION, "linestyle": "--", "marker": "X", "markersize": 5.5},
    "after": {"color": GREEN, "linestyle": ":", "marker": "s", "markersize": 3.5},
}


def waits(run: Run) -> Markup | None:
    """One small picture for each function; None: nothing was measured."""
    rows = [row for row in run.result.rows if any(phase.operations for phase in row.latency.values())]
    if not rows:
        return None
    down = -(-len(rows) // ABREAST)
    height = HEAD + FOOT + down * (TALL + GAP)
    slowest = max(phase.worst for row in rows for phase in row.latency.values())
    with settings(f"{run.result.run} latency"):
        picture = figure(height)
        for number, row in enumerate(rows):
            across, place = number % ABREAST, number // ABREAST
            bottom = height - HEAD - (place + 1) * (TALL + GAP) + GAP / 2
            axes = picture.add_axes((0.055 + across * 0.325, bottom / height, 0.275, TALL / height))
            _curves(axes, row, slowest)
        forms = [Line2D([], [], label=word, linewidth=1.8, **form) for word, form in PHASES.items()]
        picture.legend(handles=forms, loc="lower left", bbox_to_anchor=(0.045, 0.0), ncols=3, frameon=False)
        return svg(picture, f"Latency before, during and after the fault of run {run.result.run}")


def _curves(axes: Axes, row: FunctionRow, slowest: float) -> None:
    axes.set_title(row.function, loc="left", fontweight="bold")
    axes.set_xlim(0.0, RAREST)
    axes.set_xticks([math.log10(2), 1, 2, 3], ["50 %", "90 %", "99 %", "99.9 %"], fontsize=7.5)
    highest = max(math.ceil(math.log10(max(slowest, 1.0)) + 0.1), 2)
    axes.set_ylim(-0.5, highest)
    words = {0: "1 ms", 1: "10 ms", 2: "100 ms", 3: "1 s", 4: "10 s", 5: "100 s"}
    shown = [power for power in words if power <= highest]
    axes.set_yticks(shown, [words[power] for power in shown], fontsize=7.5)
    axes.grid(color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    for word, form in PHASES.items():
        told = row.latency.get(word)
        if told is not None and told.operations:
            line, style = (
                (_curve(told), "steps-pre") if any(number for _, number in told.counts) else (_named(told), "default")
            )
            axes.plot(*_apart(line), color=form["color"], linestyle=form["linestyle"], linewidth=1.8, drawstyle=style)
            axes.plot(*_apart(_named(told)), **{**form, "linestyle": "none"})


def _curve(told: Latency) -> list[tuple[float, float]]:
    """The whole distribution, as it was kept: so many operations up to each bound, none beyond the worst."""
    total = sum(number for _, number in told.counts)
    shares = accumulate(number / total for _, number in told.counts)
    line = [
        (_nines(share), _scale(min(bound, told.worst)))
        for (bound, number), share in zip(told.counts, shares, strict=True)
        if number
    ]
    rarest = min(_nines(1 - 1 / total), RAREST)
    return [(0.0, line[0][1]), *((min(nines, rarest), height) for nines, height in line)]


def _named(told: Latency) -> list[tuple[float, float]]:
    worst = (min(_nines(1 - 1 / told.operations), RAREST), _scale(told.worst))
    figures = ((math.log10(2), told.p50), (1.0, told.p90), (2.0, told.p99))
    return [*((nines, _scale(value)) for nines, value in figures if nines < worst[0]), worst]


def _nines(share: float) -> float:
    return -math.log10(max(1 - share, 10**-RAREST))


def _scale(milliseconds: float) -> float:
    return math.log10(max(milliseconds, 0.32))


def _apart(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]

"""Where the time goes: for each function the stages that were predicted, what was measured, and the objective."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from quorate.core.findings import FunctionRow
from quorate.report.drawing import BLACK, BLUE, GREY, VERMILLION, WIDTH, bare, figure, settings, svg
from quorate.report.run import Moment, Run, deciding, missed, phases, stations
from quorate.report.words import seconds

LEFT, RIGHT = 0.17, 0.985
HEAD, FOOT, LANE = 0.1, 0.85, 0.66
"""Inches."""
PREDICTED, MEASURED, TALL = -0.2, 0.2, 0.34
_LETTER = 0.063
_SHADES = ("#f0f0f0", "#d6d6d6")


def where_time_goes(run: Run) -> Markup | None:
    """One pair of bars for each function; None: there is no function."""
    rows = run.result.rows
    if not rows:
        return None
    told = stations(run.record)
    longest = max(
        [1.0, *(value for row in rows for value in (row.predicted_s, row.measured_s, row.objective_s) if value)]
    )
    height = HEAD + FOOT + len(rows) * LANE
    with settings(f"{run.result.run} stages"):
        picture = figure(height)
        axes = picture.add_axes((LEFT, FOOT / height, RIGHT - LEFT, 1 - (HEAD + FOOT) / height))
        bare(axes)
        axes.set_xlim(0.0, longest * 1.14)
        axes.set_ylim(len(rows) - 0.45, -0.55)
        axes.set_yticks(range(len(rows)), [row.function for row in rows])
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("seconds out", loc="right")
        for place, row in enumerate(rows):
            _predicted(axes, place, row, run)
            _measured(axes, place, row, told)
            if row.objective_s is not None:
                axes.plot([row.objective_s], [place], marker="D", color=BLACK, markersize=5, zorder=5)
                axes.vlines(row.objective_s, place - 0.4, place + 0.4, color=BLACK, linewidth=1.2, zorder=4)
        picture.legend(handles=_legend(), loc="lower left", bbox_to_anchor=(LEFT - 0.01, 0.0), ncols=4, frameon=False)
        return svg(
            picture, f"Predicted stages, measured outage and objective of every function of run {run.result.run}"
        )


def _predicted(axes: Axes, place: int, row: FunctionRow, run: Run) -> None:
    pause = deciding(run, row.function)
    if row.predicted_s is None:
        _beside(axes, 0.0, place + PREDICTED, "nothing bounds it")
        return
    parts = [(stage.name, stage.seconds) for stage in pause.stages] if pause else []
    for number, (left, name, length) in enumerate(_in_a_row(parts)):
        axes.barh(
            place + PREDICTED, length, TALL, left=left, facecolor=_SHADES[number % 2], edgecolor=GREY, linewidth=0.6
        )
        _name(axes, name, left, length, place + PREDICTED)
    told = seconds(row.predicted_s) if row.predicted_s else "no pause predicted"
    _beside(axes, _clear(axes, row.predicted_s, row.objective_s), place + PREDICTED, told)


def _measured(axes: Axes, place: int, row: FunctionRow, told: Sequence[Moment]) -> None:
    if row.measured_s is None:
        _beside(axes, 0.0, place + MEASURED, "could not be seen")
        return
    bad = bool(missed(row))
    for left, name, length in _in_a_row([(phase.name, phase.seconds) for phase in phases(row, told)]):
        axes.barh(
            place + MEASURED, length, TALL, left=left, facecolor="#f7c9a8" if bad else "#cfe6f5",
            edgecolor=VERMILLION if bad else BLUE, hatch="///" if bad else "", linewidth=0.6,
        )  # fmt: skip
        _name(axes, name, left, length, place + MEASURED)
    words = seconds(row.measured_s) if row.measured_s else "never out"
    at = _clear(axes, row.measured_s, row.objective_s)
    _beside(axes, at, place + MEASURED, f"{words}, missed" if bad else words, "bold")


def _beside(axes: Axes, at: float, place: float, words: str, weight: str = "normal") -> None:
    """Write beside the end of a bar, over whatever is there."""
    white = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    axes.annotate(
        words, (at, place), xytext=(5, 0), textcoords="offset points", va="center", fontsize=7.5, fontweight=weight,
        bbox=white, zorder=6,
    )  # fmt: skip


def _clear(axes: Axes, at: float, objective: float | None) -> float:
    """Where words beside the end of a bar begin, so that the line of the objective does not run through them."""
    room = axes.get_xlim()[1] * 0.06
    return objective if objective is not None and at <= objective < at + room else at


def _in_a_row(parts: Sequence[tuple[str, float]]) -> list[tuple[float, str, float]]:
    found, left = [], 0.0
    for name, length in parts:
        found.append((left, name, length))
        left += length
    return found


def _name(axes: Axes, name: str, left: float, length: float, place: float) -> None:
    """Write the name of a part into it, as far as there is room; the table below has all of them."""
    room = int(length / axes.get_xlim()[1] * WIDTH * (RIGHT - LEFT) / _LETTER) - 1
    text = name if len(name) <= room else f"{name[: room - 1]}…"
    if room >= 4:
        white = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
        axes.text(left + length / 2, place, text, ha="center", va="center", fontsize=6.8, bbox=white)


def _legend() -> list[Patch | Line2D]:
    return [
        Patch(facecolor=_SHADES[1], edgecolor=GREY, label="predicted at most, by stage"),
        Patch(facecolor="#cfe6f5", edgecolor=BLUE, label="measured, by what ended each part"),
        Patch(facecolor="#f7c9a8", edgecolor=VERMILLION, hatch="///", label="measured, and a bound was missed"),
        Line2D([], [], linestyle="none", marker="D", color=BLACK, markersize=5, label="objective"),
    ]

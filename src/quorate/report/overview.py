"""The whole run, small: one line for each client, as bars of three heights, with the marks of what happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from quorate.report import marks
from quorate.report.drawing import GREY, ORANGE, SKY, VERMILLION, bare, figure, settings, svg
from quorate.report.marks import RIGHT
from quorate.report.run import Run, lanes, moments
from quorate.report.thinning import cells

LEFT = 0.24
CELLS = 360
FOOT, LANE = 0.8, 0.3
"""Inches."""
BARS = {"ok": (SKY, 0.26, ""), "unknown": (ORANGE, 0.56, "xxxxxx"), "failed": (VERMILLION, 0.84, "")}
"""How an outcome is shown: colour, height, pattern."""


def whole_run(run: Run) -> Markup:
    """Every client from the first operation to the last."""
    drawn, told = lanes(run.record), moments(run.record)
    labels = marks.labels(told, 0.0, run.ended, LEFT)
    head = labels.height + 0.05
    height = head + FOOT + max(len(drawn), 1) * LANE
    with settings(f"{run.result.run} whole"):
        picture = figure(height)
        axes = picture.add_axes((LEFT, FOOT / height, RIGHT - LEFT, 1 - (head + FOOT) / height))
        bare(axes)
        axes.set_xlim(0.0, labels.ended)
        axes.set_ylim(max(len(drawn), 1) - 0.5, -0.5)
        axes.set_yticks(range(len(drawn)), [lane.client.name for lane in drawn], fontsize=8)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(14, steps=[1, 2, 5, 10]))
        axes.set_xlabel("seconds of the drill", loc="right")
        marks.pauses(axes, run.record.marks)
        for place, lane in enumerate(drawn):
            _line(axes, place, cells(lane.operations, 0.0, run.ended, CELLS), run.ended / CELLS)
            if not lane.operations:
                axes.text(run.ended / 2, place, "no operation was recorded", ha="center", va="center", color=GREY)
        marks.lines(axes, told)
        labels.draw(axes)
        forms = [
            Patch(facecolor=colour, hatch=pattern, edgecolor="white", linewidth=0, label=f"{word} ({height_of} bar)")
            for (word, (colour, _, pattern)), height_of in zip(BARS.items(), ("low", "middle", "high"), strict=True)
        ]
        forms += marks.pause_form(run.record.marks)
        picture.legend(handles=forms, loc="lower left", bbox_to_anchor=(LEFT - 0.01, 0.0), ncols=4, frameon=False)
        return svg(picture, f"Timeline of the whole of run {run.result.run}")


def _line(axes: Axes, place: int, worst: Sequence[str], wide: float) -> None:
    for outcome, spans in _spans(worst, wide).items():
        colour, tall, pattern = BARS[outcome]
        axes.broken_barh(
            spans, (place - tall / 2, tall), facecolor=colour, hatch=pattern, edgecolor="white", linewidth=0, zorder=2
        )


def _spans(worst: Sequence[str], wide: float) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    for outcome, first, length in _stretches(worst):
        if outcome:
            found.setdefault(outcome, []).append((first * wide, length * wide))
    return found


def _stretches(worst: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    first = 0
    for outcome, cells_alike in groupby(worst):
        length = len(list(cells_alike))
        yield outcome, first, length
        first += length

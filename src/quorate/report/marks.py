"""Vertical marks for what happened, the same in every timeline: a line of its own pattern, and words above it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from quorate.core.record import Mark
from quorate.report.drawing import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILLION, WIDTH
from quorate.report.run import Kind, Moment

LEFT, RIGHT = 0.075, 0.985
"""Where every timeline begins and ends, as parts of the page's width."""
LINES: dict[Kind, tuple[str, tuple[int, tuple[int, ...]]]] = {
    "fault": (VERMILLION, (0, ())),
    "alarm": (ORANGE, (0, (4, 2))),
    "takeover": (BLUE, (0, (6, 2, 1, 2))),
    "heal": (GREEN, (0, (9, 3))),
    "whole": (BLACK, (0, (1, 2))),
}
"""Colour and dashes of each kind of moment."""
ROW, LETTER = 12, 0.078
"""Points that a row of labels takes, and inches that a letter of a label takes, about."""
_STILL: dict[str, Any] = {"facecolor": "none", "edgecolor": GREY, "hatch": "...", "linewidth": 0}


def lines(axes: Axes, told: Iterable[Moment]) -> None:
    """Draw the moments that lie within what the axes show."""
    began, ended = axes.get_xlim()
    for moment in told:
        if began <= moment.at <= ended:
            colour, dashes = LINES[moment.kind]
            axes.axvline(moment.at, color=colour, linestyle=dashes, linewidth=1.3, zorder=1)


def pauses(axes: Axes, marks: Iterable[Mark]) -> None:
    """Show where the drill itself stood still."""
    for mark in marks:
        if mark.name == "pause":
            axes.axvspan(mark.at, mark.at + mark.seconds, zorder=0, **_STILL)


def pause_form(marks: Iterable[Mark]) -> list[Patch]:
    """What the legend says of it, where there is any."""
    return [Patch(label="the drill itself stood still", **_STILL)] if any(m.name == "pause" for m in marks) else []


@dataclass(frozen=True)
class Labels:
    """Words above a timeline, placed: each beside its line, in rows such that no line runs through another's words."""

    moments: tuple[Moment, ...]
    words: tuple[str, ...]
    rows: tuple[int, ...]
    ended: float

    @property
    def height(self) -> float:
        """Inches that they take."""
        return 0.08 + ROW / 72 * (max(self.rows, default=0) + 1)

    def draw(self, axes: Axes) -> None:
        """Write them above the axes."""
        began, ended = axes.get_xlim()
        for moment, text, row in zip(self.moments, self.words, self.rows, strict=True):
            colour, dashes = LINES[moment.kind]
            at = ((moment.at - began) / (ended - began), 1.0)
            above: dict[str, Any] = {
                "xycoords": "axes fraction",
                "textcoords": "offset points",
                "annotation_clip": False,
            }
            line = {
                "arrowstyle": "-",
                "color": colour,
                "linestyle": dashes,
                "linewidth": 1.3,
                "shrinkA": 0,
                "shrinkB": 0,
            }
            axes.annotate("", at, xytext=(0, 2 + ROW * (row + 1)), arrowprops=line, **above)
            axes.annotate(text, at, xytext=(4, 4 + ROW * row), fontsize=8, fontweight="bold", **above)


def labels(told: Sequence[Moment], began: float, ended: float, left: float = LEFT) -> Labels:
    """Place the words of all that happened within this stretch, and make it longer where the last need room."""
    wide = WIDTH * (RIGHT - left)
    fault = next((moment.at for moment in told if moment.kind == "fault"), None)
    inside = sorted((moment for moment in told if began <= moment.at <= ended), key=lambda moment: moment.at)
    words = [_words(moment, fault) for moment in inside]
    lengths = [len(text) * LETTER + 0.1 for text in words]
    needed = [
        began + (moment.at - began) * wide / (wide - length) for moment, length in zip(inside, lengths, strict=True)
    ]
    ended = max([ended, *needed])
    places = [(moment.at - began) / (ended - began) * wide for moment in inside]
    return Labels(tuple(inside), tuple(words), _rows(places, lengths), ended)


def _words(moment: Moment, fault: float | None) -> str:
    if moment.kind == "fault" or fault is None:
        return f"{moment.kind} at {moment.at:.2f} s"
    return f"{moment.kind} {moment.at - fault:+.2f} s"


def _rows(places: Sequence[float], lengths: Sequence[float]) -> tuple[int, ...]:
    """Give each the lowest row above all whose lines it would cover: they stand to its right."""
    rows: list[int] = []
    for at in range(len(places) - 1, -1, -1):
        covered = [row for place, row in zip(places[:at:-1], rows, strict=True) if place < places[at] + lengths[at]]
        rows.append(max(covered, default=-1) + 1)
    return tuple(reversed(rows))

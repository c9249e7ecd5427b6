"""Where boxes stand in a picture of layers: rows from top to bottom, each centred, so that lines cross little. Pure.

The order within a row follows from the row above it (the barycentre of those whom a box is connected with; K. Sugiyama
et al., Methods for visual understanding of hierarchical system structures, 1981), and else from the order in which the
boxes were given: the same input gives the same picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

LETTER = 6.2
"""Pixels that a letter takes, about: 11 px of a sans-serif face."""
LINE = 15
PAD = 8
GAP_X, GAP_Y = 14, 34


@dataclass(frozen=True)
class Box:
    """Lines of text in a frame, centre and top at `x` and `y`."""

    name: str
    lines: tuple[str, ...]
    x: float = 0.0
    y: float = 0.0

    @property
    def width(self) -> float:
        """Pixels."""
        return max(len(line) for line in self.lines) * LETTER + 2 * PAD

    @property
    def height(self) -> float:
        """Pixels."""
        return len(self.lines) * LINE + PAD


def placed(rows: Iterable[Sequence[Box]], joined: Mapping[str, Iterable[str]], width: float, top: float) -> list[Box]:
    """Give each box its place. `joined`: name → names of boxes in rows above. A row that is too long is broken."""
    done: dict[str, Box] = {}
    for row in rows:
        for line in _broken(_ordered(row, joined, done), width):
            x = (width - sum(box.width for box in line) - GAP_X * (len(line) - 1)) / 2
            for box in line:
                done[box.name] = Box(box.name, box.lines, x + box.width / 2, top)
                x += box.width + GAP_X
            top += max(box.height for box in line) + GAP_Y
    return list(done.values())


def _ordered(row: Sequence[Box], joined: Mapping[str, Iterable[str]], done: Mapping[str, Box]) -> list[Box]:
    places = {
        box.name: [done[other].x for other in joined.get(box.name, ()) if other in done] or [float(number)]
        for number, box in enumerate(row)
    }
    return sorted(row, key=lambda box: fmean(places[box.name]))


def _broken(row: Sequence[Box], width: float) -> list[list[Box]]:
    """Into as few lines as hold it, about equally long."""
    whole = sum(box.width + GAP_X for box in row) - GAP_X
    share = whole / max(1, -(-whole // width))
    lines: list[list[Box]] = [[]]
    used = 0.0
    for box in row:
        if lines[-1] and (used + box.width > width or used + box.width / 2 > share):
            lines.append([])
            used = 0.0
        lines[-1].append(box)
        used += box.width + GAP_X
    return [line for line in lines if line]

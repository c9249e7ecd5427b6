"""The picture of what rests on what: systems with what users do by them, the controllers, and what those share. Pure.

A system stands below all that need it, and is joined with those that it needs itself, not with those that these need in
turn. Whatever is a single point of failure is red and says so, as is what falls with it; what would spare most downtime
if it never failed is marked with its share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from markupsafe import escape

from quorate.core.availability import Expected
from quorate.core.foresight import Foresight
from quorate.report.layers import GAP_X, GAP_Y, LINE, PAD, Box, placed
from quorate.report.words import lasting

WIDTH = 1420
MARGIN = 110
"""Pixels on the left, for what a row is called."""
TOP = 80
RED, AMBER, BLUE, TEXT, GREY, PALE = "#D55E00", "#8a6100", "#9fb4c4", "#1a1a1a", "#6b6b6b", "#f4f6f8"
"""Okabe and Ito's vermillion for what is wrong; a word always says the same."""
ALONE, FALLS, SPARES, YEARLY = "single point of failure", "falls with", "would spare", " a year"
LEGEND = (
    f"{SPARES} …: that much of some function's downtime, if it and its like never failed; "
    "lines lead to what is needed; times: expected downtime"
)
MUCH = 0.25
"""A share of a function's downtime that is worth a mark."""


def picture(title: str, foresight: Foresight, told: Sequence[Expected], uncounted: Sequence[str] = ()) -> str:
    """Draw it as a stand-alone SVG file. `uncounted`: networks of whose switches nobody knows."""
    alone = sorted(part for cut in foresight.cuts(1) for part in cut)
    falls = _falls(foresight, alone)
    systems = _systems(foresight, told, falls)
    hosts = _hosts(foresight, told, alone, _below(systems))
    shared = [
        Box(name, (name, _SHARED[part.kind], *([ALONE] if name in alone else [])))
        for name, part in foresight.known.items()
        if part.kind in _SHARED
    ]
    rest = placed([shared], {}, WIDTH - MARGIN, _below(hosts)) if shared else []
    boxes = [*systems, *hosts, *rest]
    height = _below(boxes) - GAP_Y + GAP_X
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
        f'viewBox="0 0 {WIDTH} {height:.0f}" font-family="DejaVu Sans, Verdana, sans-serif" font-size="11">'
    )
    body = [
        *_lines(foresight, {box.name: box for box in boxes}),
        *(text for box in boxes for text in _box(box, red=frozenset((*falls, *alone)))),
        *_titles(title, [("systems", systems), ("controllers", hosts), ("shared", rest)], uncounted, wrong=bool(alone)),
    ]
    return "\n".join([head, f'<rect width="{WIDTH}" height="{height:.0f}" fill="white"/>', *body, "</svg>", ""])


_SHARED = {
    "failure_domain": "failure domain",
    "switch": "switch",
    "arbiter": "votes, holds nothing",
    "secrets": "holds the keys",
}


def _below(boxes: Sequence[Box]) -> float:
    return max(box.y + box.height for box in boxes) + GAP_Y


def _falls(foresight: Foresight, alone: Iterable[str]) -> Mapping[str, list[str]]:
    """Systems and functions, each with the single parts whose loss stops it."""
    found: dict[str, list[str]] = {}
    for part in alone:
        for name in (*foresight.stopped({part}), *foresight.denied({part})):
            found.setdefault(name, []).append(part)
    return found


def _systems(foresight: Foresight, told: Sequence[Expected], falls: Mapping[str, Sequence[str]]) -> list[Box]:
    """Those that others need below them."""
    hours = {one.does: one.hours for one in told}
    ranks: dict[int, list[Box]] = {}
    for name in foresight.needs:
        functions = (f"{one.does}: {lasting(hours[one.does])}{YEARLY}" for one in foresight.serving[name])
        because = falls.get(name, ())
        more = f" and {len(because) - 1} more" if len(because) > 1 else ""
        lines = (name, f"survives {_survives(foresight, name)}", *([f"{FALLS} {because[0]}{more}"] if because else []))
        ranks.setdefault(_rank(foresight, name), []).append(Box(name, (*lines, *functions)))
    above: dict[str, list[str]] = {}
    for name, below in _joined(foresight):
        above.setdefault(below, []).append(name)
    return placed((ranks[rank] for rank in sorted(ranks, reverse=True)), above, WIDTH - MARGIN, TOP)


def _survives(foresight: Foresight, name: str) -> str:
    """How many controllers may be lost, whichever they are."""
    hosts = _controllers(foresight)
    lost = next(
        count - 1
        for count in range(1, len(hosts) + 1)
        if any(name in foresight.stopped(some) for some in combinations(hosts, count))
    )
    return f"any {lost} of {len(hosts)}" if lost else "no loss"


def _controllers(foresight: Foresight) -> list[str]:
    return [part for part, known in foresight.known.items() if known.kind == "controller"]


def _rank(foresight: Foresight, name: str) -> int:
    """How far above what needs nothing."""
    return 1 + max((_rank(foresight, below) for below in foresight.needs[name]), default=-1)


def _joined(foresight: Foresight) -> Iterator[tuple[str, str]]:
    """Each system with those that it needs, but for what another need of its own needs anyway."""
    for name, needs in foresight.needs.items():
        further = {deep for below in needs for deep in _all(foresight, below)}
        yield from ((name, below) for below in sorted(needs - further))


def _all(foresight: Foresight, name: str) -> set[str]:
    return {deep for below in foresight.needs[name] for deep in (below, *_all(foresight, below))}


def _hosts(foresight: Foresight, told: Sequence[Expected], alone: Sequence[str], top: float) -> list[Box]:
    """Each controller with all that is its own; what would spare most if it never failed says how much."""
    spared: dict[str, float] = {}
    for one in told:
        for share in one.because:
            spared[share.group] = max(spared.get(share.group, 0.0), share.of_downtime)
    boxes = []
    for host in _controllers(foresight):
        own = {
            part: spared.get(known.group, 0.0)
            for part, known in foresight.known.items()
            if known.hosts == (host,) and known.kind not in _SHARED
        }
        boxes.append(Box(host, tuple(_own(part, host, share, alone) for part, share in own.items())))
    return placed([boxes], {}, WIDTH - MARGIN, top)


def _own(part: str, host: str, spared: float, alone: Sequence[str]) -> str:
    word = part.removesuffix(f" of {host}").removesuffix(f" on {host}").replace(f" of {host} to ", " to ")
    if part in alone:
        return f"{word}: {ALONE}"
    return f"{word}: {SPARES} {100 * spared:.0f} %" if spared >= MUCH else word


def _lines(foresight: Foresight, places: Mapping[str, Box]) -> Iterator[str]:
    shared = ((host, name) for name, part in foresight.known.items() if part.kind in _SHARED for host in part.hosts)
    for above, below in (*_joined(foresight), *shared):
        one, other = places[above], places[below]
        x1, y1, x2, y2 = one.x + MARGIN, one.y + one.height, other.x + MARGIN, other.y
        bend = (y2 - y1) / 2
        path = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"
        yield f'<path d="{path}" fill="none" stroke="{BLUE}"/>'


def _box(box: Box, red: frozenset[str]) -> Iterator[str]:
    left = box.x + MARGIN - box.width / 2
    frame = f'stroke="{RED}" stroke-width="2"' if box.name in red else f'stroke="{GREY}" stroke-width="0.8"'
    yield (
        f'<rect x="{left:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="4" '
        f'fill="{PALE}" {frame}/>'
    )
    for number, line in enumerate(box.lines):
        y = box.y + PAD / 2 + LINE * (number + 0.75)
        yield f'<text x="{left + PAD:.1f}" y="{y:.1f}" {_face(line, red, first=not number)}>{escape(line)}</text>'


def _face(line: str, red: frozenset[str], *, first: bool) -> str:
    """Bold for what it is, red for what falls alone or with something, amber for what would spare much."""
    if ALONE in line or line.startswith(FALLS):
        return f'fill="{RED}" font-weight="bold"'
    if first:
        return f'fill="{TEXT}" font-weight="bold"'
    if line.endswith(YEARLY) and line.rpartition(": ")[0] in red:
        return f'fill="{RED}"'
    return f'fill="{AMBER if SPARES in line else GREY}"'


def _titles(
    title: str, rows: Sequence[tuple[str, Sequence[Box]]], uncounted: Sequence[str], *, wrong: bool
) -> Iterator[str]:
    yield f'<text x="{GAP_X}" y="28" fill="{TEXT}" font-size="16" font-weight="bold">{escape(title)}</text>'
    said = f"red: a {ALONE}, or what falls with one" if wrong else f"no {ALONE}"
    said += f", not counting the switches of {' and '.join(uncounted)}" if uncounted else ""
    yield f'<text x="{GAP_X}" y="46" fill="{GREY}">{escape(said)}</text>'
    yield f'<text x="{GAP_X}" y="61" fill="{GREY}">{escape(LEGEND)}</text>'
    for words, boxes in rows:
        if boxes:
            yield f'<text x="{GAP_X}" y="{boxes[0].y + LINE:.1f}" fill="{GREY}" font-weight="bold">{words}</text>'

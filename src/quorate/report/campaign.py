"""The campaign's table: drills down, functions across; in each cell the median and the worst outage of all runs.

One mark each, explained below the table: `!` the median is over the objective, `*` the prediction does not hold, `?`
not every run could be seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.table import Table
from rich.text import Text

from quorate.core.campaign import not_held
from quorate.core.findings import Campaign, CampaignDrill, CampaignRow
from quorate.core.visible import visible
from quorate.report.words import count

WIDTH = 100
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~#!&])")
KEY = "median (worst) outage in seconds; ! over the objective, * prediction not held, ? not seen in every run"


def functions(campaign: Campaign) -> tuple[str, ...]:
    """The columns, in the order in which they first appear."""
    return tuple(dict.fromkeys(row.function for row in campaign.rows))


def row_of(campaign: Campaign, drill: str, function: str) -> CampaignRow | None:
    """The row of a drill and function, if there is one."""
    return next((row for row in campaign.rows if (row.drill, row.function) == (drill, function)), None)


def cell(row: CampaignRow | None) -> str:
    """The figures of a cell: median, worst in brackets, marks."""
    if row is None:
        return "-"
    if row.median_s is None or row.worst_s is None:
        return "?"
    marks = marked(row)
    return f"{row.median_s:.2f} ({row.worst_s:.2f}){f' {marks}' if marks else ''}"


def marked(row: CampaignRow) -> str:
    """The marks of a cell; empty: all is as it should be."""
    over = row.objective_s is not None and row.median_s is not None and row.median_s > row.objective_s
    return "!" * over + "*" * (not row.held) + "?" * bool(row.unseen)


def objective(campaign: Campaign, function: str) -> str:
    """The strictest objective of a function."""
    known = [row.objective_s for row in campaign.rows if row.function == function and row.objective_s is not None]
    return f"{min(known):.2f}" if known else "-"


def unseen(number: int, of_which: int) -> str:
    """A count, and of how many runs nobody can say."""
    return f"{number}" if not of_which else f"{number} ({of_which} unknown)"


def markdown(campaign: Campaign) -> str:
    """Make the table for a page of documentation, with what is missing from it in sentences below."""
    names = functions(campaign)
    heads = ["drill", *map(_written, names), "lost", "two VIP holders", "runs"]
    lines = [_line(heads), _line(["---", *("---:" for _ in heads[1:])])]
    lines += [
        _line([_written(text) for text in (drill.drill, *_cells(campaign, drill, names))]) for drill in campaign.drills
    ]
    objectives = [objective(campaign, name) for name in names]
    lines.append(_line(["*objective*", *objectives, "0", "0", ""]))
    below = [f"{_written(sentence)}." for sentence in sentences(campaign)]
    return "\n".join([*lines, "", f"{_written(KEY[0].upper() + KEY[1:])}.", "", *(f"- {line}" for line in below), ""])


def renderable(campaign: Campaign) -> RenderableType:
    """Make the table for the terminal."""
    names = functions(campaign)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left")
    table.add_column("drill", overflow="fold")
    for name in (*names, "lost", "two VIP holders", "runs"):
        table.add_column(Text(visible(name)), justify="right", overflow="fold")
    for drill in campaign.drills:
        table.add_row(Text(visible(drill.drill)), *map(Text, _cells(campaign, drill, names)))
    table.add_section()
    table.add_row("objective", *(Text(objective(campaign, name)) for name in names), "0", "0", "")
    heading = Text(f"Campaign on {visible(campaign.cloud)}: {count(campaign.runs, 'run')}", style="bold")
    told = Text("\n".join([KEY, *(visible(sentence) for sentence in sentences(campaign))]))
    return Constrain(Group(heading, Text(), table, told), WIDTH)


def sentences(campaign: Campaign) -> Iterator[str]:
    """What the table says, and what it cannot say."""
    yield f"{campaign.predictions_held} of {count(campaign.predictions, 'bounded prediction')} held"
    yield f"Acknowledged and later not found: {campaign.lost}{_nobody(campaign.lost_unknown)}"
    yield f"Runs in which two held a virtual IP: {campaign.two_holders}{_nobody(campaign.two_holders_unknown)}"
    for row in campaign.rows:
        why = not_held(row)
        if why:
            yield f"{row.drill}, {row.function}: {why}"
    if campaign.failing:
        yield f"Failing: {', '.join(campaign.failing)}"
    if campaign.unknown:
        yield f"Unknown: {', '.join(campaign.unknown)}"


def _nobody(runs: int) -> str:
    return f", and of {count(runs, 'run')} nobody can say" if runs else ""


def _cells(campaign: Campaign, drill: CampaignDrill, names: tuple[str, ...]) -> list[str]:
    figures = [cell(row_of(campaign, drill.drill, name)) for name in names]
    lost = unseen(drill.lost, drill.lost_unknown)
    return [*figures, lost, unseen(drill.two_holders, drill.two_holders_unknown), str(drill.runs)]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _written(text: str) -> str:
    """Text as Markdown shows it, whatever is in it."""
    return _SPECIAL.sub(r"\\\1", visible(" ".join(text.split())))

"""The page: one file that holds everything, for one run or several. It loads nothing, and runs nothing.

Everything that hosts, clients and people wrote is escaped, and what could steer a terminal or turn the direction of
writing is made visible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from quorate.core.campaign import campaign, not_held
from quorate.core.findings import FunctionRow, LevelWord, Result
from quorate.core.visible import visible
from quorate.report import words
from quorate.report.campaign import cell, functions, objective, row_of, unseen
from quorate.report.latency import waits
from quorate.report.overview import whole_run
from quorate.report.run import Event, Paused, Phase, Run, missed, notices, paused, phases, stations, story
from quorate.report.stages import where_time_goes
from quorate.report.timeline import around_the_fault

MOST_ERRORS = 12
"""Kinds of error that are listed for a function; the rest are counted."""


@dataclass(frozen=True)
class Figures:
    """The plots of a run."""

    whole: Markup
    around: Markup | None
    stages: Markup | None
    waits: Markup | None


@dataclass(frozen=True)
class Missed:
    """A function that missed a bound, and where its time went."""

    row: FunctionRow
    why: str
    phases: tuple[Phase, ...]

    @property
    def longest(self) -> Phase | None:
        """The part that took most of the time."""
        return max(self.phases, key=lambda phase: phase.seconds, default=None)


@dataclass(frozen=True)
class Told:
    """A run with all that the template asks for."""

    run: Run
    story: tuple[Event, ...]
    notices: tuple[str, ...]
    missed: tuple[Missed, ...]
    paused: tuple[Paused, ...]
    figures: Figures


def page(runs: Sequence[Run]) -> str:
    """Make the page. The same runs give the same page, to the byte."""
    results = [run.result for run in runs]
    return _page(results if len(runs) > 1 else [], {}, [_told(run) for run in runs])


def index(results: Sequence[Result], pages: Mapping[str, str]) -> str:
    """Make the page of a campaign: its table, and each run with a link to its own page (`pages`: run, file name)."""
    return _page(results, pages, [])


def _page(results: Sequence[Result], pages: Mapping[str, str], runs: Sequence[Told]) -> str:
    summed = campaign(results) if results else None
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            runs=runs,
            campaign=summed,
            functions=functions(summed) if summed else (),
            results=results,
            pages=pages,
            most_errors=MOST_ERRORS,
        )
    )


def _told(run: Run) -> Told:
    happened = stations(run.record)
    return Told(
        run=run,
        story=story(run.record),
        notices=tuple(notices(run)),
        missed=tuple(Missed(row, missed(row), phases(row, happened)) for row in run.result.rows if missed(row)),
        paused=paused(run.result.predictions),
        figures=Figures(whole_run(run), around_the_fault(run), where_time_goes(run), waits(run)),
    )


def _shown(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup):
        return visible(value)
    return value


def _verdict(level: LevelWord) -> Markup:
    return Markup('<span class="verdict {}"><span aria-hidden="true">{}</span> {}</span>').format(
        level, words.SIGNS[level], level
    )


def _breakable(name: str) -> Markup:
    """A long name that may go on in another line after each part."""
    return Markup("_<wbr>").join(visible(name).split("_"))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("quorate.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
        finalize=_shown,
    )
    environment.globals.update(
        verdict=_verdict, cell=cell, objective=objective, row_of=row_of, not_held=not_held, unseen=unseen
    )
    environment.filters.update(
        seconds=words.seconds,
        milliseconds=words.milliseconds,
        lost=words.lost,
        joined=words.joined,
        breakable=_breakable,
    )
    return environment

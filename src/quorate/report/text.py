"""A run for the terminal: the verdict, the table, what is not ok, and a line of characters for each client.

Words and characters say it all; colour only repeats it. Nothing is wider than WIDTH.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from quorate.core.findings import FunctionRow, LevelWord, Result
from quorate.core.record import Header
from quorate.core.visible import visible
from quorate.report.run import Kind, Moment, Paused, Run, lanes, missed, moments, notices, paused, phases, stations
from quorate.report.thinning import cells
from quorate.report.words import STYLES, count, joined, lost, seconds

WIDTH = 100
CHARACTERS = {"ok": ".", "failed": "x", "unknown": "?", "": " "}
LETTERS: dict[Kind, str] = {"fault": "F", "alarm": "A", "takeover": "T", "heal": "H", "whole": "W"}
LONGEST_NAME = 30


def report(runs: Sequence[Run]) -> RenderableType:
    """One or several runs, one below the other."""
    parts: list[RenderableType] = []
    for run in runs:
        parts += [Text(), _run(run)] if parts else [_run(run)]
    return Group(*parts)


def forecast(header: Header) -> RenderableType:
    """What will be done to whom, and what should come of it: to read before anything is broken."""
    objectives = {client.function: header.objectives.get(client.objective) for client in header.workloads}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("function", overflow="fold")
    for heading in ("out at most", "objective"):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in header.predictions:
        bounds = seconds(line.seconds, "no bound"), seconds(objectives.get(line.function), "none")
        table.add_row(Text(visible(line.function)), *bounds)
    hits = joined(f"{hit.part} on {hit.host} ({hit.loss})" for hit in header.hits)
    parts: list[RenderableType] = [
        Text(f"Drill {visible(header.drill)} on {visible(header.cloud)}: {visible(header.summary)}", style="bold"),
        Text(f"hit: {visible(hits)}"),
        Text(),
        table,
        *(part for one in paused(header.predictions) for part in _pause(one)),
    ]
    return Constrain(Group(*parts), WIDTH)


def _pause(one: Paused) -> Iterator[RenderableType]:
    pause = one.pause
    yield Text(visible(f"{joined(one.functions)}: {seconds(one.seconds)} at most, because {pause.because}"))
    for stage in pause.stages:
        yield Padding(Text(visible(f"{seconds(stage.seconds)} {stage.name} ({stage.source})")), (0, 0, 0, 8))
    if pause.takes_over:
        yield Padding(Text(visible(f"then served by {' or '.join(pause.takes_over)}")), (0, 0, 0, 8))
    if pause.losable:
        yield Padding(Text(visible(f"may be lost: {pause.losable}"), style="bold"), (0, 0, 0, 8))


def _run(run: Run) -> RenderableType:
    result = run.result
    told = moments(run.record)
    parts: list[RenderableType] = [
        Text(f"Drill {visible(result.drill)} on {visible(result.cloud)}: {visible(result.summary)}", style="bold"),
        Text.assemble("verdict: ", _level(result.level), f": {visible(result.reason)}"),
        *(Text(f"note: {visible(notice)}", style="bold") for notice in notices(run)),
        Text(),
        _table(result.rows),
        *_missed(result.rows, stations(run.record)),
        Text(_summary(result)),
        *_findings(result),
        Text(),
        Strips(run, told),
    ]
    return Constrain(Group(*parts), WIDTH)


def _level(level: LevelWord) -> Text:
    return Text(level, style=STYLES[level])


def _table(rows: Sequence[FunctionRow]) -> RenderableType:
    if not rows:
        return Text("No function was judged.")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("function", overflow="fold")
    for heading in ("predicted", "measured", "objective"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("is")
    table.add_column("because", overflow="fold")
    for row in rows:
        table.add_row(
            Text(visible(row.function)),
            seconds(row.predicted_s, "no bound"),
            seconds(row.measured_s),
            seconds(row.objective_s, "none"),
            _level(row.level),
            Text(visible(row.reason)),
        )
    return table


def _missed(rows: Sequence[FunctionRow], told: Sequence[Moment]) -> Iterator[RenderableType]:
    """Where a bound was missed: which part of the outage took the time."""
    for row in rows:
        why = missed(row)
        if why:
            yield Text(f"missed: {visible(row.function)}: {why}")
            for phase in phases(row, told):
                yield Padding(Text(f"{seconds(phase.seconds)} {visible(phase.name)}"), (0, 0, 0, 8))


def _summary(result: Result) -> str:
    alarm = (
        "status was not seen to raise an alarm" if result.alarm_s is None else f"alarm after {seconds(result.alarm_s)}"
    )
    whole = (
        "redundancy was not seen to be back"
        if result.whole_s is None
        else f"redundancy back {seconds(result.whole_s)} after the heal"
    )
    return f"lost: {lost(result.lost)}; {alarm}; {whole}"


def _findings(result: Result) -> Iterator[RenderableType]:
    well = sum(finding.level == "ok" for finding in result.findings)
    yield Text(f"{count(well, 'checker')} of {len(result.findings)} ok")
    for finding in result.findings:
        if finding.level != "ok":
            yield Text.assemble(_level(finding.level), f" {visible(finding.checker)}: {visible(finding.reason)}")
            for line in finding.evidence:
                yield Padding(Text(visible(line)), (0, 0, 0, 8))


@dataclass(frozen=True)
class Strips:
    """A line for each client: the whole run from left to right, the worst of each stretch as one character."""

    run: Run
    told: Sequence[Moment]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        drawn = lanes(self.run.record)
        if not drawn:
            yield Text("No client was at work.")
            return
        longest = max(len(visible(lane.client.name)) for lane in drawn)
        name = min(longest, LONGEST_NAME, options.max_width // 3)
        wide = max(min(options.max_width, WIDTH) - name - 1, 10)
        ended = self.run.ended
        yield Text(f"{'':{name}} {self._letters(wide)}".rstrip(), no_wrap=True)
        for lane in drawn:
            text = Text(f"{visible(lane.client.name)[:name]:{name}} ", no_wrap=True)
            for outcome in cells(lane.operations, 0.0, ended, wide) if lane.operations else ():
                text.append(CHARACTERS[outcome], style="bold" if outcome in ("failed", "unknown") else "")
            if not lane.operations:
                text.append("nothing was seen"[:wide])
            yield text
        yield Text(f"{'':{name}} {_ruler(ended, wide)}", no_wrap=True)
        yield Text(". ok   x failed   ? unknown", no_wrap=True)
        fault = next((moment.at for moment in self.told if moment.kind == "fault"), None)
        for moment in self.told:
            since = "" if fault is None or moment.kind == "fault" else f" ({moment.at - fault:+.2f} s)"
            yield Text(f"{LETTERS[moment.kind]} {moment.kind} at {moment.at:.2f} s{since}: {visible(moment.detail)}")

    def _letters(self, wide: int) -> str:
        """A letter above each moment; those that would fall on one another move on to the right."""
        line = [" "] * wide
        for moment in self.told:
            place = min(int(moment.at / self.run.ended * wide), wide - 1)
            free = next((at for at in range(place, wide) if line[at] == " "), place)
            line[free] = LETTERS[moment.kind]
        return "".join(line)


def _ruler(ended: float, wide: int) -> str:
    left, right = "0 s", f"{ended:.0f} s"
    return f"{left}{' ' * max(wide - len(left) - len(right), 1)}{right}"

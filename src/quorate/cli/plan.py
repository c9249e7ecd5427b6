"""`quorate plan`: what would change, as a value that can be read, stored and applied later."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import groupby
from math import ceil
from pathlib import Path

import click

from quorate.cli import render
from quorate.cli.options import cloud_option, output_option
from quorate.cli.session import enabled_ones, known, only_option, operation, without_option
from quorate.core.impact import in_all
from quorate.core.plan import Plan, Wave
from quorate.engine.apply import look
from quorate.errors import InvalidInput

SHORT = 180
"""Seconds below which people count in seconds."""


@click.command()
@cloud_option
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the plan here, for `quorate apply`."
)
@without_option
@only_option
@output_option
def command(cloud_file: Path, out: Path | None, without: tuple[str, ...], only: tuple[str, ...], output: str) -> None:
    """Show what apply would do. Looks at every controller, changes nothing.

    \b
      quorate plan                      read it
      quorate plan -o plan.json         keep it, have it reviewed …
      quorate apply plan.json           … and do exactly that, or be refused
      quorate plan --only keystone      what this system needs, and nothing else

    Exit code 0, also when there is something to do; controllers that cannot be seen are named in the plan.
    """  # noqa: D301 - click's paragraph mark

    async def plan() -> Plan:
        async with operation(cloud_file) as op:
            known(op.site.cloud, without)
            enabled_ones(op.site, op.systems, only)
            op.progress("looking at every controller")
            return (await look(op, without=without, only=only)).plan

    made = asyncio.run(plan())
    if out is not None:
        try:
            out.write_text(made.model_dump_json(indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise InvalidInput(f"{out} cannot be written: {error.strerror}") from None
    render.result(made.model_dump(mode="json"), output, lambda: as_text(made))


def as_text(plan: Plan) -> str:
    """Write the plan for a person."""
    return "\n".join(_lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    whole = f"{plan.cloud}, only {', '.join(plan.only)}" if plan.only else plan.cloud
    whole = f"{plan.cloud}, back to before run {plan.undoes}" if plan.undoes else whole
    if plan.is_empty and not plan.missing and not plan.refusals:
        yield f"{whole}: nothing to do, 0 changes"
        return
    hosts = len({step.host for step in plan.steps})
    yield f"{whole}: {len(plan.waves)} waves, {len(plan.steps)} steps on {hosts} controllers"
    for number, wave in enumerate(plan.waves, start=1):
        yield ""
        yield from _wave_lines(number, wave)
    if any(wave.impact for wave in plan.waves):
        most = ", ".join(f"{function} {seconds:.1f} s" for function, seconds in in_all(plan).items())
        yield f"\npauses in all, at most: {most or 'none'}"
    if plan.takes is not None:
        bound = "nothing bounds it" if plan.takes.most is None else f"at most {_long(plan.takes.most)}"
        yield f"\ntakes in all about {_long(plan.takes.about)}, {bound}: a wave that takes longer than it may ends it"
        yield f"  about: a guess; {plan.takes.source}"
    for note in plan.notes:
        yield f"\nNOTE {note.system}: {note.text}"
    for missing in plan.missing:
        yield f"\nNOT SEEN {missing.host}: {missing.why} (refused without `--without {missing.host}`)"
    for refusal in plan.refusals:
        yield f"\nREFUSED {refusal.system or 'cloud'}: {refusal.reason}"
        yield from (f"  {line}" for line in refusal.evidence)


def _long(seconds: float) -> str:
    """Say a length in figures that a person can keep in mind; never a shorter one."""
    return f"{ceil(seconds)} s" if seconds < SHORT else f"{ceil(seconds / 60)} min"


def _members(count: int) -> str:
    return "1 member goes" if count == 1 else f"{count} members go"


def _wave_lines(number: int, wave: Wave) -> Iterator[str]:
    disturbs = any(step.disturbs for step in wave.steps)
    yield f"{number}. {wave.title}{'  (interrupts a running member)' if disturbs else ''}"
    for lines, steps in groupby(wave.steps, key=lambda step: step.diff):
        same = tuple(steps)
        yield f"   {', '.join(step.host for step in same)}"
        yield from (f"     {line}" for line in lines)
        yield from dict.fromkeys(f"     cannot be undone: {s.irreversible}" for s in same if s.irreversible)
    if wave.impact is not None:
        pauses = ", ".join(f"{function} at most {seconds:.1f} s" for function, seconds in wave.impact.pauses.items())
        yield f"   pauses: {pauses or 'none'}; {_members(wave.impact.left)} on, {wave.impact.least} must"
        if wave.impact.plays:
            yield f"   it is the {' and the '.join(wave.impact.plays)}, which clients notice: it comes last"
    if wave.takes is not None and wave.takes.most is not None:
        yield f"   takes about {_long(wave.takes.about)}, at most {_long(wave.takes.most)}"
    if wave.gate is not None:
        members = ", ".join(wave.gate.members)
        yield f"   then waits until {wave.gate.system} is well on {members}, at most {wave.gate.timeout:.0f} s"

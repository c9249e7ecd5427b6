"""`quorate status`: what is well, what is not, what is unknown, and why."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import click
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from quorate.cli import render
from quorate.cli.options import cloud_option, output_option
from quorate.cli.session import folder_of, now, operation
from quorate.core.backup import age
from quorate.core.observed import Unknown
from quorate.core.verdict import Judgement, Level, Verdict
from quorate.engine.apply import Look, Operation, look
from quorate.engine.observe import SOON
from quorate.engine.proofs import Known, last

_LOOKED = 4.2
"""Seconds from this process's start by which nobody is waited for any more, so that it returns within 5."""
_LEAST = 2.0
"""Seconds that a controller has to begin to look, however slow the start was."""
_EXIT = {Level.OK: 0, Level.FAILING: 1, Level.UNKNOWN: 4}
_COLOUR = {Level.OK: "green", Level.FAILING: "red", Level.UNKNOWN: "yellow"}


@click.command()
@cloud_option
@click.option("--watch", type=click.FloatRange(min=1), metavar="SECONDS", help="Look again and again, until Ctrl-C.")
@output_option
def command(cloud_file: Path, watch: float | None, output: str) -> None:
    """Say how the cloud is. Changes nothing; returns within 5 seconds, whatever is frozen.

    It also tells how old the newest backup is that `quorate backup verify` restored successfully from this folder.
    That there is none is said, and is no failing.

    Exit codes for monitoring: 0 all is well, 1 something is failing, 4 something could not be seen (and the rest is
    well), 2 the cloud file is wrong.
    """
    seen = asyncio.run(_status(cloud_file, watch, output))
    sys.exit(_EXIT[seen.verdict.level])


async def _status(cloud_file: Path, watch: float | None, output: str) -> Look:
    folder = folder_of(cloud_file)
    async with operation(cloud_file, reach=min(SOON, max(_LEAST, _LOOKED - _since_start()))) as op:
        seen = await _once(op, folder, output)
        while watch:
            await asyncio.sleep(watch)
            seen = await _once(op, folder, output)
        return seen


def _since_start() -> float:
    """Seconds since the kernel started this process, Python's own start and all imports among them (proc(5), stat)."""
    fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


async def _once(op: Operation, folder: Path, output: str) -> Look:
    seen = await look(op)
    known = last(folder)
    data = {**as_data(seen), "backup": backup_data(known, now())}
    render.result(data, output, lambda: Group(as_table(op.site.cloud.cloud, seen), escape(backup_words(known, now()))))
    return seen


def backup_data(known: Known | Unknown | None, at: datetime) -> dict[str, object]:
    """The newest backup that was restored successfully as plain values. Seconds of age are null where none is known."""
    if isinstance(known, Known):
        seconds = int((at - datetime.fromisoformat(known.proved.taken)).total_seconds())
        return {"age": seconds, "name": known.name, "where": known.where, **known.proved.model_dump()}
    return {"age": None, "why": known.why if known else "none was restored successfully from here"}


def backup_words(known: Known | Unknown | None, at: datetime) -> str:
    """The same for a person."""
    if isinstance(known, Unknown):
        return f"last backup that was restored successfully: unknown: {known.why}"
    if known is None:
        return "last backup that was restored successfully: none from here (`quorate backup verify` proves one)"
    taken, proved = (datetime.fromisoformat(text) for text in (known.proved.taken, known.proved.proved))
    ages = [age((at - one).total_seconds()) for one in (taken, proved)]
    return (
        f"last backup that was restored successfully: {ages[0]} old ({known.where}/{known.name}; proved {ages[1]} ago)"
    )


def as_data(seen: Look) -> dict[str, object]:
    """The verdicts as plain values."""

    def plain(verdict: Verdict) -> dict[str, str]:
        return {"level": verdict.level.word, "reason": verdict.reason}

    systems = {
        name: {
            "cluster": plain(judgement.cluster),
            "members": {host: plain(verdict) for host, verdict in judgement.members.items()},
        }
        for name, judgement in seen.judgements.items()
    }
    return {"verdict": plain(seen.verdict), "drained": sorted(seen.drained), "systems": systems}


def as_table(cloud: str, seen: Look) -> Table:
    """The verdicts as a table: one row for each system, then for each member that is not well."""
    table = Table(title=f"{cloud}: {seen.verdict.level.word}", title_justify="left", box=None, pad_edge=False)
    for heading in ("system", "where", "is", "because"):
        table.add_column(heading, overflow="fold")
    for name, judgement in seen.judgements.items():
        for where, verdict in _rows(judgement).items():
            colour = _COLOUR[verdict.level]
            table.add_row(name, where, f"[{colour}]{verdict.level.word}[/]", verdict.reason.replace("[", "\\["))
    for host in sorted(seen.drained):
        table.add_row("cloud", host, "drained", f"nobody depends on it; to let it serve: quorate node undrain {host}")
    if not seen.verdict.is_ok and all(j.verdict.is_ok for j in seen.judgements.values()):
        table.add_row("cloud", "", seen.verdict.level.word, seen.verdict.reason.replace("[", "\\["))
    return table


def _rows(judgement: Judgement) -> Mapping[str, Verdict]:
    ill = {host: verdict for host, verdict in judgement.members.items() if not verdict.is_ok}
    return {"cluster": judgement.cluster, **ill}

"""`quorate status`: what is well, what is not, what is unknown, and why."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import click
from rich.table import Table

from quorate.cli import render
from quorate.cli.options import cloud_option, output_option
from quorate.cli.session import operation
from quorate.core.verdict import Judgement, Level, Verdict
from quorate.engine.apply import Look, Operation, look
from quorate.engine.observe import SOON

_EXIT = {Level.OK: 0, Level.FAILING: 1, Level.UNKNOWN: 4}
_COLOUR = {Level.OK: "green", Level.FAILING: "red", Level.UNKNOWN: "yellow"}


@click.command()
@cloud_option
@click.option("--watch", type=click.FloatRange(min=1), metavar="SECONDS", help="Look again and again, until Ctrl-C.")
@output_option
def command(cloud_file: Path, watch: float | None, output: str) -> None:
    """Say how the cloud is. Changes nothing; returns within 5 seconds, whatever is frozen.

    Exit codes for monitoring: 0 all is well, 1 something is failing, 4 something could not be seen (and the rest is
    well), 2 the cloud file is wrong.
    """
    seen = asyncio.run(_status(cloud_file, watch, output))
    sys.exit(_EXIT[seen.verdict.level])


async def _status(cloud_file: Path, watch: float | None, output: str) -> Look:
    async with operation(cloud_file, reach=SOON) as op:
        seen = await _once(op, output)
        while watch:
            await asyncio.sleep(watch)
            seen = await _once(op, output)
        return seen


async def _once(op: Operation, output: str) -> Look:
    seen = await look(op)
    render.result(as_data(seen), output, lambda: as_table(op.site.cloud.cloud, seen))
    return seen


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

"""`quorate rollback`: back to before a run, from what the controllers kept of it."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from quorate.cli import files, render
from quorate.cli.apply import tell
from quorate.cli.options import cloud_option, output_option
from quorate.cli.plan import as_text
from quorate.cli.session import holder, journal_folder, known, operation, without_option
from quorate.core.kept import PastRun, standing_before
from quorate.core.plan import Plan
from quorate.core.secret import Secrets
from quorate.core.system import Site, site_of
from quorate.engine.apply import Operation, Outcome, refuse_unless_doable
from quorate.engine.journal import FileJournal, cloud_file_of
from quorate.engine.lock import held
from quorate.engine.rollback import LookBack, Way, look_back, past_runs, rollback
from quorate.errors import InvalidInput, QuorateError


@click.command()
@click.argument("run", required=False, default="")
@cloud_option
@click.option("--list", "listing", is_flag=True, help="List the runs that the controllers keep, and change nothing.")
@click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing.")
@without_option
@click.option(
    "--overwrite",
    multiple=True,
    metavar="CONTROLLER:PATH",
    help="Put this file back although somebody changed it since; may be given several times.",
)
@click.option("--cloud-file-too", is_flag=True, help="Put the cloud file back, too, as it was when that cloud ran.")
@click.option("--yes", is_flag=True, help="Do not ask, even on a terminal.")
@output_option
def command(
    *,
    run: str,
    cloud_file: Path,
    listing: bool,
    dry_run: bool,
    without: tuple[str, ...],
    overwrite: tuple[str, ...],
    cloud_file_too: bool,
    yes: bool,
    output: str,
) -> None:
    """Go back to before the last apply, or to before RUN: undo that run and all later ones.

    \b
      quorate rollback                  plan, ask (on a terminal), do it
      quorate rollback --list           which runs there are
      quorate rollback 1f0c2a…          to before this run

    Files get back what they were, byte for byte, with mode and owner; those that were not there are removed. What ran
    with them is restarted as by apply: one member at a time, only while enough others are well. What cannot be taken
    back (packages, commands that were run) is named. A rollback is a run, and can be rolled back.

    Exit codes: 0 done and well, 1 not well, 2 no such run, 3 refused, 4 a controller fell silent.
    """  # noqa: D301 - click's paragraph mark
    if listing:
        return _list(cloud_file, without, output)
    asked = Asked(cloud_file, run, without, overwrite)
    if dry_run:
        plan = asyncio.run(asked.look()).seen.plan
        return render.result(plan.model_dump(mode="json"), output, lambda: as_text(plan))
    approved = None if yes or not render.can_ask() else _agreed(asked)
    outcome, found = asyncio.run(asked.do(approved))
    state, words = _cloud_file(asked, found.standing, put=cloud_file_too and outcome.verdict.is_ok)
    return tell(outcome, output, {"run": found.run.run, "cloud_file": state}, words)


@dataclass(frozen=True)
class Asked:
    """What the user asked for; by which cloud files of earlier runs it is done."""

    cloud_file: Path
    run: str
    without: Sequence[str]
    overwrite: Sequence[str] = field(default=())

    async def look(self) -> LookBack:
        """Look and plan."""
        async with operation(self.cloud_file) as op:
            self._check(op)
            op.progress("looking at what every controller keeps")
            return await look_back(op, self._way(op))

    async def do(self, approved: Plan | None) -> tuple[Outcome, LookBack]:
        """Go back."""
        async with operation(self.cloud_file, journalled=True) as op:
            self._check(op)
            transports = {host: way for host, way in op.transports.items() if host not in self.without}
            async with held(transports, op.token, holder("quorate rollback"), progress=op.progress):
                return await rollback(op, self._way(op), approved=approved)

    def kept(self, standing: str) -> str | None:
        """The cloud file's text as the run had it that stood last; None: it is not kept here."""
        return cloud_file_of(journal_folder(self.cloud_file), standing)

    def _check(self, op: Operation) -> None:
        known(op.site.cloud, self.without)
        for one in self.overwrite:
            host, colon, path = one.partition(":")
            if not colon or host not in op.site.cloud.controllers or not path.startswith("/"):
                raise InvalidInput(f"--overwrite {one} is no CONTROLLER:/PATH")

    def _way(self, op: Operation) -> Way:
        def site(standing: str) -> Site | None:
            text = self.kept(standing)
            if isinstance(op.journal, FileJournal):
                op.journal.cloud = text or ""  # what the cloud is after this run
            return _site(text, op.secrets, standing) if text is not None else None

        return Way(site, self.run, self.without, self.overwrite)


def _site(text: str, secrets: Secrets, run: str) -> Site | None:
    """Make the cloud as it was; None: this version, or these secrets, cannot."""
    try:
        cloud, systems = files.parsed(text, f"the cloud file of run {run}")
    except InvalidInput:
        return None
    if any(spec.name not in secrets for spec in files.secret_specs(cloud, systems)):
        return None
    return site_of(cloud, systems)


def _agreed(asked: Asked) -> Plan:
    """Show the plan and ask: outside of any event loop, so that Ctrl-C ends the question."""
    found = asyncio.run(asked.look())
    plan = found.seen.plan
    refuse_unless_doable(plan, None)
    if not plan.is_empty:
        render.page("\n".join([as_text(plan), "", *_cloud_file(asked, found.standing, put=False)[1]]))
        if render.ask("Do this? [y/N]", default="n").lower() not in {"y", "yes"}:
            raise QuorateError("nothing was changed")
    return plan


def _cloud_file(asked: Asked, standing: str, *, put: bool) -> tuple[str, list[str]]:
    """Say, for programs and for people, whether the cloud file is the one of the cloud that runs; `put` it back."""
    text, now = asked.kept(standing), files.text_of(asked.cloud_file)
    if text is None:
        return "unknown", [f"{asked.cloud_file}: no copy is kept of what it was; the next apply does what it says now"]
    if text == now:
        return "the same", []
    if put:
        aside = asked.cloud_file.with_name(f"{asked.cloud_file.name}.before-rollback")
        files.write_private(aside, now)
        files.write_private(asked.cloud_file, text)
        return "put back", [f"{asked.cloud_file} is as it was at run {standing}; what it was now lies in {aside}"]
    lines = list(difflib.unified_diff(text.splitlines(), now.splitlines(), lineterm="", n=0))[2:]
    said = f"{asked.cloud_file} differs from the cloud that runs (run {standing}): the next apply would do this again"
    return "differs", [said, *(f"  {line}" for line in lines), "To put it back, too: --cloud-file-too"]


def _list(cloud_file: Path, without: tuple[str, ...], output: str) -> None:
    async def runs() -> tuple[PastRun, ...]:
        async with operation(cloud_file) as op:
            known(op.site.cloud, without)
            return await past_runs(op, without)

    found = asyncio.run(runs())
    standing = set(standing_before(found)[""])
    data = [{**run.model_dump(mode="json"), "stands": run.run in standing} for run in found]
    render.result(data, output, lambda: "\n".join(_line(run, standing) for run in found) or "no runs are kept")


def _line(run: PastRun, standing: set[str]) -> str:
    where = ", ".join(f"{host} {count}" for host, count in run.hosts.items())
    what = f"rollback to before {run.undoes}" if run.undoes else run.verb
    undone = "" if run.undoes or run.run in standing else "  (undone)"
    return f"{run.run}  {run.began}  {run.operator}  {what}: changes on {where}{undone}"

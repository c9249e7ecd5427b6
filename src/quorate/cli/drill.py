"""`quorate drill`: say what should happen, break it for real, measure, compare."""

from __future__ import annotations

import asyncio
import secrets as randomness
import sys
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from quorate.cli import files, render
from quorate.cli.drill_run import Asked, heal_all, run_all
from quorate.cli.drill_runs import Runs, kept_result, read, write_pages
from quorate.cli.ground import ground_of, lab_of
from quorate.cli.options import cloud_option, output_option
from quorate.cli.session import now
from quorate.core.aim import survivable
from quorate.core.campaign import campaign
from quorate.core.findings import LevelWord, Result
from quorate.core.system import site_of
from quorate.faults import catalogue
from quorate.report.campaign import markdown, renderable
from quorate.report.text import report

_EXIT: dict[LevelWord, int] = {"ok": 0, "unknown": 4, "failing": 1}
_WORST: tuple[LevelWord, ...] = ("ok", "unknown", "failing")


class _Drills(click.Group):
    """Words that are no verb of ours name drills: `quorate drill power-cut` does one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Let `run` have whatever does not begin with one of the other verbs; options may come first."""
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Drills)
def command() -> None:
    """Break something for real while real clients work, and compare what happened with what was predicted.

    \b
      quorate drill list                     what can be done to this cloud
      quorate drill power-cut                cut the power of whoever holds the virtual IP
      quorate drill all --repeat 3           everything, three times; one table in the end
      quorate drill database-killed --on controller2
      quorate drill --lose "controller1, mariadb on controller2" --beyond-redundancy
      quorate drill report RUN...            a page to read and to print
      quorate drill judge RUN                judge an old record again
      quorate drill heal                     undo what a drill that died has left

    Everything is healed in the end, after Ctrl-C too, and by a guardian process should the drill be killed. What the
    cloud is not built to survive is refused without --beyond-redundancy; a cloud that is no lab needs --yes-break
    with its name. Records, results and pages lie in .quorate/drills beside the cloud file.

    Options of a drill: `quorate drill run --help`.
    """  # noqa: D301 - click's paragraph mark


@command.command("run")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[:SETTING=VALUE,...]",
    help="A drill with other settings: hold (seconds until it is healed), clock (seconds), memory and room (MiB).",
)
@click.option("--on", "target", default="", metavar="TARGET", help="A controller, or a part: virtual-ip, writer.")
@click.option("--repeat", type=click.IntRange(1, 100), default=1, show_default=True, help="How many times each.")
@click.option("--seed", type=click.IntRange(0), help="Of the schedule: the same seed gives the same.")
@click.option(
    "--lose",
    multiple=True,
    metavar="PART,...",
    help="Lose these at once, by the names of `quorate check --losses`, and hold the model to what works meanwhile.",
)
@click.option("--beyond-redundancy", "beyond", is_flag=True, help="Also what the cloud is not built to survive.")
@click.option("--yes-break", metavar="CLOUD", help="The name of the cloud that may be broken, where it is no lab.")
@cloud_option
@output_option
def run_command(*, cloud_file: Path, output: str, seed: int | None, **asked: Any) -> None:
    """Do drills by name; `all` does every one that this cloud is built to survive.

    Exit codes: 0 every objective kept and nothing lost, 1 not so, 2 wrong names or files, 3 refused, 4 something could
    not be seen, 5 this place cannot do it.
    """
    wanted = Asked(seed=randomness.randbelow(2**32) if seed is None else seed, **asked)
    if not wanted.names and not wanted.faults and not wanted.lose:
        raise click.UsageError("name a drill; `quorate drill list` shows them all")

    def show(result: Result, path: Path) -> None:
        render.page(f"run {result.run}: {path}")
        if output == "text":
            render.result(None, output, lambda: report([read(path)]))

    results = asyncio.run(run_all(cloud_file, wanted, show))
    runs = Runs.of(cloud_file)
    summary = campaign(results)
    if len(results) > 1:
        kept = runs.keep_campaign(summary, now())
        render.page(f"the campaign: {kept}")
    if results:
        page = runs.folder / f"page-{results[-1].run}.html"
        write_pages(page, runs.find([result.run for result in results]))
        render.page(f"the page: {page}")
    told = {"runs": [result.model_dump(mode="json") for result in results], "campaign": summary.model_dump(mode="json")}
    render.result(told, output, lambda: renderable(summary) if len(results) > 1 else "")
    sys.exit(_EXIT[max((result.level for result in results), key=_WORST.index, default="unknown")])


@command.command("list")
@cloud_option
@output_option
def list_command(cloud_file: Path, output: str) -> None:
    """Say what can be done to this cloud, to whom, and what cannot be done here and why."""
    cloud, systems = files.load_cloud(cloud_file)
    site = site_of(cloud, systems)
    ground = ground_of(cloud, files.load_secrets(cloud_file, cloud, systems), lab_of(cloud_file))
    rows = []
    for name, offer in catalogue(site, systems, {}, ground.offers).items():
        fault = offer.on()
        remark = fault.unsupported
        if not remark and fault.lost > survivable(site):
            remark = "beyond what the cloud is built to survive"
        rows.append({"drill": name, "what": offer.summary, "whom": offer.line.role or "", "remark": remark})

    def table() -> Table:
        made = Table(box=None, pad_edge=False)
        for heading in ("drill", "what happens", "to whom", ""):
            made.add_column(heading, overflow="fold")
        for row in rows:
            made.add_row(*row.values())
        return made

    render.result(rows, output, table)


@command.command("report")
@click.argument("names", nargs=-1, metavar="[RUN]...")
@click.option("-o", "page", type=click.Path(path_type=Path, dir_okay=False), help="Where the page goes.")
@click.option("--markdown", "table", is_flag=True, help="Print the campaign's table for a document.")
@cloud_option
@output_option
def report_command(*, names: tuple[str, ...], page: Path | None, table: bool, cloud_file: Path, output: str) -> None:
    """Show runs (the last one, if none is named) and write one page of them: HTML that needs no network."""
    runs = Runs.of(cloud_file)
    records = runs.find(names or ["last"])
    shown = list(map(read, records))
    summary = campaign([run.result for run in shown])
    page = page or runs.folder / f"page-{shown[-1].result.run}.html"
    write_pages(page, records)
    render.page(f"the page: {page}")
    results = [run.result.model_dump(mode="json") for run in shown]
    told = {"page": str(page), "runs": results, "campaign": summary.model_dump(mode="json")}
    render.result(told, output, lambda: markdown(summary) if table else report(shown))


@command.command("judge")
@click.argument("name", metavar="RUN")
@cloud_option
@output_option
def judge_command(name: str, cloud_file: Path, output: str) -> None:
    """Judge an old record again, offline, and say whether the verdict is the one of then."""
    (path,) = Runs.of(cloud_file).find([name])
    run = read(path)
    before = kept_result(path)
    if before is not None:
        same = "the same as" if before == run.result else "ANOTHER than"
        render.page(f"this verdict is {same} that of then")
    render.result(run.result.model_dump(mode="json"), output, lambda: report([run]))
    sys.exit(_EXIT[run.result.level])


@command.command("heal")
@click.argument("names", nargs=-1, metavar="[RUN]...")
@click.option("--guardian", is_flag=True, hidden=True, help="The drill is known to be dead: do not wait for its lease.")
@cloud_option
@output_option
def heal_command(names: tuple[str, ...], guardian: bool, cloud_file: Path, output: str) -> None:
    """Undo what drills that died have left; all of them, if none is named."""
    healed = asyncio.run(heal_all(cloud_file, names, locked=not guardian))
    words = f"undone: {', '.join(healed)}" if healed else "nothing was left to undo"
    render.result({"healed": healed}, output, lambda: words)

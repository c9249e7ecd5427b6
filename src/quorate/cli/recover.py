"""`quorate recover`: bring a cloud back from evidence of all controllers, or refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from quorate.cli import render
from quorate.cli.options import cloud_option, output_option
from quorate.cli.session import holder, known, operation
from quorate.core.plan import Wave
from quorate.engine.lock import held
from quorate.engine.recover import Phase, Recovered, reach, recover
from quorate.errors import Refused


@click.command()
@cloud_option
@click.option(
    "--accept-loss",
    "given",
    multiple=True,
    metavar="CONTROLLER",
    help="Give up what only this controller holds (it is gone for good, say); may be given several times.",
)
@click.option("--yes", is_flag=True, help="Do not ask, not even where something is given up.")
@output_option
def command(cloud_file: Path, given: tuple[str, ...], yes: bool, output: str) -> None:
    """Bring the cloud back after an outage of all of it, or of a majority.

    \b
      quorate recover                              everything has power again
      quorate recover --accept-loss controller2    controller2 will never come back

    Looks at every controller, waits for those that are still booting and for what comes back by itself, and then starts
    one system after the other, each once those that it needs serve. Who may be started first in the database is decided
    from how far the data of every controller goes. Where evidence is missing, nothing is started: it says which. What
    would be lost is named before, and only done with --accept-loss.

    Interrupted, run it again: it goes on from what it finds. On a cloud that is well it changes nothing.

    Exit codes: 0 all is well, 1 a step failed, 2 the files are wrong, 3 refused, 4 a controller fell silent.
    """  # noqa: D301 - click's paragraph mark

    def agree(waves: tuple[Wave, ...]) -> None:
        if not given:
            return  # whoever joins is copied to: the cluster has all that it holds
        lines = [f"{step.host}: {step.irreversible}" for wave in waves for step in wave.steps if step.irreversible]
        render.progress("; ".join(lines))
        if yes:
            return
        if not render.can_ask() or render.ask("Do this? [y/N]", default="n").lower() not in {"y", "yes"}:
            raise Refused("nothing was given up", hint="--yes gives it up without a question.")

    done = asyncio.run(_recover(cloud_file, given, agree))
    facts = {
        "acts": done.acts,
        "seconds": round(done.seconds, 2),
        "phases": [{"system": phase.system, "seconds": phase.seconds} for phase in done.phases],
        "left": list(done.left),
    }
    render.result(facts, output, lambda: _told(done))


def _told(done: Recovered) -> str:
    phases = ", ".join(f"{phase.system or 'controllers'} {phase.seconds:.1f} s" for phase in done.phases)
    rest = f"; without {', '.join(done.left)}" if done.left else ""
    return f"all is well{rest}: {done.acts} acts, {done.seconds:.1f} s" + (f" ({phases})" if phases else "")


async def _recover(cloud_file: Path, given: tuple[str, ...], agree: Callable[[tuple[Wave, ...]], None]) -> Recovered:
    async with operation(cloud_file, journalled=True) as op:
        known(op.site.cloud, given)
        waited = await reach(op, given)
        async with held(op.transports, op.token, holder("quorate recover"), progress=op.progress):
            done = await recover(op, given, agree=agree)
            return replace(done, phases=(Phase("", round(waited, 2)), *done.phases), seconds=waited + done.seconds)

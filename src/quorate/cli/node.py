"""`quorate node`: one controller is taken away in order, or comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from quorate.cli import render
from quorate.cli.options import cloud_option, output_option
from quorate.cli.plan import as_text
from quorate.cli.session import holder, known, operation, without_option
from quorate.core.lasting import DEADLINE
from quorate.core.node import drain_plan, replace_plan, undrain_plan
from quorate.core.plan import Plan
from quorate.engine.apply import Operation, Outcome, Planner, apply, look, refuse_unless_doable
from quorate.engine.lock import held
from quorate.engine.observe import SOON
from quorate.errors import QuorateError, Unreachable


@click.group()
def node() -> None:
    """Take one controller away in order, and bring it back.

    Each verb shows first what it does, which functions pause meanwhile, and for how long at most; it is refused where
    the others could not spare the controller. Exit codes as those of `quorate apply`.
    """


def _verb(command: Callable[..., None]) -> click.Command:
    """Give a verb what all have in common."""
    yes = click.option("--yes", is_flag=True, help="Do not ask, even on a terminal.")
    argument = click.argument("name", metavar="CONTROLLER")
    return node.command()(argument(cloud_option(without_option(yes(output_option(command))))))


@dataclass(frozen=True)
class Asked:
    """What somebody asked for: the verb, the controller, how to plan it, and whom to leave out.

    `spared`: it need not answer itself.
    """

    verb: str
    name: str
    planner: Planner
    without: tuple[str, ...]
    spared: bool = False


@_verb
def drain(name: str, cloud_file: Path, without: tuple[str, ...], yes: bool, output: str) -> None:
    """Let nobody depend on a controller, so that it may be taken away.

    Proxies send no client there any more, what is under way ends, the writer and the VIPs move to others. It stays a
    member of its clusters, and drained until `undrain`, also through a reboot or with a new disk.
    """
    _run(Asked("drain", name, partial(drain_plan, host=name), without, spared=True), cloud_file, yes, output)


@_verb
def undrain(name: str, cloud_file: Path, without: tuple[str, ...], yes: bool, output: str) -> None:
    """Let a controller serve again that was drained and is well."""
    _run(Asked("undrain", name, partial(undrain_plan, host=name), without), cloud_file, yes, output)


@_verb
def replace(name: str, cloud_file: Path, without: tuple[str, ...], yes: bool, output: str) -> None:
    """Put an empty machine with a fresh operating system in a controller's place: same name, same address.

    The others forget what they know of the lost one, as far as they must; then it is set up and joins as with `apply`.
    Refused while it holds data, or another machine is seen in its place. Who was drained stays drained.
    """
    _run(Asked("replace", name, partial(replace_plan, host=name), without), cloud_file, yes, output)


def _run(asked: Asked, cloud_file: Path, yes: bool, output: str) -> None:
    """Plan, ask on a terminal, do it and say how it ended."""
    approved = None if yes or not render.can_ask() else _agreed(asked, cloud_file)
    outcome = asyncio.run(_do(asked, cloud_file, approved))
    render.result(_data(outcome), output, lambda: _text(outcome))
    if not outcome.verdict.is_ok:
        raise QuorateError(f"the last look is {outcome.verdict.level.word}: {outcome.verdict.reason}")


def _agreed(asked: Asked, cloud_file: Path) -> Plan:
    """Show the plan and ask: outside of any event loop, so that Ctrl-C ends the question."""

    async def made() -> Plan:
        async with operation(cloud_file) as op:
            without = await _left_out(op, asked)
            return (await look(op, without=without, planner=asked.planner)).plan

    plan = asyncio.run(made())
    refuse_unless_doable(plan, None)
    if not plan.is_empty:
        render.page(as_text(plan))
        if render.ask("Do this? [y/N]", default="n").lower() not in {"y", "yes"}:
            raise QuorateError("nothing was changed")
    return plan


async def _do(asked: Asked, cloud_file: Path, approved: Plan | None) -> Outcome:
    async with operation(cloud_file, journalled=True) as op:
        without = await _left_out(op, asked)
        transports = {host: way for host, way in op.transports.items() if host not in without}
        command = f"quorate node {asked.verb} {asked.name}"
        async with held(transports, op.token, holder(command), progress=op.progress):
            return await apply(op, approved=approved, without=without, planner=asked.planner)


async def _left_out(op: Operation, asked: Asked) -> tuple[str, ...]:
    """Who is left out: also the controller itself, where it does not answer and need not. Else raises Unreachable."""
    known(op.site.cloud, (asked.name, *asked.without))
    try:
        await op.transports[asked.name].run(("true",), timeout=DEADLINE, reach=SOON)
    except Unreachable:
        if not asked.spared:
            raise
        return (*asked.without, asked.name)
    return asked.without


def _data(outcome: Outcome) -> dict[str, Any]:
    return {
        "verdict": {"level": outcome.verdict.level.word, "reason": outcome.verdict.reason},
        "drained": list(outcome.plan.drained),
        "waves": [wave.model_dump(mode="json") for wave in outcome.plan.waves],
        "seconds": round(outcome.seconds, 1),
    }


def _text(outcome: Outcome) -> str:
    done = f"{len(outcome.plan.waves)} waves" if outcome.plan.waves else "nothing was left to do"
    drained = ", ".join(outcome.plan.drained)
    return f"{done}, {outcome.seconds:.0f} s; {f'drained: {drained}' if drained else 'nobody is drained'}"

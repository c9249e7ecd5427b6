"""`quorate apply`: do the plan, rolling, journalled, resumable."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from pydantic import ValidationError

from quorate.cli import render
from quorate.cli.options import cloud_option, output_option
from quorate.cli.plan import as_text
from quorate.cli.session import enabled_ones, holder, known, only_option, operation, without_option
from quorate.core.plan import Plan
from quorate.engine.apply import Outcome, apply, look, refuse_unless_doable
from quorate.engine.lock import held
from quorate.errors import InvalidInput, QuorateError


@click.command()
@click.argument("plan_file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@cloud_option
@without_option
@only_option
@click.option("--yes", is_flag=True, help="Do not ask, even on a terminal.")
@output_option
def command(
    *,
    plan_file: Path | None,
    cloud_file: Path,
    without: tuple[str, ...],
    only: tuple[str, ...],
    yes: bool,
    output: str,
) -> None:
    """Make the controllers what the cloud file says.

    \b
      quorate apply                     plan, ask (on a terminal), do it
      quorate apply plan.json           do exactly this plan; refused if the world has changed since
      quorate apply --only keystone     what this system needs, and nothing else

    Members of a quorum are interrupted one at a time, and only while enough others are well. Interrupted itself, by
    Ctrl-C or worse, run it again: it goes on from what it finds. Every replaced file is kept on its controller below
    /var/lib/quorate/backup; the journal lies in .quorate/journal beside the cloud file.

    Exit codes: 0 converged, 1 not converged, 2 the files are wrong, 3 refused, 4 a controller fell silent.
    """  # noqa: D301 - click's paragraph mark
    approved = read_plan(plan_file) if plan_file else None
    left_out, meant = (approved.without, approved.only) if approved else (without, only)
    if approved and approved.undoes:
        raise InvalidInput(f"{plan_file} goes back", hint=f"Do it with: quorate rollback {approved.undoes}")
    if only and set(only) != set(meant):
        raise InvalidInput(f"{plan_file} was not made with this --only", hint="Make a new plan: quorate plan --only")
    if approved is None and not yes and render.can_ask():
        approved = _agreed(cloud_file, left_out, meant)
    outcome = asyncio.run(_apply(cloud_file, approved, left_out, meant))
    tell(outcome, output)


def tell(outcome: Outcome, output: str, more: Mapping[str, object] | None = None, words: Sequence[str] = ()) -> None:
    """Say what a run did and how it ended, with `more` facts for programs and `words` for people; raise if not well."""
    changes = sum(len(step.acts) for step in outcome.plan.steps)
    restarts = sum(step.disturbs for step in outcome.plan.steps)
    facts = {
        "changes": changes,
        "interruptions": restarts,
        "seconds": round(outcome.seconds, 2),
        "verdict": outcome.verdict.level.word,
        "reason": outcome.verdict.reason,
        "elsewhere": {name: f"{one.level.word}: {one.reason}" for name, one in outcome.elsewhere.items()},
        **(more or {}),
    }
    done = f"{outcome.plan.cloud}: {changes} changes, {restarts} interruptions, {outcome.seconds:.1f} s; "
    render.result(facts, output, lambda: "\n".join([done + _end(outcome), *_beside(outcome), *words]))
    if not outcome.verdict.is_ok:
        raise QuorateError(f"the last look is {outcome.verdict.level.word}: {outcome.verdict.reason}")


def _end(outcome: Outcome) -> str:
    if not outcome.verdict.is_ok:
        return "not converged"
    return f"all is well with {', '.join(outcome.plan.only)}" if outcome.plan.only else "all is well"


def _beside(outcome: Outcome) -> list[str]:
    return [f"beside it, {name} is {one.level.word}: {one.reason}" for name, one in outcome.elsewhere.items()]


def read_plan(path: Path) -> Plan:
    """Read a stored plan. InvalidInput where it is none, or was edited."""
    try:
        plan = Plan.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        raise InvalidInput(
            f"{path} is not a plan: {error.errors()[0]['msg']}", hint="Make one: quorate plan -o"
        ) from error
    if plan.printed().fingerprint != plan.fingerprint:
        raise InvalidInput(f"{path} was edited after it was made", hint="Make a new plan: quorate plan -o plan.json")
    return plan


def _agreed(cloud_file: Path, without: tuple[str, ...], only: tuple[str, ...]) -> Plan:
    """Show the plan and ask: outside of any event loop, so that Ctrl-C ends the question."""

    async def made() -> Plan:
        async with operation(cloud_file) as op:
            known(op.site.cloud, without)
            enabled_ones(op.site, op.systems, only)
            return (await look(op, without=without, only=only)).plan

    plan = asyncio.run(made())
    refuse_unless_doable(plan, None)
    if not plan.is_empty:
        render.page(as_text(plan))
        if render.ask("Do this? [y/N]", default="n").lower() not in {"y", "yes"}:
            raise QuorateError("nothing was changed")
    return plan


async def _apply(cloud_file: Path, approved: Plan | None, without: tuple[str, ...], only: tuple[str, ...]) -> Outcome:
    async with operation(cloud_file, journalled=True) as op:
        known(op.site.cloud, without)
        enabled_ones(op.site, op.systems, only)
        transports = {host: way for host, way in op.transports.items() if host not in without}
        async with held(transports, op.token, holder("quorate apply"), progress=op.progress):
            return await apply(op, approved=approved, without=without, only=only)

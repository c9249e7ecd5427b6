"""Do a plan: wave by wave, journalled before each act, gated by a second look, ended by a third.

One run: lock → look → plan (refused if it is not the approved one) → for each wave: look whether it is still safe,
journal, act, wait for the gate → look again. Only that last look says `converged`. A run that was interrupted at any
point leaves nothing to repair: the next one plans anew from what it sees.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from typing import Any

from quorate.core.act import Act, Install, Run, WriteFile
from quorate.core.lasting import POLL
from quorate.core.node import kept_drained_plan
from quorate.core.observed import Unknown, World
from quorate.core.order import may_disturb
from quorate.core.plan import Gate, Plan, Step, Wave
from quorate.core.planner import make_plan
from quorate.core.review import as_seen, judge, review, views_of, with_drift
from quorate.core.secret import Secrets
from quorate.core.system import AnySystem, Site, enabled
from quorate.core.verdict import Judgement, Verdict, failing, merge, unknown
from quorate.engine.journal import Journal
from quorate.engine.observe import Transports, observe
from quorate.errors import QuorateError, Refused, Unreachable
from quorate.transport.request import act_request, read_acted


@dataclass(frozen=True)
class Clock:
    """Time, passed in: `monotonic` seconds for bounds, `sleep`, and `now` as ISO 8601 for people."""

    now: Callable[[], str]
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep


SETTLES = 10.0
"""Seconds in which a run with nothing to do waits for what an earlier one, interrupted, began: a proxy sees a server
after two checks."""
_BACK = 19
"""How far a look stands back (nice(1)) that is taken while others use the cloud: it must not be what they notice."""


@dataclass(frozen=True)
class Operation:
    """All that a run needs of its surroundings. `progress` is told what begins; `token` is the run's lease.

    `about`: what controllers keep of the run beside what it does (began, verb, operator; core/kept.py).
    `poll`: seconds between two looks at a gate; `reach`: seconds by which a controller has begun to
    look, or it is not waited for.
    """

    site: Site
    systems: Sequence[AnySystem]
    secrets: Secrets
    transports: Transports
    token: str
    journal: Journal
    clock: Clock
    progress: Callable[[str], None] = lambda _text: None
    about: Mapping[str, str] = field(default_factory=dict)
    poll: float = POLL
    reach: float = inf


@dataclass(frozen=True)
class Outcome:
    """What a run did, and how the cloud looked afterwards. `plan` is what was done, `verdict` the last look's.

    `elsewhere`: what was not well then of the systems that the run was not for.
    """

    plan: Plan
    verdict: Verdict
    seconds: float
    elsewhere: Mapping[str, Verdict] = field(default_factory=dict)


@dataclass(frozen=True)
class Look:
    """One look at the world: what is left to do, how well everything is, and who is drained.

    `verdict` is of what the plan is for, `elsewhere` has what is not well of the systems beside it.
    """

    plan: Plan
    judgements: Mapping[str, Judgement]
    verdict: Verdict
    elsewhere: Mapping[str, Verdict] = field(default_factory=dict)
    drained: frozenset[str] = frozenset()


Planner = Callable[..., Plan]
"""What is to be done: `make_plan`, or a plan for one controller (core/node.py), with the same arguments."""


async def look(
    op: Operation, *, without: Sequence[str] = (), only: Sequence[str] = (), planner: Planner = make_plan
) -> Look:
    """Look at the world, judge and plan. Controllers that are left out are not contacted.

    `only`: plan for these systems, and take nothing amiss of the others that differs from the cloud file.
    """
    world = await world_of(op, without)
    site = as_seen(op.site, op.systems, world)
    chosen = partial(planner, only=only) if only else planner
    plan = chosen(site, op.systems, op.secrets, world, made=op.clock.now(), without=without)
    judgements = {
        found.system.name: with_drift(found) if is_meant(found.system.name, only) else found.judgement
        for found in review(site, op.systems, op.secrets, world)
    }
    meant = [judgement for name, judgement in judgements.items() if is_meant(name, only)]
    elsewhere = {
        name: judgement.verdict
        for name, judgement in judgements.items()
        if not is_meant(name, only) and not judgement.verdict.is_ok
    }
    return Look(plan, judgements, verdict_of(plan, meant, without, site.drained), elsewhere, site.drained)


def is_meant(system: str, only: Sequence[str]) -> bool:
    """Whether a run that is only for these systems is for this one, too."""
    return not only or system in only


async def judgements(op: Operation) -> Mapping[str, Judgement]:
    """Judge every system as `look` does, without comparing anything with the cloud file, and standing back."""
    views = await _views(op)
    return {system.name: judge(system, op.site, views[system.name]) for system in enabled(op.site.cloud, op.systems)}


async def settling(op: Operation) -> tuple[str, ...]:
    """Say, standing back, what is well and yet not as redundant as it soon will be."""
    views = await _views(op)
    chosen = enabled(op.site.cloud, op.systems)
    told = (system.settling(op.site.cloud.systems[system.name], op.site, views[system.name]) for system in chosen)
    return tuple(filter(None, told))


async def _views(op: Operation) -> Mapping[str, Mapping[str, Any]]:
    """What every system makes of the controllers' answers, no resource looked at, standing back."""
    world = await observe(op.site, op.systems, op.transports, op.secrets, reach=op.reach, resources=False, nice=_BACK)
    return {system.name: views_of(system, op.site, world) for system in enabled(op.site.cloud, op.systems)}


async def world_of(op: Operation, without: Sequence[str], only: str | None = None) -> World:
    """Look at every controller that is not left out; `only`: ask what this system asks."""
    transports = {host: way for host, way in op.transports.items() if host not in without}
    left_out = {host: Unknown(why="left out by --without") for host in without}
    return {**left_out, **await observe(op.site, op.systems, transports, op.secrets, reach=op.reach, only=only)}


async def apply(
    op: Operation,
    *,
    approved: Plan | None = None,
    without: Sequence[str] = (),
    only: Sequence[str] = (),
    planner: Planner = make_plan,
) -> Outcome:
    """Bring the world to the site, `only` what these systems need, or the planner wants. The caller holds the lock.

    Raises Refused when the plan may not be done (nothing is changed then), QuorateError when a step or a gate failed,
    Unreachable when a controller fell silent on the way.
    """
    began = op.clock.monotonic()
    again = partial(look, op, without=without, only=only, planner=planner)
    seen = await again()
    plan = seen.plan
    refuse_unless_doable(plan, approved)
    op = replace(op, site=replace(op.site, drained=frozenset(plan.drained)))
    if not plan.is_empty:
        op.journal.write("start", plan=plan.fingerprint, cloud=plan.cloud, steps=len(plan.steps))
    await _do_waves(op, plan.waves, without)
    if plan.waves and plan.drained:  # who was started anew has forgotten that
        await _do_waves(op, (await look(op, without=without, planner=kept_drained_plan)).plan.waves, without)
    if not plan.is_empty or not seen.verdict.is_ok:
        slowest = max((system.settle for system in op.systems), default=0.0)
        limit = min(slowest, SETTLES) if plan.is_empty else slowest
        seen = await last_look(op, again, limit)
    if not plan.is_empty:
        op.journal.write("end", outcome=seen.verdict.level.word, reason=seen.verdict.reason)
    return Outcome(plan, seen.verdict, op.clock.monotonic() - began, seen.elsewhere)


async def prepare(op: Operation) -> None:
    """Do as much of the plan as touches nothing that runs, which brings the programs. The caller holds the lock.

    Raises as `apply`.
    """
    plan = (await look(op)).plan
    refuse_unless_doable(plan, None)
    for wave in plan.waves[:1]:
        if not wave.system and wave.gate is None:
            op.progress(wave.title)
            op.journal.write("start", plan=plan.fingerprint, cloud=plan.cloud, steps=len(wave.steps))
            await do_wave(op, 1, wave, ())


def refuse_unless_doable(plan: Plan, approved: Plan | None) -> None:
    """Raise Refused, with everything that stands against the plan."""
    verb = "rollback" if plan.undoes else "apply"
    against = [f"{m.host} cannot be seen: {m.why}" for m in plan.missing]
    for refusal in plan.refusals:
        against.append(f"{refusal.system or 'cloud'}: {refusal.reason}")
        against += [f"  {line}" for line in refusal.evidence]
    if against:
        names = " ".join(f"--without {m.host}" for m in plan.missing)
        hint = f"To go on with the rest: quorate {verb} {names}" if names else "Nothing was changed."
        raise Refused("\n".join(["the plan is refused:", *against]), hint=hint)
    if approved is not None and approved.fingerprint != plan.fingerprint:
        raise Refused(
            "the world has changed since the plan was made:\n" + "\n".join(_changes(approved, plan)),
            hint="Make a new plan, read it, and apply that one.",
        )


def _changes(approved: Plan, plan: Plan) -> list[str]:
    old = {(step.host, line) for step in approved.steps for line in step.diff}
    new = {(step.host, line) for step in plan.steps for line in step.diff}
    lines = [f"  no longer to do on {host}: {line}" for host, line in sorted(old - new)]
    lines += [f"  now also to do on {host}: {line}" for host, line in sorted(new - old)]
    return lines or ["  the cloud file, or a managed file, is not what it was"]


async def _do_waves(op: Operation, waves: Sequence[Wave], without: Sequence[str]) -> None:
    for number, wave in enumerate(waves, start=1):
        op.progress(f"[{number}/{len(waves)}] {wave.title}")
        await do_wave(op, number, wave, without)


async def do_wave(op: Operation, number: int, wave: Wave, without: Sequence[str]) -> None:
    """Do one wave: look whether it is still safe, journal, act, wait for the gate. Raises as `apply` does."""
    for step in wave.steps:
        if step.disturbs:
            await _still_safe(op, wave.system, step.host, without)
    for step in wave.steps:
        for act in step.acts:
            op.journal.write("act", wave=number, host=step.host, act=str(act))
    done = await asyncio.gather(*(_do_step(op, step) for step in wave.steps), return_exceptions=True)
    for step, error in zip(wave.steps, done, strict=True):
        facts = {"acts": len(step.acts)} if error is None else {"error": op.secrets.mask(str(error))}
        op.journal.write("done" if error is None else "failed", wave=number, host=step.host, **facts)
    for error in done:
        if error is not None:
            raise error
    if wave.gate is not None:
        await _pass_gate(op, wave.gate, without)


async def _do_step(op: Operation, step: Step) -> None:
    acts = [_resolved(act, op.secrets) for act in step.acts]
    request = act_request(op.token, op.token, acts, about=op.about)
    transport = op.transports[step.host]
    acted = read_acted(step.host, await transport.run(request.argv, request.stdin, timeout=request.timeout))
    if acted.refused:
        raise Refused(
            f"{step.host} refuses: {acted.refused}",
            hint="Another run took over, or an act of an earlier one is still at work there; run it again.",
        )
    for act, result in zip(step.acts, acted.results, strict=False):
        if not result.ok:
            raise QuorateError(
                f"{step.host}: {act}: {_end_of(op.secrets.mask(result.note))}",
                hint="What came before it was done. Mend the cause, then run it again: it goes on from there.",
            )
    if len(acted.results) < len(step.acts):
        raise Unreachable(step.host, f"only {len(acted.results)} of {len(step.acts)} acts were confirmed")


def _end_of(note: str, lines: int = 6) -> str:
    """The last lines of what a program said, where the cause stands as a rule."""
    return "\n".join(line for line in note.splitlines()[-lines:] if line.strip())


def _resolved(act: Act, secrets: Secrets) -> Act:
    """Put the secrets in, at the last moment."""
    match act:
        case Run():
            environment = {name: secrets.resolve(value) for name, value in act.environment.items()}
            return act.model_copy(update={"stdin": secrets.resolve(act.stdin), "environment": environment})
        case WriteFile():
            return act.model_copy(update={"content": secrets.resolve(act.content)})
        case Install():
            return act.model_copy(update={"preseed": tuple(secrets.resolve(line) for line in act.preseed)})
        case _:
            return act


def _named(op: Operation, name: str) -> AnySystem:
    return next(system for system in op.systems if system.name == name)


async def _judged(op: Operation, system: AnySystem, without: Sequence[str]) -> Judgement:
    world = await world_of(op, without, only=system.name)
    return judge(system, op.site, views_of(system, op.site, world))


async def _still_safe(op: Operation, system: str, host: str, without: Sequence[str]) -> None:
    """Look once more, right before a member is interrupted."""
    found = _named(op, system)
    judgement = await _judged(op, found, without)
    arbiter = op.site.cloud.arbiter is not None
    why_not = may_disturb(host, judgement.members, found.quorum, arbiter=arbiter, drained=op.site.drained)
    if why_not:
        raise Refused(f"stopped before {system}: {why_not}", hint="Bring the others back, then run it again.")


async def _pass_gate(op: Operation, gate: Gate, without: Sequence[str]) -> None:
    deadline = op.clock.monotonic() + gate.timeout
    while True:
        judgement = await _judged(op, _named(op, gate.system), without)
        verdicts = {m: judgement.members.get(m, unknown("not judged")) for m in gate.members}
        waiting = {m: verdict for m, verdict in verdicts.items() if not verdict.is_ok}
        if not waiting:
            return
        if op.clock.monotonic() > deadline:
            reasons = "; ".join(f"{member} {v.level.word}: {v.reason}" for member, v in waiting.items())
            raise QuorateError(
                f"{gate.system} is not well {gate.timeout:.0f} s after the change, so nothing further was touched: "
                f"{reasons}",
                hint="`quorate status` says more; `quorate rollback` goes back to how it was before.",
            )
        await op.clock.sleep(op.poll)


async def last_look(op: Operation, again: Callable[[], Awaitable[Look]], limit: float) -> Look:
    """Look until nothing is left to do and all is well, at most so many seconds."""
    op.progress("looking again")
    deadline = op.clock.monotonic() + limit
    while True:
        seen = await again()
        if seen.verdict.is_ok or op.clock.monotonic() > deadline:
            return seen
        await op.clock.sleep(op.poll)


def verdict_of(
    plan: Plan, judgements: Collection[Judgement], without: Sequence[str], drained: Collection[str] = ()
) -> Verdict:
    """Merge what counts: nobody depends on who is drained. A cluster that someone was left out of is not whole, which
    is no fault of this run.
    """
    unasked = {*without, *drained}
    verdicts = [v for j in judgements for host, v in j.members.items() if host not in unasked]
    verdicts += [] if without else [j.cluster for j in judgements]
    verdicts += [unknown(f"{m.host} cannot be seen: {m.why}") for m in plan.missing if m.host not in unasked]
    if plan.waves or plan.refusals:
        verdicts.append(_still_to_do(plan))
    return merge(verdicts)


def _still_to_do(left: Plan) -> Verdict:
    rest = [f"{step.host}: {line}" for step in left.steps for line in step.diff]
    rest += [refusal.reason for refusal in left.refusals]
    return failing("still to do: " + "; ".join(rest[:10]))

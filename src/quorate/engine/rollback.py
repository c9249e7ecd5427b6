"""Go back to before a run: look at what controllers keep and at how everything lies, plan, and do it as `apply` does.

Which run that is is decided under the lock, from what lies on the controllers. A rollback that was interrupted leaves
nothing to repair: the next one plans anew from what it sees, like any other run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from quorate.core.kept import HostKept, PastRun, aim, all_runs, standing_before
from quorate.core.lasting import DEADLINE
from quorate.core.observed import Unknown
from quorate.core.plan import Plan
from quorate.core.review import judge, views_of
from quorate.core.rollback import Past, make_rollback
from quorate.core.system import Site, enabled
from quorate.engine.apply import (
    Look,
    Operation,
    Outcome,
    do_wave,
    last_look,
    refuse_unless_doable,
    verdict_of,
    world_of,
)
from quorate.errors import InvalidInput, Refused, Unreachable
from quorate.transport.request import kept_request, read_kept

Sites = Callable[[str], Site | None]
"""The cloud as it was when that run stood last (empty: no run did); None: nobody knows any more."""


@dataclass(frozen=True)
class Way:
    """What is asked for: to before the run `named` (empty: the last that stands), as the cloud was then by `sites`."""

    sites: Sites
    named: str = ""
    without: Sequence[str] = ()
    overwrite: Collection[str] = ()


@dataclass(frozen=True)
class LookBack:
    """One look: what is left to do to go back to before `run`, by `op`, which knows the cloud as it was then.

    `standing`: the run that stood last then; empty: none did.
    """

    seen: Look
    op: Operation
    run: PastRun
    standing: str


async def past_runs(op: Operation, without: Sequence[str] = ()) -> tuple[PastRun, ...]:
    """List the runs that the controllers keep, oldest first. Unreachable: one of them cannot be asked."""
    kept = await _kept(op, None, without)
    for host, one in kept.items():
        if isinstance(one, Unknown):
            raise Unreachable(host, one.why, hint=f"To go on without it: --without {host}")
    return all_runs(_known(kept))


async def look_back(op: Operation, way: Way) -> LookBack:
    """Look at the world and plan. InvalidInput: no such run; Refused: there is nothing to go back from."""
    runs = await past_runs(op, way.without)
    run = aim(runs, way.named)
    if run is None and way.named:
        names = ", ".join(one.run for one in runs) or "none"
        raise InvalidInput(f"the controllers keep no run {way.named}", hint=f"They keep: {names}.")
    if run is None:
        raise Refused("there is nothing to go back from: the controllers keep no run that still stands")
    return await _look(op, way, run, standing_before(runs)[run.run])


async def _look(op: Operation, way: Way, run: PastRun, standing: Sequence[str]) -> LookBack:
    last = standing[-1] if standing else ""
    then = way.sites(last) or op.site
    if then.cloud.controllers != op.site.cloud.controllers:
        raise Refused(
            f"before run {run.run} the cloud had other controllers",
            hint="Go back to before a later run: quorate rollback --list names them.",
        )
    about = {**op.about, "verb": "rollback", "undoes": run.run}
    op = replace(op, site=then, about=about)
    world = dict(await world_of(op, way.without))
    kept = await _kept(op, run.began, way.without)
    world |= {host: one for host, one in kept.items() if isinstance(one, Unknown)}
    past = Past(run.run, run.began, _known(kept), way.overwrite)
    plan = make_rollback(then, op.systems, op.secrets, world, past, made=op.clock.now(), without=way.without)
    chosen = enabled(then.cloud, op.systems)
    found = {system.name: judge(system, then, views_of(system, then, world)) for system in chosen}
    verdict = verdict_of(plan, [found[name] for name in plan.only], way.without)
    beside = {name: one.verdict for name, one in found.items() if name not in plan.only and not one.verdict.is_ok}
    return LookBack(Look(plan, found, verdict, beside), op, run, last)


async def _kept(op: Operation, since: str | None, without: Sequence[str]) -> dict[str, HostKept | Unknown]:
    async def ask(host: str) -> HostKept | Unknown:
        request = kept_request(since)
        try:
            return read_kept(host, await op.transports[host].run(request.argv, request.stdin, timeout=DEADLINE))
        except Unreachable as error:
            return Unknown(why=op.secrets.mask(error.why))

    hosts = [host for host in op.transports if host not in without]
    return dict(zip(hosts, await asyncio.gather(*map(ask, hosts)), strict=True))


def _known(kept: Mapping[str, HostKept | Unknown]) -> dict[str, HostKept]:
    return {host: one for host, one in kept.items() if isinstance(one, HostKept)}


async def rollback(op: Operation, way: Way, *, approved: Plan | None = None) -> tuple[Outcome, LookBack]:
    """Go back. The caller holds the lock. Raises as `apply` does."""
    began = op.clock.monotonic()
    first = await look_back(op, way)
    plan, seen = first.seen.plan, first.seen
    refuse_unless_doable(plan, approved)
    if not plan.is_empty:
        op.journal.write("start", plan=plan.fingerprint, cloud=plan.cloud, steps=len(plan.steps), undoes=plan.undoes)
    for number, wave in enumerate(plan.waves, start=1):
        op.progress(f"[{number}/{len(plan.waves)}] {wave.title}")
        await do_wave(first.op, number, wave, way.without)
    if not plan.is_empty:
        same = replace(way, named=first.run.run)

        async def again() -> Look:
            return (await look_back(op, same)).seen

        seen = await last_look(op, again, max((system.settle for system in op.systems), default=0.0))
        op.journal.write("end", outcome=seen.verdict.level.word, reason=seen.verdict.reason)
    return Outcome(plan, seen.verdict, op.clock.monotonic() - began, seen.elsewhere), first

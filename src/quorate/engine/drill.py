"""One drill: let clients work, say what should happen, break something for real, heal it, and keep what was seen.

::

    clients ──► calm ──► predict ──► arm ──► inject ──► prove ──► hold ──► heal ──► whole ──► last look ──► record
       │          └ each must work        └ from here on everything is undone, however it ends (healing.py)
       └ a look at `status` again and again, and a watch on who holds the VIP

Nothing is judged here: the record is on disk first, and whoever judges it reads it from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any

from quorate.core.aim import functions_of, predictions, signs_of, survivable, workloads_of
from quorate.core.drill import SERVER, Roles, Workload
from quorate.core.fault import UNSUPPORTED, Fault, Proof
from quorate.core.foresight import foresee
from quorate.core.history import Operation
from quorate.core.record import (
    Client,
    Header,
    HitLine,
    HolderLine,
    LookLine,
    MarkName,
    PredictionLine,
    Watched,
)
from quorate.core.schedule import Planned
from quorate.engine import apply, workload
from quorate.engine.clients import Crew
from quorate.engine.ground import Ground
from quorate.engine.healing import Cures, Doer, Patience
from quorate.engine.onlooker import UNWATCHED, Onlooker
from quorate.engine.recorder import Recorder, room_for
from quorate.engine.signs import read_signs
from quorate.errors import QuorateError, Refused, Unreachable, Unsupported

WHOLE = 240.0
"""Seconds after the heal in which all redundancy must be back; a member may have to copy everything."""
SETTLES = 120.0
"""Seconds in which redundancy that is still on its way must be there: a cache is filled for 60."""
BETWEEN = 2.0
"""Seconds between two looks at that."""
SETTLE = 1.5
"""Seconds in which clients begin, connect and start their threads; nothing is measured yet."""
AFTER = 4.0
"""Seconds that all must stay well before the drill ends: a success lasts three (core/checkers.py)."""
LONGEST = 900.0
"""Seconds for whose record room is taken."""
RECENT = 2.0
"""Seconds before a fault in which every client must have succeeded: the slowest begins an operation every half."""
PROVEN = 10.0
"""Seconds in which a fault must be seen to have taken."""
_TICK = 0.25

Aim = Callable[[Roles], Fault]
"""Makes the fault once it is known who plays which part."""
Sightings = Callable[[], Sequence[HolderLine | Watched]]
"""What was seen of who holds which address, times on the loop's clock."""
Watch = Callable[[Sequence[str]], AbstractContextManager[Sightings]]


@dataclass(frozen=True)
class Arena:
    """All that drills need of their surroundings.

    `folder`: where runs are kept. `guarded`: has somebody else heal a run's folder, should we be gone.
    `watch`: sees who holds addresses on the wire; None: nobody can. `announce` is told what is expected before anything
    is broken. `beyond`: what the cloud is not built to survive may be done, too. `most`: operations a second that a
    client begins at most, whatever its usual rate.
    """

    op: apply.Operation
    ground: Ground
    folder: Path
    guarded: Callable[[Path], AbstractContextManager[None]]
    reach: Callable[[str, int], Awaitable[tuple[str, int]]]
    watch: Watch | None = None
    announce: Callable[[Header], None] = lambda _header: None
    beyond: bool = False
    most: float = inf


@dataclass
class _Run:
    """One run's own state: what is known so far."""

    arena: Arena
    planned: Planned
    aim: Aim
    recorder: Recorder
    crew: Crew
    cures: Cures
    zero: float
    healed: float = 0.0
    recent: dict[str, Operation] = field(default_factory=dict)
    success: dict[str, float] = field(default_factory=dict)
    served: dict[str, str] = field(default_factory=dict)

    def now(self) -> float:
        return asyncio.get_running_loop().time() - self.zero

    def note(self, by: str, operation: Operation) -> None:
        """Take an operation that ended."""
        self.recent[by] = operation
        if operation.outcome == "ok":
            self.success[by] = operation.end
            if SERVER in operation.facts:
                self.served[by] = str(operation.facts[SERVER])
        self.recorder.operation(by, operation)

    def mark(self, name: MarkName, seconds: float = 0.0, at: float | None = None) -> None:
        """Write down what is done now; QuorateError where nothing can be written any more."""
        self.recorder.check()
        self.recorder.mark(name, self.now() if at is None else at, seconds)

    def roles(self) -> Roles:
        """Who plays which part, as clients see it."""
        return {w.shows: self.served[w.name] for w in self.crew.workloads if w.shows and w.name in self.served}


async def drill(arena: Arena, planned: Planned, aim: Aim, run: str) -> Path:
    """Do one drill; returns the path of its record. Whatever was done is undone when this ends, however it does.

    Raises Refused or Unsupported for a fault that must not or cannot be done here, QuorateError where clients cannot
    work before anything is broken, or where the fault did not take.
    """
    op = arena.op
    await _must_be_well(op)
    workloads = tuple(replace(w, rate=min(w.rate, arena.most)) for w in workloads_of(op.site, op.systems))
    folder = arena.folder / run
    with contextlib.ExitStack() as stack:
        crew = Crew(workloads, run=run, secrets=op.secrets, reach=arena.reach)
        recorder = stack.enter_context(Recorder(folder, room=room_for(workloads, LONGEST), mask=crew.mask))
        stack.enter_context(arena.guarded(folder))
        loop = asyncio.get_running_loop()
        this = _Run(arena, planned, aim, recorder, crew, Cures(folder), loop.time())
        onlooker = Onlooker(op, this.now, recorder.add)
        doer = Doer(op.transports, arena.ground, op.secrets, well=onlooker.await_well)
        try:
            await _work(this, doer, onlooker)
        finally:
            try:
                await crew.close()
            finally:
                await this.cures.heal(doer, Patience(progress=op.progress))
    return recorder.path


async def _must_be_well(op: apply.Operation) -> None:
    seen = await apply.look(op)
    if not seen.verdict.is_ok:
        raise Refused(
            f"the cloud is not well, so nothing is broken on top of that: {seen.verdict.reason}",
            hint="`quorate status` says more, `quorate apply` mends what differs from the cloud file.",
        )
    if seen.drained:
        names = ", ".join(sorted(seen.drained))
        hint = f"quorate node undrain {min(seen.drained)}"
        raise Refused(f"{names} is drained and may be taken away at any moment: a fault would be the second", hint=hint)
    told: tuple[str, ...] = ()
    until = asyncio.get_running_loop().time() + SETTLES
    while why := await apply.settling(op):
        if asyncio.get_running_loop().time() > until:
            raise Refused(f"after {SETTLES:.0f} s, {'; '.join(why)}: a fault now would be the second one")
        if why != told:
            op.progress(f"waiting: {'; '.join(why)}")
        told = why
        await asyncio.sleep(BETWEEN)


async def _work(this: _Run, doer: Doer, onlooker: Onlooker) -> None:
    """Everything from the first client's first step to the last line of the record."""
    arena, op = this.arena, this.arena.op
    if this.crew.after:
        this.cures.arm(*this.crew.after)
    op.progress("clients get ready")
    for step in this.crew.before:
        await doer.do(step)
    await this.crew.prepare()
    vips = [str(vip.address) for vip in op.site.cloud.vips.values()]
    with arena.watch(vips) if arena.watch else contextlib.nullcontext() as sightings:
        async with _beside(_watch_ourselves(this)):
            this.crew.start(this.note, zero=this.zero)
            fault = await _calm(this, doer, vips)
            async with _beside(onlooker.keep_looking(min(UNWATCHED, fault.hold / 2))):
                await _break(this, doer, fault)
                await _whole(this, onlooker)
            await this.crew.stop()
        this.mark("end")
        seen = list(sightings()) if sightings else []
    zero = time.time() - this.now()
    signs = await read_signs(op.transports, signs_of(op.site, op.systems), zero, zero + this.now() + 1.0, zero)
    found, unseen = await this.crew.finish()
    for by, why in unseen.items():
        op.progress(f"{by} could not look once more: {why}")
    for line in (*_since(seen, this.zero), *signs):
        this.recorder.add(line)
    for by, facts in found.items():
        this.recorder.final(by, facts)
    this.recorder.close(done=True)


def _since(seen: Sequence[HolderLine | Watched], zero: float) -> list[HolderLine | Watched]:
    """Put sightings on the record's clock."""
    return [
        line.model_copy(
            update={
                "first": line.first - zero,
                "last": line.last - zero,
                "announced": None if line.announced is None else line.announced - zero,
            }
        )
        if isinstance(line, HolderLine)
        else line
        for line in seen
    ]


@contextlib.asynccontextmanager
async def _beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Let this go on meanwhile, until what it stands beside is over; then raise what went wrong with it."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _watch_ourselves(this: _Run) -> None:
    await workload.watch(lambda at, seconds: this.mark("pause", seconds, at), zero=this.zero)


async def _calm(this: _Run, doer: Doer, vips: Sequence[str]) -> Fault:
    """Let clients work undisturbed; then choose the fault, say what should happen, and write the header."""
    arena, op = this.arena, this.arena.op
    op.progress(f"{len(this.crew.workloads)} clients work undisturbed for {this.planned.calm:.1f} s")
    await asyncio.sleep(SETTLE)
    began = this.now()
    await asyncio.sleep(this.planned.calm)
    _all_must_work(this)
    fault = this.aim(this.roles())
    _refuse(arena, fault)
    if fault.set_up:
        this.cures.arm(*fault.tear_down)
        op.progress(f"setting the stage: {fault.summary}")
        for step in fault.set_up:
            await doer.do(step)
        began = this.now()
        await asyncio.sleep(this.planned.calm)
        _all_must_work(this)
    header = _header(this, fault, vips)
    this.recorder.open(header)
    this.mark("calm", at=began)
    arena.announce(header)
    return fault


def _all_must_work(this: _Run) -> None:
    """A client that does not succeed before the fault would measure nothing."""
    since = this.now() - RECENT
    idle = [w for w in this.crew.workloads if this.success.get(w.name, -1.0) < since]
    if idle:
        reasons = "; ".join(f"{w.name}: {_why(this.recent.get(w.name))}" for w in idle)
        raise QuorateError(
            f"these clients do not work, though nothing is broken yet: {reasons}",
            hint="`quorate status` says what is not well; the clients run on this machine and must reach the VIP.",
        )


def _why(last: Operation | None) -> str:
    return "no operation ended" if last is None else last.note or "it succeeded only before that"


def _refuse(arena: Arena, fault: Fault) -> None:
    if fault.unsupported:
        raise Unsupported(f"{fault.kind} cannot be done here: {fault.unsupported}")
    most = survivable(arena.op.site)
    if fault.lost > most and not arena.beyond:
        raise Refused(
            f"{fault.kind} takes {fault.lost} controllers at once, and this cloud is built to lose {most}",
            hint="--beyond-redundancy does it all the same: then nothing is promised.",
        )


def _header(this: _Run, fault: Fault, vips: Sequence[str]) -> Header:
    op = this.arena.op
    expected = predictions(op.site, op.systems, this.roles(), fault)
    return Header(
        run=this.recorder.path.parent.name,
        cloud=op.site.cloud.cloud,
        began=op.clock.now(),
        drill=this.planned.drill,
        summary=fault.summary,
        seed=this.planned.seed,
        hits=tuple(HitLine(host=hit.host, part=hit.part, loss=hit.loss.value, lasts=hit.lasts) for hit in fault.hits),
        roles=dict(this.roles()),
        within=fault.lost <= survivable(op.site),
        hold=fault.hold,
        workloads=tuple(map(_client, this.crew.workloads)),
        objectives=op.site.cloud.objectives.model_dump(),
        predictions=tuple(PredictionLine.model_validate(asdict(one)) for one in expected),
        vips=tuple(vips),
        watched=tuple(vips) if this.arena.watch else (),
        stands=_standing(op, fault),
    )


def _standing(op: apply.Operation, fault: Fault) -> dict[str, bool | None]:
    """What the model says of those functions that some client exercises, while parts are gone for good."""
    if not fault.parts:
        return {}
    said, seen = foresee(op.site, op.systems).standing(fault.parts), functions_of(op.site, op.systems)
    return {name: works for name, works in said.items() if name in seen}


def _client(one: Workload) -> Client:
    return Client(
        name=one.name, function=one.function, objective=one.objective, rate=one.rate, at=one.at, shows=one.shows
    )


async def _break(this: _Run, doer: Doer, fault: Fault) -> None:
    """Inject, prove, hold and heal."""
    op = this.arena.op
    if fault.heal:
        this.cures.arm(*fault.heal)
    op.progress(f"{fault.kind}: {fault.summary}")
    this.mark("inject")
    began = this.now()
    for step in fault.inject:
        try:
            said = await doer.do(step)
        except Unreachable as lost:
            if not fault.proof:
                raise
            op.progress(f"{lost}: whether it took is seen by its proof")  # a restart ends the session that asked for it
            break
        if said.startswith(UNSUPPORTED):
            raise Unsupported(f"{fault.kind} cannot be done here: {said.removeprefix(UNSUPPORTED).strip()}")
    this.mark("injected")
    for proof in fault.proof:
        await _prove(this, doer, proof)
    if fault.proof:
        this.mark("proved")
    await asyncio.sleep(max(0.0, fault.hold - (this.now() - began)))
    op.progress("healing")
    this.mark("heal")
    await this.cures.heal(doer, Patience(progress=op.progress), only=fault.heal)
    this.healed = this.now()
    this.mark("healed")


async def _prove(this: _Run, doer: Doer, proof: Proof) -> None:
    """See that it took; a controller that does not answer has not shown it yet."""
    until = this.now() + PROVEN
    while True:
        try:
            said = await doer.do(proof.step)
        except Unreachable as error:
            said = error.message
        if said.split()[:1] == [proof.word]:
            return
        if this.now() > until:
            raise QuorateError(f"the fault did not take on {proof.step.host}: {said.strip() or 'nothing shows it'}")
        await asyncio.sleep(_TICK)


async def _whole(this: _Run, onlooker: Onlooker) -> None:
    """Wait until status is ok and every client works, then a little longer; at most WHOLE seconds."""
    until = this.now() + WHOLE
    this.arena.op.progress("waiting until everything is as it was")
    while not _all_well(this, onlooker.last):
        if this.now() > until:
            this.arena.op.progress(f"not everything is well {WHOLE:.0f} s after the heal")
            return
        await asyncio.sleep(_TICK)
    this.mark("whole")
    await asyncio.sleep(AFTER)


def _all_well(this: _Run, last: LookLine | None) -> bool:
    seen = last is not None and last.level == "ok" and last.at > this.healed
    return seen and all(this.success.get(w.name, -1.0) > this.healed for w in this.crew.workloads)

"""From one controller to many: look → all that needs no data → cut over → compare → start → wait for the first client.

The pause is from the moment at which the source takes no writes to the first client; whatever can be done before it is:
packages, the database's cluster, the virtual IP, the proxies. Until a service was started from the copy, whatever goes
wrong makes the source writable again and drops the copy. core/migration.py has the decisions; decision 27 says why.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pydantic import JsonValue, ValidationError

from quorate.core.backup import facts_of, told
from quorate.core.migration import (
    READ_KEYS,
    Against,
    Inherited,
    Moving,
    Sighting,
    State,
    Step,
    before_start,
    decide,
    differing,
    inherited,
    resting,
    size_of,
)
from quorate.core.plan import Plan, Wave
from quorate.core.review import views_of
from quorate.core.secret import reference
from quorate.core.system import enabled
from quorate.engine.apply import SETTLES, Operation, apply, do_wave, judgements, look, prepare, refuse_unless_doable
from quorate.engine.backup import Ways, well
from quorate.engine.keys import Keep, with_secrets
from quorate.engine.migrating import Begun, state_of
from quorate.engine.observe import observe
from quorate.engine.store import LONG
from quorate.errors import QuorateError, Refused, Unreachable
from quorate.transport.contract import Streams

_SHORT = 120.0
_LAST = 60.0
"""Seconds in which the first client must be served once `apply` has seen that all is well."""
_TELL = 2.0
"""Seconds between two words on how far the copy is."""
Proof = Mapping[str, JsonValue]


@dataclass(frozen=True)
class Looked:
    """What was seen before anything is changed, and what follows."""

    state: State | None
    seen: Sighting
    keys: Inherited
    follows: Step | Against

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be known, in words."""
        return (*self.seen.notes, *self.keys.notes)


@dataclass(frozen=True)
class Migrated:
    """A migration that is done. `phases`: seconds of each. `strays`: what in the data still names another place."""

    state: State
    phases: Mapping[str, float]
    strays: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Migration:
    """A run, and all that it needs. `source`: the way there, `name`: as the operator wrote it."""

    op: Operation
    source: Streams
    name: str
    ways: Ways
    begun: Begun
    moving: Moving
    phases: dict[str, float] = field(default_factory=dict)

    @property
    def first(self) -> Streams:
        """The way to the controller that is loaded; the others have what it has."""
        return self.ways[self.op.site.cloud.names[0]]

    @property
    def services(self) -> frozenset[str]:
        """The systems that rest on the data."""
        return resting(enabled(self.op.site.cloud, self.op.systems), self.moving.kind)

    @property
    def claimed(self) -> tuple[str, ...]:
        """The names of all data that the cloud's systems want."""
        return tuple(dict.fromkeys(claim.name for claim in self.op.site.claims_on(self.moving.kind)))

    async def ask(
        self, way: Streams, argv: Sequence[str], what_not: str, *, limit: float = _SHORT, stdin: str = ""
    ) -> str:
        """Give what a program prints. QuorateError with its last words where it fails."""
        printed = bytearray()

        async def take(data: bytes) -> None:
            printed.extend(data)

        async def feed() -> AsyncIterator[bytes]:
            yield stdin.encode()

        done = await way.stream(argv, timeout=limit, feed=feed() if stdin else None, take=take)
        well(self.op, done, way.host, what_not)
        return printed.decode(errors="replace")

    async def do(self, waves: Sequence[Wave]) -> None:
        """Do waves of a plan."""
        for number, wave in enumerate(waves, start=1):
            self.op.progress(f"[{number}/{len(waves)}] {wave.title}")
            await do_wave(self.op, number, wave, ())

    @contextlib.contextmanager
    def phase(self, name: str, words: str) -> Iterator[None]:
        """Say what is done, and time it."""
        began = self.op.clock.monotonic()
        self.op.progress(words)
        yield
        self.phases[name] = round(self.op.clock.monotonic() - began, 2)

    def keep(self, **what: object) -> State:
        """Note how far it is, in the journal and beside the cloud file."""
        state = (self.begun.state() or State(source=self.name, stage="begun")).model_copy(update=what)
        self.op.journal.write("migrate", source=self.name, stage=state.stage)
        self.begun.keep(state)
        return state


def moving_of(op: Operation) -> Moving:
    """Say how this cloud's data is taken over. Refused where no system of it can do that."""
    for system in enabled(op.site.cloud, op.systems):
        if moving := system.moves(op.site.cloud.systems[system.name], op.site):
            return moving
    raise Refused("no system of this cloud can take data over", hint="One that keeps databases has to be in it.")


async def look_at(run: Migration, *, formed: bool = False) -> Looked:
    """Look at both sides, and decide. Changes nothing. `formed`: the new cloud can say what it holds, and must."""
    run.op.progress(f"looking at {run.name} and at the new cloud")
    state = state_of(run.begun, run.name)
    moving, claimed = run.moving, run.claimed
    chosen = enabled(run.op.site.cloud, run.op.systems)
    folders = {folder: stem for one in chosen for folder, stem in one.inherits.items()}
    there = await run.ask(run.source, (*moving.look, *claimed), "its data cannot be looked at")
    printed = await run.ask(run.source, ("python3", "-c", READ_KEYS, *folders), "its keys cannot be read")
    here = ""
    try:
        here = await run.ask(run.first, (*moving.look_here, *claimed), "what it holds cannot be seen")
    except QuorateError as error:
        if formed or isinstance(error, Unreachable):
            raise
    have = {name: run.op.secrets.resolve(reference(name)) for name in run.op.secrets.names}
    try:
        seen, keys = moving.sighted(there, here), inherited(folders, printed, have)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        why = f"{type(error).__name__}: {error}" if not isinstance(error, ValidationError) else "not what was asked for"
        raise QuorateError(f"what was seen of {run.name} makes no sense: {why}") from None
    unusable = [why for one in chosen for why in one.unusable(run.op.site.cloud.systems[one.name], seen.tables)]
    seen = replace(seen, refused=(*seen.refused, *unusable))
    return Looked(state, seen, keys, decide(state, seen, await _serving(run)))


def refuse(looked: Looked, name: str) -> None:
    """Raise Refused, with everything that stands against it."""
    if isinstance(looked.follows, Against):
        against = "".join(f"\n  {line}" for line in looked.follows.evidence)
        raise Refused(f"{name} is not taken over:{against}", hint="The source is as it was.")


async def migrate(run: Migration, keep: Keep, now: Callable[[], datetime]) -> Migrated:
    """Do it, or what is left of it. The caller holds the lock. `keep` writes secrets, `now` is the time of day.

    Raises as `apply`, and QuorateError where the copy is not what the source holds: all is as before then.
    """
    looked = await look_at(run)
    refuse(looked, run.name)
    clock = run.op.clock
    if looked.state is not None and looked.follows is Step.NOTHING:
        return Migrated(looked.state, {}, await _strays(run.op), looked.notes)
    if looked.state is not None and looked.follows is Step.SERVE:
        began = clock.monotonic() - (now() - datetime.fromisoformat(looked.state.held)).total_seconds()
        if not looked.seen.held:  # it was started anew
            await run.ask(run.source, run.moving.hold, "it could not be made read-only again")
    else:
        run, looked = await _prepared(run, looked, keep)
        began = clock.monotonic()
        await _cut_over(run, looked.seen.have)
    run.op.progress(f"from here on the new cloud has the data; {run.name} stays read-only until --back")
    with run.phase("services", "starting the services"):
        pause = await _served(run) - began
    state = run.keep(stage="done", pause_s=round(pause, 2))
    return Migrated(state, dict(run.phases), await _strays(run.op), looked.notes)


async def _prepared(run: Migration, looked: Looked, keep: Keep) -> tuple[Migration, Looked]:
    """Do everything that can be done while the source goes on as before."""
    if looked.state is None:
        run.keep(stage="begun")
    if looked.keys.before != looked.keys.after:
        run = replace(run, op=with_secrets(run.op, keep(looked.keys.before, looked.keys.after)))
    with run.phase("prepare", "setting up all that needs no data"):
        chosen = enabled(run.op.site.cloud, run.op.systems)
        plan = (await look(run.op, only=[one.name for one in chosen if one.name not in run.services])).plan
        refuse_unless_doable(plan, None)
        await run.do(plan.waves)
        await _settled(run)
        await prepare(run.op)
    looked = await look_at(run, formed=True)
    refuse(looked, run.name)
    return run, looked


async def _settled(run: Migration) -> Plan:
    """Plan, once what stands against it only because something was just begun has passed; it is waited for briefly."""
    until = run.op.clock.monotonic() + SETTLES
    while (plan := (await look(run.op)).plan).refusals and run.op.clock.monotonic() < until:
        await run.op.clock.sleep(run.op.poll)
    return plan


async def _cut_over(run: Migration, names: Sequence[str]) -> None:
    """Stop the writes, copy, compare, and do what comes before the first start; or leave all as it was."""
    run.keep(stage="cut", held=run.op.clock.now(), moved=tuple(names))
    try:
        run.op.progress(f"cutting over: {run.name} takes no writes from now on")
        await run.ask(run.source, run.moving.hold, "it could not be made read-only")
        with run.phase("load", "copying the data"):
            await run.ask(run.first, (*run.moving.drop, *names), "the copy could not be begun")
            await _piped(run, names)
        with run.phase("compare", "comparing every table"):
            proof = await _compared(run, names)
        with run.phase("schemas", "bringing the copy to the installed versions"):
            plan = await _settled(run)
            refuse_unless_doable(plan, None)
            await run.do(before_start(plan.waves, run.services))
    except BaseException:
        await _undone(run, names)
        raise
    tables, rows = size_of(proof)
    run.keep(stage="serving", tables=tables, rows=rows)


async def _undone(run: Migration, names: Sequence[str]) -> None:
    """Make the source writable again, then drop the copy that nobody has used. What fails of it is said."""
    try:
        await run.ask(run.source, run.moving.free, "it could not be made writable again")
        run.op.progress(f"{run.name} takes writes again")
        await run.ask(run.first, (*run.moving.drop, *names), "the copy could not be dropped")
        run.keep(stage="begun", held="", moved=())
    except QuorateError as error:
        run.op.progress(f"{error}; once that is mended: quorate migrate {run.name} --back")


async def _piped(run: Migration, names: Sequence[str]) -> None:
    """Let the first controller read what the source prints; only a few pieces of it are ever here."""
    pipe: asyncio.Queue[bytes] = asyncio.Queue(maxsize=8)
    clock = run.op.clock
    passed, last = 0, clock.monotonic()

    async def take(data: bytes) -> None:
        nonlocal passed, last
        await pipe.put(data)
        passed += len(data)
        if clock.monotonic() - last > _TELL:
            last = clock.monotonic()
            run.op.progress(f"copying the data: {passed >> 20} MiB")

    async def feed() -> AsyncIterator[bytes]:
        while data := await pipe.get():
            yield data

    async def dump() -> None:
        done = await run.source.stream((*run.moving.dump, *names), timeout=LONG, take=take)
        well(run.op, done, run.source.host, "its data could not be read")
        await pipe.put(b"")  # what was cut off has no end, and nobody takes it for whole

    async def load() -> None:
        done = await run.first.stream(run.moving.load, timeout=LONG, feed=feed())
        well(run.op, done, run.first.host, "the data could not be loaded")

    await _both(dump(), load())


async def _compared(run: Migration, names: Sequence[str]) -> Proof:
    """Count and sum up every table on both sides at once. QuorateError with the names of those that differ."""
    there, here = await _proofs(run, names)
    if found := tuple(differing(there, here)):
        raise QuorateError(
            f"the copy is not what {run.name} holds: {told(found)}",
            hint="It is writable again and the copy is gone. Does an account that read_only does not bind write there?",
        )
    return here


async def _proofs(run: Migration, names: Sequence[str]) -> tuple[Proof, Proof]:
    sides = ((run.source, run.moving.sums), (run.first, run.moving.sums_here))
    said = await _both(
        *(run.ask(way, (*argv, *names), "the tables could not be summed up", limit=LONG) for way, argv in sides)
    )
    try:
        there, here = (facts_of(one).proof for one in said)
    except ValueError:
        raise QuorateError("what was said of the tables makes no sense") from None
    return there, here


async def _both(*doing: Coroutine[Any, Any, Any]) -> list[Any]:
    """Do all at once; where one fails the others are ended, and its reason is raised."""
    tasks = [asyncio.ensure_future(one) for one in doing]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _served(run: Migration) -> float:
    """Apply all that is left, and give the moment at which the first client was served."""
    waiting = asyncio.ensure_future(_first_client(run))
    try:
        outcome = await apply(run.op)
        if not outcome.verdict.is_ok:
            raise QuorateError(
                f"the data is taken over, and the cloud is {outcome.verdict.level.word}: {outcome.verdict.reason}",
                hint=f"Mend the cause, then run it again: it goes on from here. {run.name} is read-only until --back.",
            )
        return await asyncio.wait_for(waiting, _LAST)
    except TimeoutError:
        raise QuorateError("the cloud is well, and nobody was served at its virtual IP", hint="Run it again.") from None
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def _first_client(run: Migration) -> float:
    """Be a client of every service, on the last controller: the virtual IP is the others' first."""
    op = run.op
    for system in enabled(op.site.cloud, op.systems):
        for act in system.answers(op.site.cloud.systems[system.name], op.site) if system.name in run.services else ():
            stdin, way = op.secrets.resolve(act.stdin), run.ways[op.site.cloud.names[-1]]
            await run.ask(way, act.argv, f"{act.title}: failed", limit=act.timeout, stdin=stdin)
    return op.clock.monotonic()


async def _strays(op: Operation) -> tuple[str, ...]:
    world = await observe(op.site, op.systems, op.transports, op.secrets, reach=op.reach, resources=False)
    return tuple(
        found
        for system in enabled(op.site.cloud, op.systems)
        for found in system.strays(op.site.cloud.systems[system.name], op.site, views_of(system, op.site, world))
    )


async def back(run: Migration, state: State) -> tuple[str, ...]:
    """Make the source writable again, and forget the migration; says what the new cloud holds that the source does not.

    The caller holds the lock. A copy that no service was started from is dropped.
    """
    beyond: tuple[str, ...] = ()
    if state.stage in {"serving", "done"}:
        run.op.progress("comparing both sides")
        beyond = tuple(differing(*await _proofs(run, state.moved)))
    if state.stage != "begun":
        await run.ask(run.source, run.moving.free, "it could not be made writable again")
    if state.stage == "cut" and not await _serving(run):
        await run.ask(run.first, (*run.moving.drop, *state.moved), "the copy could not be dropped")
    run.op.journal.write("migrate", source=run.name, stage="back")
    run.begun.forget()
    return beyond


async def _serving(run: Migration) -> tuple[str, ...]:
    """The services that rest on the data and were seen to serve."""
    judged = await judgements(run.op)
    return tuple(name for name in run.services if any(one.is_ok for one in judged[name].members.values()))

"""The clients of a world: they overwrite, delete and read a small set of keys, and note what they saw.

Each key has one writer, so its changes follow one another. The first three writers have a balancer each; the others go
through the three in turn. An operation is noted after its reply was read, or its connection given up; its begin was
taken before a byte was sent.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from real.truth import dialect
from real.truth.checker import IMPATIENT, Operation, Outcome
from real.truth.dialect import Refused, Wrong
from real.truth.recorder import Recorder
from real.truth.schedule import CONTROLLERS, Schedule
from real.truth.wire import PATIENCE, Lost, Wire
from real.truth.world import World

WRITERS = 6
READERS = 2
"""Readers on each controller."""
REST = 0.03
"""Seconds until a client that lost its connection goes on."""
AVOID = 2.0
"""Seconds in which a writer that has a choice asks no balancer that left it without a reply."""
SWEEPERS = 4
"""Readers of everything on each controller; they pause for long, so that one asks while its balancer is frozen."""
SWEEP = 1.2
"""Seconds between two reads of all keys in one go, one request each, at most."""
PERIODS = (0.06, 0.12, 0.25, 0.7, 1.5)
"""Seconds between two changes of each key of a writer, about: some change all the time, some hardly ever."""


def names(writer: int) -> list[str]:
    """Return the keys of this writer."""
    return [f"w{writer}k{number}" for number in range(len(PERIODS))]


KEYS = [key for writer in range(WRITERS) for key in names(writer)]


async def crowd(world: World, recorder: Recorder, schedule: Schedule) -> None:
    """Run all clients until the schedule's end."""
    async with asyncio.TaskGroup() as group:
        for number in range(WRITERS):
            group.create_task(Writer(world, recorder, schedule, number).run())
        for number in range(READERS * CONTROLLERS):
            group.create_task(Reader(world, recorder, schedule, number).run())
        for number in range(SWEEPERS * CONTROLLERS):
            group.create_task(Reader(world, recorder, schedule, number).sweep())


@dataclass
class Writer:
    """The one writer of its keys."""

    world: World
    recorder: Recorder
    schedule: Schedule
    number: int
    _count: int = 0
    _wires: list[Wire] = field(default_factory=list)
    _silent: dict[int, float] = field(default_factory=dict)

    async def run(self) -> None:
        """Change each key about once in its period, until the writers' end."""
        rng = random.Random(f"{self.schedule.seed} writer {self.number}")
        self._wires = [Wire(self.world, self.recorder, via, faithful=True) for via in range(CONTROLLERS)]
        periods = dict(zip(names(self.number), PERIODS, strict=True))
        due = {key: rng.uniform(0, 0.4) for key in periods}
        while (soonest := min(due.values())) < self.schedule.quiet:
            key = min(due, key=lambda key: due[key])
            await asyncio.sleep(max(0.0, soonest - self.recorder.now()))
            wire = self._wires[self._via()]
            outcome = await self._change(rng, key, wire)
            if outcome == "ok" and rng.random() < 0.4:
                await self._read(key, wire)
            due[key] = self.recorder.now() + periods[key] * rng.uniform(0.5, 1.5)
            if outcome == "unknown":  # do it again, elsewhere, as a client does that must be sure
                due[key] = 0.0
                self._silent[wire.via] = self.recorder.now() + AVOID
                await asyncio.sleep(REST)
        for wire in self._wires:
            wire.drop()

    def _via(self) -> int:
        """Return the writer's own balancer, or the next one that has not just been silent."""
        if self.number < CONTROLLERS:
            return self.number
        turns = [(self._count + step) % CONTROLLERS for step in range(CONTROLLERS)]
        return next((via for via in turns if self._silent.get(via, 0.0) < self.recorder.now()), turns[0])

    async def _read(self, key: str, wire: Wire) -> Read:
        read = Read(wire, self.recorder, f"writer {self.number}", [[key]])
        await read.send(b"gets %s\r\n" % key.encode())
        return read

    async def _change(self, rng: random.Random, key: str, wire: Wire) -> Outcome:
        self._count += 1
        kind: Literal["set", "delete"] = "delete" if rng.random() < 0.25 else "set"
        # Only where the next change goes the same way: one that lies unread at another balancer is nobody's to stop.
        impatient = self.number < CONTROLLERS and rng.random() < 0.03
        change = dialect.change(rng, kind, key, self._count, meta=self.world.engine.meta)
        if kind == "set" and rng.random() < 0.1:
            read = await self._read(key, wire)
            change = dialect.compare_and_swap(key, self._count, read.tokens[key]) if read.tokens else change
        begin = self.recorder.now()
        outcome: Outcome = "ok"
        why = ""
        try:
            await wire.ask(change.request, change.read, rng.uniform(0, 0.003) if impatient else PATIENCE)
        except Refused as error:
            outcome, why = "failed", str(error)
        except Lost as error:
            outcome, why = "unknown" if error.sent else "failed", str(error)
            why = IMPATIENT if impatient and error.sent else why
        except Wrong as error:
            outcome, why = "wrong", str(error)
        client = f"writer {self.number} {change.word}"
        end = self.recorder.now()
        self.recorder.operation(Operation(kind, key, self._count, begin, end, outcome, wire.via, client, why))
        return outcome


@dataclass
class Reader:
    """Reads everybody's keys through one balancer: one key, several keys, or several requests at once."""

    world: World
    recorder: Recorder
    schedule: Schedule
    number: int

    async def run(self) -> None:
        """Read until the schedule's end."""
        rng = random.Random(f"{self.schedule.seed} reader {self.number}")
        wire = Wire(self.world, self.recorder, self.number % CONTROLLERS)
        meta = self.world.engine.meta
        while self.recorder.now() < self.schedule.end:
            asked = [rng.sample(KEYS, rng.choice([1, 1, 1, 4, 12])) for _ in range(rng.choice([1, 1, 3]))]
            # One that goes away while its reply is under way: that reply must not reach anybody else.
            patience = rng.uniform(0, 0.003) if rng.random() < 0.05 else PATIENCE
            request = b"".join(dialect.retrieval(rng, some, meta=meta) for some in asked)
            if not await Read(wire, self.recorder, f"reader {self.number}", asked).send(request, patience):
                await asyncio.sleep(REST)
            await asyncio.sleep(rng.uniform(0.002, 0.016))
        wire.drop()

    async def sweep(self) -> None:
        """Read every key in one go, again and again, until the schedule's end."""
        wire = Wire(self.world, self.recorder, self.number % CONTROLLERS)
        rng = random.Random(f"{self.schedule.seed} sweeper {self.number}")
        request = b"".join(b"get %s\r\n" % key.encode() for key in KEYS)
        while self.recorder.now() < self.schedule.end:
            await Read(wire, self.recorder, f"sweeper {self.number}", [[key] for key in KEYS]).send(request)
            await asyncio.sleep(rng.uniform(0.02, SWEEP))
        wire.drop()


@dataclass
class Read:
    """Reads that are sent in one go, each of some keys; each key's answer is noted."""

    wire: Wire
    recorder: Recorder
    client: str
    asked: list[list[str]]
    tokens: dict[str, int] = field(default_factory=dict)
    _begin: float = 0.0

    async def send(self, request: bytes, patience: float = PATIENCE) -> bool:
        """Send the requests and take their replies; return whether the connection lives."""
        self._begin = self.recorder.now()
        try:
            await self.wire.ask(request, self._take, patience)
        except Lost as error:
            why = IMPATIENT if patience < PATIENCE and error.sent else str(error)
            self._note([key for keys in self.asked for key in keys], "unknown" if error.sent else "failed", why)
            return False
        except Wrong as error:
            self._note(self.asked[0][:1], "wrong", str(error))
            return False
        return True

    async def _take(self, reader: asyncio.StreamReader) -> None:
        while self.asked:
            try:
                found, self.tokens = await dialect.read_values(reader, self.asked[0])
                self._note(self.asked[0], "ok", found=found)
            except Refused as error:
                self._note(self.asked[0], "failed", str(error))
            self.asked.pop(0)

    def _note(self, keys: Sequence[str], outcome: Outcome, why: str = "", found: dict[str, int] | None = None) -> None:
        end = self.recorder.now()
        for key in keys:
            number = (found or {}).get(key)
            seen = Operation("get", key, number, self._begin, end, outcome, self.wire.via, self.client, why)
            self.recorder.operation(seen)

"""The toys with a single server of before: what toyd keeps at toydb is moved, and toyd's keys with it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from quorate.core.act import Act, Run
from quorate.core.migration import Moving, Sighting
from quorate.core.secret import Secrets, reference
from quorate.core.system import AnySystem
from quorate.engine.lock import held
from quorate.engine.migrate import Migrated, Migration, back, migrate
from quorate.engine.migrating import Begun
from quorate.errors import Unreachable
from quorate.transport.contract import Completed, Take
from quorate.transport.fake import FakeHost, FakeTransport
from toys import toyd, toydb
from worlds.machines import HOLDER, VALUES, Machines, Operator

T = TypeVar("T")
SOURCE = "root@old"
KEYS = {number: f"{number}" * 43 + "=" for number in (0, 1, 2)}
NEVER = 1 << 30
AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
_PROGRAMS = ("look", "sums", "hold", "free", "dump", "look_here", "sums_here", "load", "drop")


def _sighted(source: str, target: str) -> Sighting:
    said = json.loads(source)
    have, here = said["data"] is not None, bool(target) and json.loads(target)["data"] is not None
    against = ("toyd.t is of the wrong kind",) if said["data"] == "wrong" else ()
    tables = {"toyd": frozenset({str(said["data"])})} if have else {}
    return Sighting(("toyd",) * have, ("toyd",) * here, said["held"], against, tables=tables)


_MOVING = Moving("toydb", _sighted, *((f"move-{name}",) for name in _PROGRAMS))
SYSTEMS: tuple[AnySystem, ...] = (
    dataclasses.replace(
        toyd.SYSTEM,
        inherits={"/etc/toyd/keys": "toyd.key"},
        answers=lambda _spec, _site: (
            Run(title="be a client", argv=("move-client",), stdin=reference("toyd.database")),
        ),
        unusable=lambda _spec, tables: [f"{name} is too old" for name, held in tables.items() if "old" in held],
        strays=lambda _spec, _site, views: (f"{len(views)} controllers were seen",),
    ),
    dataclasses.replace(toydb.SYSTEM, moves=lambda _spec, _site: _MOVING),
)


class Cut(FakeTransport):
    """A way that is lost at a given call: before the command, after it, or from then on for good."""

    def __init__(self, host: FakeHost, old: Old) -> None:
        super().__init__(host)
        self.old = old

    async def stream(
        self, argv: Sequence[str], *, timeout: float, feed: AsyncIterable[bytes] | None = None, take: Take | None = None
    ) -> Completed:
        self.old.calls += 1
        now = self.old.calls - self.old.cut_at
        if (now == 0 and self.old.how != "after") or (now > 0 and self.old.how == "for good"):
            raise Unreachable(self.host, "the cable was cut")
        done = await super().stream(argv, timeout=timeout, feed=feed, take=take)
        if now == 0:
            raise Unreachable(self.host, "the cable was cut")
        return done


@dataclass
class Old:
    """The source, the new cloud's machines, and one who migrates. `data`: what the source holds, `copy`: the new cloud.

    `spoils`: what is loaded is not what was sent. `failing`: a program that ends with 1.
    """

    base: Path
    data: str | None = "rows"
    copy: str | None = None
    held: bool = False
    spoils: bool = False
    failing: str = ""
    cut_at: int = NEVER
    how: str = "before"
    calls: int = 0
    said: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    sent: str = ""
    machines: Machines = field(default_factory=Machines)

    def __post_init__(self) -> None:
        """Let this world play the programs of moving, and hear of every act."""
        self.base.mkdir(exist_ok=True)
        play = self.machines.play
        for host in self.machines.hosts.values():
            host.programs = lambda host, argv, stdin: self._play(argv, stdin) or play(host, argv, stdin)
        self.machines.before_act = self._hear
        self.host = FakeHost("old", clock=self.machines.time, programs=lambda _host, argv, text: self._play(argv, text))

    def _hear(self, _host: FakeHost, act: Act) -> None:
        self.said.append(str(act))

    def _play(self, argv: tuple[str, ...], stdin: bytes) -> Completed | None:
        if argv[0] == "python3" and "toyd" in argv[-1]:
            return _printed({argv[-1]: {str(number): key for number, key in KEYS.items()}})
        if not argv[0].startswith("move-"):
            return None
        what = argv[0].removeprefix("move-")
        self.said.append(what)
        if what == self.failing:
            return Completed(1, b"", b"well\nthe disk is full\n")
        match what:
            case "look":
                return _printed({"data": self.data, "held": self.held})
            case "look_here":
                formed = any("toydb" in name for host in self.machines.hosts.values() for name in host.units)
                return _printed({"data": self.copy}) if formed else Completed(1, b"", b"no server\n")
            case "sums" | "sums_here":
                rows = len(self.data or "") if what == "sums" else len(self.copy or "")
                proof = {"tables": {"toyd.t": [rows, self.data if what == "sums" else self.copy]}}
                return _printed({"proof": proof})
            case "dump":
                return Completed(0, (self.data or "").encode(), b"")
            case _:
                self._change(what, stdin)
                return Completed(0, b"", b"")

    def _change(self, what: str, stdin: bytes) -> None:
        match what:
            case "hold" | "free":
                self.held = what == "hold"
            case "load":
                assert self.copy is None, "what is loaded goes over something"
                self.copy = stdin.decode() + "x" * self.spoils
            case "drop":
                assert not self.started, "what a service was started from is dropped"
                self.copy = None
            case "client":
                self.sent = stdin.decode()

    @property
    def started(self) -> bool:
        """Whether a service of the new cloud was started."""
        return any(host.units["toyd.service"].active == "active" for host in self.hosts if "toyd.service" in host.units)

    @property
    def hosts(self) -> Sequence[FakeHost]:
        """The controllers."""
        return tuple(self.machines.hosts.values())

    @property
    def begun(self) -> Begun:
        """What is kept of it."""
        return Begun(self.base)

    def run(self) -> Migration:
        """A run."""
        op = Operator(self.machines, systems=SYSTEMS).operation()
        op = dataclasses.replace(
            op, secrets=Secrets({**VALUES, "toyd.key_0": "ours", "toyd.key_1": "ours", **self.kept})
        )
        clock = dataclasses.replace(op.clock, now=AT.isoformat)
        op = dataclasses.replace(op, progress=self.said.append, clock=clock)
        ways = {host.name: Cut(host, self) for host in self.hosts}
        return Migration(op, Cut(self.host, self), SOURCE, ways, self.begun, _MOVING)

    def keep(self, before: Mapping[str, str], after: Mapping[str, str]) -> Secrets:
        """Write secrets."""
        assert before != after
        self.kept = dict(after)
        return Secrets({**VALUES, **after})

    async def migrate(self) -> Migrated:
        """Migrate, under the lock."""
        return await self._locked(lambda run: migrate(run, self.keep, lambda: AT))

    async def back(self) -> tuple[str, ...]:
        """Go back."""
        state = self.begun.state()
        assert state is not None
        return await self._locked(lambda run: back(run, state))

    async def _locked(self, do: Callable[[Migration], Awaitable[T]]) -> T:
        self.calls = 0
        run, time = self.run(), self.machines.time
        async with held(run.op.transports, run.op.token, HOLDER, sleep=time.wait, patience=time.pass_by):
            return await do(run)


def _printed(what: object) -> Completed:
    return Completed(0, json.dumps(what).encode(), b"")

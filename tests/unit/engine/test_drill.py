"""A whole drill on machines in memory, in made-up time: what is done when, and that everything is undone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

import fake_time
from quorate.core.client import Facts, Failed, Surroundings
from quorate.core.drill import Drills, Workload
from quorate.core.failure import Pause, Stage
from quorate.core.fault import Fault, GroundAct, Hit, Loss, OnGround, OnHost, Proof
from quorate.core.findings import Result
from quorate.core.judging import judge
from quorate.core.record import Header, HolderLine, Watched, parse
from quorate.core.schedule import Planned
from quorate.core.secret import Secrets
from quorate.core.system import System
from quorate.engine.apply import Clock, Operation, apply
from quorate.engine.drill import Arena, drill
from quorate.engine.healing import left_behind
from quorate.errors import QuorateError, Refused, Unreachable, Unsupported
from quorate.transport.contract import Completed
from quorate.transport.fake import FakeHost, FakeTransport
from worlds.clouds import site
from worlds.systems import Word, made

WORLD: list[World] = []


class Toy:
    """Succeeds while the web is up, as the controller that has it."""

    def __init__(self, surroundings: Surroundings) -> None:
        del surroundings

    async def prepare(self) -> None: ...

    async def operate(self, number: int, facts: Facts) -> None:
        await asyncio.sleep(0.01)
        if WORLD[0].down:
            raise Failed("the web is down")
        facts.update(number=number, server=WORLD[0].serving)

    async def finish(self) -> Mapping[str, Any]:
        return {"numbers": [[0, 10**6]], "more_than_once": []}

    async def close(self) -> None: ...


def toys(_spec: Word, _site: object) -> Sequence[Workload]:
    told = OnHost("c1", ("tell",))
    return (
        Workload(
            name="web",
            function="web",
            objective="token_validation",
            client=f"{__name__}:Toy",
            rate=10.0,
            shows="writer",
            prepare=(replace(told, argv=("prepare",)),),
            clean_up=(replace(told, argv=("clean-up",)),),
        ),
    )


def reacts(_spec: Word, _site: object, _roles: object, hits: Sequence[Hit]) -> Sequence[Pause]:
    return [Pause("web", f"{hit.host} is lost", (Stage("it is missed", 2.5, "this test"),)) for hit in hits]


class _Silent:
    def write(self, event: str, **facts: object) -> None:
        del event, facts


@dataclass
class World:
    """Three machines that run the web, and all that was done to them, in order."""

    folder: Path
    down: bool = False
    serving: str = "c1"
    proves: bool = True
    filling: int = 0
    """Looks that will still see that redundancy is on its way."""
    fails: str = ""
    parts: bool = False
    """What breaks it ends the connection by which it was asked for."""
    broken: float = 0.0
    looks: list[float] = field(default_factory=list)
    """When, after it was broken."""
    done: list[str] = field(default_factory=list)
    announced: list[Header] = field(default_factory=list)

    def execute(self, host: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        match argv[0]:
            case "web-state":
                if self.broken:
                    self.looks.append(fake_time.clock().time() - self.broken)
                return Completed(0, b"ill" if self.down else b"well", b"")
            case "break":
                self.done.append(f"break {host.name}")
                self.broken = fake_time.clock().time()
                assert not self.filling
                if self.fails:
                    return Completed(0, self.fails.encode(), b"")
                self.down = True
                if self.parts:
                    raise Unreachable(host.name, "lost while the command ran")
            case "mend":
                self.done.append(f"mend {host.name}")
                self.down, self.serving = False, "c2"
            case "look":
                return Completed(0, b"took" if self.proves else b"nothing", b"")
            case _:
                self.done.append(argv[0])
        return Completed(0, b"", b"")

    def settling(self, _spec: Word, _site: object, _views: object) -> str:
        self.filling = max(0, self.filling - 1)
        return "c3 is being filled" if self.filling else ""

    @property
    def offers(self) -> frozenset[GroundAct]:
        return frozenset({"plug"})

    async def do(self, act: GroundAct, hosts: Sequence[str]) -> None:
        self.done.append(f"{act} {' '.join(hosts)}")

    @contextlib.contextmanager
    def watch(self, addresses: Sequence[str]) -> Any:
        began = fake_time.clock().time()
        (address,) = addresses
        yield lambda: [
            HolderLine(address=address, holder="c1", first=began, last=began + 9, announced=None),
            Watched(address=address, two_holders=False),
        ]

    async def arena(self, *, beyond: bool = False) -> Arena:
        """Converge the machines, and give what a drill needs."""
        drills = Drills[Word](workloads=toys, reacts=reacts)
        web: System[Any, Any] = made("web", drills=drills, settling=self.settling)
        time = fake_time.clock().time
        machines = {name: FakeHost(name, clock=time, programs=self.execute) for name in ("c1", "c2", "c3")}
        op = Operation(
            site=site(web),
            systems=(web,),
            secrets=Secrets({}),
            transports={name: FakeTransport(machine) for name, machine in machines.items()},
            token="token",
            journal=_Silent(),
            clock=Clock(now=lambda: "2026-01-31T12:00:00+00:00", monotonic=fake_time.clock().time),
        )
        for machine in machines.values():
            machine.lease = ("token", {}, 10**9)
        await apply(op)
        return Arena(
            op=op,
            ground=self,
            folder=self.folder,
            guarded=lambda _folder: contextlib.nullcontext(),
            reach=_nowhere,
            watch=self.watch,
            announce=self.announced.append,
            beyond=beyond,
        )


async def _nowhere(_host: str, _port: int) -> tuple[str, int]:
    raise Unreachable("c1", "no way")


FAULT = Fault(
    kind="web-broken",
    summary="c1 is broken",
    hits=(Hit("c1", "web", Loss.HUNG),),
    inject=(OnHost("c1", ("break",)),),
    heal=(OnHost("c1", ("mend",)), OnGround("plug", ("c1",))),
    proof=(Proof(OnHost("c1", ("look",))),),
    hold=2.0,
    lost=1,
)
PLANNED = Planned("web-broken", 1, 7, 4.0)


@pytest.fixture
def world(tmp_path: Path) -> World:
    WORLD[:] = [World(tmp_path)]
    return WORLD[0]


def result(path: Path) -> Result:
    with path.open(encoding="utf-8") as file:
        return judge(parse(file, str(path)))


def run(world: World, fault: Fault = FAULT, *, beyond: bool = False) -> Result:
    async def main() -> Path:
        return await drill(await world.arena(beyond=beyond), PLANNED, lambda _roles: fault, "run-1")

    return result(fake_time.run(main()))


def fails(world: World, kind: type[QuorateError], fault: Fault = FAULT) -> str:
    with pytest.raises(kind) as error:
        run(world, fault)
    assert left_behind(world.folder) == []
    return error.value.message


def test_a_drill_says_what_should_happen_breaks_measures_and_undoes_everything(world: World) -> None:
    found = run(world)
    assert world.done == ["prepare", "break c1", "mend c1", "plug c1", "clean-up"]
    (told,) = world.announced
    assert [(one.function, one.seconds) for one in told.predictions] == [("web", 2.5)]
    assert told.roles == {"writer": "c1"}
    (row,) = found.rows
    assert row.measured_s == pytest.approx(2.1, abs=0.15)
    assert row.held
    assert (found.level, found.lost) == ("ok", 0)
    assert found.alarm_s is not None
    assert found.takeovers == ("writer: c1 → c2",)
    assert list(found.marks)[-6:] != []
    assert left_behind(world.folder) == []


def test_a_fault_that_ends_the_connection_it_came_by_is_seen_by_its_proof(world: World) -> None:
    world.parts = True
    assert run(world).rows[0].measured_s == pytest.approx(2.1, abs=0.15)


def test_a_fault_that_nobody_knows_to_have_taken_ends_the_drill(world: World) -> None:
    world.parts = True
    assert "lost while the command ran" in fails(world, Unreachable, replace(FAULT, proof=()))


def test_a_fault_is_not_the_second_one_while_redundancy_is_on_its_way(world: World) -> None:
    world.filling = 20
    assert run(world).level == "ok"


@pytest.mark.parametrize(("hold", "unwatched"), [(20.0, 6.0), (4.0, 2.0)])
def test_controllers_are_left_alone_while_they_take_over(world: World, hold: float, unwatched: float) -> None:
    run(world, replace(FAULT, hold=hold))
    assert world.looks[0] == pytest.approx(unwatched, abs=0.5)
    assert world.looks[0] < hold


def test_a_cloud_that_never_settles_is_not_broken(world: World) -> None:
    world.filling = 10**6
    assert "c3 is being filled: a fault now would be the second one" in fails(world, Refused)
    assert world.done == []


def test_a_client_that_never_works_ends_it_before_anything_is_broken(world: World) -> None:
    world.down = True

    async def main() -> Path:
        arena = await world.arena()
        return await drill(arena, PLANNED, lambda _roles: FAULT, "run-1")

    with pytest.raises(QuorateError):
        fake_time.run(main())
    assert not any(step.startswith("break") for step in world.done)


def test_a_client_that_stops_working_before_the_fault_ends_it_too(world: World) -> None:
    async def main() -> None:
        arena = await world.arena()
        running = asyncio.create_task(drill(arena, PLANNED, lambda _roles: FAULT, "run-1"))
        await asyncio.sleep(1.0)
        world.down = True
        await running

    with pytest.raises(QuorateError, match="web: the web is down"):
        fake_time.run(main())
    assert world.done == ["prepare", "clean-up"]


def test_a_fault_that_did_not_take_is_no_result_and_is_healed(world: World) -> None:
    world.proves = False
    assert "did not take on c1: nothing" in fails(world, QuorateError)
    assert world.done[-3:] == ["mend c1", "plug c1", "clean-up"]


def test_what_a_machine_does_not_allow_is_said(world: World) -> None:
    world.fails = "unsupported: the clock belongs to the host"
    assert "the clock belongs to the host" in fails(world, Unsupported)
    assert world.done[-3:] == ["mend c1", "plug c1", "clean-up"]


def test_what_the_cloud_is_not_built_to_survive_is_refused_unless_it_is_asked_for(world: World) -> None:
    assert "takes 2 controllers at once" in fails(world, Refused, replace(FAULT, lost=2))
    assert world.done == ["prepare", "clean-up"]


def test_beyond_the_redundancy_nothing_is_promised(world: World) -> None:
    found = run(world, replace(FAULT, lost=2), beyond=True)
    assert found.rows[0].predicted_s is None
    assert not found.within


def test_a_fault_that_cannot_be_done_here_is_not_begun(world: World) -> None:
    assert "no freezer" in fails(world, Unsupported, replace(FAULT, unsupported="no freezer"))
    assert world.done == ["prepare", "clean-up"]


def test_a_stage_is_set_before_the_calm_and_struck_in_the_end(world: World) -> None:
    set_up, tear_down = OnHost("c2", ("set-up",)), OnHost("c2", ("tear-down",))
    found = run(world, replace(FAULT, set_up=(set_up,), tear_down=(tear_down,)))
    assert world.done == ["prepare", "set-up", "break c1", "mend c1", "plug c1", "tear-down", "clean-up"]
    assert found.level == "ok"


@pytest.mark.parametrize("after", [0.5, 3.0, 5.0, 6.5, 8.0])
def test_whenever_it_is_interrupted_everything_is_undone(world: World, after: float) -> None:
    async def main() -> None:
        arena = await world.arena()
        running = asyncio.create_task(drill(arena, PLANNED, lambda _roles: FAULT, "run-1"))
        await asyncio.sleep(after)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    fake_time.run(main())
    assert not world.down
    assert left_behind(world.folder) == []
    assert world.done[-1] == "clean-up"
    if "break c1" in world.done:
        assert "mend c1" in world.done


def test_the_record_is_there_before_anybody_judges(world: World) -> None:
    run(world)
    text = (world.folder / "run-1" / "record.jsonl").read_text()
    assert text.startswith('{"what":"header"')
    assert text.endswith('{"what":"done"}\n')

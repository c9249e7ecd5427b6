from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import pytest

import fake_time
from quorate.core.client import Facts, Failed, Surroundings, password
from quorate.core.drill import Workload
from quorate.core.fault import OnHost
from quorate.core.history import Operation
from quorate.core.secret import Secrets
from quorate.engine.clients import LOOKS, Crew, Threads
from quorate.errors import QuorateError, Unreachable

SECRETS = Secrets({"keystone.admin": "geheim", "other": "fremd"})
MADE: list[Toy] = []


class Toy:
    """A client that does what its settings say."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.surroundings = surroundings
        self.settings = surroundings.settings
        self.looks = 0
        self.closed = 0
        MADE.append(self)

    async def prepare(self) -> None:
        if "unready" in self.settings:
            raise self.settings["unready"]

    async def operate(self, number: int, facts: Facts) -> None:
        facts["number"] = number

    async def finish(self) -> Mapping[str, Any]:
        self.looks += 1
        if self.looks <= self.settings.get("blind", 0):
            raise OSError(f"not yet, {self.surroundings.secrets}")
        return {"looks": self.looks}

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def _forget() -> None:
    MADE.clear()


def toy(name: str = "toy", **changes: Any) -> Workload:
    given: dict[str, Any] = {"function": name, "objective": "cache", "rate": 10.0, **changes}
    return Workload(name=name, client=f"{__name__}:Toy", **given)


def crew(*workloads: Workload) -> Crew:
    return Crew(workloads, run="r1", secrets=SECRETS)


def test_a_client_gets_what_its_workload_asks_for_and_shows_none_of_it() -> None:
    crew(toy(settings={"port": 1}, secrets=("keystone.admin",), passwords=("drill",), bound=2.0))
    (made,) = MADE
    given = made.surroundings
    assert (given.run, given.bound, given.settings) == ("r1", 2.0, {"port": 1})
    assert given.secrets == {"keystone.admin": "geheim"}
    assert len(given.passwords["drill"]) == 32
    assert "geheim" not in repr(given)
    assert given.passwords["drill"] not in repr(given)


def test_steps_are_done_once_with_the_password_that_the_clients_have() -> None:
    step = OnHost("controller1", ("mariadb",), stdin=f"IDENTIFIED BY '{password('drill')}'")
    other = OnHost("controller2", ("true",))
    made = crew(
        toy("a", prepare=(step,), clean_up=(step, other), passwords=("drill",)),
        toy("b", prepare=(step,), clean_up=(step, other), passwords=("drill",)),
    )
    secret = MADE[0].surroundings.passwords["drill"]
    assert MADE[1].surroundings.passwords == {"drill": secret}
    assert [step.stdin for step in made.before] == [f"IDENTIFIED BY '{secret}'"]
    assert [step.host for step in made.after] == ["controller1", "controller2"]
    assert secret not in repr(made.before)
    assert made.mask(f"{secret} geheim") == "@@secret:drill.drill@@ @@secret:keystone.admin@@"


def test_the_way_leads_to_the_controller_of_the_workload() -> None:
    async def reach(controller: str, port: int) -> tuple[str, int]:
        return f"to {controller}", port + 1

    Crew([toy("a", at="controller2"), toy("b")], run="r1", secrets=SECRETS, reach=reach)
    way = MADE[0].surroundings.reach
    assert way is not None
    assert asyncio.run(way(5)) == ("to controller2", 6)  # type: ignore[arg-type]
    assert MADE[1].surroundings.reach is None


def test_they_work_side_by_side_out_of_step() -> None:
    told: list[tuple[str, Operation]] = []

    async def main() -> Mapping[str, int]:
        made = crew(toy("a"), toy("b", rate=5.0))
        await made.prepare()
        made.start(lambda name, operation: told.append((name, operation)), zero=fake_time.clock().time())
        await asyncio.sleep(0.99)
        numbers = await made.stop()
        assert await made.finish() == ({"a": {"looks": 1}, "b": {"looks": 1}}, {})
        await made.close()
        return numbers

    assert fake_time.run(main()) == {"a": 10, "b": 5}
    assert [operation.start for name, operation in told if name == "b"] == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])
    assert [operation.facts["number"] for name, operation in told if name == "a"] == list(range(10))
    assert [made.closed for made in MADE] == [1, 1]


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (Unreachable("c1", "no route"), Unreachable, "c1: no route"),
        (Failed("HTTP 401"), QuorateError, "the client toy cannot work, though nothing is broken yet: HTTP 401"),
        (OSError("geheim"), QuorateError, "OSError: @@secret:keystone.admin@@"),
    ],
)
def test_one_that_cannot_work_is_told_before_anything_is_broken(
    error: Exception, kind: type[QuorateError], text: str
) -> None:
    with pytest.raises(kind) as caught:
        asyncio.run(crew(toy(settings={"unready": error})).prepare())
    assert text in str(caught.value)


def test_the_last_look_is_tried_again_and_then_stays_unknown() -> None:
    async def main() -> tuple[dict[str, Mapping[str, Any]], dict[str, str]]:
        return await crew(
            toy("a", settings={"blind": 1}),
            toy("b", settings={"blind": 99}, secrets=("keystone.admin",)),
        ).finish()

    found, why = fake_time.run(main())
    assert found == {"a": {"looks": 2}}
    assert why == {"b": "OSError: not yet, {'keystone.admin': '@@secret:keystone.admin@@'}"}
    assert MADE[1].looks == LOOKS


def test_closing_stops_whoever_still_works() -> None:
    told: list[Operation] = []

    async def main() -> None:
        made = crew(toy())
        made.start(lambda _name, operation: told.append(operation))
        await asyncio.sleep(0.25)
        await made.close()
        await made.close()
        await asyncio.sleep(5)

    fake_time.run(main())
    assert len(told) == 3


async def test_a_thread_that_nobody_waits_for_keeps_its_place() -> None:
    threads = Threads("toy", most=1)
    go, ended = threading.Event(), threading.Event()

    def block() -> None:
        go.wait(10)
        ended.set()

    first = asyncio.create_task(threads(block))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    with pytest.raises(Failed, match="1 operations are waiting already"):
        await threads(int)
    go.set()
    await asyncio.to_thread(ended.wait, 10)
    async with asyncio.timeout(10):
        while True:
            try:
                assert await threads(int, "7") == 7
                break
            except Failed:
                await asyncio.sleep(0)
    threads.close()

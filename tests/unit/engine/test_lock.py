from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from quorate.engine import lock
from quorate.engine.lock import TTL, held, is_gone, this_process
from quorate.errors import Refused
from quorate.transport.fake import FakeTransport
from worlds.machines import HOLDER, Machines

BOB = {**HOLDER, "operator": "bob@laptop", "boot": "b2", "token": "bobs"}


def ways(machines: Machines) -> dict[str, FakeTransport]:
    return {name: FakeTransport(host) for name, host in machines.hosts.items()}


def lock_for(machines: Machines, run: str = "ours", **more: str) -> Any:
    clock = machines.time
    return held(ways(machines), run, {**HOLDER, **more}, sleep=clock.wait, patience=clock.pass_by)


def tokens(machines: Machines) -> list[str | None]:
    return [host.lease[0] if host.lease else None for host in machines.hosts.values()]


FREE = [None, None, None]


async def test_it_is_held_on_every_controller_and_given_back() -> None:
    machines = Machines()
    async with lock_for(machines):
        assert tokens(machines) == ["ours"] * 3
    assert tokens(machines) == FREE


async def test_a_second_operator_is_refused_and_told_who_is_at_work() -> None:
    machines = Machines()
    async with lock_for(machines, "bobs", operator="bob@laptop", pid="77", since="12:31", command="quorate drill"):
        machines.time.now += 10.0
        with pytest.raises(Refused) as refused:
            await lock_for(machines, boot="b2").__aenter__()
        assert refused.value.message == (
            "c1 is locked by bob@laptop (pid 77, since 12:31), running `quorate drill` (held by another run)"
        )
        assert "its lock lapses in 20 s" in refused.value.hint
        assert tokens(machines) == ["bobs"] * 3


async def test_one_that_is_held_elsewhere_gives_back_the_others() -> None:
    machines = Machines()
    machines.hosts["c3"].lease = ("bobs", BOB, machines.time.now + 5.0)
    with pytest.raises(Refused, match=r"c3 is locked by bob@laptop"):
        await lock_for(machines).__aenter__()
    assert tokens(machines) == [None, None, "bobs"]


async def test_a_lapsed_lease_is_taken() -> None:
    machines = Machines()
    for host in machines.hosts.values():
        host.lease = ("bobs", BOB, machines.time.now + TTL)
    machines.time.now += TTL + 1.0
    async with lock_for(machines):
        assert tokens(machines) == ["ours"] * 3


@pytest.mark.parametrize(
    ("pid", "started", "replaced"),
    [
        ("999999999", "123", True),  # no such process
        (str(os.getpid()), "123", True),  # the number has been given to another process
        (str(os.getpid()), lock._started(os.getpid()), False),
    ],
    ids=["gone", "another", "alive"],
)
async def test_a_dead_holder_on_the_same_machine_is_replaced_at_once(pid: str, started: str, replaced: bool) -> None:
    machines = Machines()
    dead = {**HOLDER, "pid": pid, "started": started, "token": "dead"}
    for host in machines.hosts.values():
        host.lease = ("dead", dead, machines.time.now + TTL)
    if not replaced:
        with pytest.raises(Refused):
            await lock_for(machines).__aenter__()
        return
    async with lock_for(machines):
        assert tokens(machines) == ["ours"] * 3


async def test_our_holder_can_be_proved_dead_by_its_own_token() -> None:
    machines = Machines()
    async with lock_for(machines):
        lease = machines.hosts["c1"].lease
        assert lease is not None
        assert lease[1]["token"] == "ours"


async def test_a_dead_holder_whose_last_act_is_still_at_work_is_not_replaced() -> None:
    machines = Machines()
    dead = {**HOLDER, "pid": "999999999", "token": "dead"}
    machines.hosts["c1"].lease = ("dead", dead, machines.time.now + TTL)
    machines.hosts["c1"].acting = True
    with pytest.raises(Refused, match="an earlier run's last act is still running"):
        await lock_for(machines).__aenter__()
    assert tokens(machines)[1:] == FREE[1:]


async def test_the_last_act_of_a_dead_holder_is_waited_for() -> None:
    machines = Machines()
    dead = {**HOLDER, "pid": "999999999", "token": "dead"}
    machines.hosts["c1"].lease = ("dead", dead, machines.time.now + TTL)
    machines.hosts["c1"].acting = True
    said: list[str] = []

    def progress(text: str) -> None:
        said.append(text)
        machines.hosts["c1"].acting = len(said) < 3

    async with held(ways(machines), "ours", HOLDER, patience=machines.time.pass_by, progress=progress):
        assert tokens(machines) == ["ours"] * 3
    assert said == ["c1: an earlier run's last act is still running; waiting for it"] * 3


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_it_is_given_back_on_every_error(error: BaseException) -> None:
    machines = Machines()
    with pytest.raises(type(error)):
        async with lock_for(machines):
            raise error
    assert tokens(machines) == FREE


async def test_it_is_given_back_when_the_run_is_cancelled() -> None:
    machines = Machines()

    locked = asyncio.Event()

    async def work() -> None:
        async with lock_for(machines):
            locked.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await locked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert tokens(machines) == FREE


@pytest.mark.parametrize("turns", range(8))
async def test_a_run_that_is_cancelled_while_it_locks_leaves_nothing_locked(turns: int) -> None:
    machines = Machines()
    task = asyncio.create_task(lock_for(machines).__aenter__())
    for _ in range(turns):
        await asyncio.sleep(0)
    if task.done():
        (await asyncio.gather(task))[0]
        return
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert tokens(machines) == FREE


async def test_it_is_renewed_while_the_run_lives() -> None:
    machines = Machines()
    async with lock_for(machines):
        await machines.time.pass_by(10 * TTL)
        for host in machines.hosts.values():
            assert host.lease is not None
            assert host.lease[2] > machines.time.now
    assert tokens(machines) == FREE


async def test_a_renewal_does_not_take_what_another_has_got() -> None:
    machines = Machines()
    async with lock_for(machines):
        machines.hosts["c2"].lease = ("bobs", BOB, machines.time.now + 1e6)
        await machines.time.pass_by(TTL)
        assert tokens(machines) == ["ours", "bobs", "ours"]
    assert tokens(machines) == [None, "bobs", None]


async def test_a_controller_that_does_not_answer_is_left_to_the_plan() -> None:
    machines = Machines()
    machines.hosts["c2"].down = "no route to host"
    async with lock_for(machines):
        assert tokens(machines) == ["ours", None, "ours"]
    assert tokens(machines) == FREE


OURS = {"boot": "b1", "pid": "7", "started": "123"}


@pytest.mark.parametrize(
    ("holder", "boot", "runs_since", "gone"),
    [
        (OURS, "b1", None, True),
        (OURS, "b1", "124", True),
        (OURS, "b1", "123", False),
        (OURS, "b2", None, False),  # another machine, or the same before its reboot: nothing is proved
        (OURS, "", None, False),
        ({**OURS, "boot": ""}, "", None, False),
        ({**OURS, "pid": "x"}, "b1", None, False),
        ({"boot": "b1"}, "b1", None, False),
        ({}, "b1", None, False),
    ],
)
def test_who_is_proved_dead(holder: dict[str, str], boot: str, runs_since: str | None, gone: bool) -> None:
    assert is_gone(holder, boot, lambda _pid: runs_since) is gone


def test_this_process_says_who_it_is_and_is_alive() -> None:
    ours = this_process("quorate apply", user="ann", machine="desk", boot="b1", since="12:00")
    assert (ours["operator"], ours["pid"]) == ("ann@desk", str(os.getpid()))
    assert not is_gone(ours, "b1", lock._started)
    assert is_gone({**ours, "started": "1"}, "b1", lock._started)

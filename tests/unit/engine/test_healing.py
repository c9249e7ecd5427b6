from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from quorate.core.fault import GroundAct, OnGround, OnHost
from quorate.core.secret import Secrets
from quorate.engine.healing import ARMED, Cures, Doer, Patience, left_behind
from quorate.errors import QuorateError
from quorate.transport.contract import Completed
from quorate.transport.fake import FakeHost, FakeTransport


class Rack:
    """A ground that only remembers."""

    def __init__(self) -> None:
        self.done: list[tuple[GroundAct, tuple[str, ...]]] = []

    @property
    def offers(self) -> frozenset[GroundAct]:
        return frozenset({"power-on", "plug"})

    async def do(self, act: GroundAct, hosts: Sequence[str]) -> None:
        self.done.append((act, tuple(hosts)))


class World:
    """One controller whose commands are scripted, and a clock that sleeping moves."""

    def __init__(self) -> None:
        self.time = 0.0
        self.codes: list[int] = []
        self.ran: list[tuple[str, ...]] = []
        self.given: list[bytes] = []
        self.host = FakeHost("c1", clock=lambda: self.time, programs=self.execute)
        self.rack = Rack()
        self.doer = Doer({"c1": FakeTransport(self.host)}, self.rack, Secrets({"a.b": "sesame"}))

    def execute(self, _host: FakeHost, argv: tuple[str, ...], stdin: bytes) -> Completed:
        self.ran.append(argv)
        self.given.append(stdin)
        code = self.codes.pop(0) if self.codes else 0
        return Completed(code, b"", b"sesame will not open" if code else b"")

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        if self.time > 5:
            self.host.down = ""

    @property
    def patience(self) -> Patience:
        return Patience(clock=lambda: self.time, sleep=self.sleep, seconds=20.0)


START = OnHost("c1", ("systemctl", "start", "x"))
THAW = OnHost("c1", ("nft", "-f", "-"), stdin="@@secret:a.b@@")
PLUG = OnGround("plug", ("c1",))


async def test_what_is_armed_last_is_undone_first_and_then_nothing_is_left(tmp_path: Path) -> None:
    world, cures = World(), Cures(tmp_path)
    cures.arm(START)
    cures.arm(PLUG, THAW)
    assert stat.S_IMODE((tmp_path / ARMED).stat().st_mode) == 0o600
    await cures.heal(world.doer, world.patience)
    assert world.rack.done == [("plug", ("c1",))]
    assert world.ran == [THAW.argv, START.argv]
    assert world.given[0] == b"sesame"
    assert not cures.armed


async def test_another_process_undoes_what_a_dead_one_left(tmp_path: Path) -> None:
    folder = tmp_path / "run-1"
    folder.mkdir()
    Cures(folder).arm(PLUG, THAW)
    assert "sesame" not in (folder / ARMED).read_text()
    assert left_behind(tmp_path) == [folder]
    world, found = World(), Cures(folder)
    found.load()
    await found.heal(world.doer, world.patience)
    assert world.rack.done == [("plug", ("c1",))]
    assert left_behind(tmp_path) == []


async def test_only_some_steps_leave_the_others_armed(tmp_path: Path) -> None:
    world, cures = World(), Cures(tmp_path)
    cures.arm(START)
    cures.arm(PLUG)
    await cures.heal(world.doer, world.patience, only=[PLUG])
    assert (world.rack.done, world.ran) == ([("plug", ("c1",))], [])
    again = Cures(tmp_path)
    again.load()
    await again.heal(world.doer, world.patience)
    assert world.ran == [START.argv]
    assert len(world.rack.done) == 1


async def test_a_controller_that_is_booting_is_waited_for(tmp_path: Path) -> None:
    world, cures = World(), Cures(tmp_path)
    world.host.down = "no route"
    cures.arm(START)
    await cures.heal(world.doer, world.patience)
    assert world.ran == [START.argv]


async def test_what_cannot_be_undone_is_told_stays_armed_and_keeps_nothing_else_from_it(tmp_path: Path) -> None:
    world, cures = World(), Cures(tmp_path)
    world.codes = [1] * 100
    cures.arm(START, PLUG)
    with pytest.raises(QuorateError, match="systemctl ended with 1") as error:
        await cures.heal(world.doer, world.patience)
    assert "sesame" not in error.value.message
    assert world.rack.done
    assert cures.armed
    world.codes = []
    left = Cures(tmp_path)
    left.load()
    await left.heal(world.doer, world.patience)
    assert not left.armed


@pytest.mark.parametrize("text", [b"", b"[{", b'[{"argv": 7}]', b"\xff"])
def test_a_damaged_file_is_named_and_nothing_is_guessed(tmp_path: Path, text: bytes) -> None:
    (tmp_path / ARMED).write_bytes(text)
    with pytest.raises(QuorateError, match=r"armed\.json is damaged") as error:
        Cures(tmp_path).load()
    assert "undo that by hand" in (error.value.hint or "")
    assert Cures(tmp_path).armed

"""Backups on another machine, over a real sshd: pieces both ways, and what happens when it goes away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from transport_sshd import Sshd, sshd_in

from quorate.engine.store import Elsewhere
from quorate.errors import QuorateError

BIG = bytes(range(256)) * 80_000


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    with sshd_in(tmp_path) as sshd:
        yield sshd


async def test_a_backup_over_ssh(sshd: Sshd, tmp_path: Path) -> None:
    store = Elsewhere(sshd.transport(), str(tmp_path / "there"), "ssh://there")
    async with store.write(".b1.partial", "database.sealed") as put:
        for at in range(0, len(BIG), 1 << 20):
            await put(BIG[at : at + (1 << 20)])
    await store.finish(".b1.partial", "b1")
    assert await store.backups() == {"b1": False}
    assert await store.files("b1") == {"database.sealed": len(BIG)}
    assert b"".join([piece async for piece in store.read("b1", "database.sealed")]) == BIG
    await store.remove("b1")
    assert await store.backups() == {}


async def test_a_machine_that_goes_away_is_no_end_of_the_file(sshd: Sshd, tmp_path: Path) -> None:
    store = Elsewhere(sshd.transport(), str(tmp_path / "there"), "ssh://there")

    async def write() -> None:
        async with store.write("b1", "database.sealed") as put:
            for number in range(60):
                if number == 20:  # what is waiting to be sent is less than that
                    sshd.cut()
                await put(BIG[: 1 << 20])

    with pytest.raises(QuorateError, match="lost"):
        await write()
    async with store.write("b2", "database.sealed") as put:
        await put(BIG)
    reading = store.read("b2", "database.sealed")
    assert await anext(reading)
    sshd.cut()
    with pytest.raises(QuorateError, match="lost"):
        _ = [piece async for piece in reading]

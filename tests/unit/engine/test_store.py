"""Where backups lie. The other machine's side is the same shell and coreutils, reached by a way to this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from quorate.engine.store import Elsewhere, Folder, Store, open_store, split
from quorate.errors import InvalidInput, QuorateError, Refused
from quorate.transport.local import LocalTransport

BIG = bytes(range(256)) * 20_000


@pytest.fixture(params=["folder", "elsewhere"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    place = tmp_path / "the backups"
    if request.param == "folder":
        return Folder(place)
    return Elsewhere(LocalTransport(), str(place), "ssh://there/the backups")


async def put(store: Store, backup: str, **files: bytes) -> None:
    for name, data in files.items():
        async with store.write(backup, name) as write:
            for at in range(0, len(data), 70_000):
                await write(data[at : at + 70_000])


async def read(store: Store, backup: str, file: str) -> bytes:
    return b"".join([piece async for piece in store.read(backup, file)])


async def test_what_was_written_is_read(store: Store) -> None:
    await put(store, ".b1.partial", big=BIG, empty=b"")
    assert await store.files(".b1.partial") == {"big": len(BIG), "empty": 0}
    assert await read(store, ".b1.partial", "big") == BIG
    assert await read(store, ".b1.partial", "empty") == b""


async def test_a_name_that_is_final_comes_at_the_end(store: Store) -> None:
    assert await store.backups() == {}
    await put(store, ".b1.partial", manifest=b"x")
    await store.finish(".b1.partial", "b1")
    assert await store.backups() == {"b1": False}
    async with store.write("b1", "proved.sealed") as write:
        await write(b"y")
    assert await store.backups() == {"b1": True}


@pytest.mark.parametrize("name", ["b1", ".b1.partial"])
async def test_what_is_removed_is_gone(store: Store, name: str) -> None:
    await put(store, name, manifest=b"x")
    await put(store, "b2", manifest=b"x")
    await store.remove(name)
    assert set(await store.backups()) == {"b2"}


async def test_what_is_not_there_is_told(store: Store) -> None:
    with pytest.raises(QuorateError, match=r"(?i)no such file"):
        await store.files("b1")
    with pytest.raises(QuorateError, match=r"(?i)no such file"):
        await read(store, "b1", "manifest")


async def test_a_disk_that_takes_no_more_is_told(store: Store, tmp_path: Path) -> None:
    (tmp_path / "the backups").write_text("no folder")
    with pytest.raises(QuorateError, match=r"(?i)not a directory|file exists"):
        await put(store, "b1", big=BIG)


async def test_who_reads_no_further_leaves_nobody_behind(store: Store) -> None:
    await put(store, "b1", big=BIG)
    reading = store.read("b1", "big")
    assert await anext(reading)
    await reading.aclose()


async def test_files_are_nobody_else_s(store: Store, tmp_path: Path) -> None:
    await put(store, "b1", secret=b"x")
    modes: Mapping[str, int] = {
        path.name: path.stat().st_mode & 0o077 for path in (tmp_path / "the backups").rglob("*")
    }
    assert modes == {"b1": 0, "secret": 0}


def test_destinations() -> None:
    assert open_store("backups").where == "backups"
    there = open_store("ssh://me@host:2222/srv/my%20backups")
    assert isinstance(there, Elsewhere)
    assert there._path == "/srv/my backups"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s3://bucket/path", "s3 is not supported"),
        ("ssh://host", "wanted is ssh://user@host/path"),
        ("ssh:///path", "wanted is ssh://user@host/path"),
        ("ssh://me:secret@host/path", "wanted is ssh://user@host/path"),
        ("ssh://host:high/path", "Port could not be cast"),
    ],
)
def test_what_is_no_destination(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        open_store(text)


def test_one_backup() -> None:
    store, name = split("/srv/backups/prod-1/")
    assert (store.where, name) == ("/srv/backups", "prod-1")
    assert split("prod-1")[0].where == "."
    assert split("ssh://host/srv/prod-1")[0].where == "ssh://host/srv"
    with pytest.raises(Refused, match="was not finished"):
        split("/srv/backups/.prod-1.partial")

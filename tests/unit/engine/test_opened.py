"""Whatever is done to a stored backup, it is not taken for whole: the promise that `verify` rests on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.core.backup import Manifest, PartSaid, Proved
from quorate.engine.backup import Sealing
from quorate.engine.opened import check, open_backup
from quorate.engine.sealed import Damaged
from quorate.engine.store import Folder

KEY = bytes(range(32))
PARTS = {"database": bytes(range(256)) * 5000, "messaging": b"{}", "secrets.yaml": b"a: b\n", "cloud.yaml": b""}
"""More than one piece, small ones, and an empty one."""
FILES = [f"{name}.sealed" for name in (*PARTS, "manifest")]


async def written(folder: Path, name: str, backup: bytes, parts: dict[str, bytes] = PARTS) -> Path:
    sealing = Sealing(Folder(folder), name, KEY, backup)
    said: dict[str, PartSaid] = {}
    for part, data in parts.items():
        async with sealing.part(part) as (put, tally):
            await put(data)
        said[part] = tally.said()
    manifest = Manifest(id=backup.hex(), cloud="prod", taken="2026", quorate="1", parts=said)
    async with sealing.part("manifest") as (put, _):
        await put(manifest.model_dump_json().encode())
    return folder / name


async def judged(folder: Path, key: bytes = KEY) -> None:
    await check(await open_backup(Folder(folder.parent), folder.name, key))


@pytest.fixture(scope="module")
def pristine() -> Iterator[Path]:
    """Two whole backups with the same parts and sizes."""
    import asyncio  # noqa: PLC0415 - hypothesis and fixtures of a module know no event loop

    with TemporaryDirectory() as folder:
        for name, backup in (("mine", bytes(16)), ("theirs", bytes([1] * 16))):
            asyncio.run(written(Path(folder), name, backup))
        yield Path(folder)


@pytest.fixture
def mine(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine / "mine", tmp_path / "mine"))


def spoiled(pristine: Path, file: str, data: bytes | None) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(pristine / "mine", Path(folder) / "mine"))
        if data is None:
            (copy / file).unlink()
        else:
            (copy / file).write_bytes(data)
        yield copy


async def test_a_whole_one_is_whole(mine: Path) -> None:
    await judged(mine)
    opened = await open_backup(Folder(mine.parent), "mine", KEY)
    for part, data in PARTS.items():
        assert await opened.whole(part) == data
    await opened.prove(Proved(id="0" * 32, taken="2026", proved="2026", host="c2"))
    await judged(mine)


def test_nothing_stands_in_the_clear_and_nobody_else_can_read_it(mine: Path) -> None:
    for file in mine.iterdir():
        assert bytes(range(64)) not in file.read_bytes()
        assert b"database" not in file.read_bytes()
        assert file.stat().st_mode & 0o077 == 0


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(FILES), st.data())
async def test_any_truncation_is_red(pristine: Path, file: str, draw: st.DataObject) -> None:
    data = (pristine / "mine" / file).read_bytes()
    for folder in spoiled(pristine, file, data[: draw.draw(st.integers(0, len(data) - 1))]):
        with pytest.raises(Damaged):
            await judged(folder)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(FILES), st.data())
async def test_any_flipped_bit_is_red(pristine: Path, file: str, draw: st.DataObject) -> None:
    data = bytearray((pristine / "mine" / file).read_bytes())
    data[draw.draw(st.integers(0, len(data) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    for folder in spoiled(pristine, file, bytes(data)):
        with pytest.raises(Damaged):
            await judged(folder)


@pytest.mark.parametrize("file", FILES)
async def test_any_missing_part_is_red(pristine: Path, file: str) -> None:
    for folder in spoiled(pristine, file, None):
        with pytest.raises(Damaged, match="incomplete"):
            await judged(folder)


@pytest.mark.parametrize("file", FILES)
async def test_a_part_of_another_backup_is_red(pristine: Path, file: str) -> None:
    for folder in spoiled(pristine, file, (pristine / "theirs" / file).read_bytes()):
        with pytest.raises(Damaged, match="of another backup"):
            await judged(folder)


@pytest.mark.parametrize("file", FILES)
async def test_a_part_in_another_s_place_is_red(pristine: Path, file: str) -> None:
    other = (pristine / "mine" / FILES[FILES.index(file) - 1]).read_bytes()
    for folder in spoiled(pristine, file, other):
        with pytest.raises(Damaged):
            await judged(folder)


async def test_a_part_that_it_does_not_list_is_red(mine: Path) -> None:
    shutil.copy(mine / "database.sealed", mine / "more.sealed")
    with pytest.raises(Damaged, match=r"more\.sealed is no part of it"):
        await judged(mine)


async def test_another_key_opens_nothing(mine: Path) -> None:
    with pytest.raises(Damaged, match="another key"):
        await judged(mine, key=bytes(32))


async def test_what_is_too_long_for_a_manifest_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quorate.engine.opened.LARGEST_MANIFEST", 1 << 20)
    sealing = Sealing(Folder(tmp_path), "long", KEY, bytes(16))
    async with sealing.part("manifest") as (put, _):
        for _ in range(4):
            await put(b" " * (1 << 20))
    with pytest.raises(Damaged, match="longer than 1 MiB"):
        await open_backup(Folder(tmp_path), "long", KEY)


async def test_a_manifest_that_makes_no_sense_is_red(tmp_path: Path) -> None:
    sealing = Sealing(Folder(tmp_path), "odd", KEY, bytes(16))
    async with sealing.part("manifest") as (put, _):
        await put(b'{"format": 1}')
    with pytest.raises(Damaged, match="the manifest makes no sense"):
        await open_backup(Folder(tmp_path), "odd", KEY)

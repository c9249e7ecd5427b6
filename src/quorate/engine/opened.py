"""Read a backup: its manifest and its parts, as far as they are genuine. Damaged says what is wrong with it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from quorate.core.backup import LARGEST_MANIFEST, MANIFEST, PROVED, SEALED, Manifest, Proved, missing
from quorate.engine.sealed import Damaged, Opener, Sealer
from quorate.engine.store import Store

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Opened:
    """A backup whose manifest was read."""

    store: Store
    name: str
    key: bytes
    manifest: Manifest

    async def part(self, part: str) -> AsyncGenerator[bytes, None]:
        """Give what was backed up, piece by piece. Damaged, at the latest before the end, where it is not that."""
        said = self.manifest.parts[part]
        digest, size = hashlib.sha256(), 0
        async with contextlib.aclosing(_pieces(self.store, self.name, part, self.key, self.manifest.id)) as pieces:
            async for piece in pieces:
                digest.update(piece)
                size += len(piece)
                yield piece
        if (size, digest.hexdigest()) != (said.size, said.sha256):
            raise Damaged(f"{part} is not what the manifest says: {size} bytes of {said.size}, or another sum")

    async def whole(self, part: str, limit: int = LARGEST_MANIFEST) -> bytes:
        """Give a small part as a whole."""
        return await _all(self.part(part), part, limit)

    async def prove(self, proved: Proved) -> None:
        """Note beside it that a restore has succeeded, so that nobody but a holder of the key can say so."""
        sealer = Sealer(self.key, bytes.fromhex(self.manifest.id), PROVED)
        async with self.store.write(self.name, f"{PROVED}{SEALED}") as put:
            await put(sealer.update(proved.model_dump_json().encode()) + sealer.finish())


async def open_backup(store: Store, name: str, key: bytes) -> Opened:
    """Read what a backup says of itself, and see that all of its parts are there and no others."""
    files = await store.files(name)
    if f"{MANIFEST}{SEALED}" not in files:
        raise Damaged(f"{name} is incomplete, or no backup: it has no {MANIFEST}")
    raw = await _all(_pieces(store, name, MANIFEST, key, None), MANIFEST, LARGEST_MANIFEST)
    manifest = _read(raw, Manifest)
    against = missing(manifest, tuple(files))
    if against:
        raise Damaged(f"{name} is incomplete: {'; '.join(against)}")
    return Opened(store, name, key, manifest)


async def check(opened: Opened) -> None:
    """Read every part to its end. Damaged where one is not what was sealed, or is of another backup."""
    for part in opened.manifest.parts:
        async for _ in opened.part(part):
            pass


async def _pieces(store: Store, name: str, part: str, key: bytes, backup: str | None) -> AsyncGenerator[bytes, None]:
    opener = Opener(key, part, backup=bytes.fromhex(backup) if backup is not None else None)
    async with contextlib.aclosing(store.read(name, f"{part}{SEALED}")) as stored:
        async for piece in stored:
            if genuine := opener.update(piece):
                yield genuine
    yield opener.finish()


async def _all(pieces: AsyncIterator[bytes], part: str, limit: int) -> bytes:
    found = bytearray()
    async for piece in pieces:
        found += piece
        if len(found) > limit:
            raise Damaged(f"{part} is longer than {limit >> 20} MiB: it is none")
    return bytes(found)


def _read(raw: bytes, kind: type[M]) -> M:
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        raise Damaged(f"the {kind.__name__.lower()} makes no sense: {error.errors()[0]['msg']}") from None

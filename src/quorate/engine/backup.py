"""Take a backup: look, choose who is asked, seal what they print into the store, and give it its name when it is whole.

One run: lock → look → for each part: program on a controller → seal → store (nothing is ever whole in memory, and
nothing in the clear on any disk) → manifest → final name → prune. What fails on the way leaves no backup behind.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

from quorate.core.backup import (
    MANIFEST,
    PARTIAL,
    SEALED,
    Manifest,
    NoSource,
    PartSaid,
    Saving,
    facts_of,
    name_of,
    source,
    surplus,
)
from quorate.core.drill import Roles
from quorate.core.order import may_disturb
from quorate.core.review import Review, judge, roles_of, views_of
from quorate.core.system import AnySystem, enabled
from quorate.core.verdict import Judgement
from quorate.engine.apply import Operation
from quorate.engine.observe import observe
from quorate.engine.sealed import Sealer
from quorate.engine.store import LONG, Put, Store
from quorate.errors import QuorateError, Refused
from quorate.transport.contract import Completed, Streams

Ways = Mapping[str, Streams]


@dataclass(frozen=True)
class Seen:
    """How a system with something to back up was found, and who plays which part."""

    system: AnySystem
    judgement: Judgement
    roles: Roles

    def ask(self, saving: Saving, op: Operation, *, disturbs: bool = False) -> str:
        """Choose who is asked for it. Refused where nobody may be, or be disturbed."""
        spared = self.roles.get(saving.spares) if saving.spares else None
        found = source(self.judgement.members, spared)
        if isinstance(found, NoSource):
            raise Refused(f"{saving.what}: {found.why}", hint="`quorate status` says more.")
        if disturbs:
            # It stands still and keeps its vote: somebody else has to be well, and not a majority.
            why_not = may_disturb(found, self.judgement.members, "one", arbiter=op.site.cloud.arbiter is not None)
            if why_not:
                raise Refused(f"{saving.what}: {why_not}", hint="Bring the others back first.")
        return found


async def look(op: Operation) -> tuple[Seen, ...]:
    """Look at all systems, for the parts that some play in others."""
    world = await observe(op.site, op.systems, op.transports, op.secrets, reach=op.reach, resources=False)
    reviews = []
    for system in enabled(op.site.cloud, op.systems):
        views = views_of(system, op.site, world)
        reviews.append(Review(system, judge(system, op.site, views), {}, views, lambda _host: {}))
    roles, _ = roles_of(op.site, reviews)
    return tuple(Seen(one.system, one.judgement, roles) for one in reviews)


def savings(op: Operation, seen: tuple[Seen, ...]) -> tuple[tuple[Seen, Saving], ...]:
    """Everything of the cloud that only a backup brings back."""
    cloud = op.site.cloud
    return tuple(
        (one, saving) for one in seen for saving in one.system.backups(cloud.systems[one.system.name], op.site)
    )


@dataclass(frozen=True)
class Taken:
    """A backup that is whole. `pruned`: older ones that went for it."""

    name: str
    where: str
    manifest: Manifest
    stored: int
    pruned: tuple[str, ...]


@dataclass(frozen=True)
class Sealing:
    """Where the parts of one backup go, and by which key."""

    store: Store
    folder: str
    key: bytes
    id: bytes

    @asynccontextmanager
    async def part(self, name: str) -> AsyncIterator[tuple[Put, Tally]]:
        """Write one part: what is put in the clear is stored sealed, and counted."""
        sealer, tally = Sealer(self.key, self.id, name), Tally()
        async with self.store.write(self.folder, f"{name}{SEALED}") as put:

            async def seal(data: bytes) -> None:
                tally.add(data)
                sealed = sealer.update(data)
                tally.stored += len(sealed)
                await put(sealed)

            yield seal, tally
            last = sealer.finish()
            tally.stored += len(last)
            await put(last)


class Tally:
    """What has passed: how many bytes, their digest, and how many were stored."""

    def __init__(self) -> None:
        self.size = 0
        self.stored = 0
        self._digest = hashlib.sha256()

    def add(self, data: bytes) -> None:
        """Count it."""
        self.size += len(data)
        self._digest.update(data)

    def said(self) -> PartSaid:
        """What the manifest says of it."""
        return PartSaid(size=self.size, sha256=self._digest.hexdigest())


async def take(
    op: Operation,
    ways: Ways,
    store: Store,
    key: bytes,
    files: Mapping[str, bytes],
    *,
    backup: bytes,
    now: datetime,
    keep: int,
) -> Taken:
    """Take one backup and prune older ones (`keep` 0: none). The caller holds the lock. `backup`: a random id.

    `files`: the operator's own, by name. Raises Refused where nobody may be asked now, QuorateError where a part could
    not be taken or stored; the store then has no more than before.
    """
    asked = _asked(op, await look(op))
    name = name_of(op.site.cloud.cloud, now, backup.hex())
    sealing = Sealing(store, f".{name}{PARTIAL}", key, backup)
    op.journal.write("backup", name=name, where=store.where)
    try:
        parts, stored = await _parts(op, ways, asked, files, sealing)
        manifest = Manifest(
            id=backup.hex(),
            cloud=op.site.cloud.cloud,
            taken=now.isoformat(timespec="seconds"),
            quorate=version("quorate"),
            parts=parts,
        )
        async with sealing.part(MANIFEST) as (put, _):
            await put(manifest.model_dump_json().encode())
        await store.finish(sealing.folder, name)
    except BaseException:
        await _dropped(store, sealing.folder)
        raise
    op.journal.write("whole", name=name)
    pruned = await prune(op, store, keep) if keep else ()
    return Taken(name, store.where, manifest, stored, pruned)


def _asked(op: Operation, seen: tuple[Seen, ...]) -> list[tuple[Saving, str]]:
    """Choose for everything who is asked, before anybody is."""
    found = []
    for one, saving in savings(op, seen):
        if saving.spares and saving.spares not in one.roles:
            op.progress(f"who is the {saving.spares} was not seen: the last controller that is well is asked")
        found.append((saving, one.ask(saving, op, disturbs=saving.disturbs)))
    return found


async def _parts(
    op: Operation, ways: Ways, asked: list[tuple[Saving, str]], files: Mapping[str, bytes], sealing: Sealing
) -> tuple[dict[str, PartSaid], int]:
    """Store all parts; says what they are, and how many bytes that took."""
    parts: dict[str, PartSaid] = {}
    stored = 0
    for saving, host in asked:
        op.progress(f"{saving.what}, from {host}")
        op.journal.write("take", part=saving.name, host=host)
        async with sealing.part(saving.name) as (put, tally):
            parts[saving.name] = await _taken(op, ways[host], saving, put, tally)
        stored += tally.stored
    for file, data in files.items():
        async with sealing.part(file) as (put, tally):
            await put(data)
        parts[file] = tally.said()
        stored += tally.stored
    return parts, stored


async def _taken(op: Operation, way: Streams, saving: Saving, put: Put, tally: Tally) -> PartSaid:
    done = await way.stream(saving.take, timeout=LONG, take=put)
    well(op, done, way.host, f"{saving.what} could not be copied")
    try:
        facts = facts_of(done.err.decode(errors="replace"))
    except ValueError:
        raise QuorateError(f"{saving.what}: what {way.host} says of it makes no sense") from None
    said = tally.said()
    return PartSaid(size=said.size, sha256=said.sha256, host=way.host, about=facts.about, proof=facts.proof)


def well(op: Operation, done: Completed, host: str, what_not: str) -> None:
    """Raise QuorateError with the last words of a program that failed."""
    if done.code:
        complaint = op.secrets.mask(done.err.decode(errors="replace")).strip().splitlines()
        raise QuorateError(f"{what_not} on {host}: {complaint[-1] if complaint else f'exit code {done.code}'}")


async def _dropped(store: Store, folder: str) -> None:
    """Remove what did not become a backup, as far as that can be done."""
    try:
        await store.remove(folder)
    except QuorateError:
        return


async def prune(op: Operation, store: Store, keep: int) -> tuple[str, ...]:
    """Remove older whole backups of this cloud."""
    gone = surplus(op.site.cloud.cloud, await store.backups(), keep)
    for name in gone:
        op.journal.write("prune", name=name, where=store.where)
        await store.remove(name)
    return gone

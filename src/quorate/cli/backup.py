"""`quorate backup`: take a backup, prove one, make the key."""

from __future__ import annotations

import asyncio
from pathlib import Path
from secrets import token_bytes

import click

from quorate.cli import files, keyfile, render
from quorate.cli.keyfile import key_option
from quorate.cli.options import cloud_option, output_option
from quorate.cli.session import folder_of, holder, now, operation, streams
from quorate.core.backup import CLOUD_FILE, SECRETS_FILE
from quorate.engine import proofs, proving
from quorate.engine.backup import Taken, take
from quorate.engine.lock import held
from quorate.engine.opened import open_backup
from quorate.engine.proofs import Known
from quorate.engine.sealed import ID
from quorate.engine.store import open_store, split


class Verbs(click.Group):
    """`backup DESTINATION` takes a backup: what is no verb of this group is a destination."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """What does not begin with a verb is for the one that takes a backup."""
        if args and args[0] not in self.commands and args[0] not in {"-h", "--help"}:
            args = ["take", *args]
        return super().parse_args(ctx, args)


@click.group(cls=Verbs, subcommand_metavar="DESTINATION | verify BACKUP | key [OPTIONS]")
def backup() -> None:
    """Back up what cannot be made again, and prove that it can be restored.

    \b
      quorate backup key                               once: the key, which you keep in two other places
      quorate backup /srv/backups --keep 14            database, definitions, secrets and cloud file, sealed
      quorate backup ssh://me@host/srv/backups         the same, onto another machine
      quorate backup verify /srv/backups/NAME          restore it for trial, and compare every table

    DESTINATION is a directory of this machine or one that ssh reaches. A backup is a folder in it.
    """  # noqa: D301 - click's paragraph mark


@backup.command("take", hidden=True)
@click.argument("destination")
@cloud_option
@key_option
@click.option(
    "--keep", type=click.IntRange(min=1), help="Remove older backups of this cloud, so that so many are left."
)
@output_option
def take_one(destination: str, cloud_file: Path, key_file: Path | None, keep: int | None, output: str) -> None:
    """Take a backup into DESTINATION.

    The database is copied from a controller that does not write; that one serves nobody meanwhile, and catches up
    afterwards. Nothing is stored in the clear, and what fails on the way leaves nothing behind. With --keep older
    backups are removed, never the newest that was restored successfully.
    """
    path = keyfile.path_of(key_file, cloud_file)
    key = keyfile.read(path)
    contents = {CLOUD_FILE: files.text_of(cloud_file).encode(), SECRETS_FILE: files.secrets_text(cloud_file).encode()}
    keyfile.refuse_inside(path, key, contents, destination)
    taken = asyncio.run(_take(cloud_file, destination, key, contents, keep or 0))
    manifest = taken.manifest
    facts = {
        "backup": taken.name,
        "where": taken.where,
        "taken": manifest.taken,
        "bytes": taken.stored,
        "parts": {name: {"bytes": one.size, "from": one.host, **one.about} for name, one in manifest.parts.items()},
        "pruned": list(taken.pruned),
    }
    lines = [f"{taken.where.rstrip('/')}/{taken.name}: {taken.stored >> 10} KiB"]
    for name, one in manifest.parts.items():
        about = ", ".join(f"{key} {value}" for key, value in one.about.items())
        lines.append(
            f"  {name}: {one.size >> 10} KiB" + (f", from {one.host}" if one.host else "") + f"; {about}" * bool(about)
        )
    lines += [f"  removed: {name}" for name in taken.pruned]
    lines.append(f"It is proved once it was restored: quorate backup verify {taken.where.rstrip('/')}/{taken.name}")
    render.result(facts, output, lambda: "\n".join(lines))


async def _take(cloud_file: Path, destination: str, key: bytes, contents: dict[str, bytes], keep: int) -> Taken:
    store = open_store(destination)
    async with (
        operation(cloud_file, journalled=True) as op,
        held(op.transports, op.token, holder("quorate backup"), progress=op.progress),
    ):
        ways = streams(op.site.cloud, cloud_file)
        return await take(op, ways, store, key, contents, backup=token_bytes(ID), now=now(), keep=keep)


@backup.command()
@click.argument("backup_name", metavar="BACKUP")
@cloud_option
@key_option
@output_option
def verify(backup_name: str, cloud_file: Path, key_file: Path | None, output: str) -> None:
    """Prove that a backup can be restored.

    Every byte is read and must be what was sealed. Then the database is restored on a controller, into a folder of its
    own below /var/tmp, by a MariaDB without network that is gone afterwards; every table must have the rows and the
    checksum that it had when the backup was taken. `quorate status` tells the age of the last one that was proved.

    Exit codes: 0 proved, 1 damaged, incomplete or not what was backed up, 3 no controller can be used for it now.
    """
    key = keyfile.read(keyfile.path_of(key_file, cloud_file))
    known, found = asyncio.run(_verify(cloud_file, backup_name, key))
    proofs.note(folder_of(cloud_file), known)
    facts = {
        "backup": backup_name,
        "proved": known.proved.model_dump(),
        "parts": [{"part": one.what, "host": one.host, "how": one.how} for one in found],
    }
    lines = [f"{backup_name} was restored successfully"]
    lines += [f"  {one.what}: {one.how}" + (f", on {one.host}" if one.host else "") for one in found]
    render.result(facts, output, lambda: "\n".join(lines))


async def _verify(cloud_file: Path, backup_name: str, key: bytes) -> tuple[Known, tuple[proving.Finding, ...]]:
    store, name = split(backup_name)
    opened = await open_backup(store, name, key)
    async with operation(cloud_file) as op:
        proved, found = await proving.prove(op, streams(op.site.cloud, cloud_file), opened)
    return Known(name=name, where=store.where, proved=proved), found


@backup.command("key")
@cloud_option
@key_option
@output_option
def make_key(cloud_file: Path, key_file: Path | None, output: str) -> None:
    """Make the key that closes and opens the backups, once.

    Without it no backup can be read, by anybody. It is in no backup: keep a copy on paper or in a safe for passwords,
    away from this machine and away from the backups.
    """
    path = keyfile.path_of(key_file, cloud_file)
    keyfile.make(path)
    said = f"{path}: keep a copy of it away from this machine and from the backups; without it none can be read"
    render.result({"key": str(path)}, output, lambda: said)

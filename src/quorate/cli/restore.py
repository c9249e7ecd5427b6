"""`quorate restore`: a backup onto controllers that hold nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from quorate.cli import files, keyfile, render
from quorate.cli.keyfile import key_option
from quorate.cli.options import cloud_option, output_option
from quorate.cli.session import folder_of, holder, operation, streams
from quorate.core.backup import CLOUD_FILE, SECRETS_FILE
from quorate.engine.apply import Outcome
from quorate.engine.lock import held
from quorate.engine.opened import Opened, open_backup
from quorate.engine.restore import Begun, restore
from quorate.engine.store import split
from quorate.errors import QuorateError, Refused
from quorate.model import secrets_file


@click.command()
@click.argument("backup_name", metavar="BACKUP")
@cloud_option
@key_option
@click.option("--yes", is_flag=True, help="Do not ask, even on a terminal.")
@output_option
def command(backup_name: str, cloud_file: Path, key_file: Path | None, yes: bool, output: str) -> None:
    """Restore a backup onto controllers that hold nothing, and form the cloud from it.

    secrets.yaml and cloud.yaml come out of the backup where they are missing; a secrets.yaml that says something else
    is refused. Controllers that hold data, or could not be seen, are refused with what was seen of them. Then the
    database is put onto the first controller, `apply` forms the cluster from it, and RabbitMQ's definitions are read.
    Interrupted, run it again.

    It is the state of the moment when the backup was taken: a later one (by binary logs) is not supported.

    Exit codes: as `quorate apply`; 1 also where the backup is damaged.
    """
    key = keyfile.read(keyfile.path_of(key_file, cloud_file))
    opened, secrets, cloud = asyncio.run(_opened(backup_name, key))
    _put_in_place(cloud_file, secrets, cloud)
    if not yes and render.can_ask():
        render.page(f"{opened.name}, taken {opened.manifest.taken}: {', '.join(opened.manifest.parts)}")
        if render.ask("Restore it? [y/N]", default="n").lower() not in {"y", "yes"}:
            raise QuorateError("nothing was changed on any controller")
    begun = Begun(folder_of(cloud_file), opened.manifest.id)
    outcome = asyncio.run(_restore(cloud_file, opened, begun))
    verdict = outcome.verdict
    facts = {
        "backup": opened.name,
        "taken": opened.manifest.taken,
        "seconds": round(outcome.seconds, 2),
        "verdict": verdict.level.word,
        "reason": verdict.reason,
    }
    words = f"{opened.name} is restored: the cloud of {opened.manifest.taken}; "
    render.result(facts, output, lambda: words + ("all is well" if verdict.is_ok else "not converged"))
    if not verdict.is_ok:
        raise QuorateError(f"the last look is {verdict.level.word}: {verdict.reason}")


async def _opened(backup_name: str, key: bytes) -> tuple[Opened, str, str]:
    """Open it, and read the operator's own files in it."""
    store, name = split(backup_name)
    opened = await open_backup(store, name, key)
    secrets, cloud = [(await opened.whole(file)).decode() for file in (SECRETS_FILE, CLOUD_FILE)]
    return opened, secrets, cloud


def _put_in_place(cloud_file: Path, secrets: str, cloud: str) -> None:
    """Write the operator's files where they are missing. Refused where the secrets are not those of the backup."""
    have, path = files.secrets_text(cloud_file), files.secrets_path(cloud_file)
    differing = _differing(have, secrets) if have else ()
    if differing:
        hint = "Move it away to use the backup's, or restore a backup that was taken with these secrets."
        raise Refused(f"{path} is not the secrets.yaml of the backup: {', '.join(differing)}", hint=hint)
    if not have:
        files.write_private(path, secrets)
        render.page(f"{path} comes from the backup")
    if not cloud_file.exists():
        files.write_new(cloud_file, cloud)
        render.page(f"{cloud_file} comes from the backup")
    elif files.text_of(cloud_file) != cloud:
        render.page(f"{cloud_file} is used as it is, and is not the one of the backup")


def _differing(have: str, wanted: str) -> tuple[str, ...]:
    """Names of the secrets that are not alike; never their values."""
    mine, theirs = (secrets_file.parse(text, SECRETS_FILE) for text in (have, wanted))
    return tuple(sorted(name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name)))


async def _restore(cloud_file: Path, opened: Opened, begun: Begun) -> Outcome:
    async with (
        operation(cloud_file, journalled=True) as op,
        held(op.transports, op.token, holder("quorate restore"), progress=op.progress),
    ):
        return await restore(op, streams(op.site.cloud, cloud_file), opened, begun)

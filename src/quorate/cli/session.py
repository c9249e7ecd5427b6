"""What plan, apply and status have in common: from a cloud file to an operation that can look and act."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import socket
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from math import inf
from pathlib import Path

import click

from quorate.cli import files, render
from quorate.core.system import AnySystem, Site, enabled, site_of
from quorate.engine.apply import Clock, Operation
from quorate.engine.journal import FileJournal, Journal
from quorate.engine.lock import this_process
from quorate.engine.migrating import refuse_half_a_copy
from quorate.errors import InvalidInput
from quorate.model.cloud import Cloud
from quorate.transport.ssh import SshTransport, connect

without_option = click.option(
    "--without",
    multiple=True,
    metavar="CONTROLLER",
    help="Leave this controller out (it is off, say); may be given several times.",
)
only_option = click.option(
    "--only",
    multiple=True,
    metavar="SYSTEM",
    help="Only what this system needs; may be given several times. Nothing else is changed, or taken amiss.",
)


class NoJournal:
    """For verbs that only look."""

    def write(self, event: str, **facts: object) -> None:
        """Drop it."""


def now() -> datetime:
    """Time of day, timezone-aware."""
    return datetime.now(UTC)


def holder(command: str) -> dict[str, str]:
    """Who we are, for the one who finds the cloud locked by us."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return this_process(
        command,
        user=getpass.getuser(),
        machine=socket.gethostname(),
        boot=boot.read_text(encoding="ascii").strip() if boot.exists() else "",
        since=now().isoformat(timespec="seconds"),
    )


def known(cloud: Cloud, names: Sequence[str]) -> None:
    """Refuse names of controllers that the cloud file does not have."""
    strange = [name for name in names if name not in cloud.controllers]
    if strange:
        raise InvalidInput(
            f"no such controller: {', '.join(strange)}", hint=f"The cloud file has: {', '.join(cloud.names)}."
        )


def folder_of(cloud_file: Path) -> Path:
    """Where the cloud file lies, and `.quorate/` beside it."""
    return cloud_file.absolute().parent


def streams(cloud: Cloud, cloud_file: Path) -> dict[str, SshTransport]:
    """Ways to the controllers for what does not fit into memory; each stream has a connection of its own."""
    return {name: connect(cloud, name, folder_of(cloud_file)) for name in cloud.names}


def enabled_ones(site: Site, systems: Sequence[AnySystem], names: Sequence[str]) -> None:
    """Refuse names of systems that the cloud does not have, or has switched off."""
    have = [system.name for system in enabled(site.cloud, systems)]
    strange = [name for name in names if name not in have]
    if strange:
        raise InvalidInput(
            f"the cloud has no such system: {', '.join(strange)}", hint=f"It has: {', '.join(sorted(have))}."
        )


def journal_folder(cloud_file: Path) -> Path:
    """Where the journals of this cloud lie."""
    return folder_of(cloud_file) / ".quorate" / "journal"


@contextlib.asynccontextmanager
async def operation(
    cloud_file: Path, *, journalled: bool = False, migrates: bool = False, reach: float = inf
) -> AsyncIterator[Operation]:
    """Read the files, open nothing yet (connections open when first used), close everything at the end.

    `journalled`: something is changed, which nobody may while half a copy of a migration is there but who `migrates`.
    """
    if journalled and not migrates:
        refuse_half_a_copy(folder_of(cloud_file))
    cloud, systems = files.load_cloud(cloud_file)
    secrets = files.load_secrets(cloud_file, cloud, systems)
    base = folder_of(cloud_file)
    run = uuid.uuid4().hex[:12]
    transports = {name: connect(cloud, name, base) for name in cloud.names}
    folder = journal_folder(cloud_file)
    with contextlib.ExitStack() as stack:
        journal: Journal = NoJournal()
        if journalled:
            text = files.text_of(cloud_file)
            journal = stack.enter_context(FileJournal(folder, run, now, text))
        try:
            yield Operation(
                site=site_of(cloud, systems, secrets.names),
                systems=systems,
                secrets=secrets,
                transports=transports,
                token=run,
                journal=journal,
                clock=Clock(now=lambda: now().isoformat(timespec="seconds")),
                progress=render.progress,
                about={
                    "began": now().isoformat(timespec="milliseconds"),
                    "verb": "apply",
                    "operator": f"{getpass.getuser()}@{socket.gethostname()}",
                },
                reach=reach,
            )
        finally:
            await asyncio.gather(*(way.close() for way in transports.values()))

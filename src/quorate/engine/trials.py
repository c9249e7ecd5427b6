"""Ask a controller's own programs about files before they are written: an option that no program knows does nothing."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from quorate.core.observed import Unknown
from quorate.core.resource import File
from quorate.core.system import AnySystem, Site, Trial, enabled
from quorate.engine.observe import Transports
from quorate.errors import Unreachable
from quorate.transport.contract import Transport

WITHIN = 60.0
"""Seconds for one file: such programs load all that a service has installed."""
_TRY = """\
umask 077
file=$(mktemp) || exit 2
trap 'rm -f "$file"' EXIT
trap 'exit 2' HUP INT TERM
cat >"$file" || exit 2
"""


@dataclass(frozen=True)
class Tried:
    """What was said of a file: nothing is wrong with it, or what is, or why nobody could say."""

    system: str
    path: str
    host: str
    wrong: tuple[str, ...] | Unknown


async def try_files(
    site: Site, systems: Sequence[AnySystem], transports: Transports, progress: Callable[[str], None]
) -> list[Tried]:
    """Try every file that can be tried, as the first controller would get it which can say.

    Secrets are not among what is sent: their names stand in their places. Who could not be reached is not waited for
    again.
    """
    found = []
    silent: dict[str, Unknown] = {}
    for system in enabled(site.cloud, systems):
        for trial in system.trials:
            if trial.path not in texts_of(site, system, site.cloud.names[0]):
                continue
            progress(f"asking about {trial.path}")
            tried: Tried | None = None
            for host, transport in transports.items():
                wrong = silent.get(host) or await _try(site, system, trial, transport, silent)
                tried = Tried(system.name, trial.path, host, wrong)
                if not isinstance(tried.wrong, Unknown):
                    break
            if tried is not None:
                found.append(tried)
    return found


def texts_of(site: Site, system: AnySystem, host: str) -> dict[str, str]:
    """What the files of that system are to hold, by path."""
    resources = system.resources(site.cloud.systems[system.name], site, host)
    return {one.path: one.content for one in resources if isinstance(one, File)}


async def _try(
    site: Site, system: AnySystem, trial: Trial, transport: Transport, silent: dict[str, Unknown]
) -> tuple[str, ...] | Unknown:
    text = texts_of(site, system, transport.host)[trial.path]
    command = " ".join('"$file"' if word == "{file}" else shlex.quote(word) for word in trial.argv)
    try:
        done = await transport.run(("sh", "-c", f"{_TRY}{command}"), text.encode(), timeout=WITHIN)
    except Unreachable as error:
        silent[transport.host] = Unknown(why=error.why)
        return silent[transport.host]
    lines = done.err.decode(errors="replace").splitlines()
    wrong = tuple(line.removeprefix(trial.marks) for line in lines if line.startswith(trial.marks))
    if done.code not in {0, 1} or (done.code and not wrong):
        last = lines[-1] if lines else f"exit code {done.code}"
        return Unknown(why=f"{trial.argv[0]}: {last[:200]}")
    return wrong


def run(
    site: Site, systems: Sequence[AnySystem], transports: Transports, progress: Callable[[str], None]
) -> list[Tried]:
    """Do it, and close all ways at the end."""

    async def all_of_them() -> list[Tried]:
        try:
            return await try_files(site, systems, transports, progress)
        finally:
            await asyncio.gather(*(way.close() for way in transports.values()))

    return asyncio.run(all_of_them())

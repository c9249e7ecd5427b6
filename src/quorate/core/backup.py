"""A backup: what is in it, what is said of it, and every decision about it. Pure.

A backup is a folder: `manifest.sealed` and one `NAME.sealed` for each part that the manifest lists, complete as soon
as it has its final name. Systems say what of theirs only a backup brings back (`Saving`); the files of the operator
(`secrets.yaml`, `cloud.yaml`) are parts, too. `proved.sealed` is added when a restore of it has succeeded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from quorate.core.verdict import Verdict

MANIFEST = "manifest"
PROVED = "proved"
SEALED = ".sealed"
PARTIAL = ".partial"
CLOUD_FILE = "cloud.yaml"
SECRETS_FILE = "secrets.yaml"
LARGEST_MANIFEST = 64 << 20
"""Bytes: a hundred thousand tables are a tenth of that."""
_STAMP = "%Y%m%dT%H%M%SZ"
_SHOWN = 10


@dataclass(frozen=True)
class Saving:
    """Something of a system that only a backup brings back, and the programs on a controller that deal with it.

    `take` prints it, and as the last line of its complaints its Facts as JSON. `prove` reads it, restores it into
    something that nobody uses and prints Facts, whose proof must be alike; none: that it is what was sealed is all that
    can be said. `put_back` reads it and restores it, over nothing but what it has itself put there before. Both are
    given the backup's id and the number of bytes as arguments. All end cleanly when they are told to (SIGTERM) or
    lose their reader, and leave nothing behind.

    `spares`: the part whose holder (`Roles`) is left in peace, because `take` and `prove` are what clients would
    notice. `disturbs`: while it is taken its member serves nobody. `formed`: put back once the system is formed, on
    any controller; else before, onto the first.
    """

    name: str
    what: str
    take: tuple[str, ...]
    put_back: tuple[str, ...]
    prove: tuple[str, ...] = ()
    spares: str = ""
    disturbs: bool = False
    formed: bool = False


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Facts(_Said):
    """What a program says of a part that it took or restored: for people, and what must be the same in both."""

    about: dict[str, JsonValue] = {}
    proof: dict[str, JsonValue] = {}


class PartSaid(Facts):
    """What is known of one part: plain bytes, their SHA-256, and what was said as it was taken."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    host: str = ""


class Manifest(_Said):
    """All that a backup says of itself. `taken`: ISO 8601, when it was begun."""

    format: Literal[1] = 1
    id: str = Field(pattern="^[0-9a-f]{32}$")
    cloud: str
    taken: str
    quorate: str
    parts: dict[str, PartSaid]


class Proved(_Said):
    """A backup that was restored with success: its id and time, and when and where that was."""

    id: str
    taken: str
    proved: str
    host: str


def name_of(cloud: str, taken: datetime, backup: str) -> str:
    """The folder of a backup: names in order are in order of time."""
    return f"{cloud}-{taken.strftime(_STAMP)}-{backup[:8]}"


def is_of(cloud: str, folder: str) -> bool:
    """Whether that is the final name of a backup of this cloud, and nothing else's."""
    return re.fullmatch(rf"{re.escape(cloud)}-[0-9]{{8}}T[0-9]{{6}}Z-[0-9a-f]{{8}}", folder) is not None


def surplus(cloud: str, folders: Mapping[str, bool], keep: int) -> tuple[str, ...]:
    """Which backups may go so that the newest `keep` are left. `folders`: name → whether a restore of it succeeded.

    Invariant: what is no complete backup of this cloud is never named; nor are the newest `keep`, nor the newest one
    that was restored successfully, however old it is.
    """
    if keep < 1:
        raise ValueError("at least one is kept")
    ours = sorted((name for name in folders if is_of(cloud, name)), reverse=True)
    proved = next((name for name in ours if folders[name]), "")
    return tuple(name for name in ours[keep:] if name != proved)


@dataclass(frozen=True)
class NoSource:
    """No controller can be asked for it now, and why not."""

    why: str


def source(members: Mapping[str, Verdict], spared: str | None) -> str | NoSource:
    """Choose who is asked: the last well one that is not `spared`, since the first of the file plays most parts."""
    well = [host for host, verdict in members.items() if verdict.is_ok and host != spared]
    if well:
        return well[-1]
    others = "; ".join(f"{host} {verdict.level.word}: {verdict.reason}" for host, verdict in members.items())
    return NoSource(
        f"no controller is well and without clients of its own{f', {spared} has them' * bool(spared)}: {others}"
    )


def differences(wanted: JsonValue, found: JsonValue, where: str = "") -> Iterator[str]:
    """Where what was found in a restore is not what was backed up, in words."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name in sorted({*wanted, *found}):
            below = f"{where}.{name}".removeprefix(".")
            if name not in found:
                yield f"{below} is missing"
            elif name not in wanted:
                yield f"{below} was not there when the backup was taken"
            else:
                yield from differences(wanted[name], found[name], below)
    elif wanted != found:
        yield f"{where} is {found}, and was {wanted} when the backup was taken"


def told(found: Sequence[str]) -> str:
    """As many of them as somebody reads."""
    more = len(found) - _SHOWN
    return "; ".join(found[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def missing(manifest: Manifest, files: Sequence[str]) -> tuple[str, ...]:
    """What stands against a folder of these files being that backup, whole and nothing else."""
    wanted = {f"{name}{SEALED}" for name in (MANIFEST, *manifest.parts)}
    strange = sorted(name for name in set(files) - wanted - {f"{PROVED}{SEALED}"} if name.endswith(SEALED))
    return (
        *(f"{name.removesuffix(SEALED)} is missing" for name in sorted(wanted - set(files))),
        *(f"{name} is no part of it" for name in strange),
    )


def age(seconds: float) -> str:
    """A time span in the largest unit that says something: minutes, hours, days."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' * (count != 1)}"
    return "less than a minute"


def facts_of(said: str) -> Facts:
    """What a program said in its last line. ValueError where that makes no sense."""
    lines = said.strip().splitlines()
    return Facts.model_validate_json(lines[-1] if lines else "")

"""What was observed on a controller: for each resource a value, `Absent` or `Unknown(why)`; answers to questions.

The models are the reply of `transport/remote/`, whose docstring shows the JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Seen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Absent(_Seen):
    """It was looked for and is not there."""

    seen: Literal["absent"] = "absent"


class Unknown(_Seen):
    """It could not be seen."""

    seen: Literal["unknown"] = "unknown"
    why: str


class PackageSeen(_Seen):
    """An installed package."""

    seen: Literal["package"] = "package"
    version: str


class PathSeen(_Seen):
    """A file (with its digest, and its text where it is at most 256 KiB of UTF-8) or a directory.

    `mtime`: seconds since the epoch on the controller's clock.
    """

    seen: Literal["path"] = "path"
    kind: Literal["file", "directory", "other"]
    mode: int
    owner: str
    group: str
    mtime: float
    sha256: str = ""
    text: str | None = None


class SysctlSeen(_Seen):
    """A kernel setting: the live value and the one that survives a reboot (null where none is kept by us)."""

    seen: Literal["sysctl"] = "sysctl"
    value: str
    kept: str | None


class Stamp(_Seen):
    """What we last made a unit load: the digest of its inputs, and the invocation that loaded them."""

    inputs: str
    invocation: str


class UnitSeen(_Seen):
    """A systemd unit. `started`: when its main process began, seconds since the epoch, 0 where it never did."""

    seen: Literal["unit"] = "unit"
    active: str
    enabled: str
    invocation: str
    started: float
    stamp: Stamp | None = None


Seen = Annotated[PackageSeen | PathSeen | SysctlSeen | UnitSeen | Absent | Unknown, Field(discriminator="seen")]


class Answer(_Seen):
    """A command that ended: exit code and what it printed (each at most 1 MiB)."""

    code: int
    out: str
    err: str = ""


Answers = Mapping[str, Answer | Unknown]
"""By question name. A question that was not answered in its time is Unknown."""


class HostSeen(_Seen):
    """One look at one controller."""

    os: str
    resources: dict[str, Seen] = Field(default_factory=dict)
    answers: dict[str, dict[str, Answer | Unknown]] = Field(default_factory=dict)


World = Mapping[str, HostSeen | Unknown]
"""By controller: what was seen of it, or why nothing was."""

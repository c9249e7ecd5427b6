"""What a controller keeps of runs: of everything that a run touched there how it was before, and what became of it.

The models are the reply of `transport/remote/kept.py`. A record is written before its act, so that an act which was cut
off is told, too: what it was about to change may lie there either way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Lies(_Kept):
    """How something lies at a path. `sha256`: of a file's content, or of where a link points."""

    kind: Literal["absent", "file", "link", "directory", "other"]
    sha256: str = ""
    mode: int = 0
    owner: str = ""
    group: str = ""

    def __str__(self) -> str:
        if self.kind == "absent":
            return "absent"
        digest = f"{self.sha256[:12]} " if self.sha256 else ""
        return f"{self.kind} {digest}{self.mode:04o} {self.owner}:{self.group}"


class PathKept(_Kept):
    """A path that a run wrote. What lay there is kept as a copy where it was a file or a link."""

    do: Literal["path"] = "path"
    path: str
    before: Lies
    after: Lies


class Setting(_Kept):
    """A kernel setting: the live value, and the one that is kept for the next boot."""

    value: str
    kept: str | None


class SysctlKept(_Kept):
    """A kernel setting that a run made."""

    do: Literal["sysctl"] = "sysctl"
    name: str
    before: Setting
    after: Setting


class UnitKept(_Kept):
    """A unit that a run acted upon, as it was right before."""

    do: Literal["unit"] = "unit"
    name: str
    verb: str
    active: str
    enabled: str


class Lasting(_Kept):
    """Something that nobody can take back: a package that was installed, a command that was run."""

    do: Literal["lasting"] = "lasting"
    what: str


Record = Annotated[PathKept | SysctlKept | UnitKept | Lasting, Field(discriminator="do")]


class RunKept(_Kept):
    """A run as one controller knows it. `began`: ISO 8601, by the operator's clock; runs are in that order.

    `undoes`: the run that this one went back to before. `changes`: how many records there are, also where none is sent.
    """

    run: str
    began: str = ""
    verb: str = ""
    operator: str = ""
    undoes: str = ""
    changes: int = 0
    records: tuple[Record, ...] = ()


class HostKept(_Kept):
    """What one controller keeps, oldest run first; and how that lies now which the runs in question touched.

    `forgotten`: when the newest run began that is no longer kept; empty: none was ever forgotten.
    `holds`: what is in a directory. `texts`, `were`: of a path's content now and before the first of the runs, where it
    is short text. `damaged`: copies that are not what they were, as RUN:PATH.
    """

    runs: tuple[RunKept, ...] = ()
    forgotten: str = ""
    now: dict[str, Lies] = Field(default_factory=dict)
    holds: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    texts: dict[str, str] = Field(default_factory=dict)
    were: dict[str, str] = Field(default_factory=dict)
    damaged: tuple[str, ...] = ()
    units: dict[str, str] = Field(default_factory=dict)
    sysctls: dict[str, Setting] = Field(default_factory=dict)


class PastRun(_Kept):
    """A run as all controllers together know it. `hosts`: how many changes were made where."""

    run: str
    began: str
    verb: str
    operator: str
    undoes: str
    hosts: dict[str, int]


def all_runs(kept: Mapping[str, HostKept]) -> tuple[PastRun, ...]:
    """Merge what the controllers know of runs, oldest first."""
    merged: dict[str, PastRun] = {}
    for host, one in kept.items():
        for run in one.runs:
            known = merged.get(run.run)
            hosts = {**(known.hosts if known else {}), host: run.changes}
            told = run.model_dump(include={"run", "began", "verb", "operator", "undoes"})
            merged[run.run] = PastRun(**told, hosts=hosts)
    return tuple(sorted(merged.values(), key=lambda run: (run.began, run.run)))


def standing_before(runs: Sequence[PastRun]) -> dict[str, tuple[str, ...]]:
    """Say for each run what stood when it began: the runs before it that nobody had undone.

    The last entry, of the empty name, is what stands now. Who goes back to before a run brings back what stood then.
    """
    before: dict[str, tuple[str, ...]] = {}
    standing: tuple[str, ...] = ()
    for run in runs:
        before[run.run] = standing
        standing = before.get(run.undoes, ()) if run.undoes else (*standing, run.run)
    before[""] = standing
    return before


def aim(runs: Sequence[PastRun], named: str = "") -> PastRun | None:
    """Say before which run to go back; None: there is none.

    Without a name that is the last run that still stands. Where the newest of all is a rollback it is the same as that
    one's, which may have been interrupted: whoever asks twice does not go back twice as far.
    """
    standing = standing_before(runs)[""]
    wanted = named or (runs[-1].undoes if runs else "") or (standing[-1] if standing else "")
    return next((run for run in runs if run.run == wanted), None)

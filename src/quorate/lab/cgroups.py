"""Where a machine's processes live, so that all of them and no other can be killed or frozen at once.

A host has cgroup v2 alone (all current distributions) or v2 beside v1 ("hybrid", where nspawn also wants a group in
the v1 hierarchy `name=systemd`). Where systemd is PID 1 it owns the tree: a machine is then a scope that systemd-run
makes and delegates. Elsewhere the group is a directory that we make.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import QuorateError
from quorate.lab.command import attempt
from quorate.lab.waiting import until

# A scope's parent on hosts where systemd owns the tree; systemd keeps machines there itself.
_SLICE = "machine.slice"

# Joins the groups named before `--`, then leaves the session of whoever called: a closed terminal or an ended command
# takes nothing with it, and as the caller is not the parent, no zombie can stay with it either.
_JOIN = 'while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit 1; shift; done; shift; exec setsid --fork "$@"'


@dataclass(frozen=True)
class Layout:
    """How this host mounts cgroups. `named` is the v1 hierarchy of systemd, where there is one."""

    unified: Path
    named: Path | None
    managed: bool


def detect(mounts: str, booted: bool) -> Layout | None:
    """Read the text of /proc/self/mounts; `booted` says that systemd is PID 1. None: no cgroup v2 here. Pure."""
    unified: Path | None = None
    named: Path | None = None
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 4:
            continue
        where, kind, options = Path(fields[1]), fields[2], fields[3].split(",")
        if kind == "cgroup2" and unified is None:
            unified = where
        elif kind == "cgroup" and "name=systemd" in options and named is None:
            named = where
    return Layout(unified, named, booted) if unified else None


def host_layout() -> Layout:
    """Return this host's layout."""
    layout = detect(Path("/proc/self/mounts").read_text(), Path("/run/systemd/system").is_dir())
    if layout is None:
        raise QuorateError("this host has no cgroup v2 mounted")
    return layout


@dataclass(frozen=True)
class Cgroup:
    """One group of processes, in all hierarchies that matter. It need not exist."""

    layout: Layout
    name: str

    @property
    def paths(self) -> tuple[Path, ...]:
        """The group's directories; the one of cgroup v2 first."""
        inner = f"{_SLICE}/{self.name}.scope" if self.layout.managed else self.name
        roots = (self.layout.unified, self.layout.named)
        return tuple(root / inner for root in roots if root is not None)

    @property
    def _unified(self) -> Path:
        return self.paths[0]

    def launcher(self, argv: Sequence[str]) -> list[str]:
        """Return the command that starts the program in this group, detached, and ends at once."""
        if self.layout.managed:
            scope = ["systemd-run", "--quiet", "--scope", "--collect", f"--slice={_SLICE}", f"--unit={self.name}.scope"]
            return ["setsid", "--fork", *scope, "--property=Delegate=yes", "--", *argv]
        return ["/bin/sh", "-c", _JOIN, "sh", *map(str, self.paths), "--", *argv]

    def create(self) -> None:
        """Make the directories, unless systemd does so itself."""
        if not self.layout.managed:
            for path in self.paths:
                path.mkdir(exist_ok=True)

    def populated(self) -> bool:
        """Say whether any process lives in the group."""
        return _event(self._unified, "populated")

    def frozen(self) -> bool:
        """Say whether the group is frozen."""
        return _event(self._unified, "frozen")

    def pids(self) -> list[int]:
        """Return all processes of the group and of the groups within."""
        found: list[int] = []
        for directory in _tree(self._unified):
            try:
                found += [int(line) for line in (directory / "cgroup.procs").read_text().split()]
            except OSError:  # the group has just gone, or is a threaded one
                continue
        return found

    def freeze(self, on: bool, timeout: float = 5.0) -> None:
        """Stop all processes where they are, or let them go on."""
        try:
            (self._unified / "cgroup.freeze").write_text("1" if on else "0")
        except FileNotFoundError:
            return  # what is off can neither freeze nor thaw
        if not until(lambda: self.frozen() == on or not self.populated(), timeout):
            raise QuorateError(f"{self.name} did not {'freeze' if on else 'thaw'} within {timeout:g} s")

    def kill(self, timeout: float = 10.0) -> None:
        """Kill all processes at once, as a power cut does, and wait until none is left."""
        try:
            (self._unified / "cgroup.kill").write_text("1")
        except FileNotFoundError:
            return  # no such group: nothing to kill
        if not until(lambda: not self.populated(), timeout):
            raise QuorateError(f"{self.name} still has processes {timeout:g} s after they were killed: {self.pids()}")

    def remove(self, timeout: float = 5.0) -> None:
        """Remove the empty group and the groups within, in every hierarchy."""
        if self.layout.managed and any(path.exists() for path in self.paths):
            # systemd forgets an empty scope in its own time; until then its name is taken
            attempt(["systemctl", "stop", f"{self.name}.scope"], timeout=timeout + 10)
        if not until(lambda: all(map(_removed, self.paths)), timeout):
            raise QuorateError(f"the cgroup {self.name} could not be removed within {timeout:g} s")


def groups_named(layout: Layout, prefix: str) -> list[Cgroup]:
    """Return all groups whose name begins so, in whichever hierarchy."""
    suffix = ".scope" if layout.managed else ""
    parents = [root / _SLICE if layout.managed else root for root in (layout.unified, layout.named) if root]
    found = {
        path.name.removesuffix(suffix)
        for parent in parents
        if parent.is_dir()
        for path in parent.iterdir()
        if path.name.startswith(prefix) and path.name.endswith(suffix) and path.is_dir()
    }
    return [Cgroup(layout, name) for name in sorted(found)]


def _event(group: Path, key: str) -> bool:
    try:
        return f"{key} 1" in (group / "cgroup.events").read_text().splitlines()
    except OSError:  # no such group: nothing lives there
        return False


def _tree(group: Path) -> list[Path]:
    return [Path(directory) for directory, _, _ in os.walk(group)]


def _removed(group: Path) -> bool:
    for directory in reversed(_tree(group)):
        try:
            directory.rmdir()
        except FileNotFoundError:
            continue
        except OSError:  # its last process is still on its way out
            return False
    return not group.exists()

"""A machine in memory, with the semantics of `remote/`: what it holds, and what acts and looks do to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import TypeAdapter

from quorate.core.act import (
    Act,
    Install,
    MakeDirectory,
    RemoveFile,
    Restore,
    RestoreSysctl,
    Run,
    SetSysctl,
    SetUnit,
    WriteFile,
)
from quorate.core.kept import HostKept, Lasting, PathKept, Record, Setting, SysctlKept, UnitKept
from quorate.core.observed import (
    Absent,
    Answer,
    HostSeen,
    PackageSeen,
    PathSeen,
    Seen,
    Stamp,
    SysctlSeen,
    UnitSeen,
    Unknown,
)
from quorate.transport.contract import Completed
from quorate.transport.fake_ledger import FakeLedger, FakePath, lies
from quorate.transport.request import Acted, Leased, Result

__all__ = ["FakeHost", "FakePath", "FakeUnit", "Programs"]

ACT: TypeAdapter[Act] = TypeAdapter(Act)


@dataclass
class FakeUnit:
    """A unit: `started` is when it last began, `invocation` names that start."""

    active: str = "inactive"
    enabled: str = "disabled"
    invocation: str = ""
    started: float = 0.0


Programs = Callable[["FakeHost", tuple[str, ...], bytes], Completed | None]
"""Plays the programs of a machine. None: there is no such program (127)."""


@dataclass
class FakeHost:
    """A machine in memory. Its time is `clock`, which the test owns; nothing sleeps.

    What a test may set and read: `paths`, `packages` (name → version), `units`, `sysctls` (live) and `kept`, `stamps`,
    `backups` ((run, path) → what was there before), `lease` (token, holder, until), `acting` (an earlier run's act is
    still at work), `users`. What it may make fail: `unavailable` packages, `failing` units, `unseen` (resource id →
    why). `units_of` says which units a package brings; `on_act` is called before each act and may change anything,
    `down` included.

    `down`: why the machine is unreachable, or empty. `hang`: it takes requests, does nothing and never answers.
    """

    name: str
    clock: Callable[[], float]
    os: str = "debian-13"
    programs: Programs | None = None
    units_of: Callable[[str], Iterable[str]] = lambda package: (f"{package}.service",)
    on_act: Callable[[FakeHost, Act], None] | None = None
    paths: dict[str, FakePath] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    units: dict[str, FakeUnit] = field(default_factory=dict)
    sysctls: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    backups: dict[tuple[str, str], FakePath] = field(default_factory=dict)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    lease: tuple[str, dict[str, str], float] | None = None
    acting: bool = False
    users: set[str] | None = None
    unavailable: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)
    unseen: dict[str, str] = field(default_factory=dict)
    down: str = ""
    hang: bool = False
    acts: list[Act] = field(default_factory=list)
    _cut: int | None = None
    _goes_on: bool = False
    _starts: int = 0

    def cut_after(self, acts: int, *, goes_on: bool = False) -> None:
        """Cut the connection once, after so many more acts; 0: before the next.

        The operator gets no reply to that batch. `goes_on`: the machine does the rest of it all the same.
        """
        self._cut, self._goes_on = acts, goes_on

    # --- what remote/observe.py does ---

    def observe(self, body: Mapping[str, Any]) -> HostSeen:
        """Answer an observe request."""
        asked: Mapping[str, Sequence[Mapping[str, Any]]] = body["questions"]
        return HostSeen(
            os=self.os,
            resources={one["id"]: self.look(one) for one in body["resources"]},
            answers={system: {q["name"]: self._answer(q) for q in several} for system, several in asked.items()},
        )

    def look(self, wanted: Mapping[str, str]) -> Seen:
        """See one resource."""
        if (why := self.unseen.get(wanted["id"])) is not None:
            return Unknown(why=why)
        kind, name = wanted["kind"], wanted.get("path") or wanted["name"]
        if kind == "path":
            return self._look_at_path(name)
        if kind == "package" and name in self.packages:
            return PackageSeen(version=self.packages[name])
        if kind == "sysctl" and name in self.sysctls:
            return SysctlSeen(value=self.sysctls[name], kept=self.kept.get(name))
        if kind == "unit" and (unit := self.units.get(name)) is not None:
            return UnitSeen(
                active=unit.active,
                enabled=unit.enabled,
                invocation=unit.invocation,
                started=unit.started,
                stamp=self.stamps.get(name),
            )
        return Absent()

    def _look_at_path(self, path: str) -> Seen:
        held = self.paths.get(path)
        if held is None:
            inside = any(other.startswith(f"{path.rstrip('/')}/") for other in self.paths)
            if not inside:
                return Absent()
            held = FakePath(None, 0o755)
        common: dict[str, Any] = {"mode": held.mode, "owner": held.owner, "group": held.group, "mtime": held.mtime}
        if held.content is None:
            return PathSeen(kind="directory", **common)
        data = held.content.encode()
        text = held.content if len(data) <= 256 << 10 else None
        return PathSeen(kind="file", sha256=hashlib.sha256(data).hexdigest(), text=text, **common)

    def _answer(self, question: Mapping[str, Any]) -> Answer | Unknown:
        done = self.execute(tuple(question["argv"]), b"")
        return Answer(code=done.code, out=done.out.decode(errors="replace"), err=done.err.decode(errors="replace"))

    def execute(self, argv: tuple[str, ...], stdin: bytes) -> Completed:
        """Run a program of this machine."""
        done = self.programs(self, argv, stdin) if self.programs is not None else None
        return done if done is not None else Completed(127, b"", f"{argv[0]}: not found".encode())

    # --- what remote/act.py does ---

    def act(self, body: Mapping[str, Any]) -> Acted | None:
        """Answer an act request; None: the connection was cut meanwhile."""
        if self.acting:
            return Acted(refused="busy: an earlier run's act is still at work here", results=())
        if (held := self._held()) is None or held[0] != body["lease"]:
            why = "lost lease: it has expired" if held is None else f"lost lease: {held[1]} holds it"
            return Acted(refused=why, results=())
        results: list[Result] = []
        cut = self._is_cut()
        for act in (ACT.validate_python(one) for one in body["acts"]):
            if cut and not self._goes_on:
                break
            if self.on_act is not None:
                self.on_act(self, act)
                if self.down or self.hang:
                    return None
            results.append(self.do(act, body["run"], body["about"]))
            if self._cut is not None:
                self._cut -= 1
                cut = cut or self._is_cut()
            if not results[-1].ok:
                break
        return None if cut else Acted(refused="", results=tuple(results))

    def _is_cut(self) -> bool:
        if self._cut is None or self._cut > 0:
            return False
        self._cut = None
        return True

    def do(self, act: Act, run: str, about: Mapping[str, str] | None = None) -> Result:
        """Do one act, and tell of it in the run's ledger before."""
        self.acts.append(act)

        def note(record: Record) -> None:
            self.ledger.note(run, about or {}, record)

        match act:
            case Install():
                for name in act.packages:
                    note(Lasting(what=f"package {name}"))
                return self._install(act)
            case WriteFile() | MakeDirectory():
                return self._put(act, run, note)
            case RemoveFile():
                return self._remove(act, run, note)
            case Restore():
                return self._restore(act, run, note)
            case SetSysctl() | RestoreSysctl():
                return self._set_sysctl(act, note)
            case SetUnit():
                if act.name in self.units and (act.enabled is not None or act.verb != "none"):
                    unit = self.units[act.name]
                    note(UnitKept(name=act.name, verb=act.verb, active=unit.active, enabled=unit.enabled))
                return self._set_unit(act)
            case Run():
                note(Lasting(what=act.title))
                done = self.execute(act.argv, act.stdin.encode())
                said = b"\n".join(filter(None, (done.out.strip(), done.err.strip()))).decode(errors="replace")
                ok = done.code in act.expect
                return Result(ok=ok, note=f"exit code {done.code}" + ("" if ok else f": {said}"))

    def kept_of(self, since: str | None) -> HostKept:
        """Answer a `kept` request."""
        units = {name: unit.active for name, unit in self.units.items()}
        return self.ledger.tell(since, self.paths, self.backups, units, self._settings())

    def _settings(self) -> dict[str, Setting]:
        return {name: Setting(value=value, kept=self.kept.get(name)) for name, value in self.sysctls.items()}

    def _set_sysctl(self, act: SetSysctl | RestoreSysctl, note: Callable[[Record], None]) -> Result:
        value = " ".join(act.value.split())
        before, after = self._settings().get(act.name), Setting(value=value, kept=value)
        if isinstance(act, RestoreSysctl):
            after = Setting(value=value, kept=act.kept)
        if before != after:
            note(SysctlKept(name=act.name, before=before or Setting(value="", kept=None), after=after))
        said = f"was {self.sysctls.get(act.name, 'absent')}"
        self.sysctls[act.name] = value
        self.kept.pop(act.name, None)
        if after.kept is not None:
            self.kept[act.name] = after.kept
        return Result(ok=True, note=said)

    def _restore(self, act: Restore, run: str, note: Callable[[Record], None]) -> Result:
        before = self.paths.get(act.path)
        if lies(before) == act.before:
            return Result(ok=True, note="was so")
        if lies(before) != act.found:
            return Result(ok=False, note=f"{act.path} is not as it was when this was planned, and is left alone")
        if before is not None and before.content is not None:
            self.backups.setdefault((run, act.path), before)
        note(PathKept(path=act.path, before=lies(before), after=act.before))
        if act.before.kind == "absent":
            del self.paths[act.path]
            return Result(ok=True, note="is absent")
        copy = self.backups[act.run, act.path].content if act.before.kind == "file" else None
        self.paths[act.path] = FakePath(copy, act.before.mode, act.before.owner, act.before.group, self.clock())
        self._know_unit(act.path)
        return Result(ok=True, note=f"is {act.before.kind}")

    def _install(self, act: Install) -> Result:
        for name in act.packages:
            if name in self.unavailable:
                return Result(ok=False, note=f"apt-get install: exit code 100: E: Unable to locate package {name}")
        for name in act.packages:
            self.packages.setdefault(name, "1.0")
            for unit in self.units_of(name):
                self.units.setdefault(unit, FakeUnit(enabled="enabled"))
        return Result(ok=True, note="installed")

    def _put(self, act: WriteFile | MakeDirectory, run: str, note: Callable[[Record], None]) -> Result:
        if self.users is not None and (missing := {act.owner, act.group} - self.users):
            return Result(ok=False, note=f"there is no such user or group: {min(missing)}")
        content = act.content if isinstance(act, WriteFile) else None
        before = self.paths.get(act.path)
        if before is not None and (before.content is None) != (content is None):
            kind = "file" if isinstance(act, WriteFile) else "directory"
            return Result(ok=False, note=f"{act.path} is not a {kind} and is left alone")
        after = FakePath(content, act.mode, act.owner, act.group, before.mtime if before else 0.0)
        if before == after:
            return Result(ok=True, note="was so")
        note(PathKept(path=act.path, before=lies(before), after=lies(after)))
        self.paths[act.path] = FakePath(content, act.mode, act.owner, act.group, self.clock())
        if before is None or content is None:
            self._know_unit(act.path)
            return Result(ok=True, note="was absent" if before is None else "was there")
        self.backups.setdefault((run, act.path), before)
        return Result(ok=True, note=f"was kept as /var/lib/quorate/backup/{run}{act.path}")

    def _remove(self, act: RemoveFile, run: str, note: Callable[[Record], None]) -> Result:
        before = self.paths.get(act.path)
        if before is None:
            return Result(ok=True, note="was absent")
        if before.content is None:
            return Result(ok=False, note=f"{act.path} is not a file and is left alone")
        self.backups.setdefault((run, act.path), before)
        note(PathKept(path=act.path, before=lies(before), after=lies(None)))
        del self.paths[act.path]
        return Result(ok=True, note=f"was kept as /var/lib/quorate/backup/{run}{act.path}")

    def _know_unit(self, path: str) -> None:
        """Have a new unit file known, as systemd does."""
        where = PurePosixPath(path)
        if str(where.parent) in {"/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}:
            self.units.setdefault(where.name, FakeUnit())

    def _set_unit(self, act: SetUnit) -> Result:
        unit = self.units.get(act.name)
        if unit is None:
            if act.verb in {"stop", "none"} and not act.enabled and not act.inputs:
                return Result(ok=True, note="there is no such unit")
            return Result(ok=False, note=f"systemctl {act.verb}: exit code 5: Unit {act.name} not found.")
        before = unit.invocation
        if act.enabled is not None:
            unit.enabled = "enabled" if act.enabled else "disabled"
        if act.verb == "reload" and unit.active != "active":
            return Result(ok=False, note=f"systemctl reload: exit code 1: {act.name} is not active")
        if act.verb == "stop":
            unit.active = "inactive"
        elif act.verb == "restart" or (act.verb == "start" and unit.active != "active"):
            self.start(act.name)
            if act.name in self.failing:
                return Result(ok=False, note=f"systemctl {act.verb}: exit code 1: Job for {act.name} failed")
        loaded = act.verb != "start" or unit.invocation != before
        if act.inputs and loaded and unit.active == "active":
            self.stamps[act.name] = Stamp(inputs=act.inputs, invocation=unit.invocation)
        return Result(ok=True, note=f"is {unit.active}")

    def start(self, name: str) -> None:
        """Start a unit as systemd would, also for a test whose program does (galera_new_cluster)."""
        unit = self.units.setdefault(name, FakeUnit())
        self._starts += 1
        unit.invocation, unit.started = f"{self._starts:032x}", self.clock()
        unit.active = "failed" if name in self.failing else "active"

    def reboot(self) -> None:
        """Lose what lives in memory: the lease, an act at work, live kernel settings; enabled units start."""
        self.lease, self.acting = None, False
        self.sysctls |= self.kept
        for name, unit in self.units.items():
            unit.active = "inactive"
            if unit.enabled == "enabled":
                self.start(name)

    # --- what remote/lease.py does ---

    def _held(self) -> tuple[str, dict[str, str], float] | None:
        return self.lease if self.lease is not None and self.lease[2] > self.clock() else None

    def answer_lease(self, body: Mapping[str, Any]) -> Leased:
        """Answer a lease request."""
        do: Literal["acquire", "renew", "release"] = body["do"]
        token, held = body["token"], self._held()
        mine = held is not None and held[0] == token
        if do == "release":
            self.lease = None if mine else self.lease
            return self._leased(None if mine else held, "" if mine or held is None else "held by another run")
        if do == "renew" and not mine:
            return self._leased(held, "held by another run" if held else "it has expired")
        if do == "acquire" and not mine:
            if held is not None and held[0] != body["steal_from"]:
                return self._leased(held, "held by another run")
            if self.acting:
                return self._leased(held, "an earlier run's last act is still running")
        self.lease = (token, body["holder"] or (held[1] if held else {}), self.clock() + body["ttl"])
        return self._leased(self.lease, "")

    def _leased(self, held: tuple[str, dict[str, str], float] | None, why: str) -> Leased:
        remaining = max(0.0, held[2] - self.clock()) if held else 0.0
        return Leased(granted=not why, holder=held[1] if held else {}, remaining=remaining, why=why)

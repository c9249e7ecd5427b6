"""What a machine in memory keeps of runs, with the semantics of `remote/ledger.py` and `remote/kept.py`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from quorate.core.kept import HostKept, Lies, PathKept, Record, RunKept, Setting, SysctlKept, UnitKept
from quorate.transport.remote.ledger import KEEPS


@dataclass(frozen=True)
class FakePath:
    """A file, or a directory (`content` is None)."""

    content: str | None
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    mtime: float = 0.0


def lies(held: FakePath | None) -> Lies:
    """Say how it lies there."""
    if held is None:
        return Lies(kind="absent")
    common = {"mode": held.mode, "owner": held.owner, "group": held.group}
    if held.content is None:
        return Lies.model_validate({"kind": "directory", **common})
    digest = hashlib.sha256(held.content.encode()).hexdigest()
    return Lies.model_validate({"kind": "file", "sha256": digest, **common})


@dataclass
class FakeLedger:
    """The ledgers of one machine, by run, and the copies, by run and path."""

    runs: dict[str, RunKept] = field(default_factory=dict)
    forgotten: str = ""

    def note(self, run: str, about: Mapping[str, str], record: Record) -> None:
        """Write a record; a run that is new makes room among the old ones."""
        if run not in self.runs:
            if about.get("verb") != "rollback":
                self._forget()
            self.runs[run] = RunKept.model_validate({"run": run, **about})
        known = self.runs[run]
        self.runs[run] = known.model_copy(update={"records": (*known.records, record), "changes": known.changes + 1})

    def _forget(self) -> None:
        for one in self._in_order()[: max(0, len(self.runs) - KEEPS + 1)]:
            self.forgotten = one.began
            del self.runs[one.run]

    def _in_order(self) -> list[RunKept]:
        return sorted(self.runs.values(), key=lambda one: (one.began, one.run))

    def tell(
        self,
        since: str | None,
        paths: Mapping[str, FakePath],
        copies: Mapping[tuple[str, str], FakePath],
        units: Mapping[str, str],
        sysctls: Mapping[str, Setting],
    ) -> HostKept:
        """Answer a `kept` request."""
        runs = [one if self._meant(one, since) else one.model_copy(update={"records": ()}) for one in self._in_order()]
        touched = [(one.run, record) for one in runs for record in one.records]
        first: dict[str, tuple[str, PathKept]] = {}
        for run, record in touched:
            if isinstance(record, PathKept):
                first.setdefault(record.path, (run, record))
        copied = {path: copies.get((run, path)) for path, (run, record) in first.items() if record.before.sha256}
        return HostKept(
            runs=tuple(runs),
            forgotten=self.forgotten,
            now={path: lies(paths.get(path)) for path in first},
            holds={path: tuple(_inside(path, paths)) for path in first if path in paths},
            texts={path: text for path in first if path in paths and (text := paths[path].content) is not None},
            were={path: copy.content for path, copy in copied.items() if copy and copy.content is not None},
            damaged=tuple(f"{first[p][0]}:{p}" for p, copy in copied.items() if lies(copy) != first[p][1].before),
            units={r.name: units.get(r.name, "inactive") for _, r in touched if isinstance(r, UnitKept)},
            sysctls={r.name: sysctls[r.name] for _, r in touched if isinstance(r, SysctlKept)},
        )

    @staticmethod
    def _meant(run: RunKept, since: str | None) -> bool:
        return since is not None and run.began >= since


def _inside(path: str, paths: Mapping[str, FakePath]) -> Iterator[str]:
    start = f"{path.rstrip('/')}/"
    yield from sorted({other.removeprefix(start).partition("/")[0] for other in paths if other.startswith(start)})

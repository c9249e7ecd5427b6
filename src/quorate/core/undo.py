"""What one controller needs to go back to before a run: from what is kept there and how it lies now, to changes. Pure.

Invariant: a path is put back only if what lies there is what a run of Quorate left, or somebody named it to be
overwritten; what lies there already as it did before is not touched. So whoever goes back twice, or goes on after an
interruption, ends in the same state.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from quorate.core.act import Restore, RestoreSysctl
from quorate.core.diff import Change, text_lines
from quorate.core.kept import HostKept, Lasting, Lies, PathKept, RunKept, Setting, SysctlKept, UnitKept
from quorate.core.resource import File
from quorate.core.secret import Secrets


@dataclass(frozen=True)
class PathUndo:
    """A path: how it lay `before` (run `run` has the copy), how runs may have `left` it, and by which last."""

    run: str
    before: Lies
    left: tuple[Lies, ...]
    by: str


@dataclass
class Touched:
    """All that runs touched on one controller, each thing as it was before the first of them."""

    paths: dict[str, PathUndo] = field(default_factory=dict)
    units: dict[str, UnitKept] = field(default_factory=dict)
    sysctls: dict[str, tuple[Setting, tuple[Setting, ...]]] = field(default_factory=dict)
    lasting: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True)
class Against:
    """Something that stands against going back, by its controller, and what can be done about it."""

    what: str
    remedy: str


def touched(runs: Iterable[RunKept]) -> Touched:
    """Sum up runs, oldest first."""
    found = Touched()
    for run in runs:
        for record in run.records:
            match record:
                case PathKept(path=path, before=before, after=after):
                    known = found.paths.get(path, PathUndo(run.run, before, (), ""))
                    found.paths[path] = PathUndo(known.run, known.before, (before, after, known.before), run.run)
                case UnitKept(name=name):
                    found.units.setdefault(name, record)
                case SysctlKept(name=name, before=was, after=set_to):
                    first = found.sysctls.get(name, (was, ()))[0]
                    found.sysctls[name] = (first, (was, set_to, first))
                case Lasting(what=what):
                    found.lasting[what] = None
    return found


@dataclass(frozen=True)
class Back:
    """What one controller needs, by path; `settings` by name; `folders` are removed when all else is done.

    `stays`: folders that hold something which is not ours.
    """

    paths: Mapping[str, Change]
    settings: Mapping[str, Change]
    folders: Mapping[str, Change]
    stays: tuple[str, ...]
    against: tuple[Against, ...]


def back(
    host: str,
    found: Touched,
    kept: HostKept,
    overwrite: Collection[str],
    *,
    files: Mapping[str, File],
    secrets: Secrets,
) -> Back:
    """Compare how everything lies with how it lay. `files`: where secrets stand in them; `overwrite`: HOST:PATH."""
    paths: dict[str, Change] = {}
    against: list[Against] = []
    for path in sorted(found.paths, key=lambda one: (found.paths[one].before.kind != "directory", one)):
        undo, now = found.paths[path], kept.now[path]
        if now == undo.before:
            continue
        if f"{undo.run}:{path}" in kept.damaged:
            against.append(Against(f"{host}: the copy of {path} that run {undo.run} kept is damaged", _BY_HAND))
        elif now not in undo.left and f"{host}:{path}" not in overwrite:
            against.append(_changed(host, path, undo, now))
        elif not _makes_room(now, undo.before):
            against.append(Against(f"{host}: {path} is a {now.kind} now, and was a {undo.before.kind}", _BY_HAND))
        else:
            act = Restore(path=path, run=undo.run, found=now, before=undo.before)
            paths[path] = Change((act,), tuple(_lines(path, undo.before, kept, files.get(path), secrets)))
    folders, stays = _folders(found, kept, paths)
    settings, changed = _settings(host, found, kept)
    return Back(
        {path: change for path, change in paths.items() if path not in {*folders, *stays}},
        settings,
        folders,
        tuple(stays),
        (*against, *changed),
    )


def _makes_room(now: Lies, before: Lies) -> bool:
    """Whether the one can be put in the place of the other: a file or link for its kind, a directory for none."""
    if "absent" in {now.kind, before.kind}:
        return now.kind != "other"
    return now.kind != "other" and (now.kind == "directory") == (before.kind == "directory")


_BY_HAND = "Put it right by hand, from a backup of the machine, or go back to before a later run."


def _changed(host: str, path: str, undo: PathUndo, now: Lies) -> Against:
    return Against(
        f"{host}: somebody changed {path} since run {undo.by} wrote it: it was left as {undo.left[1]}, it is {now}",
        f"Keep what matters of it elsewhere, then say --overwrite {host}:{path}; the rollback keeps a copy, too.",
    )


def _folders(found: Touched, kept: HostKept, paths: Mapping[str, Change]) -> tuple[dict[str, Change], list[str]]:
    """Say which folders can go, deepest first, and which hold something that stays."""
    going = {path for path in paths if found.paths[path].before.kind == "absent"}
    folders: dict[str, Change] = {}
    stays = []
    for path in sorted(going, reverse=True):
        if kept.now[path].kind != "directory":
            continue
        rest = [name for name in kept.holds.get(path, ()) if f"{path}/{name}" not in going]
        if rest:
            going.remove(path)
            stays.append(path)
        else:
            folders[path] = paths[path]
    return folders, stays


def _settings(host: str, found: Touched, kept: HostKept) -> tuple[dict[str, Change], list[Against]]:
    changes: dict[str, Change] = {}
    against = []
    for name, (before, left) in found.sysctls.items():
        now = kept.sysctls[name]
        if now == before:
            continue
        if now not in left:
            what = f"{host}: somebody changed the kernel setting {name}: it was left {left[1].value}, it is {now.value}"
            against.append(Against(what, f"Set it to {left[1].value} again (sysctl), or to {before.value} for good."))
            continue
        act = RestoreSysctl(name=name, value=before.value, kept=before.kept)
        changes[name] = Change((act,), (f"~ sysctl {name}: {now.value} → {before.value}",))
    return changes, against


def _lines(path: str, before: Lies, kept: HostKept, file: File | None, secrets: Secrets) -> Iterator[str]:
    now = kept.now[path]
    if before.kind == "absent":
        yield f"- {path}{'/' * (now.kind == 'directory')}"
        return
    yield f"{'+' if now.kind == 'absent' else '~'} {path}{'/' * (before.kind == 'directory')}"
    if now.kind == "absent":
        return
    if now.mode != before.mode:
        yield f"  mode {now.mode:04o} → {before.mode:04o}"
    if (now.owner, now.group) != (before.owner, before.group):
        yield f"  owner {now.owner}:{now.group} → {before.owner}:{before.group}"
    if now.sha256 != before.sha256:
        if file is not None and path in kept.texts and path in kept.were:
            yield from text_lines(kept.texts[path], kept.were[path], file, secrets)
        else:  # nobody says where secrets stand in it
            yield f"  content {now.sha256[:12]} → {before.sha256[:12]}"

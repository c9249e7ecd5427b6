"""The difference between what should be and what was seen, for one resource: the acts that mend it, and how it reads.

Units are not here: whether a unit is as it should be depends on the files it has loaded (`delta.py`).
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from quorate.core.act import Act, Install, MakeDirectory, RemoveFile, SetSysctl, WriteFile
from quorate.core.observed import Absent, PackageSeen, PathSeen, SysctlSeen, Unknown
from quorate.core.resource import Directory, File, Gone, Package, Sysctl
from quorate.core.secret import Secrets, names_in, reference

HIDDEN = "@@secret@@"
"""Stands for a value that is, or was, a secret that we do not know."""


@dataclass(frozen=True)
class Change:
    """What one resource needs: acts, and the lines that a person reads (secrets masked)."""

    acts: tuple[Act, ...]
    lines: tuple[str, ...]


def difference(
    resource: Package | Directory | File | Gone | Sysctl,
    seen: PackageSeen | PathSeen | SysctlSeen | Absent | Unknown,
    secrets: Secrets,
) -> Change | Unknown | None:
    """Compare. None: it is as it should be. Unknown: it could not be seen, so nothing may be concluded."""
    if isinstance(seen, Unknown):
        return seen
    match resource:
        case Package():
            return _package(resource, seen)
        case Directory():
            return _directory(resource, seen)
        case File():
            return _file(resource, seen, secrets)
        case Gone():
            return _gone(resource, seen)
        case Sysctl():
            return _sysctl(resource, seen)


def content_digest(file: File, secrets: Secrets) -> str:
    """SHA-256 of the content as it will lie on disk."""
    return hashlib.sha256(secrets.resolve(file.content).encode()).hexdigest()


def _package(package: Package, seen: object) -> Change | None:
    if isinstance(seen, PackageSeen):
        return None
    act = Install(packages=(package.name,), preseed=package.preseed)
    return Change((act,), (f"+ package {package.name}",))


def _directory(directory: Directory, seen: object) -> Change | Unknown | None:
    act = MakeDirectory(path=directory.path, mode=directory.mode, owner=directory.owner, group=directory.group)
    if not isinstance(seen, PathSeen):
        return Change((act,), (f"+ {directory.path}/",))
    if seen.kind != "directory":
        return Unknown(why=f"{directory.path} is a {seen.kind}, not a directory: move it away by hand")
    lines = tuple(_attributes(directory, seen))
    return Change((act,), (f"~ {directory.path}/", *lines)) if lines else None


def _file(file: File, seen: object, secrets: Secrets) -> Change | Unknown | None:
    act = WriteFile(path=file.path, content=file.content, mode=file.mode, owner=file.owner, group=file.group)
    if not isinstance(seen, PathSeen):
        return Change((act,), (f"+ {file.path} ({file.content.count(chr(10))} lines)",))
    if seen.kind != "file":
        return Unknown(why=f"{file.path} is a {seen.kind}, not a file: move it away by hand")
    lines = list(_attributes(file, seen))
    if seen.sha256 != content_digest(file, secrets):
        lines += _text_lines(file, seen, secrets)
    return Change((act,), (f"~ {file.path}", *lines)) if lines else None


def _gone(gone: Gone, seen: object) -> Change | Unknown | None:
    if not isinstance(seen, PathSeen):
        return None
    if seen.kind != "file":
        return Unknown(why=f"{gone.path} is a {seen.kind}, not a file: move it away by hand")
    return Change((RemoveFile(path=gone.path),), (f"- {gone.path}",))


def _sysctl(sysctl: Sysctl, seen: object) -> Change | None:
    act = SetSysctl(name=sysctl.name, value=sysctl.value)
    if not isinstance(seen, SysctlSeen):
        return Change((act,), (f"+ sysctl {sysctl.name}={sysctl.value}",))
    if seen.value == sysctl.value and seen.kept == sysctl.value:
        return None
    kept = seen.kept or "not kept"
    return Change((act,), (f"~ sysctl {sysctl.name}: {seen.value} ({kept} for the next boot) → {sysctl.value}",))


def _attributes(wanted: File | Directory, seen: PathSeen) -> Iterator[str]:
    if seen.mode != wanted.mode:
        yield f"  mode {seen.mode:04o} → {wanted.mode:04o}"
    if (seen.owner, seen.group) != (wanted.owner, wanted.group):
        yield f"  owner {seen.owner}:{seen.group} → {wanted.owner}:{wanted.group}"


def _text_lines(file: File, seen: PathSeen, secrets: Secrets) -> list[str]:
    if seen.text is None:
        return [f"  content differs: {seen.sha256[:12]} → {content_digest(file, secrets)[:12]}"]
    return text_lines(seen.text, file.content, file, secrets)


def text_lines(old: str, new: str, file: File, secrets: Secrets) -> list[str]:
    """Tell two contents of a file apart, for people; `file` says where secrets stand."""
    before, after = (_masked(text, file, secrets).splitlines() for text in (old, new))
    lines = list(difflib.unified_diff(before, after, lineterm="", n=0))[2:]
    return lines or ["  a secret in it differs" if names_in(file.content) else "  line endings differ"]


def _masked(text: str, file: File, secrets: Secrets) -> str:
    """Hide known secrets, and whatever stands where the wanted file has a secret: it was one once.

    A line stands there when it begins as the wanted one does up to its secret, or sets the same key; blanks do not
    count.
    """
    wanted = [(line, secrets.mask(line)) for line in file.content.splitlines()]
    holders = [line.split(reference(name))[0] for plain, line in wanted for name in names_in(plain)]
    longest_first = sorted({start for before in holders for start in _starts(before)}, key=len, reverse=True)
    known = {line for _, line in wanted}
    masked = []
    for line in secrets.mask(text).splitlines():
        start = next((s for s in longest_first if "".join(line.split()).startswith(s)), None)
        masked.append(line if start is None or line in known else f"{_first(line, len(start))}{HIDDEN}")
    return "\n".join(masked)


def _starts(before: str) -> Iterator[str]:
    """Say, without blanks, how a line begins that has a secret behind this text: with all of it, or just its key."""
    yield "".join(before.split())
    if key := re.match(r"\s*[\w.\"'-]+\s*[=:]", before):
        yield "".join(key[0].split())


def _first(line: str, count: int) -> str:
    """Take the beginning of the line with so many characters that are no blanks, and the blanks behind them."""
    places = [place for place, mark in enumerate(line) if not mark.isspace()]
    return line[: [*places, len(line)][count]] if count else ""

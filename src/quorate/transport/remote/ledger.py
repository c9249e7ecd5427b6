"""What is kept of runs: backup/RUN.jsonl tells what a run touched, backup/RUN/PATH holds what it replaced.

The first line of a ledger is its head, each further one a record (core/kept.py), durable before its act begins.
"""
# pathlib is left out: importing it costs more than observing forty files.

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time

from quorate.transport.remote.files import KEPT, copy, group_name, owner_name, private, put, read_json, sync

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]

KEEPS = 30
"""How many runs are kept: what is older is forgotten when a run begins that is not a rollback."""
SUFFIX = ".jsonl"
ABSENT = {"kind": "absent", "sha256": "", "mode": 0, "owner": "", "group": ""}


def lies(path: str) -> Json:
    """Say how something lies at the path; a link to a directory is seen as that directory."""
    try:
        status = os.stat(path) if os.path.isdir(path) else os.lstat(path)
        digest, kind = "", "other"
        if stat.S_ISREG(status.st_mode):
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
                digest, kind = hashlib.file_digest(file, "sha256").hexdigest(), "file"
        elif stat.S_ISLNK(status.st_mode):
            digest, kind = hashlib.sha256(os.readlink(path).encode()).hexdigest(), "link"
        elif stat.S_ISDIR(status.st_mode):
            kind = "directory"
    except (FileNotFoundError, NotADirectoryError):
        return dict(ABSENT)
    return as_lies(kind, digest, stat.S_IMODE(status.st_mode), owner_name(status.st_uid), group_name(status.st_gid))


def as_lies(kind: str, digest: str, mode: int, owner: str, group: str) -> Json:
    """Put together how something lies."""
    return {"kind": kind, "sha256": digest, "mode": mode, "owner": owner, "group": group}


def copy_of(root: str, run: str, path: str) -> str:
    """Where a run keeps what lay at the path before it."""
    return f"{root}{KEPT}/backup/{run}{path}"


def keep(root: str, run: str, path: str) -> str:
    """Keep what lies there as it was before this run first wrote it: a later copy never takes the first one's place."""
    kept = copy_of(root, run, path)
    if not os.path.lexists(kept):
        copy(path, kept)
    return kept


def note(root: str, run: str, about: Json, record: Json) -> None:
    """Write a record, durably. A ledger that is new begins with its head, and makes room among the old ones."""
    folder = f"{root}{KEPT}/backup"
    path = f"{folder}/{run}{SUFFIX}"
    if not os.path.exists(path):
        private(folder)
        if about.get("verb") != "rollback":  # it may be on its way to the oldest one that is kept
            forget(root, KEEPS - 1)
        put(path, _line({"run": run, "began": now(), **about}))
    with open(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC), "r+b") as ledger:
        ledger.seek(-1, os.SEEK_END)
        torn = ledger.read(1) != b"\n"  # a record that was cut off: its act never began
        ledger.write((b"\n" if torn else b"") + _line(record))
        ledger.flush()
        os.fsync(ledger.fileno())


def _line(value: Json) -> bytes:
    return f"{json.dumps(value)}\n".encode()


def now() -> str:
    """The time of day, ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


def runs(root: str) -> list[tuple[Json, list[Json]]]:
    """Read all ledgers, oldest run first: head and records of each."""
    folder = f"{root}{KEPT}/backup"
    names = os.listdir(folder) if os.path.isdir(folder) else []
    read = [_read(f"{folder}/{name}") for name in names if name.endswith(SUFFIX)]
    return sorted((one for one in read if one is not None), key=lambda one: (one[0]["began"], one[0]["run"]))


def _read(path: str) -> tuple[Json, list[Json]] | None:
    values = []
    with open(path, "rb") as file:
        for line in file:
            with contextlib.suppress(ValueError):
                values.append(json.loads(line))
    return (values[0], values[1:]) if values else None


def forgotten(root: str) -> str:
    """When the newest run began that is no longer kept; empty: none was forgotten."""
    return str((read_json(f"{root}{KEPT}/backup/forgotten.json") or {}).get("began", ""))


def forget(root: str, keeps: int) -> None:
    """Forget all but the newest runs: that they are forgotten, then their ledgers, then their copies."""
    kept = runs(root)
    for head, _ in kept[: max(0, len(kept) - keeps)]:
        put(f"{root}{KEPT}/backup/forgotten.json", json.dumps({"began": head["began"]}).encode())
        os.unlink(f"{root}{KEPT}/backup/{head['run']}{SUFFIX}")
        remove(f"{root}{KEPT}/backup/{head['run']}")


def remove(folder: str) -> None:
    """Remove a folder with all that is in it."""
    for where, folders, files in os.walk(folder, topdown=False):
        for name in files:
            os.unlink(f"{where}/{name}")
        for name in folders:
            inner = f"{where}/{name}"
            (os.unlink if os.path.islink(inner) else os.rmdir)(inner)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(folder)


def put_back(path: str, source: str, before: Json) -> None:
    """Make the path what it was: what the copy is, a directory with these attributes, or nothing at all."""
    kind = before["kind"]
    if kind in {"file", "link"} and lies(source) != before:
        raise OSError(f"{source} is not what was kept of {path}")
    status = os.lstat(source) if kind in {"file", "link"} else None
    if kind == "absent":
        (os.rmdir if os.path.isdir(path) and not os.path.islink(path) else os.unlink)(path)
        sync(os.path.dirname(path))
    elif status is not None and kind == "file":
        with open(source, "rb") as file:
            put(path, file.read(), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    elif kind == "link":
        new = f"{os.path.dirname(path)}/.{os.path.basename(path)}.quorate"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        os.symlink(os.readlink(source), new)
        os.replace(new, path)
        sync(os.path.dirname(path))

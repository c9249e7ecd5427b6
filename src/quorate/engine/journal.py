"""The journal: append-only JSON lines, each on disk before the act that it tells of begins.

One file a run, `.quorate/journal/STARTED-RUN.jsonl` beside the cloud file, readable by its owner only::

    {"at": "2026-01-31T12:00:00.123+00:00", "run": "1f0c…", "event": "start", "plan": "FINGERPRINT", "operator": "…"}
    {"at": …, "run": …, "event": "act", "wave": 1, "host": "controller1", "act": "write /etc/corosync/corosync.conf"}
    {"at": …, "run": …, "event": "done", "wave": 1, "host": "controller1", "acts": 14}
    {"at": …, "run": …, "event": "end", "outcome": "converged"}

Beside it lies STARTED-RUN.cloud.yaml, the cloud file as it was when the run began to change something.

It says what was about to happen, for people and for a post-mortem. It is never needed to go on: a run after an
interrupted one plans anew from what it sees. It never holds a secret.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

CLOUD = ".cloud.yaml"


class Journal(Protocol):
    """Where a run tells what it is about to do."""

    def write(self, event: str, **facts: object) -> None:
        """Return only once the line is safe."""
        ...


class FileJournal:
    """A journal on disk. `now` gives the time, timezone-aware.

    `cloud`: the cloud file's text that is to stand beside the first line, in which no secret is; empty: none.
    """

    def __init__(self, folder: Path, run: str, now: Callable[[], datetime], cloud: str = "") -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / f"{now():%Y%m%dT%H%M%S}-{run}.jsonl"
        self.cloud = cloud
        self._run = run
        self._now = now
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, event: str, **facts: object) -> None:
        """Append one line and force it to disk."""
        if self.cloud:
            _keep(self.path.with_suffix(CLOUD), self.cloud)
            self.cloud = ""
        line = {"at": self._now().isoformat(timespec="milliseconds"), "run": self._run, "event": event, **facts}
        os.write(self._fd, (json.dumps(line, ensure_ascii=False) + "\n").encode())
        os.fsync(self._fd)

    def close(self) -> None:
        """Close the file; further writes are errors."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def cloud_file_of(folder: Path, run: str) -> str | None:
    """Read the cloud file as that run had it; None: it is not kept here."""
    found = next(iter(sorted(folder.glob(f"*-{run}{CLOUD}"))), None) if run.isalnum() else None
    return found.read_text(encoding="utf-8") if found else None


def _keep(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())

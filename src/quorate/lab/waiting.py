"""Waits for something to become true, or for a lock: never for ever."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def until(condition: Callable[[], bool], timeout: float, pause: float = 0.01) -> bool:
    """Return True as soon as the condition holds, False when it does not within the time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


@contextmanager
def lock(path: Path, timeout: float = 0.0, *, remove: bool = False) -> Iterator[bool]:
    """Hold the lock that this file stands for, against all processes; yield False when others held it all the time.

    The kernel gives it back when its holder dies. With `remove` the file goes when we are done, for locks of things
    that are gone then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    held: list[int] = []

    def take() -> bool:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # the last holder may have removed the file since we opened it: then others lock another one
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                held.append(descriptor)
                return True
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(descriptor)
        return False

    got = until(take, timeout, pause=0.02)
    try:
        yield got
    finally:
        if got and remove:
            path.unlink(missing_ok=True)
        for descriptor in held:
            os.close(descriptor)

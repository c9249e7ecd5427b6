"""One thread of a process held still while the others go on, as a disk or a page that does not come holds one."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17
_ALL_THREADS = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_LIBC.ptrace.restype = ctypes.c_long


def find(pid: int, name: str) -> int:
    """Return the first thread of that name."""
    threads = sorted(int(path.name) for path in Path(f"/proc/{pid}/task").iterdir())
    return next(thread for thread in threads if Path(f"/proc/{pid}/task/{thread}/comm").read_text().strip() == name)


def hold(thread: int) -> None:
    """Stop it. The thread that calls this must be the one that calls `release`."""
    _trace(_SEIZE, thread)
    _trace(_INTERRUPT, thread)
    os.waitpid(thread, _ALL_THREADS)


def release(thread: int) -> None:
    """Let it go on."""
    _trace(_DETACH, thread)


def _trace(request: int, thread: int) -> None:
    if _LIBC.ptrace(request, thread, None, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

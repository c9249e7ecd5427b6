"""Writes the record of a drill (core/record.py) while it runs: `.quorate/drills/RUN/record.jsonl`, for its owner only.

Lines are put down in memory, from the event loop or any thread, and a thread of its own writes them: every half second,
and at once after a mark, which is on disk soon after. The disk's room for all of it is taken before anything is broken.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from quorate.core.drill import Workload
from quorate.core.history import Operation
from quorate.core.record import Done, Final, Header, HolderLine, LookLine, Mark, MarkName, SignLine, Watched, encode
from quorate.core.record import operation_line as encode_operation
from quorate.errors import QuorateError

NAME = "record.jsonl"
EVERY = 0.5
"""Seconds that a line may wait in memory."""
_LINE = 320
"""Bytes of a line of a drill that goes badly, note and facts counted."""
_BESIDE = 1 << 20
"""Bytes for all that is no operation."""


def room_for(workloads: Sequence[Workload], seconds: float) -> int:
    """Bytes that the record of such a drill may need."""
    return int(sum(workload.rate for workload in workloads) * seconds * _LINE) + _BESIDE


class Recorder:
    """The record of one drill. `mask` hides secrets in what people will read.

    What is recorded before `open` waits for the header, which goes first.

    A write that fails is remembered: `check` raises it and `broken` returns, and nothing more is written. The drill
    then heals, and ends with it.
    """

    def __init__(self, folder: Path, *, room: int, mask: Callable[[str], str]) -> None:
        """Make the folder and the file with room for so many bytes. QuorateError: there is no room, or no way."""
        self.path = folder / NAME
        self._mask = mask
        self._lines: list[str] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._sync = self._over = False
        self._written = 0
        self._error: OSError | None = None
        self._broken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        with contextlib.suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()
        self._fd = _opened(self.path, room)
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self._thread.start()
        self._early: list[str] | None = []

    def open(self, header: Header) -> None:
        """Write the header, once, and then what has waited for it."""
        with self._lock:
            early, self._early = self._early or [], None
            self._lines += [encode(header), *early]
            self._sync = True
        self._wake.set()

    def operation(self, by: str, operation: Operation) -> None:
        """Record an operation of the workload of this name."""
        if operation.note:
            operation = replace(operation, note=self._mask(operation.note))
        self._put(encode_operation(by, operation))

    def mark(self, name: MarkName, at: float, seconds: float = 0.0) -> None:
        """Record what the drill did, or saw of itself; on disk soon after."""
        self._put(encode(Mark(name=name, at=at, seconds=seconds)), at_once=True)

    def add(self, line: LookLine | HolderLine | Watched | SignLine) -> None:
        """Record what was seen."""
        if isinstance(line, LookLine):
            line = line.model_copy(update={"why": {system: self._mask(why) for system, why in line.why.items()}})
        self._put(encode(line))

    def final(self, by: str, facts: Mapping[str, Any]) -> None:
        """Record what a client found at the end."""
        self._put(encode(Final(by=by, facts=dict(facts))))

    def check(self) -> None:
        """Raise QuorateError if a write has failed."""
        if self._error is not None:
            why = self._error.strerror or self._error
            raise QuorateError(f"{self.path} cannot be written: {why}", hint="What it does not show is unknown.")

    async def broken(self) -> None:
        """Wait until a write fails, which as a rule never happens."""
        await self._broken.wait()

    def close(self, *, done: bool) -> None:
        """Write what is left, with the last line if all was done; raises as `check` does. Blocks; again: nothing."""
        if self._over:
            return
        if done:
            self._put(encode(Done()))
        self._over = True
        self._wake.set()
        self._thread.join()
        self.check()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Close it without the last line, unless `close` was called before."""
        with contextlib.suppress(QuorateError):
            self.close(done=False)

    def _put(self, text: str, *, at_once: bool = False) -> None:
        with self._lock:
            (self._lines if self._early is None else self._early).append(text)
            self._sync |= at_once
        if at_once:
            self._wake.set()

    def _write(self) -> None:
        """The thread: write what there is, every now and then, to the end."""
        over = False
        while not over:
            self._wake.wait(EVERY)
            self._wake.clear()
            over = self._over
            with self._lock:
                lines, self._lines = self._lines, []
                sync, self._sync = self._sync or over, False
            if self._error is None:
                try:
                    self._append("".join(lines).encode(), sync)
                except OSError as error:
                    self._fail(error)
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, self._written)  # gives back the room that was not needed
        os.close(self._fd)

    def _append(self, data: bytes, sync: bool) -> None:
        while data:
            count = os.pwrite(self._fd, data, self._written)
            self._written += count
            data = data[count:]
        if sync:
            os.fdatasync(self._fd)

    def _fail(self, error: OSError) -> None:
        self._error = error
        if self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._broken.set)


def _opened(path: Path, room: int) -> int:
    """Open the new file with its room taken.

    After a crash the room that was not used stands at its end, as zeros: a last line without its end, which readers
    pass over.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise QuorateError(f"{path} cannot be made: {error.strerror}") from None
    try:
        os.posix_fallocate(fd, 0, room)
    except OSError as error:
        os.close(fd)
        path.unlink()
        with contextlib.suppress(OSError):
            path.parent.rmdir()
        raise QuorateError(
            f"no room for the record of this drill at {path.parent}: {error.strerror}",
            hint=f"It may need {room / (1 << 20):.0f} MiB. Nothing was broken.",
        ) from None
    return fd

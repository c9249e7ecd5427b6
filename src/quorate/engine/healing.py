"""Healing: whatever a drill did is undone, however the drill ends.

Before anything is done, all that undoes it is written to `armed.json` in the run's folder, safely on disk; it goes
away once all of it was done. Who heals:

- the drill itself, at its end, after an error and after Ctrl-C
- its guardian, a process of its own that waits for the drill's end at a pipe, when the drill was killed
- the next drill, before it begins, or `quorate drill heal`
- the controller itself, for what was done on it, when nobody else lives (faults/: the dead man's timer)

Every cure is idempotent, and each is tried until it works or its time is up: a controller may just be booting.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from quorate.core.fault import AwaitWell, OnGround, OnHost, Step
from quorate.core.secret import Secrets
from quorate.engine.ground import Ground
from quorate.errors import QuorateError, Unreachable
from quorate.transport.contract import Transport

ARMED = "armed.json"
GUARDIAN_LOG = "guardian.log"
PATIENCE = 120.0
"""Seconds in which each cure must work."""
_PAUSE = 1.0
_STEPS: TypeAdapter[list[Step]] = TypeAdapter(list[Step])


@dataclass(frozen=True)
class Patience:
    """How long each cure is tried, and by which clock."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    seconds: float = PATIENCE
    progress: Callable[[str], None] = lambda _text: None


class Doer:
    """Does steps. `well` waits until everything is ok; None: steps that want that are passed over, as in healing."""

    def __init__(
        self,
        transports: Mapping[str, Transport],
        ground: Ground,
        secrets: Secrets,
        *,
        well: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        self._transports = transports
        self._ground = ground
        self._secrets = secrets
        self._well = well

    async def do(self, step: Step) -> str:
        """Do it; returns what a command printed. QuorateError when it failed, Unreachable when nobody knows."""
        match step:
            case OnHost():
                return await self._on_host(step)
            case OnGround():
                await self._ground.do(step.act, step.hosts)
            case AwaitWell():
                if self._well is not None:
                    await self._well(step.timeout)
        return ""

    async def _on_host(self, step: OnHost) -> str:
        stdin = self._secrets.resolve(step.stdin).encode()
        done = await self._transports[step.host].run(step.argv, stdin, timeout=step.timeout)
        out, err = (self._secrets.mask(text.decode(errors="replace")) for text in (done.out, done.err))
        if done.code != 0:
            last = "; ".join((err or out).strip().splitlines()[-3:]) or "nothing printed"
            raise QuorateError(f"{step.host}: {step.argv[0]} ended with {done.code}: {last}")
        return out


class Cures:
    """What is armed: the steps that undo everything, on disk before anything is done."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ARMED
        self._steps: list[Step] = []

    @property
    def armed(self) -> bool:
        """Whether anything is left to undo."""
        return self._path.exists()

    def arm(self, *steps: Step) -> None:
        """Add steps that go before those that are armed already: what is done last is undone first."""
        known = [step for step in self._steps if step not in steps]
        self._steps = [*steps, *known]
        self._write()

    def load(self) -> None:
        """Take what a drill that died has left. QuorateError where its file is damaged."""
        try:
            self._steps = _STEPS.validate_json(self._path.read_bytes())
        except ValidationError as error:
            raise QuorateError(
                f"{self._path} is damaged, and says no longer what the drill is to undo: {error.errors()[0]['msg']}",
                hint="record.jsonl beside it says what was done and to whom: undo that by hand, see that `quorate "
                "status` is ok, then remove the file.",
            ) from None

    async def heal(self, doer: Doer, patience: Patience, only: Sequence[Step] | None = None) -> None:
        """Undo everything, or only these steps, in order. QuorateError names what could not be; that stays armed."""
        failed: list[tuple[Step, QuorateError]] = []
        chosen = [step for step in self._steps if only is None or step in only]
        for step in chosen:
            error = await _insist(doer, step, patience)
            if error is not None:
                failed.append((step, error))
        done = [step for step in chosen if step not in [one for one, _ in failed]]
        self._steps = [step for step in self._steps if step not in done]
        if self._steps:
            self._write()
        if failed:
            raise QuorateError(
                "not everything could be undone: " + "; ".join(error.message for _, error in failed),
                hint="`quorate drill heal` tries again; the steps are in " + str(self._path),
            )
        if not self._steps:
            self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        draft = self._path.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(_STEPS.dump_json(self._steps, indent=1))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)


async def _insist(doer: Doer, step: Step, patience: Patience) -> QuorateError | None:
    until = patience.clock() + patience.seconds
    while True:
        try:
            await doer.do(step)
        except QuorateError as error:
            if patience.clock() > until:
                return error
            if isinstance(error, Unreachable):
                patience.progress(f"{error.message}; trying again")
            await patience.sleep(_PAUSE)
        else:
            return None


def left_behind(drills: Path) -> list[Path]:
    """Folders of runs that are armed, oldest first."""
    return sorted(path.parent for path in drills.glob(f"*/{ARMED}"))


_GUARDIAN = """
import os, sys
armed, *heal = sys.argv[1:]
sys.stdin.buffer.read()
if os.path.exists(armed):
    os.execv(heal[0], heal)
"""


@contextlib.contextmanager
def guarded(folder: Path, command: Sequence[str]) -> Iterator[None]:
    """Have a process of its own run `quorate` with these arguments once this one is gone, if anything is armed then.

    It waits for the end of its standard input, whose other end only we hold. It outlives us and our terminal, and says
    what it did in the run's folder.
    """
    heal = (sys.executable, "-m", "quorate.cli.main", *command)
    with (folder / GUARDIAN_LOG).open("ab") as log:
        guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _GUARDIAN, str(folder / ARMED), *heal],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        if guardian.stdin is not None:
            guardian.stdin.close()
        guardian.wait()

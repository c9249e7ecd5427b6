"""Run a program with a bound on its time and on its output, and leave no process of it behind."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time

TYPE_CHECKING = False  # importing typing costs more than looking at twenty packages
if TYPE_CHECKING:
    from typing import Any

OUTPUT_LIMIT = 1 << 20
NOTE_LIMIT = 4 << 10
LINGER = 0.2  # for output that is still in the pipes when a program has ended
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/root",
}
RUNNING: set[int] = set()
"""The process groups that must not outlive us."""


class Failed(Exception):
    """It was tried and is not so; the text says why."""


def execute(
    argv: list[str],
    timeout: float,
    stdin: bytes = b"",
    *,
    last: bool = False,
    env: dict[str, str] | None = None,
    who: dict[str, Any] | None = None,
) -> tuple[int, bytes, bytes]:
    """Run a program: its exit code and the first (or last) MiB of each output.

    TimeoutError when it did not end in time: it and its process group are killed. 127 when it cannot be found. stdin
    is memory, so that no writer can block; a daemon that keeps the outputs open is not waited for. `who`: user, group
    and extra_groups of subprocess.
    """
    try:
        given = os.memfd_create("stdin")
        try:
            with open(given, "wb", closefd=False) as file:
                file.write(stdin)
            os.lseek(given, 0, os.SEEK_SET)
            options: dict[str, Any] = {"stdin": given, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | (
                who or {}
            )
            child = subprocess.Popen(argv, 0, env=env or ENVIRONMENT, cwd="/", process_group=0, **options)
        finally:
            os.close(given)
    except FileNotFoundError:
        return 127, b"", f"{argv[0]}: not found".encode()
    except (PermissionError, NotADirectoryError) as error:
        return 126, b"", f"{argv[0]}: {error.strerror}".encode()
    return finish(child, time.monotonic() + timeout, last=last)


class Copied:
    """A Python program that a copy of this process runs: to start an interpreter takes longer than most of them do.

    Like subprocess.Popen as far as `finish` needs it. What this process has imported, the copy has. To be started while
    this process has no other threads: what they hold would stay locked in the copy for ever.
    """

    def __init__(self, code: str, arguments: list[str]) -> None:
        self.returncode: int | None = None
        out, err = os.pipe(), os.pipe()
        self.pid = os.fork()
        if not self.pid:
            _be(code, arguments, out[1], err[1])
        RUNNING.add(self.pid)
        os.close(out[1])
        os.close(err[1])
        self.stdout = open(out[0], "rb", 0)  # noqa: SIM115 - `finish` closes both
        self.stderr = open(err[0], "rb", 0)  # noqa: SIM115

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, for so long at most (subprocess.TimeoutExpired)."""
        if self.returncode is None:
            ended = os.pidfd_open(self.pid)
            try:
                if not select.select([ended], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired(f"{self.pid}", timeout or 0.0)
            finally:
                os.close(ended)
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


def _be(code: str, arguments: list[str], out: int, err: int) -> None:
    """Be a program of its own from here on, as `python3 -c` would run it."""
    status = 1
    try:
        os.setpgid(0, 0)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        for ours, theirs in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
            os.dup2(ours, theirs)
        os.closerange(3, 256)
        os.chdir("/")
        os.environ.clear()
        os.environ.update(ENVIRONMENT)
        sys.argv = ["-c", *arguments]
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102 - the operator's own question
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1 if end.code else 0
        if end.code and not isinstance(end.code, int):
            sys.stderr.write(f"{end.code}\n")
    except BaseException as error:  # noqa: BLE001 - nothing may come back from here
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def finish(child: subprocess.Popen[bytes] | Copied, deadline: float, *, last: bool = False) -> tuple[int, bytes, bytes]:
    """Wait for a program that was started, and give what `execute` gives of it."""
    RUNNING.add(child.pid)
    try:
        return _collect(child, deadline, last=last)
    finally:
        if child.returncode is None:
            kill(child.pid)
            with contextlib.suppress(subprocess.TimeoutExpired):  # one that hangs in the kernel stays behind
                child.wait(1)
        RUNNING.discard(child.pid)


def stand_back(nice: int) -> None:
    """Leave the processors to others, as nice(1), this process and all that it starts.

    Linux shares them among sessions first (CONFIG_SCHED_AUTOGROUP), of which each has a nice value of its own, so this
    is to be one session by itself, and what it starts no further ones: sched(7).
    """
    os.nice(nice)
    with contextlib.suppress(PermissionError):  # it leads a session already
        os.setsid()
    if os.getsid(0) == os.getpid():
        # A kernel that does not share by session has no such file.
        with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as group:
            group.write(str(os.nice(0)))


def kill(group: int) -> None:
    """Kill a process group that may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _collect(child: subprocess.Popen[bytes] | Copied, deadline: float, *, last: bool) -> tuple[int, bytes, bytes]:
    ended = os.pidfd_open(child.pid)
    try:
        assert child.stdout is not None  # noqa: S101 - Popen was asked for pipes
        assert child.stderr is not None  # noqa: S101
        with child.stdout as out, child.stderr as err:
            kept = {out.fileno(): bytearray(), err.fileno(): bytearray()}
            _read(ended, kept, deadline, last=last)
            printed, complained = kept.values()
            return child.wait(), bytes(printed), bytes(complained)
    finally:
        os.close(ended)


def _read(ended: int, kept: dict[int, bytearray], deadline: float, *, last: bool) -> None:
    """Fill the buffers until the program has ended and its pipes are closed, or have been given time to drain."""
    poll = select.poll()
    waiting = {ended, *kept}
    for descriptor in waiting:
        poll.register(descriptor, select.POLLIN)
    while waiting and (left := deadline - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(left * 1000):
            if descriptor != ended and (chunk := os.read(descriptor, 1 << 16)):
                output = kept[descriptor]
                output += chunk if last else chunk[: OUTPUT_LIMIT - len(output)]
                if len(output) > 2 * OUTPUT_LIMIT:
                    del output[:-OUTPUT_LIMIT]
                continue
            poll.unregister(descriptor)
            waiting.discard(descriptor)
            if descriptor == ended:
                deadline = time.monotonic() + LINGER
    if ended in waiting:
        raise TimeoutError


def must(argv: list[str], timeout: float, stdin: bytes = b"", *, env: dict[str, str] | None = None) -> str:
    """Run a program that must succeed, and give what it printed; Failed tells its exit code and its last words."""
    try:
        code, out, err = execute(argv, timeout, stdin, last=True, env=env)
    except TimeoutError:
        raise Failed(f"{argv[0]} did not end within {timeout:g} s and was killed") from None
    if code:
        raise Failed(f"{' '.join(argv[:2])}: exit code {code}: {words(out, err)}")
    return out.decode(errors="replace")


def words(*outputs: bytes) -> str:
    """Text of the last 4 KiB of what a program printed."""
    return b"\n".join(filter(None, (output.strip() for output in outputs)))[-NOTE_LIMIT:].decode(errors="replace")

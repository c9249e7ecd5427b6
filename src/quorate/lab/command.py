"""Runs the host's programs: always with a time limit, never through a shell that parses names."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from quorate.errors import QuorateError


def attempt(argv: Sequence[str], *, stdin: str = "", timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
    """Run the program and return what came of it, whatever that is; only a time-out is an error."""
    try:
        return subprocess.run(
            argv, input=stdin, capture_output=True, text=True, errors="replace", timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise QuorateError(f"{argv[0]} did not end within {timeout:g} s: {' '.join(argv)}") from error
    except FileNotFoundError as error:
        raise QuorateError(f"{argv[0]}: no such program on this host") from error


def run(argv: Sequence[str], *, stdin: str = "", timeout: float = 30.0) -> str:
    """Run the program and return its output; an exit code other than 0 is an error that quotes its last words."""
    done = attempt(argv, stdin=stdin, timeout=timeout)
    if done.returncode:
        last = "; ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise QuorateError(f"{' '.join(argv)} failed ({done.returncode}): {last}")
    return done.stdout

"""The error tree. Each kind carries the process's exit code and, where there is a remedy, a hint.

::

    QuorateError             1  something was tried and is not so
    ├── InvalidInput         2  the user's files or arguments are wrong; nothing was contacted, nothing changed
    ├── Refused              3  it could be done and would do harm (quorum, stale plan, lock held, host left out)
    ├── Unreachable          4  a machine did not answer in time; its state is unknown
    └── Unsupported          5  this machine lacks what the verb needs (root, a program, a kernel feature)

Exit code 0 is success, 130 an interrupt (Ctrl-C), and `quorate status` uses 0, 1 and 4 for ok, failing and unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class QuorateError(Exception):
    """Something was tried and is not so. `hint` says what the reader can do about it, or is empty."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Problem:
    """One mistake in a file: where it is, what is wrong and what is allowed.

    `line` is 1-based, 0 where the mistake has no line; `path` is the dotted path inside the file.
    """

    file: str
    line: int
    path: str
    message: str
    allowed: str = ""

    def __str__(self) -> str:
        """`file:line: path: message (allowed: …)`, the form that editors jump to."""
        where = f"{self.file}:{self.line}" if self.line else self.file
        path = f"{self.path}: " if self.path else ""
        allowed = f" (allowed: {self.allowed})" if self.allowed else ""
        return f"{where}: {path}{self.message}{allowed}"


class InvalidInput(QuorateError):
    """The user's files or arguments are wrong: all that is wrong with them, at once."""

    exit_code = 2

    def __init__(self, message: str, hint: str = "", problems: Sequence[Problem] = ()) -> None:
        super().__init__(message, hint)
        self.problems = tuple(problems)


class Refused(QuorateError):
    """The act would do harm or rests on something that no longer holds; nothing was changed."""

    exit_code = 3


class Unreachable(QuorateError):
    """A machine did not answer within its time: what it holds is unknown, neither ok nor absent."""

    exit_code = 4

    def __init__(self, host: str, why: str, hint: str = "") -> None:
        super().__init__(f"{host}: {why}", hint)
        self.host = host
        self.why = why


class Unsupported(QuorateError):
    """What the verb needs is not on this machine."""

    exit_code = 5

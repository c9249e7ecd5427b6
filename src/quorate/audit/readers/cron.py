"""cron's tables and folders, of which only those count that have to do with Fernet keys. (crontab(5), run-parts(8).)

A job is a node: when, and the command; where a table also names a user, he is the command's first word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

from quorate.audit.kinds import Kind
from quorate.audit.node import Node, Place

_JOB = re.compile(r"(?P<when>@\w+|[\d*]\S*(?:\s+\S+){4})\s+(?P<command>\S.*)")
_PERIODS = ("hourly", "daily", "weekly", "monthly")
_CONCERNS = "fernet"


def table(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read a job a line; variables and what is no job are passed over."""
    for number, line in enumerate(text.splitlines(), 1):
        if match := _JOB.fullmatch(line.strip()):
            yield Node((" ".join(match["when"].split()), match["command"]), at(number))


def script(period: str, text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read a program of a folder, whose name says how often it is run."""
    yield Node((f"@{period}", text), at(0))


KINDS = (
    Kind("cron", ("cron.d/*", "crontab", "crontabs/*", "spool/cron/*"), table, _CONCERNS),
    *(Kind("cron", (f"cron.{period}/*",), partial(script, period), _CONCERNS) for period in _PERIODS),
)

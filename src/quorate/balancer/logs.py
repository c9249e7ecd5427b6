"""What is logged: a sentence for people and the same in fields for programs, one line of standard error each.

    server controller2 is out: has not answered for 62 ms [event=server_out server=controller2 reason="has not …"]

The service manager gets the level in front, as sd-daemon(3) has it.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Protocol

WARNING, NOTICE, INFO = 4, 5, 6
EVENTS = {
    "server_out": WARNING,
    "server_used": NOTICE,
    "server_emptied": NOTICE,
    "server_mended": INFO,
    "balancer_dead": WARNING,
    "balancers_differ": WARNING,
    "paused": WARNING,
    "client_closed": WARNING,
    "no_client_taken": WARNING,
    "configuration": NOTICE,
    "configuration_refused": WARNING,
    "worker_ended": WARNING,
}
"""Every event and its level (syslog(3))."""
_PLAIN = re.compile(r"[A-Za-z0-9._:/+-]+")


class Log(Protocol):
    """Whoever takes what is logged. `event` is one of EVENTS."""

    def __call__(self, text: str, event: str, **facts: str | int) -> None:
        """Log one line."""


def line(text: str, event: str, facts: dict[str, str | int]) -> str:
    """Return the line without level and newline."""
    fields = " ".join(f"{name}={_quoted(str(value))}" for name, value in {"event": event, **facts}.items())
    sentence = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return f"{sentence} [{fields}]"


def _quoted(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)


def say(text: str, event: str, **facts: str | int) -> None:
    """Log one line."""
    level = f"<{EVENTS[event]}>" if "JOURNAL_STREAM" in os.environ else ""
    sys.stderr.write(f"{level}{line(text, event, facts)}\n")
    sys.stderr.flush()


def nowhere(text: str, event: str, **facts: str | int) -> None:
    """Log nothing."""
    del text, facts
    if event not in EVENTS:
        raise KeyError(event)

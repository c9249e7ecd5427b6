"""The history on disk: a JSON object a line, written as things happen and judged later by checker.py."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

from real.truth.checker import Operation
from real.truth.schedule import Event


class Recorder:
    """Writes one history. Its clock starts at 0 and never goes back."""

    def __init__(self, path: Path) -> None:
        """Open it."""
        self._file = path.open("w", encoding="utf-8")
        self._zero = time.monotonic()

    def now(self) -> float:
        """Seconds since it was opened."""
        return time.monotonic() - self._zero

    def operation(self, operation: Operation) -> None:
        """Note what a client saw."""
        self._note("operation", asdict(operation))

    def closed(self, via: int, opened: float, why: str) -> None:
        """Note that a client found its connection closed."""
        self._note("closed", {"opened": opened, "found": self.now(), "via": via, "why": why})

    def fault(self, event: Event, begin: float) -> None:
        """Note a fault that has taken by now."""
        own = {"act": event.act, "role": event.role, "index": event.index, "text": str(event)}
        self._note("fault", own | {"begin": begin, "end": self.now()})

    def crashed(self, who: str) -> None:
        """Note that a daemon ended though nobody killed it."""
        self._note("crashed", {"who": who})

    def close(self) -> None:
        """Everything is on disk afterwards."""
        self._file.close()

    def _note(self, entry: str, fields: dict[str, object]) -> None:
        self._file.write(json.dumps({"entry": entry} | fields) + "\n")

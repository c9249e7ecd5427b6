"""What is fuzzed: a row for each target, and the properties that bytes are held to.

Nothing of the program is imported here: the guided fuzzer has to see it being loaded.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st


@dataclass(frozen=True)
class Property:
    """One property. `check` raises for bytes that break it; `words` is what the guided fuzzer puts in."""

    check: Callable[[bytes], None]
    strategy: st.SearchStrategy[bytes]
    seeds: Callable[[], list[bytes]]
    longest: int  # bytes of an input
    words: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Target:
    """A row. `share`: of the time; `home`: the module in whose `PROPERTIES` it stands by its name.

    `code`: the packages and modules whose edges lead the guided fuzzer.
    """

    share: float
    home: str
    code: tuple[str, ...]


_BALANCER = ("fuzz.of_balancer", ("quorate.balancer",))
TARGETS = {
    "client": Target(0.3, *_BALANCER),
    "server": Target(0.3, *_BALANCER),
    "config": Target(0.05, *_BALANCER),
    "handover": Target(0.05, *_BALANCER),
    "register": Target(0.05, *_BALANCER),
    "audit": Target(0.2, "fuzz.of_audit", ("quorate.audit", "quorate.report")),
    "archive": Target(
        0.05, "fuzz.of_archives", ("quorate.engine.archives", "quorate.transport.remote", "tarfile", "zipfile")
    ),
}


def property_of(name: str) -> Property:
    """Import what a target is held to, and with it the program."""
    found: Property = importlib.import_module(TARGETS[name].home).PROPERTIES[name]
    return found

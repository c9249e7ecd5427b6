"""A rule: what is looked for, why it matters, and what to do; and what it found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from quorate.audit.estate import Estate
from quorate.audit.node import Place


class Severity(StrEnum):
    """How bad it is, in SARIF's words, worst first.

    error: it does not do what it says, or data or service are lost by a failure that it is there to survive;
    warning: it does harm under conditions; note: better known than not.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Hit:
    """One thing that a rule saw: where, and what, in the words of the file.

    `also`: the other places of a contradiction.
    """

    place: Place
    seen: str
    also: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A row of the registry.

    `name`: SUBJECT and a number, never used for anything else again; `title`: the fault in one line; `why`: what
    happens, with `source`: where that is written (an address, or a manual and its section); `remedy`: what to write
    instead; `drill`: how breaking something would prove it, "" where nothing would.
    """

    name: str
    severity: Severity
    title: str
    why: str
    source: str
    remedy: str
    drill: str
    find: Callable[[Estate], Iterable[Hit]]


@dataclass(frozen=True)
class Finding:
    """What a rule found at one place."""

    rule: Rule
    hit: Hit

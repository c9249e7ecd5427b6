"""Verdicts: `ok < unknown < failing`, merged worst-first, always with a reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum


class Level(IntEnum):
    """How bad it is. What was not seen is `unknown`, never ok."""

    OK = 0
    UNKNOWN = 1
    FAILING = 2

    @property
    def word(self) -> str:
        """The word that people and programs read."""
        return self.name.lower()


@dataclass(frozen=True)
class Verdict:
    """A level and why."""

    level: Level
    reason: str

    @property
    def is_ok(self) -> bool:
        """Whether it was seen to be well."""
        return self.level is Level.OK


def ok(reason: str) -> Verdict:
    """Seen to be well."""
    return Verdict(Level.OK, reason)


def unknown(reason: str) -> Verdict:
    """Not seen."""
    return Verdict(Level.UNKNOWN, reason)


def failing(reason: str) -> Verdict:
    """Seen to be ill."""
    return Verdict(Level.FAILING, reason)


def merge(verdicts: Iterable[Verdict]) -> Verdict:
    """Take the worst; the reasons of all that are as bad are joined. Nothing at all is `unknown`."""
    collected = tuple(verdicts)
    if not collected:
        return unknown("nothing was checked")
    worst = max(verdict.level for verdict in collected)
    reasons = dict.fromkeys(verdict.reason for verdict in collected if verdict.level is worst)
    return Verdict(worst, "; ".join(reasons))


@dataclass(frozen=True)
class Judgement:
    """What a system says of itself: one verdict for the whole cluster and one for each member, by controller."""

    cluster: Verdict
    members: Mapping[str, Verdict] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The worst of all."""
        return merge((self.cluster, *self.members.values()))

"""How figures and verdicts are said: the same in every form of the report."""

from __future__ import annotations

from collections.abc import Iterable

from quorate.core.findings import LevelWord

SIGNS: dict[LevelWord, str] = {"ok": "✓", "unknown": "?", "failing": "✗"}
"""A sign for each verdict. It stands beside the word, never alone."""
STYLES: dict[LevelWord, str] = {"ok": "green", "unknown": "yellow", "failing": "bold red"}


def seconds(value: float | None, without: str = "unknown") -> str:
    """Say a duration; `without` where there is none."""
    if value is None:
        return without
    return f"{value:.2f} s" if value < 100 else f"{value:.0f} s"


def lasting(hours: float) -> str:
    """Say how long something is away in a year: nobody knows more than two digits of it."""
    for unit, length in (("h", 1.0), ("min", 1 / 60)):
        if hours >= length:
            return f"{hours / length:.1f} {unit}"
    return f"{hours * 3600:.1f} s"


def milliseconds(value: float) -> str:
    """Say a latency: three digits that count, in the unit that suits."""
    if value >= 1000:
        return f"{value / 1000:.3g} s" if value < 100_000 else f"{value / 1000:.0f} s"
    return f"{value:.3g} ms"


def count(number: int, one: str, many: str = "") -> str:
    """Say how many there are of something."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def joined(parts: Iterable[str], without: str = "none") -> str:
    """Say several things in a row."""
    return ", ".join(parts) or without


def lost(number: int | None) -> str:
    """Say how much of what was acknowledged is gone."""
    return "unknown" if number is None else f"{number:,}"

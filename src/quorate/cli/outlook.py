"""What `quorate check` says of a year: how long each function is expected to be out, and which failures make it so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from math import isinf
from typing import Any

from quorate.core.availability import Expected, Losing
from quorate.report.words import lasting

_HEAD = (
    "expected in a year, if parts fail and are mended as `failure_rates` says, each by itself, and whoever should take "
    "over does (nothing planned, no mistakes: the order tells more than the figures):"
)
_COLUMNS = ("function", "out", "of it, takeovers", "nines", "would be spared if these never failed")
_AGES = 1e6
"""Years beyond which a figure says no more than that something else will happen first."""


def as_data(told: Sequence[Expected], losing: Sequence[Losing]) -> dict[str, Any]:
    """For programs, hours in a year. Where dice were thrown `exact` is false, and `bounds` hold for 95 % of seeds."""
    return {
        "expected": [
            {
                "function": one.function,
                "does": one.does,
                "hours": one.hours,
                "nines": None if isinf(one.nines) else one.nines,
                "outages": one.outages,
                "bounds": one.bounds,
                "exact": one.bounds is None,
                "pauses": one.pauses,
                "because": [asdict(share) for share in one.because],
            }
            for one in told
        ],
        "lost_for_ever": [{"what": one.what, "years": None if isinf(one.years) else one.years} for one in losing],
    }


def as_text(told: Sequence[Expected], losing: Sequence[Losing]) -> str:
    """For people: a table, the worst first."""
    rows = [_COLUMNS, *(_row(one) for one in sorted(told, key=lambda one: -one.hours))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = [_HEAD]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [f"{one.what} lost for ever: {_seldom(one.years)}" for one in losing]
    return "".join(f"\n{line}" for line in lines)


def _row(one: Expected) -> tuple[str, ...]:
    shares = ", ".join(f"{share.group} {100 * share.of_downtime:.0f} %" for share in one.because)
    out = lasting(one.hours)
    if one.bounds is not None:
        low, high = (bound + (one.pauses or 0.0) for bound in one.bounds)
        out += f" ({lasting(low)} to {lasting(high)})"
    waiting = "not known" if one.pauses is None else lasting(one.pauses)
    return one.does, out, waiting, f"{one.nines:.1f}", shares


def _seldom(years: float) -> str:
    return "once in more than a million years" if years > _AGES else f"once in {years:,.0f} years"

"""Names that nearly are known ones: what somebody meant and misspelt."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MISSPELT = 200
"""Names of a kind that are looked up, a millisecond each: nobody misspells more, and a file with more is something else
than it says."""


def nearest(name: str, known: Iterable[str], alike: float) -> str:
    """Find the known one that is most alike, "" where none is (`alike`: difflib's ratio)."""
    return next(iter(difflib.get_close_matches(name, [*known], 1, alike)), "")

"""How values, places and choices are put into words for a person who made a mistake."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

Path = tuple[str | int, ...]
"""Where in a file: keys, and positions in lists."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST = 60


def found(value: Any) -> str:
    """Say what stands in the file, shortened to what fits a line."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def dotted(path: Sequence[str | int]) -> str:
    """Write the path as `controllers.controller1.addresses`; keys that are no plain words are quoted."""
    return ".".join(str(part) if _PLAIN_KEY.fullmatch(str(part)) else found(str(part)) for part in path)


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Offer the closest of the choices, ready to be put behind a message, or nothing."""
    close = closest(word, choices)
    return f" (did you mean {close!r}?)" if close else ""


def closest(word: str, choices: Iterable[str]) -> str:
    """The choice that looks most like the word; empty where none does."""
    return next(iter(difflib.get_close_matches(word[:_LONGEST], list(choices), n=1)), "")


def choice(words: Iterable[str]) -> str:
    """List what is allowed."""
    return ", ".join(words)

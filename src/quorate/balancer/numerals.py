"""Numbers in commands, read as memcached reads them (util.c: strtol and strtoull with a check of what follows)."""

from __future__ import annotations

import re

from quorate.balancer.command import MAX_NUMBER

_NUMBER = re.compile(rb"[\t\n\v\f\r]*([+-]?[0-9]{1,20})(?:[\t\n\v\f\r]|\Z)")
_SHORT = 9  # digits of a number that no rule about width can concern


def signed(word: bytes) -> int | None:
    """Return memcached's `safe_strtol` of a word: the low 32 bits of a 64-bit number; None: malformed."""
    if len(word) <= _SHORT and word.isdigit():
        return int(word)
    match = _NUMBER.match(word)
    if match is None:
        return None
    value = int(match[1])
    if not -(2**63) <= value < 2**63:
        return None
    return (value + 2**31) % 2**32 - 2**31


def unsigned(word: bytes) -> int | None:
    """Return memcached's `safe_strtoull` of a word, but that a minus sign is always malformed; None: malformed."""
    if len(word) <= _SHORT and word.isdigit():
        return int(word)
    match = _NUMBER.match(word)
    if match is None or match[1].startswith(b"-"):
        return None
    value = int(match[1])
    return value if value <= MAX_NUMBER else None

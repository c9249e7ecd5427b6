"""What `quorate check` says of losses: single points of failure, larger losses, and one that is asked about."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from quorate.core.foresight import Foresight
from quorate.errors import InvalidInput


def named(foresight: Foresight, text: str) -> frozenset[str]:
    """Read the parts that are asked about. InvalidInput names all that there are not, and what was probably meant."""
    asked = [one.strip() for one in text.split(",") if one.strip()]
    unknown = [one for one in asked if one not in foresight.parts]
    if unknown or not asked:
        close = [near for one in unknown for near in get_close_matches(one, foresight.parts, 1)]
        hint = f"Perhaps {', '.join(close)}? " if close else ""
        raise InvalidInput(
            f"no such part: {', '.join(unknown) or repr(text)}", hint=f"{hint}There are: {', '.join(foresight.parts)}."
        )
    return frozenset(asked)


def answer(foresight: Foresight, lost: frozenset[str]) -> dict[str, Any]:
    """What stops, and what goes on, for programs."""
    stopped = foresight.stopped(lost)
    return {
        "lost": sorted(lost),
        "stopped": stopped,
        "works": [name for name in foresight.needs if name not in stopped],
    }


def answer_text(foresight: Foresight, lost: frozenset[str]) -> str:
    """The same for people."""
    found = answer(foresight, lost)
    lines = [f"{_together(lost)}: {foresight.told(lost)}"]
    if found["stopped"]:
        lines += [f"  stops: {', '.join(found['stopped'])}", f"  works: {', '.join(found['works']) or 'nothing'}"]
    return "\n".join(lines)


def as_data(foresight: Foresight, order: int) -> list[dict[str, Any]]:
    """Each smallest loss with what it stops, and with what may be gone for ever, for programs."""
    stopping = [{"lost": sorted(cut), "stopped": foresight.stopped(cut)} for cut in foresight.cuts(order)]
    return [*stopping, *({"lost": sorted(cut), "gone": what} for cut, what in foresight.losing(order))]


def as_text(foresight: Foresight, order: int) -> str:
    """The same for people, single points of failure first, with what to do about them."""
    cuts = foresight.cuts(max(order, 2))
    single = [part for cut in cuts if len(cut) == 1 for part in cut]
    lines = [f"single point of failure: {part}: {foresight.told({part})}; {foresight.remedy(part)}" for part in single]
    if not single:
        lines = [f"no single point of failure among {len(foresight.parts)} parts"]
    if order == 1:
        pairs = sum(len(cut) == 2 for cut in cuts)
        lines += [f"{pairs} pairs of parts, lost at once, stop something: --losses 2 names them"] if pairs else []
    lines += [f"{_together(cut)}: {foresight.told(cut)}" for cut in cuts if 1 < len(cut) <= order]
    lines += [f"{_together(cut)}: {what} may be lost for ever" for cut, what in foresight.losing(order)]
    return "".join(f"\n{line}" for line in lines)


def _together(lost: frozenset[str]) -> str:
    return " + ".join(sorted(lost))

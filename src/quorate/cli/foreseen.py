"""What `quorate check` says of losses: single points of failure, larger losses, and one that is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from quorate.core.foresight import Foresight
from quorate.errors import InvalidInput

FEW = 3
"""Functions that are named where all would be too many to read."""


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
    """What stops, what goes on, and what may be gone for ever, for programs."""
    stopped = foresight.stopped(lost)
    return {
        "lost": sorted(lost),
        "stopped": stopped,
        "works": [name for name in foresight.needs if name not in stopped],
        "denied": foresight.denied(lost),
        "gone": foresight.gone(lost),
    }


def answer_text(foresight: Foresight, lost: frozenset[str]) -> str:
    """The same for people."""
    found = answer(foresight, lost)
    lines = [f"{_together(lost)}: {_told(foresight, lost)}"]
    if found["stopped"]:
        lines += [f"  stops: {', '.join(found['stopped'])}", f"  works: {', '.join(found['works']) or 'nothing'}"]
    lines += [f"  nobody can: {', '.join(found['denied'])}"] if found["denied"] else []
    lines += [f"  may be lost for ever: {what}" for what in found["gone"]]
    return "\n".join(lines)


def as_data(foresight: Foresight, order: int) -> list[dict[str, Any]]:
    """Each smallest loss with what it stops, and with what may be gone for ever, for programs."""
    stopping = [
        {"lost": sorted(cut), "stopped": foresight.stopped(cut), "denied": foresight.denied(cut)}
        for cut in foresight.cuts(order)
    ]
    return [*stopping, *({"lost": sorted(cut), "gone": what} for cut, what in foresight.losing(order))]


def cut_sets(foresight: Foresight, order: int) -> list[dict[str, Any]]:
    """The minimal cut sets of each function, smallest first, for programs: of outages, and of what was acknowledged."""
    found = [
        {"order": len(cut), "function": one.verb, "parts": sorted(cut), "kind": kind}
        for kind, cuts in (("outage", foresight.outages(order)), ("loss", foresight.losses(order)))
        for one, cut in cuts
    ]
    return sorted(found, key=lambda one: one["order"])


def as_text(foresight: Foresight, order: int, uncounted: Sequence[str]) -> str:
    """The same for people, single points of failure first, with what to do about them."""
    cuts = foresight.cuts(max(order, 2))
    single = [part for cut in cuts if len(cut) == 1 for part in cut]
    lines = [
        f"single point of failure: {part}: {_told(foresight, frozenset({part}))}; {_remedy(foresight, part)}"
        for part in single
    ]
    if not single:
        lines = [f"no single point of failure among {len(foresight.parts)} parts"]
    lines += [
        f"not counted: the switches of {name}; is there only one? (networks.{name}.switches)" for name in uncounted
    ]
    if order == 1:
        pairs = sum(len(cut) == 2 for cut in cuts)
        lines += [f"{pairs} pairs of parts, lost at once, stop something: --losses 2 names them"] if pairs else []
    lines += [f"{_together(cut)}: {_told(foresight, cut)}" for cut in cuts if 1 < len(cut) <= order]
    lines += [f"{_together(cut)}: {what} may be lost for ever" for cut, what in foresight.losing(order)]
    return "".join(f"\n{line}" for line in lines)


def _together(lost: frozenset[str]) -> str:
    return " + ".join(sorted(lost))


def _told(foresight: Foresight, lost: frozenset[str]) -> str:
    """What stops of itself while all these are lost, how many others with it, and what that means to users."""
    stopped, denied = foresight.stopped(lost), foresight.denied(lost)
    first = foresight.first(stopped)
    more = len(stopped) - len(first)
    told = []
    if first:
        also = f", and {more} more that need them" if more else ""
        told.append(f"{', '.join(first)} stop{'s' * (len(first) == 1)}{also}")
    if denied:
        also = f", and {len(denied) - FEW} more such things" if len(denied) > FEW else ""
        told.append(f"nobody can {', '.join(denied[:FEW])}{also}")
    return ": ".join(told) or "everything works"


def _remedy(foresight: Foresight, part: str) -> str:
    """How to survive the loss of a part that is the only one of its kind."""
    if foresight.known[part].kind == "failure_domain":
        return "no failure domain may hold so many controllers that the others are no majority"
    if foresight.known[part].kind == "switch":
        return "with ports at a second switch, a bond over both survives the loss of either"
    if foresight.known[part].kind == "link" and not foresight.stopped({part}) and foresight.known[part].hits:
        return "two that do not hear each other both hold a VIP: fencing leaves one of them"
    if foresight.known[part].kind == "link" and not foresight.stopped({part}):
        return "nobody moves a VIP whose holder is cut off from clients alone: give it a bond over two switches"
    return "three controllers, or five, survive the loss of one"

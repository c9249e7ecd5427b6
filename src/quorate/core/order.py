"""Order: which disturbances may happen, one at a time, without losing quorum."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from quorate.core.verdict import Level, Verdict


def needed(rule: Literal["majority", "one"], controllers: int, *, arbiter: bool) -> int:
    """How many healthy controllers must be left while one of them is disturbed.

    `majority` counts votes: the arbiter has one, and is counted as alive (it holds no data and is not disturbed).
    A cloud of one controller survives nothing, so nothing is asked of it.
    """
    if controllers == 1:
        return 0
    if rule == "one":
        return 1
    votes = controllers + arbiter
    return votes // 2 + 1 - arbiter


def may_disturb(
    host: str,
    members: Mapping[str, Verdict],
    rule: Literal["majority", "one"],
    *,
    arbiter: bool,
    drained: Collection[str] = (),
) -> str | None:
    """Why this member may not be interrupted now; None: it may.

    Invariant: a member that is not known to be failing is interrupted only while enough others are known to be well.
    Nothing counts on one that is drained: it may be taken away at any moment.
    """
    mine = members.get(host)
    if mine is not None and mine.level is Level.FAILING:
        return None
    least = needed(rule, len(members), arbiter=arbiter)
    well = [name for name, verdict in members.items() if name != host and name not in drained and verdict.is_ok]
    if len(well) >= least:
        return None
    others = "; ".join(
        f"{name} {'drained' if name in drained else v.level.word}: {v.reason}"
        for name, v in members.items()
        if name != host
    )
    return (
        f"interrupting {host} would leave {len(well)} healthy member{'s' * (len(well) != 1)}, {least} needed ({others})"
    )

"""What one controller is to a cluster that is to be formed or joined, from what was seen of it. Pure."""

from __future__ import annotations

from enum import Enum

from quorate.core.observed import Unknown


class Stand(Enum):
    """What one controller is, as far as forming goes."""

    UNKNOWN = "not known"
    RUNNING = "in a cluster"
    STARTING = "starting"
    FRESH = "fresh"
    HOLDER = "stopped, with data"


def stand(unit: str | Unknown, data: object, *, runs: bool) -> Stand:
    """Say what a controller is. In doubt it is UNKNOWN: a cluster may live there.

    `unit`: systemd's active state. `data`: what a member has kept there; empty or False: nothing; or Unknown. `runs`:
    its member answered for itself.
    """
    if runs:
        return Stand.RUNNING
    if unit == "activating":
        return Stand.STARTING
    if unit not in {"inactive", "failed"} or isinstance(data, Unknown):
        return Stand.UNKNOWN
    return Stand.HOLDER if data else Stand.FRESH

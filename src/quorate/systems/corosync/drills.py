"""The membership in drills: what can be hit, and how long the others take to agree that somebody is gone."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.core.drill import Drills, Process, Roles, Sign
from quorate.core.failure import Pause, Stage
from quorate.core.fault import MACHINE, Hit, Loss
from quorate.core.foresight import member
from quorate.core.system import Site
from quorate.core.tree import Formula, majority, some
from quorate.systems.corosync.config import CorosyncSpec

PART = "membership"
PAIR = 2


def processes(_spec: CorosyncSpec, site: Site) -> Sequence[Process]:
    """Corosync speaks UDP to itself only: no port that could go deaf by itself."""
    fenced = frozenset({Loss.REFUSED, Loss.HUNG} if site.cloud.is_fenced else ())
    return (Process(PART, "corosync.service", role="virtual-ip", fenced=fenced),)


def stands(_spec: CorosyncSpec, site: Site) -> Formula:
    """A majority; of two, either goes on alone, once the other is known to be off (two_node: votequorum(5))."""
    members = [member(PART, host) for host in site.cloud.names]
    return some(*members) if len(members) == PAIR else majority(*members)


def reacts(spec: CorosyncSpec, _site: Site, _roles: Roles, hits: Sequence[Hit]) -> Sequence[Pause]:
    """A member that is silent, whatever its reason, is missed after the token and gone after the consensus."""
    silent = [hit for hit in hits if hit.part in {MACHINE, PART} and hit.loss is not Loss.DRAINED]
    if not silent:
        return ()
    stages = (
        Stage("the token is lost", spec.token_ms / 1000, "token: corosync.conf(5)"),
        Stage("the rest agree", spec.consensus_ms / 1000, "consensus: corosync.conf(5), 1.2 x token"),
    )
    return (Pause(PART, f"{', '.join(hit.host for hit in silent)} is silent", stages),)


SIGNS = (
    Sign("the token is missed", "corosync.service", "A processor failed, forming new configuration"),
    Sign("the membership is formed", "corosync.service", "A new membership"),
)

DRILLS = Drills[CorosyncSpec](processes=processes, reacts=reacts, signs=SIGNS)

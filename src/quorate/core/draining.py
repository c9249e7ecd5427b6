"""Draining: a controller that serves nobody, so that it may be taken away at any moment.

Who is drained is kept by one system (`System.drained`: the cluster's own database), and nowhere else. What follows
from it each system says itself (`System.drain`), as long as something is left to do: so the same waves drain a
controller, let it come back, and mend in `apply` what was forgotten meanwhile (a proxy that was started anew).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from quorate.core.drill import Roles
from quorate.core.impact import foretold
from quorate.core.observed import Unknown
from quorate.core.order import needed
from quorate.core.plan import Impact, Wave
from quorate.core.system import AnySystem, Site, Withdrawal
from quorate.core.verdict import Verdict

if TYPE_CHECKING:
    from quorate.core.review import Review


def withdrawn(reviews: Sequence[Review], site: Site, systems: Sequence[AnySystem], roles: Roles) -> tuple[Wave, ...]:
    """Waves after which nobody depends on who is drained in this site, each with what clients notice of it.

    None while nobody can say who is drained: else a look in vain would let everybody serve again. The one that keeps
    it comes last: until then a run that was interrupted finds who was drained still drained, and goes on.
    """
    if isinstance(kept(reviews, site), Unknown):
        return ()
    waves: list[Wave] = []
    known = dict(roles)
    for found in sorted(reviews, key=lambda review: review.system.drained is not None):
        system = found.system
        for one in system.drain(site.cloud.systems[system.name], site, found.views):
            wave = one.wave.model_copy(update={"system": system.name})
            if one.hits:
                wave = wave.model_copy(update={"impact": _spared(system, site, found.judgement.members, one)})
                wave = foretold(wave, site, systems, known, one.hits)
            waves.append(wave)
            known = {part: host for part, host in known.items() if host not in {hit.host for hit in one.hits}}
    return tuple(waves)


def kept(reviews: Sequence[Review], site: Site) -> frozenset[str] | Unknown:
    """Say who is drained, by the system that keeps it."""
    for found in reviews:
        if found.system.drained:
            return found.system.drained(site.cloud.systems[found.system.name], site, found.views)
    return Unknown(why="pacemaker, which keeps it, is not part of this cloud")


def _spared(system: AnySystem, site: Site, members: Mapping[str, Verdict], withdrawal: Withdrawal) -> Impact:
    """Who goes on meanwhile."""
    gone = site.drained | {hit.host for hit in withdrawal.hits}
    return Impact(
        pauses={},
        left=sum(verdict.is_ok for host, verdict in members.items() if host not in gone),
        least=needed(system.quorum, len(members), arbiter=site.cloud.arbiter is not None),
    )

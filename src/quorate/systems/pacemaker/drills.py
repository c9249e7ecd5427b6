"""Virtual IPs in drills: how a controller is taken out of the way, and how soon a VIP is somewhere else.

Where a length is no timer of ours it was measured: docs/decisions/0005-pacemaker-vip-and-proxy.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from quorate.core.drill import Drills, Process, Roles, Sign, Standby
from quorate.core.failure import Pause, Stage
from quorate.core.fault import MACHINE, Hit, Loss, OnHost
from quorate.core.foresight import bmc, member, reached
from quorate.core.system import Function, Site
from quorate.core.tree import Formula, every, some
from quorate.systems.pacemaker.cib import TRANSITION_DELAY_MS
from quorate.systems.pacemaker.config import PacemakerSpec

FUNCTION = "virtual_ip"
ROLE = "virtual-ip"
PART = "virtual-ip"
PAIR = 2
_MEASURED = "measured, decision 5"
FENCING = 1.2
"""Seconds in which `fence_redfish` has cut and restored the power at the lab's BMC; others differ: drill yours."""
LEADER = 1.0
"""Seconds after which Pacemaker's leader asks again where updates of its database were still on their way."""
CONFIRMED = 0.1
"""Seconds from the power's cut until the others know, where the power is not to be restored first."""
START = 0.5
"""Seconds to start an address and to announce it."""
NEWS = 0.4
"""Seconds until the leader has heard of something and decided."""
MOVE = 0.3
"""Seconds to stop an address here and start it there."""
_AGENT = Stage("the agent that looks is started", 0.3, _MEASURED)
_DELAY = Stage("the leader lets news arrive", TRANSITION_DELAY_MS / 1000, "transition-delay: pacemaker-controld(7)")
_NEWS = Stage("the leader hears of it and decides", NEWS, _MEASURED)
_STARTED = Stage("the address is started and announced", START, _MEASURED)
_MOVED = Stage("the address moves", MOVE, _MEASURED)
_FENCED = Stage("its power is cut and restored", FENCING, _MEASURED)
_CUT = Stage("the device says that it is off", CONFIRMED, _MEASURED)


def processes(_spec: PacemakerSpec, site: Site) -> Sequence[Process]:
    """Its daemons can hang without anybody noticing: they only watch. Where they die others must think the worst."""
    fenced = frozenset({Loss.REFUSED} if site.cloud.is_fenced else ())
    return (Process(PART, "pacemaker.service", role=ROLE, fenced=fenced),)


def standby(_spec: PacemakerSpec, _site: Site, host: str) -> Standby:
    """Standby moves what runs on a controller to others, in order, and keeps it away until it is online again."""

    def say(value: str) -> OnHost:
        return OnHost(host, ("crm_attribute", "--node", host, "--name", "standby", "--update", value))

    return Standby(PART, say("on"), say("off"))


def stands(_spec: PacemakerSpec, site: Site) -> Formula:
    """Some controller of the majority has Pacemaker and a proxy that answers; who has not is known to be off.

    Here, as everywhere, the API's VIP is meant.
    """
    hosts = site.cloud.names
    taking_part = {host: every(member("membership", host), member("virtual-ip", host)) for host in hosts}
    holders = (every(formula, member("proxy", host)) for host, formula in taking_part.items())
    known = (some(formula, bmc(host)) for host, formula in taking_part.items()) if site.cloud.is_fenced else ()
    return every(some(*holders), *known, *_on_its_network(site, "api"))


def functions(_spec: PacemakerSpec, site: Site) -> Sequence[Function]:
    """Each VIP."""
    others = (name for name in site.cloud.vips if name != "api")
    return (
        Function(FUNCTION, "reach the virtual IP"),
        *(
            Function(
                f"vip:{name}", f"reach the VIP {name}", beyond=(*_on_its_network(site, name), *_held_once(site, name))
            )
            for name in others
        ),
    )


def _on_its_network(site: Site, vip: str) -> tuple[Formula, ...]:
    """Nobody moves it where its holder is cut off from no network but the VIP's own; any controller may be the holder.

    IPaddr2 looks whether the address is there, not whether anything passes; on management the holder falls silent.
    """
    network = site.cloud.vips[vip].network
    return () if network == "management" else tuple(reached(network, host) for host in site.cloud.names)


def _held_once(site: Site, vip: str) -> tuple[Formula, ...]:
    """Of two that do not hear each other each goes on alone; where nobody's power is cut, both hold the VIP.

    Clients on a network that still reaches both of them then find now the one, now the other. On management nobody
    finds the one that is cut off, and one of three that hears nobody gives it up (no-quorum-policy: stop).
    """
    alone = len(site.cloud.names) == PAIR and not site.cloud.is_fenced and site.cloud.vips[vip].network != "management"
    return tuple(reached("management", host) for host in site.cloud.names) if alone else ()


def reacts(spec: PacemakerSpec, site: Site, roles: Roles, hits: Sequence[Hit]) -> Sequence[Pause]:
    """Only what hits the holder moves the VIP."""
    holder = roles.get(ROLE, "")
    taken = {hit.host for hit in hits if hit.part == MACHINE and hit.loss is not Loss.DRAINED}
    others = tuple(name for name in site.cloud.names if name != holder and name not in taken)

    def pause(because: str, *stages: Stage, after: tuple[str, ...] = ()) -> Pause:
        return Pause(FUNCTION, because, stages, after=after, takes_over=others)

    found = []
    for hit in hits:
        if hit.host != holder:
            continue
        if hit.part == MACHINE and hit.loss is Loss.FENCED and site.cloud.is_fenced:
            # Nobody hears that its power is cut before those who are left are a membership again.
            known = any(other.part == "membership" for other in hits)
            after = () if known else ("membership",)
            found.append(pause(f"{holder} has it until its power is cut", _CUT, _STARTED, after=after))
        elif hit.part == MACHINE and hit.loss is Loss.SPLIT and site.cloud.is_fenced:
            found.append(pause(f"{holder} gives it up, others wait for its power to be cut", _FENCED, _STARTED))
            why, stages = f"{holder} reaches nobody behind it until then", _after_a_loss(site)
            kinds = [f"proxy:{endpoint.kind}" for endpoint in site.endpoints if endpoint.frontend]
            found += [Pause(kind, why, stages, after=("membership",), takes_over=others) for kind in kinds]
        elif hit.part == MACHINE and hit.loss is not Loss.DRAINED:
            found.append(pause(f"{holder} held it and is lost", *_after_a_loss(site), after=("membership",)))
        elif hit.part == MACHINE:
            found.append(pause(f"{holder} gives it away while all else stops", _DELAY, _NEWS, _MOVED))
        elif hit.part in {"membership", PART} and hit.loss is Loss.DRAINED:
            found.append(pause(f"{holder} gives it away", _MOVED))
        elif hit.part == "proxy" and (hit.loss is Loss.HUNG or hit.lasts):  # one that is restarted is soon back
            watch = Stage("it is looked at", float(spec.monitor_seconds), "monitor interval of ocf:quorate:proxy")
            patience = Stage("it may take a second to answer", 1.0, "ocf:quorate:proxy, answers()")
            moves = (_AGENT, _DELAY, _NEWS, _MOVED)
            found.append(pause(f"the proxy of {holder} does not answer", watch, patience, *moves))
    return found


def _after_a_loss(site: Site) -> tuple[Stage, ...]:
    fencing = (_FENCED,) if site.cloud.is_fenced else ()
    leader = Stage("the leader must ask twice", LEADER, _MEASURED)
    return (_DELAY, *fencing, leader, _STARTED)


SIGNS = (
    Sign("the leader decides", "pacemaker.service", "Calculated transition"),
    Sign("the power is cut", "pacemaker.service", "was terminated (reboot)"),
    Sign("the address is started", "pacemaker.service", "INFO: Adding inet address"),
)

DRILLS = Drills[PacemakerSpec](processes=processes, reacts=reacts, standby=standby, signs=SIGNS)

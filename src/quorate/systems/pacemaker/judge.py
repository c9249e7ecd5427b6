"""Whether the cluster is well: members online, power of each in reach, and each VIP on exactly one controller."""

from __future__ import annotations

from collections.abc import Mapping

from quorate.core.drill import Roles
from quorate.core.observed import Unknown
from quorate.core.system import Site
from quorate.core.verdict import Judgement, Verdict, failing, merge, ok, unknown
from quorate.systems.pacemaker.cib import PROXY, fencing_id, vip_id
from quorate.systems.pacemaker.config import PacemakerSpec
from quorate.systems.pacemaker.probe import Status, View, reference

Views = Mapping[str, View | Unknown]


def judge(spec: PacemakerSpec, site: Site, views: Views) -> Judgement:
    """Judge by what a member with quorum believes, and by the addresses that each controller really holds."""
    del spec
    believed = reference(views)
    status = believed[1] if believed else None
    members = {
        name: _member(site, name, views.get(name, Unknown(why="it was not asked")), status) for name in site.cloud.names
    }
    if status is None:
        words = "no member that answers has quorum"
        return Judgement(unknown(words) if any(map(_is_blind, views.values())) else failing(words), members)
    online = [name for name in site.cloud.names if status.nodes.get(name) == "online"]
    parts = [ok(f"{len(online)} of {len(site.cloud.names)} controllers online, {status.leader or 'nobody'} leads")]
    parts += [_fencing(site, status)]
    parts += [_vip(name, str(vip.address), status, views) for name, vip in site.cloud.vips.items()]
    return Judgement(merge(parts), members)


def _is_blind(view: View | Unknown) -> bool:
    return isinstance(view, Unknown) or (view.running is not False and isinstance(view.status, Unknown))


def _member(site: Site, name: str, view: View | Unknown, status: Status | None) -> Verdict:
    state = status.nodes.get(name, "not a member") if status else ""
    if isinstance(view, Unknown):
        if status and state != "online":
            return failing(f"the cluster sees it {state}, and it does not answer: {view.why}")
        return unknown(view.why)
    if view.running is False:
        return failing("pacemaker does not run")
    for evidence in (view.running, view.status):
        if isinstance(evidence, Unknown):
            return unknown(evidence.why)
    if status is None or (isinstance(view.status, Status) and not view.status.quorate):
        return failing("it has no quorum, or no leader yet")
    if name in site.drained:
        return _drained(site, name, view, status, state)
    if state != "online":
        return failing(f"the cluster sees it {state}")
    failures = [what for node, what in status.failures if node == name]
    remembered = f"; failed here: {', '.join(failures)}" if failures else ""
    if PROXY in status.started and name not in status.started[PROXY]:
        return failing(f"its proxy does not answer, so that no VIP can come here{remembered}")
    return ok(f"online{remembered}")


def _drained(site: Site, name: str, view: View, status: Status, state: str) -> Verdict:
    """Standby is what was ordered; the order is carried out when nothing that clients reach is there any more.

    Until then it is no failing one, which could be interrupted without a thought.
    """
    if state not in {"online", "standby"}:
        return failing(f"the cluster sees it {state}")
    held = [vip for vip, one in site.cloud.vips.items() if str(one.address) in _addresses(view)]
    held += [what for what in (PROXY, *map(vip_id, site.cloud.vips)) if name in status.started.get(what, ())]
    if state == "online" or held:
        return unknown(f"it is not out of the way yet{': ' if held else ''}{', '.join(held)}")
    return ok("drained: no VIP can come here")


def drained(_spec: PacemakerSpec, site: Site, views: Views) -> frozenset[str] | Unknown:
    """Say who is in standby: the cluster keeps that, also of those that are off."""
    believed = reference(views)
    return believed[1].standby & set(site.cloud.names) if believed else Unknown(why="no member with quorum answers")


def _fencing(site: Site, status: Status) -> Verdict:
    if not site.cloud.is_fenced:
        return ok("no fencing: not every controller has a device")
    if not status.fencing:
        return failing("fencing is switched off")
    idle = [name for name in site.cloud.names if not status.started.get(fencing_id(name))]
    if not idle:
        return ok(f"fencing is on{f'; last: {status.fenced}' if status.fenced else ''}")
    failures = [what for _, what in status.failures if any(what.startswith(fencing_id(name)) for name in idle)]
    return failing(f"the power of {', '.join(idle)} cannot be cut{''.join(f'; {what}' for what in failures)}")


def roles(_spec: PacemakerSpec, site: Site, views: Views) -> Roles:
    """Say who holds the VIP at which clients find the APIs."""
    holders = [host for host, view in views.items() if isinstance(view, View) and site.cloud.vip in _addresses(view)]
    return {"virtual-ip": holders[0]} if len(holders) == 1 else {}


def _vip(name: str, address: str, status: Status, views: Views) -> Verdict:
    holders = [host for host, view in views.items() if isinstance(view, View) and address in _addresses(view)]
    if len(holders) > 1:
        return failing(f"VIP {name} ({address}) is held by {' and '.join(holders)}")
    if holders:
        return ok(f"VIP {name} ({address}) on {holders[0]}")
    place = status.started.get(vip_id(name), ())
    if place and any(isinstance(views.get(host, Unknown(why="")), Unknown) for host in place):
        return unknown(f"VIP {name} ({address}): the cluster believes it on {' and '.join(place)}, which was not seen")
    return failing(f"VIP {name} ({address}) is on no controller")


def _addresses(view: View) -> frozenset[str]:
    return frozenset() if isinstance(view.addresses, Unknown) else view.addresses

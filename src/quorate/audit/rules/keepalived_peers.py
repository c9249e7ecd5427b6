"""Controllers that share an address through keepalived: whether they agree on what they do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from quorate.audit.estate import Estate
from quorate.audit.rule import Hit, Rule, Severity
from quorate.audit.vrrp import advertised, peers

_MANUAL = "keepalived.conf(5), https://www.keepalived.org/manpage.html"
_SOURCE = "https://github.com/acassen/keepalived/blob/master/keepalived/vrrp/vrrp.c"


def another_number(estate: Estate) -> Iterable[Hit]:
    """One address, moved under two virtual_router_ids."""
    for group in peers(estate):
        first, *others = group
        for one in others:
            said = one.node.last("virtual_router_id")
            if said and None not in (first.vrid, one.vrid) and one.vrid != first.vrid:
                told = f"{one.name} on {one.host}: {said.value}, on {first.host}: {first.node.get('virtual_router_id')}"
                yield Hit(said.place, told, (first.node.place,))


def another_rhythm(estate: Estate) -> Iterable[Hit]:
    """Machines that would not hear each other: VRRP 2 drops what comes at another interval."""
    for group in peers(estate):
        first, *others = group
        for one in others:
            known = one.version == first.version == "2" and not (one.partial or first.partial)
            if known and advertised(one) != advertised(first):
                told = f"advert_int {advertised(one):g} on {one.host}, {advertised(first):g} on {first.host}"
                yield Hit(one.node.place, told, (first.node.place,))


def unheard(estate: Estate) -> Iterable[Hit]:
    """Machines to which another one does not send."""
    for group in peers(estate):
        for one in group:
            block = one.node.last("unicast_peer")
            sent = {entry.name for entry in block.inside} if block else set()
            for other in group if block and not one.partial else ():
                source = other.node.get("unicast_src_ip")
                if other is not one and source and block and source not in sent:
                    yield Hit(block.place, f"{one.name} on {one.host} does not send to {source} ({other.host})")


def several_masters(estate: Estate) -> Iterable[Hit]:
    """Addresses that several machines take at once when they start."""
    for group in peers(estate):
        masters = [one for one in group if one.node.get("state") == "MASTER"]
        if len(masters) > 1:
            yield from (Hit(one.node.place, f"{one.name} on {one.host}: state MASTER") for one in masters)


def same_priority(estate: Estate) -> Iterable[Hit]:
    """Machines of which none comes before the other."""
    for group in peers(estate):
        known = [one for one in group if one.number("priority") is not None]
        counts = Counter(one.number("priority") for one in known)
        for one in known:
            first = next(other for other in known if other.number("priority") == one.number("priority"))
            if counts[one.number("priority")] > 1 and one is not first:
                told = f"{one.name}: priority {one.number('priority'):g} on {one.host} and {first.host}"
                yield Hit(one.node.place, told, (first.node.place,))


def too_light(estate: Estate) -> Iterable[Hit]:
    """Checks whose failure leaves the first machine the first one."""
    for group in peers(estate):
        ranked = sorted(group, key=lambda one: -(one.number("priority") or 0))
        first = ranked[0]
        if all(one.number("priority") is not None for one in group) and not first.stays and not first.partial:
            lead = (first.number("priority") or 0) - (ranked[1].number("priority") or 0)
            for script in first.scripts if len(first.scripts) == 1 else ():
                weight = first.weight(script)
                if weight and abs(weight) < lead:
                    told = f"{script.value}: weight {weight}, {first.host} is {lead:g} ahead of {ranked[1].host}"
                    yield Hit(first.node.place, told, (script.place, ranked[1].node.place))


def other_addresses(estate: Estate) -> Iterable[Hit]:
    """Instances that move other addresses on another machine."""
    for group in peers(estate):
        first, *others = group
        for one in others:
            if one.vips != first.vips and one.vrid == first.vrid and not (one.partial or first.partial):
                differ = ", ".join(sorted(one.vips ^ first.vips))
                told = f"{one.name}: {differ} is not on both {first.host} and {one.host}"
                yield Hit(one.node.place, told, (first.node.place,))


RULES = (
    Rule(
        "KAL001",
        Severity.ERROR,
        "the controllers use different virtual_router_ids for one address",
        "They do not take each other's advertisements for their own: each holds the address, at the same time.",
        _MANUAL,
        "Give the instance one virtual_router_id on all controllers.",
        "",
        another_number,
    ),
    Rule(
        "KAL003",
        Severity.ERROR,
        "the controllers advertise at different intervals",
        "VRRP 2 drops advertisements whose interval is another: the controllers do not hear each other, and both hold "
        "the address.",
        _SOURCE,
        "Give the instance one advert_int on all controllers.",
        "",
        another_rhythm,
    ),
    Rule(
        "KAL004",
        Severity.ERROR,
        "a controller does not send to one of the others",
        "That one hears nothing, thinks that it is alone, and takes the address as well.",
        _MANUAL,
        "Name all other controllers in unicast_peer.",
        "",
        unheard,
    ),
    Rule(
        "KAL005",
        Severity.ERROR,
        "the controllers move different addresses",
        "An address that a controller does not know is gone when that one takes over.",
        _MANUAL,
        "Write the same virtual_ipaddress on all controllers.",
        "standby: one of the addresses answers no more",
        other_addresses,
    ),
    Rule(
        "KAL006",
        Severity.NOTE,
        "several controllers are to begin as MASTER",
        "The word decides nothing between them, the priority does; but keepalived takes nopreempt and preempt_delay "
        "back where it stands, so that the address moves again whenever the first controller comes back.",
        _SOURCE,
        "Write `state BACKUP` on all of them.",
        "reboot: the VIP moves a second time",
        several_masters,
    ),
    Rule(
        "KAL007",
        Severity.WARNING,
        "two controllers have the same priority",
        "When the holder is lost, both take the address at the same moment; the one with the lower address then gives "
        "it up, after clients have come to it.",
        _SOURCE,
        "Give each controller a priority of its own.",
        "power-cut of the holder: the VIP is in two places for an instant",
        same_priority,
    ),
    Rule(
        "KAL009",
        Severity.ERROR,
        "a failed check leaves the first controller the first one",
        "The weight is less than what it is ahead of the next one: the address stays where nobody answers.",
        _MANUAL,
        "Give the script weight 0 (leave it out), or a weight that is larger than the differences of all priorities.",
        "proxy-killed on the holder: the VIP stays",
        too_light,
    ),
)

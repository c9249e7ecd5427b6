"""What no single key of the cloud file shows: votes, subnets, and addresses that are used twice.

`findings` judges a draft, which may be wrong elsewhere, so that its findings are reported together with the types'
problems. `warnings` judges a valid cloud: it will work, and something about it will hurt one day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from quorate.model.cloud import Cloud
from quorate.model.draft import Bmc, Draft, Place, addresses_of
from quorate.model.words import Path, choice, closest, dotted, found

MOST_CONTROLLERS = 7


@dataclass(frozen=True)
class Finding:
    """A rule that the file breaks."""

    path: Path
    message: str
    allowed: str = ""


@dataclass(frozen=True)
class Caution:
    """Something that works and will hurt one day: where, and why."""

    path: str
    reason: str


def findings(draft: Draft) -> tuple[Finding, ...]:
    """Every broken rule that can be told from what is readable."""
    return (
        *_required(draft),
        *_votes(draft),
        *_domains(draft),
        *_names(draft),
        *_overlaps(draft),
        *_outside(draft),
        *_twice(draft),
        *_power(draft),
    )


def _required(draft: Draft) -> Iterator[Finding]:
    """Everything meets on the management network, and clients come to the api VIP."""
    if draft.networks is not None and "management" not in draft.networks:
        message = "there is no network 'management', on which the controllers talk to each other"
        yield Finding(("networks",), message + _misspelt("management", draft.networks))
    if draft.vips is not None and "api" not in draft.vips:
        message = "there is no VIP 'api', at which clients find everything"
        yield Finding(("vips",), message + _misspelt("api", draft.vips))
    for name, controller in (draft.controllers or {}).items():
        addresses = addresses_of(controller)
        if addresses is not None and "management" not in addresses and "management" in (draft.networks or {}):
            yield Finding(("controllers", name, "addresses"), f"{name} has no address on the network 'management'")


def _misspelt(name: str, names: Mapping[str, object]) -> str:
    close = closest(name, names)
    return f" (is {close!r} a slip of the pen?)" if close else ""


def _votes(draft: Draft) -> Iterator[Finding]:
    """Half of an even number is no majority: two halves could each believe that they are the cloud, or neither."""
    count = len(draft.controllers or {})
    if count > MOST_CONTROLLERS:
        message = f"{count} controllers: every write waits for all of them, so more make the cloud slower, not safer"
        yield Finding(("controllers",), message, f"1 to {MOST_CONTROLLERS}")
    if count and count % 2 == 0 and not draft.arbiter:
        left = f"{count // 2} of {count} votes are left, and it takes {count // 2 + 1}"
        message = f"{count} controllers have no majority once half of them are lost or cut off: {left}"
        yield Finding(("controllers",), message, "an odd number, or an even number with an 'arbiter'")
    if count % 2 == 1 and draft.arbiter:
        message = f"an arbiter makes the votes of {count} controller{'s' * (count > 1)} even"
        yield Finding(("arbiter",), message, "an arbiter only with an even number of controllers")


def _domains(draft: Draft) -> Iterator[Finding]:
    """A domain of a controller that there is not would look like one that is survived."""
    for domain, members in (draft.domains or {}).items():
        for place, name in enumerate(members if isinstance(members, list) else ()):
            if isinstance(name, str) and draft.controllers and name not in draft.controllers:
                message = f"no such controller: {name!r}{_misspelt(name, draft.controllers)}"
                yield Finding(("failure_domains", domain, place), message, ", ".join(draft.controllers))


def _names(draft: Draft) -> Iterator[Finding]:
    """`localhost` as a controller would send every controller's traffic to itself."""
    if "localhost" in (draft.controllers or {}):
        yield Finding(("controllers", "localhost"), "'localhost' is every machine's name for itself", "another name")


def _overlaps(draft: Draft) -> Iterator[Finding]:
    known = [(name, subnet) for name, subnet in (draft.networks or {}).items() if subnet is not None]
    for (first, one), (second, other) in combinations(known, 2):
        if one.overlaps(other):
            yield Finding(("networks", second, "subnet"), f"{other} overlaps the network {first} ({one})")


def _outside(draft: Draft) -> Iterator[Finding]:
    """Every address lies in the network that it is said to be on, and is usable there."""
    for place in draft.places:
        if place.network is None or draft.networks is None:
            continue
        subnet = draft.networks.get(place.network)
        if subnet is None:
            yield from _unknown_network(place, draft.networks)
            continue
        usable = f"{subnet[1]} to {subnet[-2]}" if subnet.prefixlen < 31 else str(subnet)
        if place.address not in subnet:
            yield Finding(place.path, f"{place.address} lies outside {place.network} ({subnet})", usable)
        elif subnet.prefixlen < 31 and place.address in (subnet[0], subnet[-1]):
            which = "network" if place.address == subnet[0] else "broadcast"
            yield Finding(place.path, f"{place.address} is the {which} address of {place.network} ({subnet})", usable)


def _unknown_network(place: Place, networks: Mapping[str, object]) -> Iterator[Finding]:
    """A network that nobody described. One whose subnet is wrong is known, and `management` is asked for above."""
    if place.network is not None and place.network not in {*networks, "management"}:
        where = (*place.path[:-1], "network") if place.path[0] == "vips" else place.path
        yield Finding(where, f"there is no network {found(place.network)}", choice(networks))


def _twice(draft: Draft) -> Iterator[Finding]:
    """An address has one owner. BMCs may share one among themselves: see `_power`."""
    owners: dict[object, str] = {}
    for place in draft.places:
        if place.address in owners:
            yield Finding(place.path, f"{place.address} is already {owners[place.address]}")
        owners.setdefault(place.address, place.owner)
    for bmc in draft.bmcs:
        if bmc.place.address in owners:
            message = f"{bmc.place.address} is already {owners[bmc.place.address]}"
            yield Finding(bmc.place.path, message, "the address of a device that lives while the controller is dead")


def _power(draft: Draft) -> Iterator[Finding]:
    """Each controller has its own power switch, else fencing one would kill another."""
    switches: dict[tuple[object, str, str], Bmc] = {}
    for bmc in draft.bmcs:
        key = (bmc.place.address, bmc.port, bmc.system)
        if key in switches:
            message = f"{bmc.place.address} with the same port and system already switches {switches[key].controller}"
            yield Finding(bmc.place.path, message, "an address, a port or a system of its own")
        switches.setdefault(key, bmc)


def warnings(cloud: Cloud) -> tuple[Caution, ...]:
    """What will hurt one day, with the reason."""
    return (*_few_controllers(cloud), *_weak_fencing(cloud), *_shared_interfaces(cloud))


def _few_controllers(cloud: Cloud) -> Iterator[Caution]:
    if len(cloud.controllers) == 1:
        yield Caution("controllers", "a single controller: when it is lost, so is the control plane")
    if len(cloud.controllers) == 2:
        reason = (
            "two controllers and an arbiter: the data is held twice, so while one controller is out the other has the "
            "only copy; losing a controller and the arbiter together stops every write"
        )
        yield Caution("controllers", reason)
    if cloud.arbiter is not None and cloud.arbiter.address in cloud.management.subnet:
        reason = "the arbiter is on the controllers' own network: what cuts them from each other may cut it off too"
        yield Caution("arbiter", reason)


def _weak_fencing(cloud: Cloud) -> Iterator[Caution]:
    for name, controller in cloud.controllers.items():
        path = f"controllers.{name}.fencing"
        if controller.fencing is None:
            reason = "no fencing: frozen or cut off, it may go on to hold the VIP beside its successor"
            yield Caution(dotted(("controllers", name)), reason)
            continue
        if not controller.fencing.tls_verify:
            yield Caution(path, "the BMC's certificate is not verified: whoever stands between learns its password")
        if controller.fencing.address in cloud.management.subnet:
            reason = "the BMC is on the management network: a cut of that network also cuts off the power switch"
            yield Caution(path, reason)


def _shared_interfaces(cloud: Cloud) -> Iterator[Caution]:
    carried: dict[str, str] = {}
    for name, network in cloud.networks.items():
        if network.interface in carried:
            reason = f"shares {network.interface} with {carried[network.interface]}: they fail together"
            yield Caution(f"networks.{name}.interface", reason)
        carried.setdefault(network.interface, name)

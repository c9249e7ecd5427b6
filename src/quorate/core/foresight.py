"""What stops when which parts are lost, from the cloud file alone: a model of parts and of what needs them.

Parts are the controllers, their disks, BMCs and links, the switches that the file names, the failure domains that
several controllers share, the arbiter, each process on each controller, and the keys without which a process there is
none, which the operator's secrets hold as well. Who does not reach the management network
is not there: everything meets there, and the others cut its power. Switches that the file does not name are not
counted, and `uncounted` says so. A system works as `core/system.py` says of it: a majority of its members, or each of
its processes somewhere, and all kinds of endpoints that it needs, but for those that it can do without for a time
(`spares`). A function works while its system does, or that of it which it needs, and all functions that it rests on
(`Drills.uses`). Losses are simultaneous, which is the worst case: a cluster that has time to count anew between two
losses may survive both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from quorate.core.aim import processes_of, uses_of
from quorate.core.drill import Process
from quorate.core.fault import MACHINE, Hit, Loss
from quorate.core.system import AnySystem, Function, Kept, Site, enabled
from quorate.core.tree import AtLeast, Cut, Formula, Formulas, cut_sets, every, majority, parts, some, works
from quorate.model.cloud import Cloud, Network
from quorate.model.rules import Finding
from quorate.model.words import Path

ARBITER = "arbiter"
SECRETS = "secrets.yaml"
BOND = 2
"""Ports with which a controller is not alone on a network."""


@dataclass(frozen=True)
class Part:
    """Something that can be lost. `kind`: its key in `failure_rates`; `group`: it and its like, in words.

    `hosts`: the controllers that have it, or share it. `hits`: what a drill would say that its loss takes; nothing:
    nobody has to take over.
    """

    kind: str
    group: str
    hosts: tuple[str, ...] = ()
    hits: tuple[Hit, ...] = ()


@dataclass(frozen=True)
class Foresight:
    """The model. `needs`: each system, in the order in which they are formed, with those that it cannot do without.

    `serving`: each system with what users do by it, each a formula by the name of what it does. `keeps`: the formulas
    of what is acknowledged and must not be lost, each with its system. `known`: what can be lost.
    """

    formulas: Formulas
    needs: Mapping[str, frozenset[str]]
    serving: Mapping[str, tuple[Function, ...]]
    keeps: Mapping[str, str]
    known: Mapping[str, Part]

    @property
    def functions(self) -> tuple[Function, ...]:
        """What users do."""
        return tuple(one for own in self.serving.values() for one in own)

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of everything that can be lost."""
        return tuple(sorted(self.known))

    def denied(self, lost: Iterable[str]) -> tuple[str, ...]:
        """What nobody can do while all these are lost."""
        found = works((one.does for one in self.functions), self.formulas, frozenset(lost))
        return tuple(does for does, still in found.items() if not still)

    def standing(self, lost: Iterable[str]) -> dict[str, bool | None]:
        """Whether each function, by its name in drills, works while all these are lost; None: it may, for a while."""
        gone = frozenset(lost)
        denied = self.denied(gone)
        return {
            one.name: None if one.does in denied and self._lingers(one, gone) else one.does not in denied
            for one in self.functions
        }

    def _lingers(self, one: Function, lost: frozenset[str]) -> bool:
        """Whether it would work if those were there whom it can do without for a while."""
        spared = {system: every() for kind in one.lingers if isinstance(system := self.formulas[offered(kind)], str)}
        return bool(spared) and works([one.does], {**self.formulas, **spared}, lost)[one.does]

    def stopped(self, lost: Iterable[str]) -> tuple[str, ...]:
        """The systems that do not work while all these are lost."""
        found = works(self.needs, self.formulas, frozenset(lost))
        return tuple(name for name in self.needs if not found[name])

    def gone(self, lost: Iterable[str]) -> tuple[str, ...]:
        """What was acknowledged and may be gone for ever when all these are lost."""
        found = works(self.keeps, self.formulas, frozenset(lost))
        return tuple(kept for kept in self.keeps if not found[kept])

    def first(self, stopped: Iterable[str]) -> tuple[str, ...]:
        """Those of the stopped ones that do not only stop because what they need does."""
        names = tuple(stopped)
        return tuple(name for name in names if self.needs[name].isdisjoint(names))

    def losing(self, order: int) -> tuple[tuple[Cut, str], ...]:
        """The smallest losses with which something that was acknowledged may be gone for ever, and what that is."""
        found = cut_sets(self.keeps, self.formulas, order)
        return tuple((cut, kept) for kept in self.keeps for cut in found[kept])

    def outages(self, order: int) -> Iterator[tuple[Function, Cut]]:
        """Each function with its minimal cut sets of at most so many parts."""
        found = cut_sets((one.does for one in self.functions), self.formulas, order)
        return ((one, cut) for one in self.functions for cut in found[one.does])

    def losses(self, order: int) -> Iterator[tuple[Function, Cut]]:
        """Each function whose acknowledged work may be gone for ever, likewise: the first one of its system."""
        return ((self.serving[self.keeps[kept]][0], cut) for cut, kept in self.losing(order))

    def cuts(self, order: int) -> tuple[Cut, ...]:
        """The smallest losses, of at most so many parts, each of which stops something; small ones first."""
        found = cut_sets((*self.needs, *(one.does for one in self.functions)), self.formulas, order)
        return tuple(sorted({cut for cuts in found.values() for cut in cuts}, key=lambda cut: (len(cut), sorted(cut))))


def up(host: str) -> str:
    """Name the formula for whether a controller is there at all: itself, its disk, and its failure domains."""
    return f"{host} is up"


def offered(kind: str) -> str:
    """Name the formula for whether anybody finds what is offered as this kind."""
    return f"{kind} is offered"


def member(kind: str, host: str) -> str:
    """Name the formula for whether a controller serves what is offered as this kind."""
    return f"{kind} on {host}"


def process(unit: str, host: str) -> str:
    """Name the part that a process on a controller is."""
    return f"{unit.removesuffix('.service')} on {host}"


def keyring(system: str, host: str) -> str:
    """Name the part that a system's keys on a controller are."""
    return f"{system} keys on {host}"


def bmc(host: str) -> str:
    """Name the part by which a controller's power is cut."""
    return f"BMC of {host}"


def disk(host: str) -> str:
    """Name the part that holds what a controller keeps, and without which it is not there."""
    return f"disk of {host}"


def reached(network: str, host: str) -> str:
    """Name the formula for whether a controller reaches others on a network."""
    return f"{host} on {network}"


def link(network: Network, host: str, switch: str = "") -> str:
    """Name the part that an interface is, with its cable; networks may share it (VLANs)."""
    return f"{network.interface.partition('.')[0]} of {host}{f' to {switch}' if switch else ''}"


def foresee(site: Site, systems: Sequence[AnySystem]) -> Foresight:
    """Build the model of a cloud."""
    formulas: dict[str, Formula] = {}
    for host in site.cloud.names:
        domains = (name for name, hosts in site.cloud.failure_domains.items() if host in hosts)
        formulas[up(host)] = every(host, disk(host), reached("management", host), *domains)
        for name, network in site.cloud.networks.items():
            ways = (every(switch, link(network, host, switch)) for switch in network.switches)
            formulas[reached(name, host)] = some(*ways) if network.switches else link(network, host)
    chosen = enabled(site.cloud, systems)
    functions = {s.name: tuple(s.functions(site.cloud.systems[s.name], site)) for s in chosen}
    uses, does = uses_of(site, systems), {one.name: one.does for own in functions.values() for one in own}
    for system in chosen:
        formulas |= _of(system, site)
        for one in functions[system.name]:
            below = (does[used] for used in uses.get(one.name, ()) if used in does)
            formulas[one.does] = every(_own(one, system, site), *below, *one.beyond)
    offers = {kind: system.name for system in chosen for kind in system.offers}
    needs = {system.name: frozenset(offers[kind] for kind in _needed(system)) for system in chosen}
    kept = {f"{one.what} ({system.name})": (system, one) for system in chosen for one in system.keeps}
    formulas |= {name: _kept(one, system, site) for name, (system, one) in kept.items()}
    rest_on = parts(formulas)
    known = {name: part for name, part in _known(site, systems) if name in rest_on}
    return Foresight(formulas, needs, functions, {name: system.name for name, (system, _) in kept.items()}, known)


def _known(site: Site, systems: Sequence[AnySystem]) -> Iterator[tuple[str, Part]]:
    """Everything that a formula may name, with what its loss is to a drill."""
    cloud = site.cloud
    yield ARBITER, Part("arbiter", "the arbiter")
    yield SECRETS, Part("secrets", SECRETS)
    for host in cloud.names:
        gone = (Hit(host, MACHINE, Loss.SILENT),)
        yield host, Part("controller", "controllers", (host,), gone)
        yield disk(host), Part("disk", "disks", (host,), gone)
        yield bmc(host), Part("bmc", "BMCs", (host,))
        # Management last: of an interface that several networks share, it decides.
        for name, network in sorted(cloud.networks.items(), key=lambda named: named[0] == "management"):
            for switch in network.switches or ("",):
                alone = name == "management" and len(network.switches) < BOND
                yield link(network, host, switch), Part("link", "links", (host,), gone if alone else ())
        for system in enabled(cloud, systems):
            for name in _keys(system, host):
                yield name, Part("keys", f"{system.name} keys", (host,))
        for one in processes_of(site, systems):
            yield process(one.unit, host), Part("process", one.unit, (host,), one.hits(host, Loss.REFUSED))
    for switch in switches_of(cloud):
        yield switch, Part("switch", switch, cloud.names)
    for domain, hosts in cloud.failure_domains.items():
        lost = tuple(Hit(host, MACHINE, Loss.SILENT) for host in hosts)
        yield domain, Part("failure_domain", domain, hosts, lost)


def switches_of(cloud: Cloud) -> tuple[str, ...]:
    """Each once."""
    return tuple(dict.fromkeys(switch for network in cloud.networks.values() for switch in network.switches))


def uncounted(cloud: Cloud) -> tuple[str, ...]:
    """Networks on which clients or controllers depend, and of whose switches the file says nothing."""
    used = dict.fromkeys(("management", *(vip.network for vip in cloud.vips.values())))
    return tuple(name for name in used if not cloud.networks[name].switches)


def misnamed(cloud: Cloud, systems: Sequence[AnySystem]) -> Iterator[Finding]:
    """Find switches and failure domains with a name that something else has: a loss would be of both."""
    taken = {ARBITER: "the arbiter"} | dict.fromkeys(cloud.names, "a controller")
    taken |= {system.name: "a system" for system in systems}
    named: list[tuple[str, Path, str]] = [
        *((name, ("failure_domains", name), "a failure domain") for name in cloud.failure_domains),
        *(
            (switch, ("networks", name, "switches", place), "a switch")
            for name, network in cloud.networks.items()
            for place, switch in enumerate(network.switches)
        ),
    ]
    for name, path, kind in named:
        if taken.setdefault(name, kind) != kind:
            yield Finding(path, f"{name!r} is already the name of {taken[name]}", "another name")


def _own(one: Function, system: AnySystem, site: Site) -> Formula:
    """What a function needs of its own system: all of it, or some process of each kind."""
    if not one.units:
        return system.name
    hosts = site.cloud.names
    running = (_somewhere(system, unit, hosts) for unit in one.units)
    return every(*running, *map(offered, one.needs))


def _kept(one: Kept, system: AnySystem, site: Site) -> Formula:
    """It is there while one of those disks is on which it lies at least; which these are nobody knows."""
    disks = tuple(disk(host) for host in site.cloud.names)
    if one.on == "keys":
        return some(SECRETS, *(every(disk(host), *_keys(system, host)) for host in site.cloud.names))
    copies = len(disks) if one.on == "all" else len(disks) // 2 + 1
    return AtLeast(len(disks) - copies + 1, disks)


def _needed(system: AnySystem) -> tuple[str, ...]:
    return tuple(kind for kind in system.needs if kind not in system.spares)


def _of(system: AnySystem, site: Site) -> Iterator[tuple[str, Formula]]:
    """Its members, itself by its name, and each kind that it offers."""
    spec, hosts = site.cloud.systems[system.name], site.cloud.names
    processes = system.drills.processes(spec, site) if system.drills else ()
    members = {
        host: every(up(host), *(process(one.unit, host) for one in processes), *_keys(system, host)) for host in hosts
    }
    own = system.stands(spec, site) if system.stands else _together(system, members, processes)
    yield system.name, every(own, *map(offered, _needed(system)))
    for kind in system.offers:
        yield offered(kind), system.name
        for host, formula in members.items():
            yield member(kind, host), formula


def _together(system: AnySystem, members: Mapping[str, Formula], processes: Sequence[Process]) -> Formula:
    """By majority, or each process on any controller."""
    if system.quorum == "majority":
        return majority(*members.values())
    return every(*(_somewhere(system, one.unit, members) for one in processes))


def _somewhere(system: AnySystem, unit: str, hosts: Iterable[str]) -> Formula:
    """A process of a system runs on any controller, with what keys it needs."""
    return some(*(every(up(host), process(unit, host), *_keys(system, host)) for host in hosts))


def _keys(system: AnySystem, host: str) -> tuple[str, ...]:
    return (keyring(system.name, host),) if system.keys else ()

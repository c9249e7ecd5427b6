"""What a lab is: a value, stored as `lab.json` in the lab's folder of state."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from quorate.errors import InvalidInput, QuorateError
from quorate.lab.names import Names, checked

RELEASES = ("trixie", "bookworm")
POWER_PORT = 8443
MOST_MACHINES = 16

Progress = Callable[[str], None]


def quiet(text: str) -> None:
    """Take progress and say nothing: the default of the Python API."""


@dataclass(frozen=True)
class Places:
    """The folders of this host in which labs live."""

    state: Path = Path("/var/lib/quorate/lab")
    cache: Path = Path("/var/cache/quorate/images")
    run: Path = Path("/run/quorate")


@dataclass(frozen=True)
class Slot:
    """One machine's place in the lab: its name, its address and its cable."""

    number: int
    name: str
    address: str
    mac: str
    veth: str
    netns: str
    cgroup: str


@dataclass(frozen=True)
class Spec:
    """A lab. `identity` is random: machine ids derive from it, so that no two labs' machines share one.

    `systems`: optional ones that its cloud has, each as the line of its cloud file. `shared`: folders in which all
    machines find the same.
    """

    name: str
    machines: tuple[str, ...]
    subnet: str
    release: str
    packages: tuple[str, ...]
    image: str
    folder: str
    identity: str
    systems: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()

    @property
    def names(self) -> Names:
        """What the lab's things are called on this host."""
        return Names(self.name)

    @property
    def network(self) -> ipaddress.IPv4Network:
        """The subnet of the machines."""
        return ipaddress.IPv4Network(self.subnet)

    @property
    def gateway(self) -> str:
        """The host's address on the bridge, where the power daemon listens."""
        return str(self.network[1])

    @property
    def vip(self) -> str:
        """The address that cloud.yaml offers as the API's VIP."""
        return str(self.network[100])

    @property
    def slots(self) -> tuple[Slot, ...]:
        """All machines, in order."""
        names = self.names
        return tuple(
            Slot(
                number=number,
                name=name,
                address=str(self.network[10 + number]),
                mac=names.mac(number),
                veth=names.veth(number),
                netns=names.netns(name),
                cgroup=names.cgroup(name),
            )
            for number, name in enumerate(self.machines, start=1)
        )

    def slot(self, machine: str) -> Slot:
        """Return the machine's slot, or raise InvalidInput and say which machines there are."""
        for slot in self.slots:
            if slot.name == machine:
                return slot
        raise InvalidInput(
            f"lab {self.name} has no machine {machine!r}", hint=f"its machines: {', '.join(self.machines)}"
        )

    def to_json(self) -> str:
        """Return the text of lab.json."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Spec:
        """Read the text of lab.json."""
        try:
            data = json.loads(text)
            lists = {name: tuple(data[name]) for name in ("machines", "packages", "systems", "shared") if name in data}
            return cls(**{**data, **lists})
        except (ValueError, TypeError, KeyError) as error:
            raise QuorateError(
                f"lab.json cannot be read: {error}", hint="`quorate lab down` removes what there is"
            ) from error


def checked_subnet(text: str) -> str:
    """Return the subnet in its usual form, or raise InvalidInput."""
    try:
        network = ipaddress.IPv4Network(text, strict=True)
    except ValueError as error:
        raise InvalidInput(f"subnet {text!r}: {error}", hint="for example 10.77.0.0/24") from error
    if not network.is_private or not 16 <= network.prefixlen <= 24:
        raise InvalidInput(f"subnet {text!r} is not a private one of /16 to /24", hint="for example 10.77.0.0/24")
    return str(network)


def checked_release(text: str) -> str:
    """Return the release, or raise InvalidInput."""
    if text not in RELEASES:
        raise InvalidInput(f"release {text!r} is not known to the lab", hint=f"use one of {', '.join(RELEASES)}")
    return text


def machine_names(count: int) -> tuple[str, ...]:
    """Return controller1, controller2, …"""
    if not 1 <= count <= MOST_MACHINES:
        raise InvalidInput(f"a lab has 1 to {MOST_MACHINES} machines, not {count}")
    return tuple(f"controller{number}" for number in range(1, count + 1))


def checked_machines(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names when each can be a host name and none is there twice."""
    if not 1 <= len(names) <= MOST_MACHINES or len(set(names)) != len(names):
        raise InvalidInput(f"a lab has 1 to {MOST_MACHINES} machines with different names")
    return tuple(checked(name, "a machine") for name in names)

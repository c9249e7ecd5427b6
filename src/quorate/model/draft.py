"""What can be made out in a cloud file that may be wrong elsewhere, so that the rules can judge the rest of it.

Anything that does not read as what it should be is left out: the types report it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from quorate.model.words import Path


@dataclass(frozen=True)
class Place:
    """An address somewhere in the file: whose it is, and the network in which it is to lie (None: anywhere)."""

    path: Path
    owner: str
    address: IPv4Address
    network: str | None = None


@dataclass(frozen=True)
class Bmc:
    """A controller's power switch: two controllers may share an address and a port, never a system there too."""

    place: Place
    controller: str
    port: str
    system: str


@dataclass(frozen=True)
class Draft:
    """The readable part of the file. None stands for a section that is missing or is no mapping."""

    networks: Mapping[str, IPv4Network | None] | None
    vips: Mapping[str, Any] | None
    controllers: Mapping[str, Any] | None
    domains: Mapping[str, Any] | None
    arbiter: bool
    places: tuple[Place, ...]
    bmcs: tuple[Bmc, ...]


def draft(data: Any) -> Draft:
    """Make out what can be made out."""
    sections = _mapping(data) or {}
    networks = _mapping(sections.get("networks"))
    vips = _mapping(sections.get("vips"))
    controllers = _mapping(sections.get("controllers"))
    return Draft(
        networks=None if networks is None else {n: _subnet(lengthen(v, "subnet")) for n, v in networks.items()},
        vips=vips,
        controllers=controllers,
        domains=_mapping(sections.get("failure_domains")),
        arbiter=sections.get("arbiter") is not None,
        places=(
            *(p for name, one in (controllers or {}).items() for p in _of_controller(name, one)),
            *(p for name, one in (vips or {}).items() for p in _of_vip(name, one)),
            *_of_arbiter(sections.get("arbiter")),
        ),
        bmcs=_bmcs(controllers or {}, _mapping(sections.get("fencing")) or {}),
    )


def lengthen(value: Any, key: str) -> Mapping[str, Any]:
    """Turn a short form into the long one; what is neither becomes an empty mapping."""
    return {key: value} if isinstance(value, str) else _mapping(value) or {}


def addresses_of(controller: Any) -> Mapping[str, Any] | None:
    """The controller's addresses by network, None where the file does not say them as a mapping."""
    addresses = lengthen(controller, "addresses").get("addresses")
    return {"management": addresses} if isinstance(addresses, str) else _mapping(addresses)


def _of_controller(name: str, controller: Any) -> tuple[Place, ...]:
    found = []
    for network, value in (addresses_of(controller) or {}).items():
        address = _address(value)
        if address is not None:
            owner = f"{name}'s address" if network == "management" else f"{name}'s address on {network}"
            found.append(Place(("controllers", name, "addresses", network), owner, address, network))
    return tuple(found)


def _of_vip(name: str, vip: Any) -> tuple[Place, ...]:
    long = lengthen(vip, "address")
    address, network = _address(long.get("address")), long.get("network", "management")
    if address is None or not isinstance(network, str):
        return ()
    return (Place(("vips", name, "address"), f"the VIP {name}", address, network),)


def _of_arbiter(arbiter: Any) -> tuple[Place, ...]:
    address = _address(lengthen(arbiter, "address").get("address"))
    return () if address is None else (Place(("arbiter", "address"), "the arbiter", address),)


def _bmcs(controllers: Mapping[str, Any], common: Mapping[str, Any]) -> tuple[Bmc, ...]:
    found = []
    for name, controller in controllers.items():
        fencing = {**common, **lengthen(lengthen(controller, "addresses").get("fencing"), "address")}
        address = _address(fencing.get("address"))
        if address is not None:
            place = Place(("controllers", name, "fencing", "address"), f"{name}'s BMC", address)
            found.append(Bmc(place, name, str(fencing.get("port", 443)), str(fencing.get("system", "1"))))
    return tuple(found)


def _mapping(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None


def _address(value: Any) -> IPv4Address | None:
    try:
        return IPv4Address(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _subnet(network: Mapping[str, Any]) -> IPv4Network | None:
    value = network.get("subnet")
    try:
        return IPv4Network(value) if isinstance(value, str) and "/" in value else None
    except ValueError:
        return None

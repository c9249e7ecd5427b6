"""keepalived.conf as keepalived understands it: instances, what they move, and what they look at."""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from quorate.audit.estate import Estate
from quorate.audit.node import Node

LOOKS = ("track_script", "track_process", "track_file")
"""Blocks whose entries may tell of a program. An interface, or BFD, tells of a network only."""


@dataclass(frozen=True)
class Instance:
    """A vrrp_instance on one machine. What is set for some machines only (`@NAME`), or by a variable, is not known."""

    node: Node
    host: str
    file: Node
    """All that keepalived reads there."""
    includes: bool = False
    """Whether that names further files, which may not have been seen."""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.node.value

    def number(self, name: str) -> float | None:
        """A number; None where it is not set, or not known."""
        value = self.node.get(name)
        return float(value) if re.fullmatch(r"\d+(\.\d+)?", value) else None

    @property
    def vrid(self) -> float | None:
        """Its virtual_router_id."""
        return self.number("virtual_router_id")

    @property
    def version(self) -> str:
        """The version of VRRP that it speaks; 2 where nobody said."""
        return self.node.get("version") or self.file.get("global_defs", "vrrp_version", default="2")

    @cached_property
    def vips(self) -> frozenset[str]:
        """The addresses that it moves."""
        blocks = self.node.all("virtual_ipaddress", "virtual_ipaddress_excluded")
        return frozenset(one.name.partition("/")[0] for block in blocks for one in block.inside if _known(one))

    @cached_property
    def networks(self) -> frozenset[str]:
        """The networks of its addresses, as far as their masks are said."""
        entries = [one.name for block in self.node.all("virtual_ipaddress") for one in block.inside if "/" in one.name]
        return frozenset(filter(None, map(_network, entries)))

    @property
    def partial(self) -> bool:
        """Whether parts of it hold on some machines only, or come from variables: what is missing is not known then."""
        return any(not _known(node) for node in self.node.walk())

    @property
    def stays(self) -> bool:
        """Whether a machine that comes back leaves the addresses where they are."""
        return bool(self.node.all("nopreempt")) and self.node.get("state", default="BACKUP") != "MASTER"

    @property
    def tracked(self) -> tuple[Node, ...]:
        """What it looks at to know whether a program is well, by itself or with its sync group."""
        groups = [group for group in self.file.all("vrrp_sync_group") if self.name in _members(group)]
        blocks = [block for where in (self.node, *groups) for block in where.all(*LOOKS)]
        return tuple(entry for block in blocks for entry in block.inside)

    def weight(self, script: Node) -> int:
        """What a tracked script's failure changes in the priority; 0: it takes the machine out altogether."""
        own = ""
        for block in self.node.all("track_script"):
            for entry in block.all(script.value):
                own = entry.words[2] if entry.words[1:2] == ("weight",) and len(entry.words) > 2 else own
        text = own or script.get("weight", default="0").partition(" ")[0]
        return int(text) if re.fullmatch(r"[-+]?\d+", text) else 0

    @property
    def scripts(self) -> tuple[Node, ...]:
        """The vrrp_scripts that it tracks."""
        names = {entry.name for block in self.node.all("track_script") for entry in block.inside}
        return tuple(script for script in self.file.all("vrrp_script") if script.value in names)


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_interface(text).network
    except ValueError:
        return ""
    return str(network) if network.num_addresses > 1 else ""


def _known(node: Node) -> bool:
    return not any(word.startswith("@") or "$" in word for word in node.words)


def _members(group: Node) -> set[str]:
    return {one.name for block in group.all("group") for one in block.inside}


@lru_cache(maxsize=1)
def instances(estate: Estate) -> tuple[Instance, ...]:
    """Every instance of every machine."""
    return tuple(
        Instance(node, host, root, more)
        for host, root in estate.merged("keepalived").items()
        for more in (includes(root),)
        for node in root.all("vrrp_instance")
    )


def includes(file: Node) -> bool:
    """Whether all that keepalived reads on a machine names further files."""
    return any(node.name.startswith("include") for node in file.walk())


def peers(estate: Estate) -> Iterator[tuple[Instance, ...]]:
    """Instances on several machines that move the same addresses: by a VIP that they share."""
    by_vip: dict[str, dict[str, Instance]] = defaultdict(dict)
    for one in instances(estate):
        for vip in one.vips:
            by_vip[vip].setdefault(one.host, one)
    seen: set[frozenset[tuple[str, str]]] = set()
    for group in by_vip.values():
        key = frozenset((one.host, one.name) for one in group.values())
        if len(group) > 1 and key not in seen:
            seen.add(key)
            yield tuple(group[host] for host in sorted(group))


def vips(estate: Estate) -> Mapping[str, Node]:
    """Every address that keepalived moves, with a line that says so."""
    return {vip: one.node for one in instances(estate) for vip in one.vips}


def advertised(one: Instance) -> float:
    """Seconds from one of its advertisements to the next; 1 where nobody said."""
    return one.number("advert_int") or 1.0

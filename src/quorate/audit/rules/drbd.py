"""DRBD: whether what was acknowledged is on both disks, and whether there are ever two versions of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from quorate.audit.cluster import OFF, clusters, said
from quorate.audit.estate import Estate
from quorate.audit.node import Node
from quorate.audit.rule import Hit, Rule, Severity

_MANUAL = "https://linbit.com/man/v9/?linbitman=drbd.conf-9.0.5.html"
_GUIDE = "https://linbit.com/drbd-user-guide/drbd-guide-9_0-en/"
_FORGET = {
    "after-sb-0pri": ("discard-younger-primary", "discard-older-primary", "discard-least-changes", "discard-node"),
    "after-sb-1pri": ("discard-secondary", "violently-as0p"),
    "after-sb-2pri": ("violently-as0p",),
    "rr-conflict": ("violently",),
}
"""What is done after a split brain without asking anybody, by which writes that were acknowledged are thrown away."""
_UNFENCES = ("unfence-peer", "after-resync-target")
_FLUSHES = ("disk-flushes", "md-flushes", "disk-drain")


@dataclass(frozen=True)
class Resource:
    """A resource on one machine, with what is common to all."""

    node: Node
    host: str
    common: tuple[Node, ...]

    @property
    def name(self) -> str:
        """What it is called."""
        return self.node.value

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The machines that have it."""
        return self.node.all("on")

    def option(self, name: str, *sections: str) -> Node | None:
        """An option, in one of these sections or outside any: its own, that of a connection, or the common one."""
        for where in (self.node, *self.node.all("connection"), *self.common):
            for section in (*where.all(*sections), where):
                if found := section.last(name):
                    return found
        return None

    def value(self, name: str, *sections: str) -> str:
        """The value of an option; "yes" for one that has none, "" where it is not set."""
        found = self.option(name, *sections)
        return (found.value or "yes") if found else ""

    @property
    def fencing(self) -> str:
        """What is done to a peer that is not heard any more; "" for nothing. (In `disk` to 8.4, in `net` since 9.)"""
        value = self.value("fencing", "net", "disk")
        return "" if value == "dont-care" else value


def resources(estate: Estate) -> Iterator[Resource]:
    """Every resource of every machine, but those on top of others, which copy to a place far away."""
    for host, root in estate.merged("drbd").items():
        for node in root.all("resource"):
            if not node.all("stacked-on-top-of"):
                yield Resource(node, host, root.all("common"))


def unfenced(estate: Estate) -> Iterable[Hit]:
    """Resources that two machines may write at the same time."""
    for one in resources(estate):
        if not one.fencing and one.value("quorum", "options") in ("", "off", "no"):
            place = one.option("fencing", "net", "disk") or one.node
            told = "neither fencing nor quorum" + ("" if one.common else " (no `common` was read)")
            yield Hit(place.place, f"{one.name}: {told}")


def not_yet_there(estate: Estate) -> Iterable[Hit]:
    """Resources that acknowledge a write before the other machine has it."""
    for one in resources(estate):
        found = one.option("protocol", "net")
        if found and found.value in ("A", "B"):
            yield Hit(found.place, f"{one.name}: protocol {found.value}")


def two_writers(estate: Estate) -> Iterable[Hit]:
    """Resources that may be primary twice."""
    for one in resources(estate):
        found = one.option("allow-two-primaries", "net")
        if found and found.value not in ("no", "off", "false"):
            yield Hit(found.place, f"{one.name}: {' '.join(found.words)}")


def thrown_away(estate: Estate) -> Iterable[Hit]:
    """Split brains that end by themselves, with one side's writes."""
    for one in resources(estate):
        for name, policies in _FORGET.items():
            found = one.option(name, "net")
            if found and found.value.startswith(policies):
                yield Hit(found.place, f"{one.name}: {name} {found.value}")


def nobody_fences(estate: Estate) -> Iterable[Hit]:
    """Resources that are to fence and have nothing to do it with."""
    for one in resources(estate):
        found = one.option("fencing", "net", "disk")
        if found and one.fencing and not one.option("fence-peer", "handlers") and one.common:
            yield Hit(found.place, f"{one.name}: fencing {found.value}, no handler fence-peer")


def never_unfenced(estate: Estate) -> Iterable[Hit]:
    """Constraints that the handler makes and nobody takes away."""
    for one in resources(estate):
        found = one.option("fence-peer", "handlers")
        undone = any(one.option(name, "handlers") for name in _UNFENCES)
        if found and "crm-fence-peer" in found.value and not undone:
            yield Hit(
                found.place, f"{one.name}: {found.value.rpartition('/')[2]}, and neither of {', '.join(_UNFENCES)}"
            )


def half_is_none(estate: Estate) -> Iterable[Hit]:
    """A majority of two."""
    for one in resources(estate):
        found = one.option("quorum", "options")
        if found and found.value in ("majority", "all") and len(one.nodes) == 2:
            yield Hit(found.place, f"{one.name}: quorum {found.value}, with 2 nodes")


def on_its_way(estate: Estate) -> Iterable[Hit]:
    """Writes that are acknowledged while they are in a disk's cache."""
    for one in resources(estate):
        for name in _FLUSHES:
            for found in (one.option(name, "disk"), one.option(f"no-{name}", "disk")):
                if found and (found.name.startswith("no-") or found.value in ("no", "off", "false")):
                    yield Hit(found.place, f"{one.name}: {' '.join(found.words)}")


def the_same_twice(estate: Estate) -> Iterable[Hit]:
    """Devices and ports that two resources have on a machine."""
    seen: dict[tuple[str, str], tuple[Resource, Node]] = {}
    for one in resources(estate):
        shared = _taken(one.node)
        for machine in one.nodes:
            for node, what in (*_taken(machine), *shared):
                first, place = seen.setdefault((f"{one.host} {machine.value}", what), (one, node))
                if first.name != one.name:
                    told = f"{one.name} and {first.name}, on {machine.value}: {' '.join(node.words)}"
                    yield Hit(node.place, told, (place.place,))


def _taken(block: Node) -> list[tuple[Node, str]]:
    """The statements of a block and of its volumes that take a device or a port, each with which one."""
    said = (node for part in (block, *block.all("volume")) for node in part.inside)
    return [(node, what) for node in said if (what := _device(node) or _port(node))]


def _port(node: Node) -> str:
    return f"port {node.value.rpartition(':')[2]}" if node.name == "address" else ""


def _device(node: Node) -> str:
    """The minor number of `device minor N`, `device NAME minor N` or `device /dev/drbdN`."""
    digits = node.words[-1].removeprefix("/dev/drbd")
    numbered = "minor" in node.words or digits != node.words[-1]
    return f"minor {digits}" if node.name == "device" and numbered and digits.isdecimal() else ""


def trusting_in_vain(estate: Estate) -> Iterable[Hit]:
    """Resources that wait for a fencing that Pacemaker does not do."""
    for one in resources(estate):
        found = one.option("fencing", "net", "disk")
        for cluster in clusters(estate) if found and one.fencing == "resource-and-stonith" else ():
            off = cluster.property("stonith-enabled", "fencing-enabled")
            if found and off and said(off).lower() in OFF and cluster.host == one.host:
                yield Hit(
                    found.place, f"{one.name}: fencing {found.value}, while {'='.join(off.words[1:])}", (off.place,)
                )


RULES = (
    Rule(
        "DRB001",
        Severity.ERROR,
        "two machines may write the same data, each its own version",
        "When the link is lost, the cluster promotes the other side, while the first one, which is only cut off, "
        "writes on: a split brain. One of the two versions is lost.",
        _GUIDE,
        "With two nodes: `fencing resource-and-stonith`, the handlers crm-fence-peer and crm-unfence-peer, and "
        "fencing in Pacemaker. With three and DRBD 9: `quorum majority` and `on-no-quorum io-error`.",
        "silent-cut: after it heals, DRBD reports a split brain and does not connect",
        unfenced,
    ),
    Rule(
        "DRB002",
        Severity.ERROR,
        "a write is acknowledged before the other machine has it on disk",
        "With protocol A or B, writes that a program was told are safe are lost with the machine.",
        _MANUAL,
        "Write `protocol C` in `net`.",
        "power-cut of the primary: acknowledged rows are missing",
        not_yet_there,
    ),
    Rule(
        "DRB003",
        Severity.WARNING,
        "both machines may have the device open for writing",
        "A file system that is no cluster file system (ext4, XFS, a database's own) is destroyed when it is mounted "
        "twice.",
        _MANUAL,
        "Leave allow-two-primaries out, unless it is for live migration or a cluster file system.",
        "",
        two_writers,
    ),
    Rule(
        "DRB004",
        Severity.WARNING,
        "after a split brain, one side's data is thrown away without asking",
        "What was written and acknowledged there is gone before anybody could look at it.",
        _MANUAL,
        "Prevent split brains by fencing or quorum, and write `disconnect` (or discard-zero-changes for after- "
        "sb-0pri).",
        "silent-cut, with writers on both sides: rows of one of them are gone",
        thrown_away,
    ),
    Rule(
        "DRB005",
        Severity.ERROR,
        "DRBD is to fence its peer and has no program for it",
        "Without a handler fence-peer nothing is fenced; with resource-and-stonith all writes wait.",
        _MANUAL,
        'Write `handlers { fence-peer "/usr/lib/drbd/crm-fence-peer.9.sh"; unfence-peer "/usr/lib/drbd/crm-unfence- '
        'peer.9.sh"; }` (8.4: crm-fence-peer.sh, and crm-unfence-peer.sh as after-resync-target).',
        "cable-pulled: writes hang on the primary",
        nobody_fences,
    ),
    Rule(
        "DRB006",
        Severity.ERROR,
        "the constraint that keeps the peer from being promoted is never taken away",
        "crm-fence-peer forbids the peer to become primary. Without crm-unfence-peer that stays so after it is up to "
        "date again: at the next loss nobody may take over.",
        _GUIDE,
        "Add crm-unfence-peer.9.sh as `unfence-peer` (8.4: crm-unfence-peer.sh as after-resync-target).",
        "cable-pulled, healed, then power-cut of the primary: nothing is promoted",
        never_unfenced,
    ),
    Rule(
        "DRB007",
        Severity.ERROR,
        "two resources have the same device or port",
        "drbdadm refuses the whole configuration: neither of them comes up.",
        _MANUAL,
        "Give each resource a minor number and a port of its own.",
        "",
        the_same_twice,
    ),
    Rule(
        "DRB008",
        Severity.ERROR,
        "DRBD relies on a fencing that is turned off",
        "With resource-and-stonith DRBD expects Pacemaker to fence the peer, which it is told not to do: a constraint "
        "is all that keeps the two apart, and a peer that is cut off does not hear of it.",
        _GUIDE,
        "Turn fencing on in Pacemaker, with a device for each machine.",
        "silent-cut: both sides are written",
        trusting_in_vain,
    ),
    Rule(
        "DRB009",
        Severity.WARNING,
        "the majority of two is two",
        "When one machine is lost, the other one has no quorum and refuses to write.",
        _GUIDE,
        "Add a third node (it may be diskless) as a tie breaker, or use fencing instead of quorum.",
        "power-cut of the secondary: writes fail on the primary",
        half_is_none,
    ),
    Rule(
        "DRB010",
        Severity.WARNING,
        "writes are acknowledged that are only in a disk's cache",
        "Without flushes a loss of power on both machines takes the last writes, and may leave the replicas different "
        "without anybody knowing.",
        _MANUAL,
        "Leave it out, unless every disk is behind a controller whose cache has a battery.",
        "all-at-once: acknowledged rows are missing",
        on_its_way,
    ),
)

"""Partitions as maps: who drops whose packets. Nothing here knows how packets are dropped.

The maps are Jepsen's grudges (https://github.com/jepsen-io/jepsen, `jepsen/nemesis.clj`: bisect, split-one, bridge,
majorities-ring). A map is directed: that `a` drops what `b` sends says nothing of what `b` does with what `a` sends.
Every host is a key, also one that hears everybody. The order of the hosts decides who ends up where: the first one is
always among those that are cut off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Literal

Grudge = Mapping[str, frozenset[str]]
"""Host → the hosts whose packets it drops."""


def halves(hosts: Sequence[str]) -> Grudge:
    """Two halves that hear nothing of each other; the first hosts are in the smaller one."""
    middle = len(hosts) // 2
    return apart(hosts[:middle], hosts[middle:])


def minority(hosts: Sequence[str]) -> Grudge:
    """The first host alone, all others together."""
    return apart(hosts[:1], hosts[1:])


def bridge(hosts: Sequence[str]) -> Grudge:
    """Two halves that hear nothing of each other, and one host of the larger half that hears both and is heard."""
    cut = halves(hosts)
    middle = hosts[len(hosts) // 2]
    return {host: frozenset() if host == middle else drops - {middle} for host, drops in cut.items()}


def ring(hosts: Sequence[str]) -> Grudge:
    """Every host hears a majority (itself counted), and no two hear the same one.

    Each hears its neighbours on a ring. Where a majority is an even number, it hears one more on one side than on the
    other, so some are heard by whom they do not hear: of three, each hears the one before it, and nobody is heard by
    the one whom it hears.
    """
    heard = majority(len(hosts))
    ways: dict[str, frozenset[str]] = {}
    for place, host in enumerate(hosts):
        first = place - heard // 2
        ways[host] = frozenset(hosts) - {hosts[number % len(hosts)] for number in range(first, first + heard)}
    return ways


def one_way(hosts: Sequence[str], direction: Literal["out", "in"]) -> Grudge:
    """Cut the first host off in one direction: nobody hears it (`out`), or it hears nobody (`in`)."""
    first, others = hosts[0], frozenset(hosts[1:])
    if direction == "in":
        return {host: others if host == first else frozenset() for host in hosts}
    return {host: frozenset() if host == first else frozenset({first}) for host in hosts}


def apart(*components: Iterable[str]) -> Grudge:
    """Everybody hears those of its own component and nobody else."""
    parts = [frozenset(component) for component in components]
    everybody = frozenset[str]().union(*parts)
    return {host: everybody - part for part in parts for host in sorted(part)}


# --- what follows from a map -------------------------------------------------------------------------------------


def majority(votes: int) -> int:
    """How many of so many votes are more than half."""
    return votes // 2 + 1


def hear_each_other(grudge: Grudge, hosts: Iterable[str]) -> bool:
    """Whether all of these hear each other, both ways."""
    chosen = frozenset(hosts)
    return not any(grudge[host] & chosen for host in chosen)


def largest(grudge: Grudge) -> tuple[frozenset[str], ...]:
    """The largest groups in which all hear each other, both ways; several where they are equally large."""
    for size in range(len(grudge), 0, -1):
        found = tuple(frozenset(group) for group in combinations(grudge, size) if hear_each_other(grudge, group))
        if found:
            return found
    return ()


def quorate(grudge: Grudge, *, arbiter: bool = False) -> frozenset[str]:
    """The hosts that are still in some group that is a majority of the votes and in which all hear each other.

    An arbiter has a vote, hears everybody and is heard by everybody: no partition of controllers reaches it.
    """
    needed = majority(len(grudge) + arbiter) - arbiter
    found: set[str] = set()
    for size in range(max(needed, 1), len(grudge) + 1):
        for group in combinations(grudge, size):
            if hear_each_other(grudge, group):
                found.update(group)
    return frozenset(found)


def lost(grudge: Grudge) -> int:
    """How many members it takes from a quorum at once: all that are not in the largest group that holds together."""
    return len(grudge) - max((len(group) for group in largest(grudge)), default=0)


def at_risk(grudge: Grudge) -> tuple[str, ...]:
    """Who may be among the lost ones, in the map's order: whoever is not in all of the largest groups."""
    safe = frozenset(grudge).intersection(*largest(grudge))
    return tuple(host for host in grudge if host not in safe)

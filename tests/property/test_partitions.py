"""Partitions of any number of hosts in any order: what each of the maps promises."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from quorate.faults import partition
from quorate.faults.partition import Grudge

HOSTS = st.integers(1, 7).flatmap(lambda count: st.permutations([f"c{number}" for number in range(1, count + 1)]))
SHAPES: dict[str, Callable[[list[str]], Grudge]] = {
    "halves": partition.halves,
    "minority": partition.minority,
    "bridge": partition.bridge,
    "ring": partition.ring,
    "one-way-out": lambda hosts: partition.one_way(hosts, "out"),
    "one-way-in": lambda hosts: partition.one_way(hosts, "in"),
}
SYMMETRIC = ("halves", "minority", "bridge")


def any_grudge(hosts: list[str]) -> st.SearchStrategy[Grudge]:
    others = {host: [other for other in hosts if other != host] for host in hosts}
    drops = {
        host: st.frozensets(st.sampled_from(there)) if there else st.just(frozenset()) for host, there in others.items()
    }
    return st.fixed_dictionaries(drops)


ANY_GRUDGE = HOSTS.flatmap(any_grudge)


def symmetric(grudge: Grudge) -> bool:
    return all(host in grudge[other] for host, drops in grudge.items() for other in drops)


@given(HOSTS, st.sampled_from(sorted(SHAPES)))
def test_every_host_is_in_the_map_and_nobody_drops_itself(hosts: list[str], shape: str) -> None:
    grudge = SHAPES[shape](hosts)
    assert set(grudge) == set(hosts)
    assert not any(host in drops for host, drops in grudge.items())
    assert all(drops <= set(hosts) for drops in grudge.values())


@given(HOSTS, st.sampled_from(SYMMETRIC))
def test_what_is_no_ring_and_not_one_way_is_symmetric(hosts: list[str], shape: str) -> None:
    assert symmetric(SHAPES[shape](hosts))


@given(HOSTS)
def test_a_ring_lets_everybody_hear_a_majority_and_no_two_the_same(hosts: list[str]) -> None:
    grudge = partition.ring(hosts)
    heard = [frozenset(hosts) - drops for drops in grudge.values()]
    needed = partition.majority(len(hosts))
    assert {len(group) for group in heard} == {needed}
    assert len(set(heard)) == len(hosts) or len(hosts) <= 2  # of two, a majority is both
    assert symmetric(grudge) == (needed % 2 == 1 or len(hosts) <= 2)


@given(HOSTS)
def test_a_ring_takes_the_quorum_from_everybody(hosts: list[str]) -> None:
    assert partition.quorate(partition.ring(hosts)) == (set(hosts) if len(hosts) <= 2 else set())


@given(HOSTS)
def test_a_bridge_is_the_only_one_that_both_halves_hear(hosts: list[str]) -> None:
    grudge = partition.bridge(hosts)
    hears_all = {host for host, drops in grudge.items() if not drops}
    assert hosts[len(hosts) // 2] in hears_all
    assert len(hears_all) == 1 or len(hosts) <= 2


@given(HOSTS.filter(lambda hosts: len(hosts) > 1), st.sampled_from(["minority", "one-way-out", "one-way-in"]))
def test_the_first_host_alone_is_lost(hosts: list[str], shape: str) -> None:
    grudge = SHAPES[shape](hosts)
    assert partition.lost(grudge) == 1
    if len(hosts) > 2:
        assert partition.at_risk(grudge) == (hosts[0],)


@given(HOSTS.filter(lambda hosts: len(hosts) % 2 == 1))
def test_the_larger_half_of_an_odd_number_keeps_the_quorum(hosts: list[str]) -> None:
    kept = partition.quorate(partition.halves(hosts))
    assert kept == set(hosts[len(hosts) // 2 :])
    assert partition.lost(partition.halves(hosts)) == len(hosts) // 2


@given(ANY_GRUDGE, st.booleans())
def test_the_analysis_is_true_of_any_map(grudge: Grudge, arbiter: bool) -> None:
    votes = len(grudge) + arbiter
    groups = [
        frozenset(group)
        for size in range(1, len(grudge) + 1)
        for group in combinations(grudge, size)
        if all(one not in grudge[other] and other not in grudge[one] for one, other in combinations(group, 2))
    ]
    most = max(len(group) for group in groups)
    assert partition.lost(grudge) == len(grudge) - most
    assert set(partition.largest(grudge)) == {group for group in groups if len(group) == most}
    with_quorum = [group for group in groups if 2 * (len(group) + arbiter) > votes]
    assert partition.quorate(grudge, arbiter=arbiter) == frozenset().union(*with_quorum)
    assert bool(partition.at_risk(grudge)) == (partition.lost(grudge) > 0)


@given(ANY_GRUDGE)
def test_dropping_less_never_loses_more(grudge: Grudge) -> None:
    for host, drops in grudge.items():
        milder = {**grudge, host: frozenset(list(drops)[1:])}
        assert partition.lost(milder) <= partition.lost(grudge)
        assert partition.quorate(milder) >= partition.quorate(grudge)

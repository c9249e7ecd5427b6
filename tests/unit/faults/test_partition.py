from __future__ import annotations

from quorate.faults import partition

THREE = ("a", "b", "c")
FIVE = ("a", "b", "c", "d", "e")


def drops(grudge: partition.Grudge) -> dict[str, str]:
    return {host: "".join(sorted(dropped)) for host, dropped in grudge.items()}


def test_halves_put_the_first_hosts_into_the_smaller_half() -> None:
    assert drops(partition.halves(THREE)) == {"a": "bc", "b": "a", "c": "a"}
    assert drops(partition.halves(FIVE)) == {"a": "cde", "b": "cde", "c": "ab", "d": "ab", "e": "ab"}


def test_a_minority_is_one_host() -> None:
    assert drops(partition.minority(FIVE)) == {"a": "bcde", "b": "a", "c": "a", "d": "a", "e": "a"}


def test_a_bridge_hears_both_halves() -> None:
    assert drops(partition.bridge(THREE)) == {"a": "c", "b": "", "c": "a"}
    assert drops(partition.bridge(FIVE)) == {"a": "de", "b": "de", "c": "", "d": "ab", "e": "ab"}


def test_a_ring_of_three_is_directed_and_of_five_is_not() -> None:
    assert drops(partition.ring(THREE)) == {"a": "b", "b": "c", "c": "a"}
    assert drops(partition.ring(FIVE)) == {"a": "cd", "b": "de", "c": "ae", "d": "ab", "e": "bc"}


def test_one_way_is_one_way() -> None:
    assert drops(partition.one_way(THREE, "out")) == {"a": "", "b": "a", "c": "a"}
    assert drops(partition.one_way(THREE, "in")) == {"a": "bc", "b": "", "c": ""}


def test_who_is_left_with_a_majority() -> None:
    assert partition.quorate(partition.halves(THREE)) == {"b", "c"}
    assert partition.quorate(partition.bridge(THREE)) == {"a", "b", "c"}
    assert partition.quorate(partition.ring(THREE)) == set()
    assert partition.quorate(partition.one_way(THREE, "in")) == {"b", "c"}
    assert partition.quorate(partition.halves("abcd")) == set()
    assert partition.quorate(partition.halves("abcd"), arbiter=True) == {"a", "b", "c", "d"}


def test_how_many_are_lost_and_who_it_may_be() -> None:
    assert (partition.lost(partition.halves(THREE)), partition.at_risk(partition.halves(THREE))) == (1, ("a",))
    assert (partition.lost(partition.bridge(THREE)), partition.at_risk(partition.bridge(THREE))) == (1, ("a", "c"))
    assert (partition.lost(partition.ring(THREE)), partition.at_risk(partition.ring(THREE))) == (2, THREE)
    assert (partition.lost(partition.ring(FIVE)), partition.at_risk(partition.ring(FIVE))) == (3, FIVE)
    assert partition.lost(partition.apart(FIVE)) == 0
    assert partition.at_risk(partition.apart(FIVE)) == ()


def test_a_cloud_of_one_can_lose_nobody_by_a_partition() -> None:
    for shape in (partition.halves, partition.minority, partition.bridge, partition.ring):
        assert drops(shape("a")) == {"a": ""}
        assert partition.lost(shape("a")) == 0

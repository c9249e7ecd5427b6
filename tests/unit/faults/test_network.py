from __future__ import annotations

from quorate.core.fault import Fault, Hit, Loss, OnHost
from quorate.faults import network, partition
from quorate.model.cloud import Cloud
from worlds.clouds import cloud
from worlds.drilled import WEB


def two_networks() -> Cloud:
    plain = cloud(3).model_dump(mode="json")
    plain["networks"]["public"] = {"subnet": "10.0.8.0/24", "interface": "eth1"}
    for number, controller in enumerate(plain["controllers"].values(), start=11):
        controller["addresses"]["public"] = f"10.0.8.{number}"
    return Cloud.model_validate(plain | {"ssh": {"port": 2222}})


def partitioned(grudge: partition.Grudge, where: Cloud) -> Fault:
    return network.partitioned(where, "kind", "told", grudge, 12.0)


def stdin(fault: Fault) -> dict[str, str]:
    return {step.host: step.stdin for step in fault.inject if isinstance(step, OnHost)}


def test_a_host_drops_all_addresses_of_whom_it_does_not_hear_and_lets_ssh_pass() -> None:
    where = two_networks()
    rules = stdin(partitioned(partition.minority(where.names), where))
    assert set(rules) == {"c1", "c2", "c3"}
    assert "ip saddr { 10.0.0.12, 10.0.8.12, 10.0.0.13, 10.0.8.13 } drop" in rules["c1"]
    assert "ip saddr { 10.0.0.11, 10.0.8.11 } drop" in rules["c2"]
    for text in rules.values():
        lines = [line.strip() for line in text.splitlines()]
        assert lines.index("tcp dport 2222 accept") < lines.index("tcp sport 2222 accept")
        assert lines.index("tcp sport 2222 accept") < next(at for at, line in enumerate(lines) if "saddr" in line)


def test_who_hears_everybody_has_no_rules() -> None:
    where = cloud(3)
    fault = partitioned(partition.one_way(where.names, "in"), where)
    assert set(stdin(fault)) == {"c1"}
    assert [step.host for step in fault.heal if isinstance(step, OnHost)] == ["c1"]
    assert [proof.step.host for proof in fault.proof] == ["c1"]


def test_whoever_may_be_lost_is_hit() -> None:
    where = cloud(3)
    assert partitioned(partition.bridge(where.names), where).hits == (
        Hit("c1", "machine", Loss.SPLIT),
        Hit("c3", "machine", Loss.SPLIT),
    )
    assert partitioned(partition.bridge(where.names), where).lost == 1
    assert partitioned(partition.ring(where.names), where).lost == 2


def test_a_table_takes_the_place_of_the_one_before() -> None:
    fault = network.port_deaf(two_networks(), WEB, "c1", 12.0)
    text = stdin(fault)["c1"]
    assert text.startswith("add table inet quorate_drill; delete table inet quorate_drill\n")
    assert 'iifname "lo" accept' in text
    assert "ip daddr { 10.0.0.11, 10.0.8.11 } meta l4proto { tcp, udp } th dport 8080 drop" in text


def test_a_cut_off_host_is_silent_in_arp_too_and_keeps_itself() -> None:
    text = stdin(network.cut_off(cloud(3), "c2", 12.0))["c2"]
    assert "table arp quorate_drill" in text
    assert 'iifname != "lo" drop' in text
    assert 'oifname != "lo" drop' in text


def test_a_neighbour_says_that_a_host_is_cut_off() -> None:
    (proof,) = network.cut_off(cloud(3), "c1", 12.0).proof
    assert proof.step.host == "c2"
    assert proof.step.argv[-3:] == ("eth0", "10.0.0.12", "10.0.0.11")


def test_every_interface_of_the_cloud_is_taken_down() -> None:
    text = stdin(network.unplugged(two_networks(), "c1", 12.0))["c1"]
    assert [line for line in text.splitlines() if line.startswith("ip link")] == [
        "ip link set eth0 down",
        "ip link set eth1 down",
    ]

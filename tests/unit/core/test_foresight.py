"""What the model of a cloud says of losses: of three controllers, of one, of two with an arbiter, of five."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from systems_clouds import build, builtin, site

from quorate import systems
from quorate.core.aim import functions_of, uses_of
from quorate.core.foresight import ARBITER, SECRETS, Foresight, bmc, disk, foresee, keyring, misnamed
from quorate.core.tree import cut_sets, parts
from quorate.model.cloud import FailureRates

SYSTEMS = systems.discover()
CLUSTERS = ("corosync", "etcd", "galera", "cache", "rabbitmq")


def of(kind: str, **more: Any) -> Foresight:
    """A cloud with every system that it can have."""
    data = builtin(kind, {system.name: {} for system in SYSTEMS})
    cloud = build(data | more, SYSTEMS)
    return foresee(site(cloud, SYSTEMS, {}), SYSTEMS)


def test_of_three_controllers_nothing_is_a_single_point_of_failure() -> None:
    assert of("three").cuts(1) == ()


def test_of_three_controllers_any_two_stop_every_cluster_and_all_that_needs_one() -> None:
    foresight = of("three")
    for pair in combinations(("controller1", "controller2", "controller3"), 2):
        assert set(foresight.needs) - set(foresight.stopped(pair)) == {"haproxy", "memcached"}
        assert foresight.first(foresight.stopped(pair)) == CLUSTERS


def test_a_cache_that_is_gone_everywhere_stops_no_service() -> None:
    foresight = of("three")
    lost = {part for part in foresight.parts if part.startswith(("memcached", "quorate-balancer"))}
    assert foresight.stopped(lost) == ("memcached", "cache")


def test_processes_of_a_service_may_be_on_different_controllers() -> None:
    foresight = of("three")
    lost = {"nova-api on controller1", "nova-conductor on controller2", "nova-scheduler on controller3"}
    assert foresight.stopped(lost) == ()
    assert foresight.stopped({f"nova-conductor on controller{number}" for number in (1, 2, 3)}) == ("nova",)


def test_functions_are_those_of_drills_and_fail_with_what_they_rest_on() -> None:
    cloud = build(builtin("three", {system.name: {} for system in SYSTEMS}), SYSTEMS)
    made = site(cloud, SYSTEMS, {})
    foresight = foresee(made, SYSTEMS)
    does = {one.name: one.does for one in foresight.functions}
    assert len(set(does.values())) == len(does)
    assert set(functions_of(made, SYSTEMS)) <= set(does), "what a client exercises is foretold"
    stopping = cut_sets(does.values(), foresight.formulas, 2)
    for name, below in uses_of(made, SYSTEMS).items():
        for used in set(below) & set(does):
            assert all(does[name] in foresight.denied(cut) for cut in stopping[does[used]])


def test_reading_goes_on_where_making_does_not() -> None:
    foresight = of("three")
    conductors = {f"nova-conductor on controller{number}" for number in (1, 2, 3)}
    assert foresight.denied(conductors) == ("boot a server",)
    messages = {f"rabbitmq-server on controller{number}" for number in (1, 2)}
    assert {"publish a message", "boot a server"} <= set(foresight.denied(messages))
    assert not {"list servers", "issue a token", "see the dashboard"} & set(foresight.denied(messages))


def test_a_virtual_ip_waits_for_whoever_cannot_be_known_to_be_off() -> None:
    foresight = of("three")
    assert "pacemaker" not in foresight.stopped({"controller2"})
    assert "pacemaker" in foresight.stopped({"controller2", bmc("controller2")})
    assert "pacemaker" not in foresight.stopped({"controller2", bmc("controller1")})


def test_rows_are_on_every_disk_and_messages_on_two_of_three() -> None:
    losing = of("three").losing(3)
    disks = [disk(f"controller{number}") for number in (1, 2, 3)]
    pairs = {frozenset(pair) for pair in combinations(disks, 2)}
    assert {cut for cut, what in losing if what == "committed rows (galera)"} == {frozenset(disks)}
    assert {cut for cut, what in losing if what == "confirmed messages (rabbitmq)"} == pairs
    assert of("one").losing(1)
    lost = set(disks[:2])
    assert "galera" in of("three").stopped(lost), "a controller without its disk is none"
    assert of("three").gone(lost) == ("locks and groups (etcd)", "confirmed messages (rabbitmq)")


def test_a_keystone_without_its_keys_is_none_and_tokens_outlive_them_in_the_secrets() -> None:
    foresight = of("three")
    names = [keyring("keystone", f"controller{number}") for number in (1, 2, 3)]
    assert set(names) <= set(foresight.parts)
    assert foresight.denied(names[:2]) == ()
    assert {"issue a token", "validate a token", "boot a server"} <= set(foresight.denied(names))
    assert foresight.gone(names) == ()
    assert foresight.gone({*names, SECRETS}) == ("issued tokens (keystone)",)
    tokens = {cut for cut, what in of("one").losing(2) if what == "issued tokens (keystone)"}
    assert tokens == {frozenset({part, SECRETS}) for part in (keyring("keystone", "controller1"), disk("controller1"))}
    assert "write a row" not in foresight.denied(names)


def test_a_process_elsewhere_does_not_help_where_its_keys_are_lost() -> None:
    foresight = of("three")
    lost = {"keystone on controller1", keyring("keystone", "controller2"), "controller3"}
    assert "issue a token" in foresight.denied(lost)
    assert "issue a token" not in foresight.denied(lost - {"keystone on controller1"})


def test_a_server_boots_where_a_compute_service_runs_as_far_as_the_cloud_has_any() -> None:
    sections: dict[str, Any] = {system.name: {} for system in SYSTEMS}
    data = builtin("three", {**sections, "nova": {"fake_compute": True}})
    foresight = foresee(site(build(data, SYSTEMS), SYSTEMS, {}), SYSTEMS)
    computes = [f"nova-compute on controller{number}" for number in (1, 2, 3)]
    assert "boot a server" not in foresight.denied(computes[:2])
    assert "boot a server" in foresight.denied(computes)
    assert "list servers" not in foresight.denied(computes)
    assert not set(computes) & set(of("three").parts)


def test_of_two_without_fencing_both_hold_a_vip_that_clients_reach_elsewhere() -> None:
    networks = {
        "management": {"subnet": "10.77.0.0/24"},
        "public": {"subnet": "10.78.0.0/24", "interface": "eth1", "switches": ["left", "right"]},
    }
    vips = {"api": {"address": "10.77.0.10"}, "public": {"address": "10.78.0.10", "network": "public"}}

    def denied(kind: str, *, fenced: bool) -> tuple[str, ...]:
        data = builtin(kind, {system.name: {} for system in SYSTEMS})
        controllers = (
            data["controllers"] if fenced else {n: c["addresses"]["management"] for n, c in data["controllers"].items()}
        )
        more = {"networks": networks, "vips": vips, "controllers": controllers}
        return foresee(site(build(data | more, SYSTEMS), SYSTEMS, {}), SYSTEMS).denied({"eth0 of controller1"})

    assert "reach the VIP public" in denied("two", fenced=False)
    assert "reach the virtual IP" not in denied("two", fenced=False)
    assert "reach the VIP public" not in {*denied("two", fenced=True), *denied("three", fenced=False)}


def test_a_failure_domain_that_holds_a_majority_is_a_single_point_of_failure() -> None:
    shared = {"rack-a": ["controller1", "controller2"], "rack-b": ["controller3"]}
    foresight = of("three", failure_domains=shared)
    assert foresight.cuts(1) == (frozenset({"rack-a"}),)


def test_a_controller_that_reaches_nobody_is_lost_and_a_bond_is_cut_twice() -> None:
    assert set(of("three").stopped({"eth0 of controller1", "controller2"})) >= set(CLUSTERS)
    networks = {"management": {"subnet": "10.77.0.0/24", "interface": "bond0.7", "switches": ["left", "right"]}}
    foresight = of("three", networks=networks)
    assert foresight.cuts(1) == ()
    assert foresight.stopped({"left", "bond0 of controller1 to right"}) == ()
    assert set(foresight.stopped({"left", "bond0 of controller1 to right", "controller2"})) >= set(CLUSTERS)
    assert set(foresight.stopped({"left", "right"})) == set(foresight.needs)


def test_a_vip_on_a_network_of_its_own_stays_where_only_that_network_is_lost() -> None:
    more = {"subnet": "10.78.0.0/24", "interface": "eth1"}
    networks = {"management": {"subnet": "10.77.0.0/24"}, "public": more}
    vips = {"api": {"address": "10.77.0.10"}, "public": {"address": "10.78.0.10", "network": "public"}}
    foresight = of("three", networks=networks, vips=vips)
    assert foresight.cuts(1) == tuple(frozenset({f"eth1 of controller{number}"}) for number in (1, 2, 3))
    assert foresight.denied({"eth1 of controller1"}) == ("reach the VIP public",)
    shared = {**more, "interface": "eth0.8"}
    foresight = of("three", networks={**networks, "public": shared}, vips=vips)
    assert "eth1 of controller1" not in foresight.parts, "a VLAN has no link of its own"


@pytest.mark.parametrize(
    ("more", "where", "wrong"),
    [
        (
            {"controller1": ["controller2"]},
            ("failure_domains", "controller1"),
            "'controller1' is already the name of a",
        ),
        ({"etcd": ["controller2"]}, ("failure_domains", "etcd"), "'etcd' is already the name of a system"),
        (
            {"left": ["controller2"]},
            ("networks", "management", "switches", 0),
            "'left' is already the name of a failure",
        ),
    ],
)
def test_two_things_of_one_name_would_be_lost_as_one(more: dict[str, Any], where: Any, wrong: str) -> None:
    network = {"management": {"subnet": "10.77.0.0/24", "switches": ["left"]}}
    data = builtin("three", {system.name: {} for system in SYSTEMS})
    (finding,) = misnamed(build({**data, "networks": network, "failure_domains": more}, SYSTEMS), SYSTEMS)
    assert finding.path == where
    assert finding.message.startswith(wrong)


def test_everything_that_can_be_lost_is_of_a_kind_that_has_a_rate() -> None:
    foresight = of("three", failure_domains={"rack-a": ["controller1"]})
    assert set(foresight.parts) == parts(foresight.formulas)
    assert {part.kind for part in foresight.known.values()} <= set(FailureRates.model_fields)


def test_of_five_controllers_any_two_may_be_lost() -> None:
    foresight = of("five")
    machines = [part for part in foresight.parts if part.startswith("controller")]
    assert not [pair for pair in combinations(machines, 2) if foresight.stopped(pair)]
    assert all(set(CLUSTERS) <= set(foresight.stopped(three)) for three in combinations(machines, 3))


@pytest.fixture
def two() -> Foresight:
    """Two controllers and an arbiter, with what every cloud has: nothing that votes among controllers only."""
    data = builtin("two", {system.name: {} for system in SYSTEMS if not system.spec.optional})
    cloud = build(data, SYSTEMS)
    return foresee(site(cloud, SYSTEMS, {}), SYSTEMS)


def test_an_arbiter_votes_for_the_database_and_for_nothing_else(two: Foresight) -> None:
    assert two.cuts(1) == ()
    assert two.stopped({ARBITER}) == ()
    assert two.stopped({ARBITER, "controller1"}) == ("galera", "keystone")
    assert "galera" in two.stopped({"mariadb on controller1", "mariadb on controller2"}), "it holds no data"


def test_tokens_go_on_for_a_while_without_the_database_and_not_without_its_address() -> None:
    foresight = of("three")
    databases = foresight.standing(["mariadb on controller1", "mariadb on controller2"])
    assert (databases["database_write"], databases["token_issue"], databases["token_validation"]) == (False, None, None)
    machines = foresight.standing(["controller1", "controller2"])
    assert machines["token_validation"] is False
    assert foresight.standing(["controller1"])["token_validation"] is True

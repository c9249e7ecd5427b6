from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import InvalidInput, QuorateError
from quorate.lab import spec as shapes
from quorate.lab.names import Names
from quorate.lab.spec import Spec

LAB = Spec(
    name="lab",
    machines=("controller1", "controller2", "controller3"),
    subnet="10.77.0.0/24",
    release="trixie",
    packages=("haproxy",),
    image="abc",
    folder="/home/me/cloud",
    identity="00" * 16,
)

names = st.from_regex(r"[a-z][a-z0-9-]{0,29}[a-z0-9]", fullmatch=True)


@given(names, st.integers(1, 16))
def test_interface_names_fit_into_the_kernels_fifteen_characters(name: str, number: int) -> None:
    assert len(Names(name).bridge) <= 15
    assert len(Names(name).veth(number)) <= 15
    assert len(Names(name).machine(name)) <= 64


@given(names, names, names)
def test_two_labs_never_share_a_name(one: str, two: str, machine: str) -> None:
    if one != two:
        assert not Names(one).cgroup(machine).startswith(Names(two).prefix)
        assert not Names(one).veth(1).startswith(Names(two).veth_prefix)
        assert Names(one).bridge != Names(two).bridge


@given(names)
def test_no_machine_can_be_taken_for_the_power_daemon(machine: str) -> None:
    assert Names("lab").cgroup(machine) != Names("lab").power_cgroup


@pytest.mark.parametrize("name", ["", "Lab", "1lab", "a.b", "a_b", "../etc", "a" * 32, "lab-", "läb", "a b"])
def test_strange_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be called"):
        Names(name)


def test_hardware_addresses_are_local_ones_and_differ() -> None:
    macs = {Names("lab").mac(number) for number in range(17)}
    assert len(macs) == 17
    assert all(int(mac[:2], 16) & 3 == 2 for mac in macs)


def test_slots_have_the_addresses_that_the_documentation_names() -> None:
    assert [slot.address for slot in LAB.slots] == ["10.77.0.11", "10.77.0.12", "10.77.0.13"]
    assert (LAB.gateway, LAB.vip) == ("10.77.0.1", "10.77.0.100")


def test_a_spec_survives_its_file() -> None:
    assert Spec.from_json(LAB.to_json()) == LAB
    more = replace(LAB, systems=("rabbitmq: {}",))
    assert Spec.from_json(more.to_json()) == more


def test_a_lab_of_a_version_that_knew_no_optional_systems_is_read() -> None:
    old = json.loads(LAB.to_json())
    del old["systems"]
    assert Spec.from_json(json.dumps(old)) == LAB


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"machines": 3, "packages": []}', "null"])
def test_a_broken_record_is_an_error_with_a_hint(text: str) -> None:
    with pytest.raises(QuorateError, match=r"lab\.json cannot be read") as caught:
        Spec.from_json(text)
    assert "lab down" in caught.value.hint


def test_an_unknown_machine_is_an_error_that_names_the_others() -> None:
    with pytest.raises(InvalidInput) as caught:
        LAB.slot("controller9")
    assert "controller1, controller2, controller3" in caught.value.hint


@pytest.mark.parametrize("subnet", ["10.77.0.1/24", "10.77.0.0/25", "8.8.8.0/24", "10.0.0.0/8", "x", "fd00::/64"])
def test_subnets_that_cannot_hold_a_lab(subnet: str) -> None:
    with pytest.raises(InvalidInput):
        shapes.checked_subnet(subnet)


def test_machines_are_counted_or_named() -> None:
    assert shapes.machine_names(2) == ("controller1", "controller2")
    assert shapes.checked_machines(("a", "b")) == ("a", "b")
    for wrong in ((), ("a", "a"), tuple(f"m{number}" for number in range(17))):
        with pytest.raises(InvalidInput):
            shapes.checked_machines(wrong)
    for count in (0, 17):
        with pytest.raises(InvalidInput):
            shapes.machine_names(count)
    with pytest.raises(InvalidInput):
        shapes.checked_release("sarge")

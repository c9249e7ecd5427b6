from __future__ import annotations

import pytest

from quorate.errors import InvalidInput
from quorate.model.cloud import Cloud
from quorate.model.load import load
from quorate.model.rules import warnings

BASE = {
    "cloud": "example",
    "networks": "{management: 10.0.0.0/24}",
    "vips": "{api: 10.0.0.10}",
    "controllers": "{c1: 10.0.0.11, c2: 10.0.0.12, c3: 10.0.0.13}",
}


def written(**sections: str) -> str:
    return "".join(f"{key}: {value}\n" for key, value in {**BASE, **sections}.items())


def cloud(**sections: str) -> Cloud:
    return load(written(**sections), "cloud.yaml", {})


def fenced(first: str, second: str) -> str:
    return (
        f"{{c1: {{addresses: 10.0.0.11, fencing: {first}}}, c2: {{addresses: 10.0.0.12, fencing: {second}}}, "
        "c3: 10.0.0.13}"
    )


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"controllers": "{c1: 10.0.0.11, c2: 10.0.0.12}"}, "2 controllers have no majority"),
        ({"arbiter": "10.2.0.1"}, "an arbiter makes the votes of 3 controllers even"),
        ({"controllers": f"{{{', '.join(f'c{n}: 10.0.0.{n}' for n in range(11, 20))}}}"}, "9 controllers: every write"),
        ({"controllers": "{localhost: 10.0.0.11}"}, "'localhost' is every machine's name for itself"),
        ({"controllers": "{C1: 10.0.0.11}"}, "'C1' has not the right form"),
        ({"controllers": "{}"}, "an empty mapping is too short"),
        ({"controllers": "{c1: {addresses: {}}}"}, "c1 has no address on the network 'management'"),
        (
            {"networks": "{managment: 10.0.0.0/24}"},
            "there is no network 'management', on which the controllers talk to",
        ),
        ({"networks": "{management: 10.0.0.0/24, b: 10.0.0.128/25}"}, "10.0.0.128/25 overlaps the network management"),
        ({"networks": "{management: 10.0.0.0}"}, "'10.0.0.0' is not a subnet in CIDR form"),
        ({"vips": "{web: 10.0.0.10}"}, "there is no VIP 'api', at which clients find everything"),
        ({"vips": "{api: 10.0.1.10}"}, "10.0.1.10 lies outside management (10.0.0.0/24)"),
        ({"vips": "{api: 10.0.0.0}"}, "10.0.0.0 is the network address of management"),
        ({"vips": "{api: 10.0.0.255}"}, "10.0.0.255 is the broadcast address of management"),
        ({"vips": "{api: {address: 10.0.0.10, network: web}}"}, "there is no network 'web'"),
        ({"vips": "{api: 10.0.0.11}"}, "10.0.0.11 is already c1's address"),
        ({"vips": "{api: 10.0.0.10, web: 10.0.0.10}"}, "10.0.0.10 is already the VIP api"),
        ({"controllers": "{c1: 10.0.0.11, c2: 10.0.0.11, c3: 10.0.0.13}"}, "10.0.0.11 is already c1's address"),
        (
            {"controllers": "{c1: 10.0.0.11, c2: 10.0.0.12}", "arbiter": "10.0.0.12"},
            "10.0.0.12 is already c2's address",
        ),
        ({"controllers": fenced("10.0.0.11", "10.1.0.2")}, "10.0.0.11 is already c1's address"),
        ({"controllers": fenced("10.1.0.1", "10.1.0.1")}, "10.1.0.1 with the same port and system already switches c1"),
    ],
)
def test_rules(sections: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        cloud(**sections)
    (problem,) = caught.value.problems
    assert problem.message.startswith(message)
    assert problem.line == list({**BASE, **sections}).index(next(iter(sections))) + 1 or problem.line == 5


def test_one_bmc_address_may_switch_several_controllers() -> None:
    cloud(controllers=fenced("{address: 10.1.0.1, system: a}", "{address: 10.1.0.1, system: b}"))
    cloud(controllers=fenced("{address: 10.1.0.1, port: 1}", "{address: 10.1.0.1, port: 2}"))


def test_a_small_subnet_has_no_network_address() -> None:
    assert cloud(networks="{management: 10.0.0.10/31}", controllers="{c1: 10.0.0.11}").vip == "10.0.0.10"


def test_one_mistake_hides_no_other() -> None:
    with pytest.raises(InvalidInput) as caught:
        cloud(networks="5", vips="{api: [10.0.0.10]}", controllers="{c1: 10.0.0.11, c2: {addresses: 10.0.0.11}}")
    assert [problem.path for problem in caught.value.problems] == [
        "networks",
        "vips.api",
        "controllers",
        "controllers.c2.addresses",
    ]


@pytest.mark.parametrize(
    ("sections", "paths"),
    [
        ({}, ["controllers.c1", "controllers.c2", "controllers.c3"]),
        ({"controllers": "{c1: {addresses: 10.0.0.11, fencing: 10.1.0.1}}"}, ["controllers"]),
        (
            {"controllers": fenced("10.1.0.1", "10.1.0.2").replace(", c3: 10.0.0.13", ""), "arbiter": "10.0.0.9"},
            ["controllers", "arbiter"],
        ),
        (
            {"controllers": fenced("{address: 10.1.0.1, tls_verify: false}", "10.0.0.2")},
            ["controllers.c1.fencing", "controllers.c2.fencing", "controllers.c3"],
        ),
        (
            {
                "networks": "{management: 10.0.0.0/24, public: 10.3.0.0/24}",
                "controllers": "{c1: {addresses: 10.0.0.11, fencing: 10.1.0.1}}",
            },
            ["controllers", "networks.public.interface"],
        ),
    ],
)
def test_warnings(sections: dict[str, str], paths: list[str]) -> None:
    found = warnings(cloud(**sections))
    assert [caution.path for caution in found] == paths
    assert all(caution.reason for caution in found)

"""The membership's configuration and its warnings."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from quorate.core.resource import File, Unit
from quorate.core.secret import names_in
from quorate.core.system import Site
from quorate.model.cloud import Cloud
from quorate.systems.corosync.config import AUTHKEY, CorosyncSpec, configuration, resources, warnings


def cloud(controllers: int) -> Cloud:
    return Cloud.model_validate(
        {
            "cloud": "lab",
            "networks": {"management": {"subnet": "10.1.0.0/24"}, "second": {"subnet": "10.2.0.0/24"}},
            "vips": {"api": {"address": "10.1.0.10"}},
            "controllers": {
                f"controller{n}": {"addresses": {"management": f"10.1.0.{10 + n}", "second": f"10.2.0.{10 + n}"}}
                for n in range(1, controllers + 1)
            },
        }
    )


def test_consensus_is_never_below_what_corosync_accepts() -> None:
    for token in (300, 700, 1001, 30000):
        assert CorosyncSpec(token_ms=token).consensus_ms >= 1.2 * token - 1
    with pytest.raises(ValidationError):
        CorosyncSpec(token_ms=100)


def test_each_network_is_a_link() -> None:
    text = configuration(CorosyncSpec(networks=("management", "second")), cloud(3))
    assert "linknumber: 1" in text
    assert "ring1_addr: 10.2.0.13" in text
    assert "linknumber" in configuration(CorosyncSpec(), cloud(3))
    assert "ring1_addr" not in configuration(CorosyncSpec(), cloud(3))


@pytest.mark.parametrize(("controllers", "two_node"), [(1, False), (2, True), (3, False)])
def test_two_node_mode_is_for_two(controllers: int, two_node: bool) -> None:
    assert ("two_node: 1" in configuration(CorosyncSpec(), cloud(controllers))) is two_node


def test_the_key_is_a_secret_of_root_and_none_of_the_units_inputs() -> None:
    found = resources(CorosyncSpec(), Site(cloud(3)), "controller1")
    key = next(r for r in found if isinstance(r, File) and r.path == AUTHKEY)
    assert (key.mode, key.owner) == (0o400, "root")
    assert names_in(key.content) == ("corosync.authkey",)
    unit = next(r for r in found if isinstance(r, Unit))
    assert AUTHKEY not in unit.inputs
    assert unit.on_change == "reload"


@pytest.mark.parametrize(("controllers", "words"), [(1, "one controller"), (2, "fencing decides"), (4, "no more")])
def test_warnings_name_what_is_not_survived(controllers: int, words: str) -> None:
    assert words in warnings(CorosyncSpec(), cloud(controllers))[0]


def test_three_controllers_need_no_warning() -> None:
    assert not warnings(CorosyncSpec(), cloud(3))

from __future__ import annotations

import pytest
from systems_clouds import build, builtin, site

from quorate import systems
from quorate.core.observed import Unknown
from quorate.systems.pacemaker.config import PacemakerSpec
from quorate.systems.pacemaker.judge import roles
from quorate.systems.pacemaker.probe import View

SYSTEMS = systems.discover()
SITE = site(build(builtin("three", {system.name: {} for system in SYSTEMS}), SYSTEMS), SYSTEMS, {})
VIP = SITE.cloud.vip
OFF = Unknown(why="off")


def holding(*addresses: str) -> View:
    return View(running=True, status=OFF, addresses=frozenset(addresses), configuration=OFF)


@pytest.mark.parametrize(
    ("views", "holder"),
    [
        ((holding(), holding(VIP), OFF), {"virtual-ip": "controller2"}),
        ((holding("192.0.2.1"), holding(), OFF), {}),
        ((holding(VIP), holding(VIP), OFF), {}),
        ((OFF, View(True, OFF, OFF, OFF), OFF), {}),
    ],
)
def test_the_holder_is_whoever_alone_has_the_address(views: tuple[View | Unknown, ...], holder: dict[str, str]) -> None:
    assert roles(PacemakerSpec(), SITE, dict(zip(SITE.cloud.names, views, strict=True))) == holder

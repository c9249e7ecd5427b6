"""What controllers' own programs say of files: whom it is asked of, what of it counts, and what stays unknown."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import pytest
from systems_clouds import build, builtin

from quorate import systems
from quorate.core.observed import Unknown
from quorate.core.system import site_of
from quorate.engine.trials import Tried, run
from quorate.errors import Unreachable
from quorate.transport.contract import Completed, Transport

SYSTEMS = systems.discover()
CLOUD = build(builtin("three", {name: {} for name in ("cache", "galera", "keystone", "placement")}), SYSTEMS)
SITE = site_of(CLOUD, SYSTEMS)
PATH = "/etc/placement/placement.conf"


class Way:
    """A controller whose programs say this."""

    def __init__(self, host: str, said: Completed | None) -> None:
        self.host = host
        self.said = said
        self.given: list[bytes] = []

    async def run(self, argv: Sequence[str], stdin: bytes = b"", *, timeout: float, reach: float = inf) -> Completed:
        assert "oslo-config-validator" in argv[-1]
        assert timeout > 10
        assert reach == inf
        self.given.append(stdin)
        if self.said is None:
            raise Unreachable(self.host, "no route to host")
        return self.said

    async def close(self) -> None:
        """Nothing is open."""


def tried(*said: Completed | None) -> tuple[Tried, list[Way]]:
    ways = [Way(name, one) for name, one in zip(CLOUD.names, said, strict=False)]
    named: dict[str, Transport] = {way.host: way for way in ways}
    (found,) = run(SITE, SYSTEMS, named, lambda _line: None)
    return found, ways


def test_the_first_controller_that_can_say_is_asked_and_sees_no_secret() -> None:
    found, ways = tried(None, Completed(0, b"", b"INFO:root:ok\n"), Completed(0, b"", b""))
    assert found == Tried("placement", PATH, "controller2", ())
    assert [len(way.given) for way in ways] == [1, 1, 0]
    assert b"@@secret:placement.database@@" in ways[1].given[0]


def test_what_is_wrong_is_told_line_by_line() -> None:
    said = b"INFO:root:reading\nERROR:root:DEFAULT/one is not part\nERROR:root:DEFAULT/two is not part\n"
    found, _ = tried(Completed(1, b"", said))
    assert found.wrong == ("DEFAULT/one is not part", "DEFAULT/two is not part")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (None, "no route to host"),
        (Completed(127, b"", b"sh: 4: oslo-config-validator: not found\n"), "not found"),
        (Completed(1, b"", b"Traceback: ...\nModuleNotFoundError: placement\n"), "ModuleNotFoundError"),
        (Completed(2, b"", b""), "exit code 2"),
    ],
)
def test_what_nobody_could_say_is_unknown(said: Completed | None, why: str) -> None:
    found, _ = tried(said)
    assert isinstance(found.wrong, Unknown)
    assert why in found.wrong.why


def test_who_cannot_be_reached_is_not_waited_for_again() -> None:
    names = ("cache", "galera", "glance", "keystone", "placement")
    cloud = build(builtin("three", {name: {} for name in names}), SYSTEMS)
    silent, other = Way("controller1", None), Way("controller2", Completed(0, b"", b""))
    ways: dict[str, Transport] = {way.host: way for way in (silent, other)}
    found = run(site_of(cloud, SYSTEMS), SYSTEMS, ways, lambda _line: None)
    assert [one.wrong for one in found] == [(), ()]
    assert (len(silent.given), len(other.given)) == (1, 2)

from __future__ import annotations

from collections.abc import Sequence

from quorate.core.drill import Sign
from quorate.core.record import SignLine
from quorate.engine.signs import read_signs, told
from quorate.transport.contract import Completed
from quorate.transport.fake import FakeHost, FakeTransport

SIGNS = (
    Sign("the token is missed", "corosync.service", "A processor failed"),
    Sign("fenced", "pacemaker.service", "was"),
)
JOURNAL = """\
1796032549.820009 c1 corosync[40]:   [TOTEM ] A processor failed, forming new configuration: token timed out (700ms)
1796032551.5 c1 pacemaker-controld[131]:  notice: Peer c2 was terminated (reboot) by c3
1796032552.0 c1 corosync[40]: something else
-- Boot 1234 --
was
"""


def test_signs_are_found_on_the_clock_of_the_record() -> None:
    assert told("c1", JOURNAL, SIGNS, zero=1796032549.0) == [
        SignLine(at=0.82, host="c1", name="the token is missed"),
        SignLine(at=2.5, host="c1", name="fenced"),
    ]


async def test_a_controller_that_is_silent_shows_none_and_the_others_do() -> None:
    asked: list[Sequence[str]] = []

    def journalctl(_host: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed:
        asked.append(argv)
        return Completed(0, JOURNAL.encode(), b"")

    hosts = {name: FakeHost(name, clock=lambda: 0.0, programs=journalctl) for name in ("c1", "c2")}
    hosts["c2"].down = "no route"
    ways = {name: FakeTransport(host) for name, host in hosts.items()}
    found = await read_signs(ways, SIGNS, 1796032540.0, 1796032560.0, 1796032549.0)
    assert {line.host for line in found} == {"c1"}
    assert asked[0][-7:] == ("corosync.service", "pacemaker.service", "--", "-e", SIGNS[0].text, "-e", "was")


async def test_nothing_is_asked_where_no_system_knows_a_sign() -> None:
    assert await read_signs({}, (), 0.0, 1.0, 0.0) == []

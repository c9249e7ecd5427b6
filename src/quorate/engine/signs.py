"""Reads in the controllers' journals, once all is over, when each stage of a failover was behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from quorate.core.drill import Sign
from quorate.core.record import SignLine
from quorate.engine.observe import Transports
from quorate.errors import Unreachable

_TIMEOUT = 10.0
_MOST = 400
"""Lines of one controller, of those that match."""
_READ = """\
since=$1 until=$2 most=$3
shift 3
units=
while [ "$1" != -- ]; do units="$units --unit=$1"; shift; done
shift
journalctl --no-pager --output=short-unix --since="@$since" --until="@$until" $units |
  grep --fixed-strings "$@" | head -n "$most" || :
"""


async def read_signs(
    transports: Transports, signs: Sequence[Sign], began: float, ended: float, zero: float
) -> list[SignLine]:
    """Look for the signs between two times of day (seconds since the epoch); a controller that is silent shows none.

    `zero`: the time of day at which the record's clock was 0. Controllers' clocks are taken as they are.
    """
    if not signs:
        return []
    units = tuple(dict.fromkeys(sign.unit for sign in signs))
    texts = tuple(word for sign in signs for word in ("-e", sign.text))
    argv = ("sh", "-c", _READ, "signs", f"{began:.3f}", f"{ended:.3f}", str(_MOST), *units, "--", *texts)

    async def at(host: str) -> list[SignLine]:
        try:
            done = await transports[host].run(argv, timeout=_TIMEOUT)
        except Unreachable:
            return []
        return told(host, done.out.decode(errors="replace"), signs, zero)

    return [line for found in await asyncio.gather(*map(at, transports)) for line in found]


def told(host: str, journal: str, signs: Sequence[Sign], zero: float) -> list[SignLine]:
    """Find the signs in lines such as `1796032549.820009 controller1 corosync[40]: …`. Pure."""
    found = []
    for line in journal.splitlines():
        stamp, _, rest = line.partition(" ")
        sign = next((sign for sign in signs if sign.text in rest), None)
        if sign is not None and stamp.replace(".", "", 1).isdecimal():
            found.append(SignLine(at=round(float(stamp) - zero, 4), host=host, name=sign.name))
    return found

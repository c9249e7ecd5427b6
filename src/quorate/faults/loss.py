"""Parts of the model (core/foresight.py) that are lost, one or several at once, and stay lost until they are healed.

Unlike other faults, which leave it to everybody else what comes back by itself: here it is to be seen what works
*while* something is not there. A process is killed and its manager told beforehand not to start it again. A machine is
cut off silently: the others take its power, and it comes back, but nobody hears of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from quorate.core.aim import processes_of
from quorate.core.drill import Process
from quorate.core.fault import Fault, GroundAct, Loss
from quorate.core.foresight import process as part
from quorate.core.system import AnySystem, Site
from quorate.errors import InvalidInput
from quorate.faults.machine import cut_off
from quorate.faults.onhost import shell
from quorate.faults.process import killed

KIND = "loss"


def losable(
    site: Site, systems: Sequence[AnySystem], ground: frozenset[GroundAct], hold: float
) -> Mapping[str, Callable[[], Fault]]:
    """Every part that can be lost here, by the model's name for it.

    Not a process for whose death the others take its controller's power: that brings it back.
    """
    hosts = site.cloud.names
    found: dict[str, Callable[[], Fault]] = {}
    if {"cut", "plug"} <= ground:
        found |= {host: partial(cut_off, host, ground, hold) for host in hosts}
    for one in processes_of(site, systems):
        if Loss.REFUSED not in one.fenced:
            found |= {part(one.unit, host): partial(_ended, one, host, hold) for host in hosts}
    return found


def lost(parts: Sequence[str], ways: Mapping[str, Callable[[], Fault]]) -> Fault:
    """Lose all of these at once. InvalidInput names those that cannot be lost here."""
    strange = [name for name in parts if name not in ways]
    if strange or not parts:
        raise InvalidInput(
            f"this cannot be lost here, or not for long: {', '.join(strange) or 'nothing'}",
            hint=f"There are: {', '.join(ways)}.",
        )
    faults = [ways[name]() for name in dict.fromkeys(parts)]
    return Fault(
        KIND,
        "; ".join(fault.summary for fault in faults),
        hits=tuple(hit for fault in faults for hit in fault.hits),
        set_up=tuple(step for fault in faults for step in fault.set_up),
        inject=tuple(step for fault in faults for step in fault.inject),
        proof=tuple(proof for fault in faults for proof in fault.proof),
        heal=tuple(step for fault in faults for step in fault.heal),
        tear_down=tuple(step for fault in faults for step in fault.tear_down),
        hold=max(fault.hold for fault in faults),
        lost=len(faults),
        parts=tuple(dict.fromkeys(parts)),
    )


def _ended(process: Process, host: str, hold: float) -> Fault:
    """Kill a process for good: until it is healed."""
    folder = f"/run/systemd/system/{process.unit}.d"
    return replace(
        killed(process, host, hold),
        summary=f"{process.word} on {host} is killed, and nobody starts it again",
        set_up=(shell(host, _STAYS, folder, process.unit),),
        tear_down=(shell(host, _MAY_COME_BACK, folder),),
    )


# Of all drop-ins, wherever they lie, the one whose name comes last has the last word.
_STAYS = """\
mkdir -p "$1"
printf '[Service]\\nRestart=no\\n' > "$1/zz-quorate-drill-loss.conf"
systemctl daemon-reload
[ "$(systemctl show --property=Restart --value "$2")" = no ]
"""

_MAY_COME_BACK = """\
rm -f "$1/zz-quorate-drill-loss.conf"
rmdir "$1" 2>/dev/null || :
systemctl daemon-reload
"""

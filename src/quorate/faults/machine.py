"""What is done to whole machines: by what they stand on, where the place offers it, else by themselves.

A ground act that a place does not offer makes the fault unsupported there, with the reason; what a machine can do to
itself over ssh (network.py) is the catalogue's choice.
"""

from __future__ import annotations

from collections.abc import Sequence

from quorate.core.drill import Standby
from quorate.core.fault import MACHINE, Fault, GroundAct, Hit, Loss, OnGround
from quorate.faults.onhost import proof, shell

BOOTS = 600.0
"""Seconds within which a machine answers again after a restart: servers spend minutes in their firmware."""

_NEEDS: dict[GroundAct, str] = {
    "power-off": "nothing here can cut a machine's power: it needs fencing devices, or the lab",
    "power-on": "nothing here can switch a machine on again: it needs fencing devices, or the lab",
    "freeze": "nothing here can freeze a whole machine: only the lab can",
    "thaw": "nothing here can thaw a machine: only the lab can",
    "unplug": "nothing here can pull a cable",
    "cut": "nothing here can cut a cable silently",
    "plug": "nothing here can mend a cable",
}

_POWER: tuple[GroundAct, GroundAct] = ("power-off", "power-on")


def grounded(
    kind: str,
    summary: str,
    hosts: Sequence[str],
    ground: frozenset[GroundAct],
    *,
    acts: tuple[GroundAct, GroundAct],
    hold: float,
) -> Fault:
    """Do one act to machines from outside, and undo it with the other."""
    why_not = next((_NEEDS[act] for act in acts if act not in ground), "")
    act, undo = acts
    return Fault(
        kind,
        summary,
        tuple(Hit(host, MACHINE, Loss.SILENT) for host in hosts),
        inject=(OnGround(act, tuple(hosts)),),
        heal=(OnGround(undo, tuple(hosts)),),
        hold=hold,
        lost=len(hosts),
        unsupported=why_not,
    )


def power_cut(host: str, ground: frozenset[GroundAct], hold: float) -> Fault:
    """Cut its power; it is switched on again in the end, unless somebody was faster."""
    return grounded("power-cut", f"{host} loses its power", (host,), ground, acts=_POWER, hold=hold)


def all_at_once(hosts: Sequence[str], ground: frozenset[GroundAct], hold: float) -> Fault:
    """Cut the power of all."""
    summary = "all controllers lose their power at the same time"
    return grounded("all-at-once", summary, hosts, ground, acts=_POWER, hold=hold)


def frozen(host: str, ground: frozenset[GroundAct], hold: float) -> Fault:
    """Hang it."""
    return grounded("machine-frozen", f"{host} hangs", (host,), ground, acts=("freeze", "thaw"), hold=hold)


def unplugged(host: str, ground: frozenset[GroundAct], hold: float) -> Fault:
    """Pull its cable: it sees that its link is down."""
    summary = f"{host}'s cable is pulled"
    return grounded("cable-pulled", summary, (host,), ground, acts=("unplug", "plug"), hold=hold)


def cut_off(host: str, ground: frozenset[GroundAct], hold: float) -> Fault:
    """Let nothing pass, while its link stays up."""
    summary = f"nothing reaches {host} and nothing leaves it; its link stays up"
    return grounded("silent-cut", summary, (host,), ground, acts=("cut", "plug"), hold=hold)


def rebooted(host: str, ground: frozenset[GroundAct], hold: float) -> Fault:
    """Restart it in order. It comes back by itself; where there is a power switch, that is used too."""
    kind = "reboot"
    kept = f"/var/lib/quorate/drill-{kind}"  # it must outlive the boot, which all below STATE does not
    on = (OnGround("power-on", (host,)),) if "power-on" in ground else ()
    return Fault(
        kind,
        f"{host} is restarted in order",
        (Hit(host, MACHINE, Loss.DRAINED),),
        inject=(shell(host, _REBOOT, kept),),
        heal=(*on, shell(host, _REBOOTED, kept, timeout=BOOTS)),
        proof=(proof(host, f'[ -s "$1" ] && [ "$(cat "$1")" != "$({_BOOT})" ]', kept),),
        hold=hold,
        lost=1,
    )


def standby(host: str, way: Standby | None, hold: float) -> Fault:
    """Take it out of the way in order, as before its maintenance, and bring it back."""
    return Fault(
        "standby",
        f"{host} is taken out of the way in order",
        (Hit(host, way.part, Loss.DRAINED),) if way else (),
        inject=(way.away,) if way else (),
        heal=(way.back,) if way else (),
        hold=hold,
        lost=1,
        unsupported="" if way else "no system of this cloud can take a controller out of the way in order",
    )


# A boot by the time at which its systemd began: a container's kernel is never booted again. While a restart is under
# way, the job for it is said too.
_GOING = "systemctl list-jobs --no-legend reboot.target"
_BOOT = f"systemctl show --property=UserspaceTimestamp --value; {_GOING}"

# Not "systemctl reboot", which asks logind and may return before there is a job: whoever heals would find neither.
_REBOOT = f"""\
umask 077
mkdir -p "${{1%/*}}"
({_BOOT}) > "$1"
systemctl start --no-block --job-mode=replace-irreversibly reboot.target || {{ rm -f "$1"; exit 1; }}
"""

# A systemd that does not answer any more is one that goes down.
_REBOOTED = f"""\
[ -e "$1" ] || exit 0
until jobs=$({_GOING}) && [ -z "$jobs" ]; do sleep 0.2; done
rm -f "$1"
"""

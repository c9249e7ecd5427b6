"""A dead man's timer: what a fault did on a controller undoes itself there when nobody comes to undo it.

By the same command, before the act, the controller's systemd is told to run the cure after so many seconds; the cure,
once it has succeeded, takes the timer away. So an operator's machine may die at any moment. A timer does not outlive
its controller's power, and neither does what a fault does there, but for the folder that is to run full: its own disk
has it as it was (disk.sh). Ground acts are not covered: there is no controller to ask.

The cure lies as a readable program at `quorate-drill-undo-…` below `core.fault.STATE` until it has been done, so that
whoever finds a controller in that state, this program or a person, can run what there is.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from quorate.core.fault import STATE, AwaitWell, Fault, OnHost, Step
from quorate.faults.onhost import note, shell, unit

SLACK = 60.0
"""Seconds beyond the planned time: a slow ssh, an operator's busy machine, a cure that has to be tried twice."""

UNDOES = 900.0
"""Seconds for all that can be left at once: a database that is copied back and started takes longest."""


def armed(fault: Fault, slack: float = SLACK) -> Fault:
    """Arm everything that the fault does on controllers. `slack`: seconds from when it should be healed until it is.

    What `set_up` does has also the time for which it waits, and twice the slack: it is undone last. One that is armed
    already stays as it is.
    """
    if fault.lapse:
        return fault
    waits = sum(step.timeout for step in fault.set_up if isinstance(step, AwaitWell))
    lapse = fault.hold + slack
    inject, heal = _pair(fault.inject, fault.heal, unit("undo", fault.kind), lapse)
    ways = _pair(fault.set_up, fault.tear_down, unit("undo", f"{fault.kind}-set-up"), lapse + waits + slack)
    undoes_itself = lapse if inject != fault.inject else 0.0
    return replace(fault, inject=inject, heal=heal, set_up=ways[0], tear_down=ways[1], lapse=undoes_itself)


def undo_all(host: str) -> OnHost:
    """Undo at once what any drill, of whatever kind and by whomever, left to be undone on the host; or nothing."""
    return shell(host, _UNDO_ALL, f"{STATE}/{unit('undo', '')}", timeout=UNDOES)


def _pair(
    acts: Sequence[Step], cures: Sequence[Step], name: str, seconds: float
) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Let the first act on each host arm that host's cures, and the last cure disarm them."""
    acting, curing = _by_host(acts), _by_host(cures)
    done, undone = list(acts), list(cures)
    for host in acting.keys() & curing.keys():
        first, last = acting[host][0], curing[host][-1]
        program = "".join(as_shell(cure) for at in curing[host] if isinstance(cure := cures[at], OnHost))
        done[first] = _arming(done[first], name, seconds, program)
        undone[last] = _disarming(undone[last], name)
    return tuple(done), tuple(undone)


def _by_host(steps: Sequence[Step]) -> dict[str, list[int]]:
    """Where each host's commands are."""
    found: dict[str, list[int]] = {}
    for at, step in enumerate(steps):
        if isinstance(step, OnHost):
            found.setdefault(step.host, []).append(at)
    return found


def as_shell(step: OnHost) -> str:
    """Write a command, with its input, as a line of shell that ends well or badly without ending the program."""
    fed = f"printf %s {shlex.quote(step.stdin)} | " if step.stdin else ""
    return f"{fed}{shlex.join(step.argv)} || failed=1\n"


def _arming(step: Step, name: str, seconds: float, program: str) -> Step:
    assert isinstance(step, OnHost)  # noqa: S101 - the caller found it as one
    cure = f'failed=0\n{program}[ $failed = 1 ] || rm -f "$0"\nexit $failed\n'
    wrapped = shell(step.host, _ARM, name, note(name), f"{seconds:.3f}", cure, *step.argv)
    return replace(step, argv=wrapped.argv)


def _disarming(step: Step, name: str) -> Step:
    assert isinstance(step, OnHost)  # noqa: S101 - as above
    return replace(step, argv=shell(step.host, _DISARM, name, note(name), *step.argv).argv)


_ARM = """\
name=$1 cure=$2 seconds=$3
systemctl stop "$name.timer" </dev/null 2>/dev/null || :
(umask 077 && mkdir -p "${cure%/*}" && printf %s "$4" > "$cure")
systemd-run --quiet --collect --on-active="$seconds" --timer-property=AccuracySec=100ms --unit="$name" \
  sh "$cure" </dev/null
shift 4
exec "$@"
"""

_DISARM = """\
name=$1 cure=$2
shift 2
"$@"
systemctl stop "$name.timer" </dev/null 2>/dev/null || :
rm -f "$cure"
"""

# A cure of what was set up comes after the cure of what was injected: its name is longer.
_UNDO_ALL = """\
failed=0
for cure in "$1"*; do
  [ -e "$cure" ] || continue
  sh "$cure" || failed=1
  systemctl stop "${cure##*/}.timer" 2>/dev/null || :
done
exit $failed
"""

"""What machines run out of: room on a disk, memory, the right time; and the restart of everything, one by one.

A disk runs full on a file system of its own, made in memory for the purpose: a real one is nothing to fill up, other
things live there. What happens to the data is told at the head of disk.sh.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from quorate.core.drill import DataFolder, Process
from quorate.core.fault import STATE, AwaitWell, Fault, Hit, Loss, OnHost, Proof
from quorate.faults.onhost import note, proof, python, shell, unit
from quorate.faults.process import STARTS

WELL = 300.0
"""Seconds in which everything is ok again after a restart: a database may fetch all of its data from another."""
COPIES = 600.0
"""Seconds for stopping a unit, copying its data and starting it again."""
ROOM = 64
"""MiB that are left on the file system made to run full: enough for a database to start on, quickly filled."""


def disk_full(kind: str, folder: DataFolder, host: str, hold: float, *, room: int = ROOM) -> Fault:
    """Let a folder's file system run full: one in memory, on which it lies for the time being.

    That it hangs is the worst that a program may do then. MariaDB 11.8 does not: it refuses at once what needs more
    room (error 1114), and what fits into the room that it has already taken goes on for a while.
    """
    ready = AwaitWell(WELL)
    return Fault(
        kind,
        f"the disk of {folder.word} on {host} is full ({folder.path}, on a file system made for it)",
        (Hit(host, folder.word, Loss.HUNG),),
        set_up=(_disk("away", folder, host, room, COPIES), ready),
        inject=(_disk("fill", folder, host, room, 60.0),),
        heal=(_disk("free", folder, host, room, STARTS),),
        tear_down=(_disk("back", folder, host, room, COPIES), ready),
        proof=(Proof(_disk("full", folder, host, room, 5.0)),),
        hold=hold,
        lost=1,
    )


def memory_short(host: str, mebibytes: int, hold: float) -> Fault:
    """Take so much of its memory, really used. The kernel is told to take it back first if it runs out itself."""
    kind = "memory-pressure"
    name = unit("load", kind)
    used = f"awk '/^Vm(RSS|Swap):/ {{ kib += $2 }} END {{ exit kib < {mebibytes} * 1024 }}' \"/proc/$pid/status\""
    running = 'pid=$(systemctl show --property=MainPID --value "$1") && [ "$pid" -gt 0 ]'
    return Fault(
        kind,
        f"{mebibytes} MiB of the memory of {host} are taken",
        (),
        inject=(shell(host, _LOAD, name, _TAKE, str(mebibytes)),),
        heal=(shell(host, 'systemctl stop "$1" 2>/dev/null || :', name),),
        proof=(proof(host, f"{running} && {used} 2>/dev/null", name),),
        hold=hold,
    )


def clock_moved(host: str, seconds: float, hold: float) -> Fault:
    """Move its clock, and move it back by what has passed since on a clock that nobody moves."""
    kind = "clock-moved"
    arguments = (note(kind), str(seconds))
    direction = "forward" if seconds > 0 else "back"
    return Fault(
        kind,
        f"the clock of {host} is moved {direction} by {abs(seconds):g} s",
        (),
        inject=(python(host, _CLOCK, "move", *arguments),),
        heal=(python(host, _CLOCK, "mend", *arguments),),
        proof=(Proof(python(host, _CLOCK, "look", *arguments, timeout=5.0)),),
        hold=hold,
    )


def rolling_restart(processes: Sequence[Process], hosts: Sequence[str]) -> Fault:
    """Restart everything, one controller after the other, each when all is well and as redundant as before."""
    units = tuple(dict.fromkeys(process.unit for process in processes))
    steps = ((OnHost(host, ("systemctl", "restart", *units), timeout=STARTS), AwaitWell(WELL)) for host in hosts)
    return Fault(
        "rolling-restart",
        f"everything is restarted, one controller after the other: {', '.join(units)}",
        tuple(Hit(host, process.word, Loss.DRAINED) for host in hosts for process in processes),
        inject=tuple(step for pair in steps for step in pair),
        lost=1,
        unsupported="" if units else "no system of this cloud names a process",
    )


@cache
def _disk_program() -> str:
    return files(__package__).joinpath("disk.sh").read_text(encoding="utf-8")


def _disk(what: str, folder: DataFolder, host: str, room: int, timeout: float) -> OnHost:
    under = f"{STATE}/disk-{folder.word}"
    return shell(host, _disk_program(), what, folder.path, folder.unit, under, str(room), timeout=timeout)


_LOAD = """\
systemctl stop "$1" 2>/dev/null || :
systemd-run --quiet --collect --unit="$1" --property=OOMScoreAdjust=1000 python3 -Ic "$2" "$3"
"""

_TAKE = """\
import mmap, signal, sys
size = int(sys.argv[1]) << 20
taken = mmap.mmap(-1, size)
for page in range(0, size, mmap.PAGESIZE):
    taken[page] = 1
signal.pause()
"""

# CLOCK_BOOTTIME: nobody sets it, and it goes on while the machine sleeps.
_CLOCK = """\
import os, sys, time
what, note, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])

def offset():
    return time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_BOOTTIME)

def set_offset(wanted):
    time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_BOOTTIME) + wanted)

try:
    with open(note) as file:
        right = float(file.read())
except FileNotFoundError:
    right = None
if what == "move":
    if right is None:
        right = offset()
        os.makedirs(os.path.dirname(note), exist_ok=True)
        with open(note + ".new", "w") as file:
            file.write(repr(right))
        os.replace(note + ".new", note)
    try:
        set_offset(right + seconds)
    except PermissionError:
        os.unlink(note)
        print("unsupported: this machine may not set its clock")
elif what == "mend":
    if right is not None:
        set_offset(right)
        os.unlink(note)
else:
    print("took" if right is not None and abs(offset() - right) > abs(seconds) / 2 else "no")
"""

"""How a fault is done on a controller: a small shell program with its arguments, and a note of what was done.

A note lies below `core.fault.STATE` and is there from before the act until its cure is complete. A cure without a note
has nothing to undo and does nothing, so that healing what was never hurt changes nothing.
"""

from __future__ import annotations

from typing import Literal

from quorate.core.fault import STATE, OnHost, Proof


def shell(host: str, program: str, *arguments: str, stdin: str = "", timeout: float = 15.0) -> OnHost:
    """Run a shell program on the host; it ends at the first command that fails, or that names what is not set."""
    return OnHost(host, ("sh", "-euc", program, "sh", *arguments), stdin, timeout)


def python(host: str, program: str, *arguments: str, timeout: float = 15.0) -> OnHost:
    """Run a program for Python's standard library, which every controller has."""
    return OnHost(host, ("python3", "-Ic", program, *arguments), timeout=timeout)


def proof(host: str, condition: str, *arguments: str, timeout: float = 5.0) -> Proof:
    """Prove by a condition in shell, which is false also where one of its commands fails."""
    return Proof(shell(host, f"if {condition}\nthen echo took; else echo no; fi", *arguments, timeout=timeout))


def note(kind: str) -> str:
    """Where the controller notes what this kind of fault did to it."""
    return f"{STATE}/{kind}"


def later(host: str, kind: str, program: str) -> OnHost:
    """Run a shell program half a second after the command has ended: one that cuts off whoever started it.

    Half a second is enough for the command's end to reach the operator.
    """
    return shell(host, _LATER, note(f"{kind}.act"), unit("act", kind), stdin=program)


def unit(what: Literal["act", "undo", "load"], kind: str) -> str:
    """Name a unit of the controller's systemd in which a drill does something by itself."""
    return f"quorate-drill-{what}-{kind}"


_LATER = """\
umask 077
mkdir -p "${1%/*}"
cat > "$1"
systemctl stop "$2.timer" 2>/dev/null || :
systemd-run --quiet --collect --on-active=500ms --timer-property=AccuracySec=10ms --unit="$2" sh -eu "$1"
"""

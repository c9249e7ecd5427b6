"""What is done to one process on one controller: killed, frozen, stopped. Its unit is the whole of it, children too.

An act ends when it is so: a signal takes a moment on a busy machine. The cure is the same for all three: let it go on
and start it, if its manager has not done so, and with it the units that were up and went with it (pacemaker does not
outlive corosync).
"""

from __future__ import annotations

from quorate.core.drill import Process
from quorate.core.fault import Fault, Hit, Loss, OnHost, Proof
from quorate.faults.onhost import note, proof, shell

STARTS = 120.0
"""Seconds that a unit has for starting or stopping: a database may first fetch what it missed."""


def killed(process: Process, host: str, hold: float) -> Fault:
    """Kill it (SIGKILL). Until it is healed it is left to its manager whether it comes back."""
    kind = f"{process.word}-killed"
    return Fault(
        kind,
        f"{process.word} on {host} is killed (SIGKILL)",
        process.hits(host, Loss.REFUSED),
        inject=(_inject(process, host, kind, 'systemctl kill --signal=KILL "$1"', _GONE),),
        heal=(_heal(process, host, kind),),
        proof=(_main_process(process, host, kind, _GONE),),
        hold=hold,
        lost=1,
    )


def frozen(process: Process, host: str, hold: float) -> Fault:
    """Freeze it (SIGSTOP): its kernel goes on taking connections that nobody answers."""
    kind = f"{process.word}-frozen"
    return Fault(
        kind,
        f"{process.word} on {host} is frozen (SIGSTOP)",
        process.hits(host, Loss.HUNG),
        inject=(_inject(process, host, kind, 'systemctl kill --signal=STOP "$1"', _STANDS),),
        heal=(_heal(process, host, kind),),
        proof=(_main_process(process, host, kind, _STANDS),),
        hold=hold,
        lost=1,
    )


def stopped(process: Process, host: str, hold: float) -> Fault:
    """Stop it in order."""
    kind = f"{process.word}-stopped"
    return Fault(
        kind,
        f"{process.word} on {host} is stopped in order",
        (Hit(host, process.word, Loss.DRAINED, lasts=hold),),
        inject=(_inject(process, host, kind, 'systemctl stop "$1"'),),
        heal=(_heal(process, host, kind),),
        proof=(proof(host, '[ -e "$2" ] && ! systemctl is-active --quiet "$1"', process.unit, note(kind)),),
        hold=hold,
        lost=1,
    )


def _inject(process: Process, host: str, kind: str, act: str, until: str = ":") -> OnHost:
    """Note the main process, act, and wait for it, as long as the command may take."""
    wait = f'until look "$pid" && {until} || [ "$now" = gone ]; do sleep 0.02; done\n'
    return shell(host, f"{_IDENTITY}{_NOTE}{act}\n{wait}", process.unit, note(kind), timeout=STARTS)


def _heal(process: Process, host: str, kind: str) -> OnHost:
    return shell(host, _HEAL, process.unit, note(kind), timeout=STARTS)


def _main_process(process: Process, host: str, kind: str, condition: str) -> Proof:
    """Prove by the main process that was noted: whether it is there (`now` is `then`), and in which state."""
    looked = f'[ -e "$2" ] && read -r pid then < "$2" && look "$pid" && {condition}'
    return Proof(shell(host, f"{_IDENTITY}if {looked}\nthen echo took; else echo no; fi", process.unit, note(kind)))


# A process is its number and when it began: the number alone may be another's by now. Dead is dead, reaped or not.
_IDENTITY = """\
look() {
  state= now=gone
  [ -r "/proc/$1/stat" ] || return 0
  set -- $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null)
  case ${1:-Z} in Z|X) ;; *) state=$1; shift 19; now=$1 ;; esac
}
"""

_NOTE = """\
umask 077
mkdir -p "${2%/*}"
pid=$(systemctl show --property=MainPID --value "$1")
[ "$pid" -gt 0 ] || { echo "$1 has no main process: it does not run" >&2; exit 1; }
look "$pid"
then=$now
echo "$pid $then" > "$2.new"
systemctl list-dependencies --reverse --plain "$1" | sed -n '2,$s/^ *\\(.*\\.service\\)$/\\1/p' | while read -r unit; do
  ! systemctl is-active --quiet "$unit" || echo "$unit"
done >> "$2.new"
mv "$2.new" "$2"
"""

_GONE = '[ "$now" != "$then" ]'
_STANDS = '[ "$now" = "$then" ] && [ "$state" = T ]'

_HEAL = """\
[ -e "$2" ] || exit 0
systemctl kill --signal=CONT "$1" 2>/dev/null || :
systemctl reset-failed "$1" 2>/dev/null || :
systemctl start "$1"
for unit in $(sed 1d "$2"); do systemctl start "$unit"; done
rm -f "$2"
"""

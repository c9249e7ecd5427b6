"""How far the data of a member goes that is in no cluster: the evidence from which a recovery decides who is first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from quorate.core.observed import Unknown
from quorate.core.system import Question, Site
from quorate.systems.galera.config import Galera

POSITION = """position() {
  log=$(mktemp) || return 1
  if mariadbd --user=mysql --wsrep_recover --disable-log-error --skip-networking 2>"$log"; then
    sed -n 's/.*WSREP: Recovered position: *\\([^,]*\\).*/position \\1/p' "$log"
    sed -n 's/.*\\(Found [0-9]* prepared XA\\).*/\\1/p' "$log"
  else
    grep -a -m1 '\\[ERROR\\]' "$log" >&2 || echo "mariadbd --wsrep_recover failed" >&2
    rm -f "$log"; return 1
  fi
  rm -f "$log"
}"""
"""Says how far a stopped member's data goes, by MariaDB's own recovery, which does what every start does first."""

LOOK_FOR_POSITION = f"""{POSITION}
head -c 65536 /var/lib/mysql/gvwstate.dat 2>/dev/null | sed 's/^/view: /'
echo # a file that was cut off does not end its last line
for process in /proc/[0-9]*; do
  [ "$(cat "$process/comm" 2>/dev/null)" = mariadbd ] || continue
  tr '\\0' '\\n' <"$process/cmdline" | sed -n 's/^--wsrep_start_position=/position /p'
  echo end; exit 0
done
[ -e /var/lib/mysql/ibdata1 ] && [ ! -e /var/lib/mysql/sst_in_progress ] || {{ echo end; exit 0; }}
case "$(systemctl show --property=ActiveState --value mariadb.service)" in
  inactive|failed) position || exit 1; echo end;;
  *) echo "MariaDB is just starting" >&2; exit 1;;
esac"""
"""How far the data goes: of a member that runs, where it began. `end` proves that all was said."""

RECOVERY = 300.0
"""Seconds for MariaDB's recovery of its position, which first does what a crash left undone."""


def evidence(_spec: Galera, _site: Site, _host: str) -> Sequence[Question]:
    """Ask how far the data goes."""
    return (Question("position", ("sh", "-c", LOOK_FOR_POSITION), timeout=RECOVERY),)


@dataclass(frozen=True)
class Position:
    """How far a member's data goes. `prepared`: XA transactions that wait for somebody's decision.

    `own`, `together`: its name in the group, and the names of all that were in its last component (gvwstate.dat); empty
    where it does not remember. Members that all remember the same come back by themselves (pc.recovery).
    """

    uuid: str
    seqno: int
    prepared: int = 0
    own: str = ""
    together: frozenset[str] = frozenset()


def read_position(out: str) -> Position | Unknown:
    """Read the answer. What makes no sense is Unknown."""
    lines = out.splitlines()
    if lines[-1:] != ["end"]:
        return Unknown(why="the position was not read to its end")
    view = [line.removeprefix("view: ").split() for line in lines if line.startswith("view: ")]
    own = next((words[1] for words in view if words[:1] == ["my_uuid:"] and len(words) > 1), "")
    together = frozenset(words[1] for words in view if words[:1] == ["member:"] and len(words) > 1)
    prepared = next((int(line.split()[1]) for line in lines if line.endswith("prepared XA")), 0)
    found = re.search(r"^position ([0-9a-f-]{36}):(-?\d{1,19})(?:,.*)?$", out, re.MULTILINE)
    if found is None:
        return Unknown(why="MariaDB did not say how far its data goes")
    whole = bool(view) and view[-1] == ["#vwend"]  # a power cut leaves it empty, or cut off
    return Position(found[1], int(found[2]), prepared, own if whole else "", together if whole else frozenset())

"""What of the database only a backup brings back: how it is copied, proved and put back (docs/decisions/0022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quorate.core.backup import Saving
from quorate.core.observed import Unknown
from quorate.core.system import Site
from quorate.core.template import render
from quorate.systems.galera.config import MARK, Galera
from quorate.systems.galera.drills import DATA
from quorate.systems.galera.form import Stand, evidence_of, stand
from quorate.systems.galera.probe import SOCKET, View

GALERA_INFO = "mariadb_backup_galera_info"
"""Where mariadb-backup notes the history and the number of the last transaction; older ones: xtrabackup_galera_info."""


def backups(_spec: Galera, _site: Site) -> Sequence[Saving]:
    """One copy of everything, from a member that does not write."""
    return (
        Saving(
            name="database",
            what="the database",
            take=_program("take"),
            prove=_program("prove"),
            put_back=_program("put-back"),
            spares="writer",
            disturbs=True,
        ),
    )


def _program(name: str) -> tuple[str, ...]:
    facts = render(__package__, "backup-facts.py.j2", galera_info=GALERA_INFO)
    text = render(__package__, f"backup-{name}.py.j2", facts=facts, socket=SOCKET, data=DATA, mark=MARK)
    return ("python3", "-I", "-c", text)


def holders(_spec: Galera, _site: Site, views: Mapping[str, View | Unknown]) -> Mapping[str, str]:
    """Say which controllers hold a database, or may hold one."""
    stands = {host: stand(view) for host, view in views.items()}
    return {host: evidence_of(host, what, views[host]) for host, what in stands.items() if what is not Stand.FRESH}

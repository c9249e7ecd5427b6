"""Galera: MariaDB's database on every controller, one history, one writer at a time behind the VIP.

- `config.py`: its section of the cloud file → what should be on a controller, and the `database` endpoint it offers
- `probe.py`: how a member is looked at, and what to make of the answers
- `form.py`: how the cluster comes into being and grows, and when that is refused
- `position.py`, `recover.py`: which evidence says who may be first when nobody is left, and what follows
- `backup.py`: what of it only a backup brings back, and how
- `migration.py`: how the databases of a single server are taken over
- `templates/`: MariaDB's settings, the unit's drop-in, and the health service that the proxy asks (port 9200)

Others ask for a database by a claim on `database`: a database of that name, and an account of the same name that may
do everything in it from the management network, with the claim's secret as its password.
"""

from __future__ import annotations

from quorate.core.system import Function, Kept, System
from quorate.systems.galera.backup import backups, holders
from quorate.systems.galera.config import Galera, endpoints, resources, secrets, warnings
from quorate.systems.galera.drills import DRILLS, stands
from quorate.systems.galera.form import SETTLE, form, occupied
from quorate.systems.galera.migration import moves
from quorate.systems.galera.position import evidence
from quorate.systems.galera.probe import View, judge, questions, read
from quorate.systems.galera.recover import recover

SYSTEM: System[Galera, View] = System(
    name="galera",
    summary="MariaDB with Galera: the database of every API, one writer at a time",
    spec=Galera,
    resources=resources,
    questions=questions,
    read=read,
    judge=judge,
    form=form,
    evidence=evidence,
    recover=recover,
    occupied=occupied,
    endpoints=endpoints,
    secrets=secrets,
    offers=("database",),
    quorum="majority",
    settle=SETTLE,
    warnings=warnings,
    functions=lambda _spec, _site: (
        Function("database_write", "write a row"),
        Function("database_read", "read a row"),
    ),
    drills=DRILLS,
    keeps=(Kept("committed rows", on="all"),),
    stands=stands,
    backups=backups,
    holders=holders,
    moves=moves,
)

"""The database in drills: how long writes wait while the members agree who is still there."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.core.drill import DataFolder, Drills, Process, Roles, Sign
from quorate.core.failure import Pause, Stage
from quorate.core.fault import MACHINE, Hit, Loss
from quorate.core.foresight import ARBITER, member
from quorate.core.system import Site
from quorate.core.tree import Formula, every, majority, some
from quorate.systems.galera.config import PORT, UNIT, Galera
from quorate.systems.galera.workloads import workloads

PART = "database"
DATA = "/var/lib/mysql"


def processes(_spec: Galera, _site: Site) -> Sequence[Process]:
    """The writer is the member that clients notice."""
    return (Process(PART, UNIT, port=PORT, role="writer"),)


def stands(_spec: Galera, site: Site) -> Formula:
    """A majority, in which the arbiter counts and holds nothing, with a member that has the data."""
    members = [member(PART, host) for host in site.cloud.names]
    return every(majority(*members, *((ARBITER,) if site.cloud.arbiter else ())), some(*members))


def data(_spec: Galera, _site: Site) -> Sequence[DataFolder]:
    """Tables, logs and the cache of write sets lie in one folder."""
    return (DataFolder(DATA, UNIT, PART),)


def _falls_silent(hit: Hit) -> bool:
    """Whether other members hear no more of it. A deaf port is only clients': members talk at one of their own."""
    deaf = hit.part == PART and hit.loss is Loss.SILENT
    return hit.part in {MACHINE, PART} and hit.loss is not Loss.DRAINED and not deaf


def reacts(spec: Galera, _site: Site, _roles: Roles, hits: Sequence[Hit]) -> Sequence[Pause]:
    """Any member that falls silent holds up every commit until the others have evicted it.

    Source: Galera's documentation, evs.keepalive_period, evs.suspect_timeout, evs.inactive_check_period,
    evs.join_retrans_period (templates/99-quorate.cnf.j2 sets all of them).
    """
    lost = [hit.host for hit in hits if _falls_silent(hit)]
    if not lost:
        return ()
    stages = (
        Stage("the last sign of life", 0.3, "evs.keepalive_period"),
        Stage("it is suspected", spec.suspect_timeout, "evs.suspect_timeout"),
        Stage("that is looked at", 0.3, "evs.inactive_check_period"),
        Stage("the others agree", 0.6, "evs.join_retrans_period, twice"),
    )
    return (Pause("database_write", f"{', '.join(lost)} left the cluster", stages),)


SIGNS = (Sign("the members agree who is left", "mariadb.service", "New cluster view"),)

DRILLS = Drills[Galera](
    processes=processes,
    data=data,
    reacts=reacts,
    uses={
        "database_write": ("virtual_ip", "proxy:database"),
        "database_read": ("virtual_ip", "proxy:database"),
    },
    workloads=workloads,
    signs=SIGNS,
)

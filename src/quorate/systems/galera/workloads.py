"""Galera: the clients of a drill, one that writes rows through the VIP and one that reads what it finds there.

Both use a database and an account that are made for the drill and dropped after it, by root over the socket of the
first controller. Left by a drill that was cut off, they are dropped before the next one.
"""

from __future__ import annotations

from quorate.core.client import password
from quorate.core.drill import Workload
from quorate.core.fault import OnHost
from quorate.core.system import Site
from quorate.systems.galera.config import Galera
from quorate.systems.galera.probe import CLIENT

DRILL = "quorate_drill"
"""The database and the account."""
_PROGRAM = "quorate.systems.galera.client"


def workloads(_spec: Galera, site: Site) -> tuple[Workload, ...]:
    """Rows written and read, each on connections of its own."""
    endpoint = site.endpoint("database")
    settings = {"host": endpoint.address, "port": endpoint.port, "user": DRILL, "database": DRILL}
    host = site.cloud.names[0]
    prepare = (OnHost(host, CLIENT, stdin=_drop(site) + _make(site), timeout=30.0),)
    clean_up = (OnHost(host, CLIENT, stdin=_drop(site), timeout=30.0),)

    def workload(name: str, program: str, rate: float) -> Workload:
        return Workload(
            name=name,
            function=name,
            objective="database_write",
            client=f"{_PROGRAM}:{program}",
            rate=rate,
            settings=settings,
            shows="writer" if program == "Rows" else "",
            passwords=(DRILL,),
            prepare=prepare,
            clean_up=clean_up,
        )

    return (workload("database_write", "Rows", 20.0), workload("database_read", "Reads", 10.0))


def _account(site: Site) -> str:
    """The account as the servers see it: clients come through the proxies, from the controllers' own addresses."""
    network = site.cloud.management.subnet
    return f"`{DRILL}`@`{network.network_address}/{network.netmask}`"


def _drop(site: Site) -> str:
    return f"DROP DATABASE IF EXISTS `{DRILL}`;\nDROP USER IF EXISTS {_account(site)};\n"


def _make(site: Site) -> str:
    """The table may hold a number twice, or nobody would see that it does. Only the password's hash is replicated."""
    account, pattern = _account(site), DRILL.replace("_", "\\_")
    create = f"CREATE USER {account} IDENTIFIED BY PASSWORD "
    return (
        f"CREATE DATABASE `{DRILL}`;\n"
        f"CREATE TABLE `{DRILL}`.written (id BIGINT AUTO_INCREMENT PRIMARY KEY, number BIGINT NOT NULL,"
        " server VARCHAR(255) NOT NULL, INDEX (number));\n"
        f"EXECUTE IMMEDIATE CONCAT('{create}', QUOTE(PASSWORD('{password(DRILL)}')));\n"
        f"GRANT SELECT, INSERT ON `{pattern}`.* TO {account};\n"
    )

"""How the databases of a single MariaDB or MySQL become those of a new Galera: by a dump, compared (decision 27).

What Galera cannot hold is refused here, with the remedy: tables that are not InnoDB's are not replicated; a server does
not read what a newer one writes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from quorate.core.migration import Moving, Sighting
from quorate.core.system import Site
from quorate.core.template import render
from quorate.systems.galera.config import Galera
from quorate.systems.galera.probe import CLIENT

_LARGEST = "--max-allowed-packet=1G"
# A snapshot of all databases in one transaction, row by row. What would be one transaction for each table, as newer
# versions do it, may be larger than Galera takes; locks mean nothing to it. --loose: only MySQL's own knows it.
_DUMP = (
    "--single-transaction",
    "--quick",
    "--routines",
    "--triggers",
    "--events",
    "--hex-blob",
    "--default-character-set=utf8mb4",
    "--skip-no-autocommit",
    "--skip-add-locks",
    "--skip-disable-keys",
    "--loose-set-gtid-purged=OFF",
    _LARGEST,
    "--databases",
)
_TOOL = """tool=$(command -v mariadb-dump || command -v mysqldump) && exec "$tool" "$@"
echo 'neither mariadb-dump nor mysqldump is installed' >&2
exit 127"""
_LATEST_MYSQL = (8, 0)
_SHOWN = 10


class Table(BaseModel):
    """A table as it was seen. `rows`: an estimate. `key`: it has a primary key."""

    model_config = ConfigDict(frozen=True)

    kind: str
    engine: str
    rows: int
    bytes: int
    key: bool


class Server(BaseModel):
    """A server as it was seen. `exempt`: accounts that may write all the same. `gtid`: where its binary log is."""

    model_config = ConfigDict(frozen=True)

    version: str
    read_only: bool
    log_bin: bool
    gtid: str
    galera: bool
    replica: bool
    exempt: tuple[str, ...]
    databases: dict[str, dict[str, Table]]


def moves(_spec: Galera, site: Site) -> Moving:
    """As root of either machine: here by the socket, there as root's own settings say (~/.my.cnf)."""
    there, here = _program(()), _program(CLIENT[1:])
    claimed = tuple(dict.fromkeys(claim.name for claim in site.claims_on("database")))
    return Moving(
        kind="database",
        sighted=lambda source, target: sighted(claimed, source, target),
        look=(*there, "look"),
        sums=(*there, "sums"),
        hold=(*there, "hold"),
        free=(*there, "free"),
        dump=("sh", "-c", _TOOL, "dump", *_DUMP),
        look_here=(*here, "look"),
        sums_here=(*here, "sums"),
        load=("sh", "-c", f"exec {' '.join((*CLIENT, '--default-character-set=utf8mb4', _LARGEST))}", "load"),
        drop=(*here, "drop"),
    )


def _program(options: tuple[str, ...]) -> tuple[str, ...]:
    return ("python3", "-c", render(__package__, "migrate.py.j2", options=json.dumps(options)))


def sighted(claimed: tuple[str, ...], source: str, target: str) -> Sighting:
    """Judge both sides. ValueError: what was printed makes no sense."""
    there = Server.model_validate_json(source)
    here = Server.model_validate_json(target) if target else None
    have = tuple(name for name in claimed if there.databases.get(name))
    tables = [(f"{name}.{table}", one) for name in have for table, one in there.databases[name].items()]
    return Sighting(
        have=have,
        filled=tuple(name for name in claimed if here and here.databases.get(name)),
        held=there.read_only,
        refused=tuple(_against(there, here, tables)),
        notes=tuple(_notes(there, here, tables, tuple(name for name in claimed if name not in have))),
        tables={name: frozenset(there.databases[name]) for name in have},
        about={
            "version": there.version,
            "tables": len(tables),
            "rows_about": sum(one.rows for _, one in tables),
            "bytes_about": sum(one.bytes for _, one in tables),
            "binary_log": there.log_bin,
            "gtid": there.gtid,
        },
    )


def _against(there: Server, here: Server | None, tables: list[tuple[str, Table]]) -> Iterator[str]:
    if there.galera:
        yield "the source is a member of a Galera cluster (wsrep_on): only a single server is supported"
    if there.replica:
        yield "the source is a replica: its primary goes on writing to it; migrate from the primary"
    if newer := _newer(there.version, here.version if here else ""):
        yield newer
    for name, one in tables:
        if one.kind != "BASE TABLE":
            yield f"{name} is a {one.kind}, which a dump does not hold as it is"
        elif one.engine != "InnoDB":
            remedy = "ALTER TABLE {} ENGINE=InnoDB".format(".".join(f"`{part}`" for part in name.split(".", 1)))
            yield f"{name} is {one.engine or 'of an unknown engine'}, which Galera does not replicate; {remedy}"


def _newer(source: str, target: str) -> str:
    """Why the target cannot be trusted to read what the source writes, in words; empty: it can, or is not known yet."""
    version = _version(source)
    if "mariadb" not in source.lower():
        known = ".".join(map(str, _LATEST_MYSQL))
        return f"the source is MySQL {source}: known to be read by MariaDB is up to {known}" * (version > _LATEST_MYSQL)
    if target and version > _version(target):
        return f"the source is {source}, newer than the new cloud's {target}, which may not read what it writes"
    return ""


def _version(text: str) -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no version")
    return int(found[1]), int(found[2])


def _notes(
    there: Server, here: Server | None, tables: list[tuple[str, Table]], lacking: tuple[str, ...]
) -> Iterator[str]:
    if here is None:
        yield "the new cloud's database is not there yet: its version, and that it is empty, are looked at when it is"
    for name in lacking:
        yield f"{name}: not on the source; `apply` makes it from nothing"
    if "mariadb" not in there.version.lower():
        fails = "what MariaDB does not know of it fails as it is loaded, and all is put back"
        yield f"the source is MySQL {there.version}: {fails}"
    if keyless := [name for name, one in tables if not one.key]:
        yield f"without a primary key, so that Galera does not support deleting their rows: {_listed(keyless)}"
    yield f"read_only does not bind accounts with SUPER or READ_ONLY ADMIN: {_listed(there.exempt)}"


def _listed(names: tuple[str, ...] | list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")

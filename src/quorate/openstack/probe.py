"""A service: ask each controller for its units, its APIs and what it finds in its databases; read the answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quorate.core.observed import Answer, Answers, Unknown
from quorate.core.system import Question, Site
from quorate.openstack.programs import LOOK
from quorate.openstack.service import AnyService, Schema, ServiceSpec

_SENSELESS = "the probe's answer makes no sense"
_LATE = "it was not seen in time"


@dataclass(frozen=True)
class Down:
    """It was asked and does not serve."""

    why: str


@dataclass(frozen=True)
class Seen:
    """HTTP status of an API's health check, and of its answer to a token of the service's own.

    In place of the latter: why there was no answer; 0: nothing was asked.
    """

    health: int
    private: int | str


@dataclass(frozen=True)
class Stored:
    """What is in a database, and the schema that the installed programs want. Empty: nothing there yet.

    `leftover`: an unfinished schema whose tables hold nothing, as an interrupted first synchronisation leaves it.
    `held`: where no version is written, the tables that hold rows all the same.
    `rows`: what the queries found, by name.
    """

    wanted: tuple[str, ...]
    schema: tuple[str, ...]
    leftover: bool
    rows: Mapping[str, tuple[tuple[Any, ...], ...]]
    held: tuple[str, ...] = ()

    @property
    def is_current(self) -> bool:
        """Whether the schema is the one that the installed programs want."""
        return bool(self.wanted) and self.wanted == self.schema


@dataclass(frozen=True)
class Group:
    """How many members a group has, and for how many seconds this controller's process has been running."""

    members: int
    age: float


@dataclass(frozen=True)
class View:
    """One controller. `store`: the name that the shared folder has here; empty: none yet.

    `account`: HTTP status of Keystone's answer to the service's own account, or why there was none. `brought`: what
    identifies each file that the operator brings; empty: it is not there.
    """

    units: Mapping[str, str] | Unknown
    account: int | str | Unknown
    apis: Mapping[str, Seen | Down | Unknown]
    schemas: Mapping[str, Stored | Down | Unknown]
    store: str | Down | Unknown
    brought: Mapping[str, str]
    groups: Mapping[str, Group | Unknown]


def questions(service: AnyService, spec: ServiceSpec, site: Site, host: str) -> tuple[Question, ...]:
    """Everything by one program: to start Python is most of what a look costs."""
    apis = {
        api.name: {
            "address": site.cloud.address(host),
            "port": api.port,
            "health": api.health,
            "private": api.private,
        }
        for api in service.apis
    }
    about = {
        "units": service.units(spec),
        "account": service.account,
        "apis": apis,
        "schemas": {one.database: _schema(service, one) for one in service.schemas},
        "shared": service.shared(spec),
        "brought": service.brought(spec),
        "groups": {one.name: _place(site, one.group) for one in service.daemons_of(spec) if one.group},
        "config": service.config,
        "kept": f"/run/quorate-token-{service.name}",
    }
    return (Question("look", ("python3", "-c", LOOK, json.dumps(about)), timeout=6.0),)


def _place(site: Site, group: str) -> Mapping[str, Any]:
    """Where the members of a group are to be seen."""
    place = site.endpoint("coordination")
    return {"address": place.address, "port": place.port, "group": group}


def _schema(service: AnyService, schema: Schema) -> Mapping[str, Any]:
    queries = {once.title: once.query for once in service.once if once.database == schema.database}
    return _about(service.config, schema, queries)


def stored_argument(config: str, schema: Schema, queries: Mapping[str, str]) -> str:
    """What the programs STORED and CLEAR are to know."""
    return json.dumps(_about(config, schema, queries))


def _about(config: str, schema: Schema, queries: Mapping[str, str]) -> Mapping[str, Any]:
    return {
        "config": config,
        "section": schema.section,
        "database": schema.database,
        "migrations": schema.migrations,
        "brings": dict(schema.brings),
        "queries": dict(queries),
    }


def read(service: AnyService, answers: Answers) -> View:
    """Read what the program saw, each part for itself."""
    seen = parsed(answers, "look")
    return View(
        units=_units(_part(seen, "units")),
        account=_account(_part(seen, "account")),
        apis={api.name: _api(_part(seen, "apis", api.name)) for api in service.apis},
        schemas={one.database: stored(_part(seen, "schemas", one.database)) for one in service.schemas},
        store=_store(_part(seen, "store")),
        brought=_brought(_part(seen, "brought")),
        groups={daemon.name: _group(_part(seen, "groups", daemon.name)) for daemon in service.daemons if daemon.group},
    )


def _part(seen: Mapping[str, Any] | Down | Unknown, *names: str) -> Mapping[str, Any] | Down | Unknown:
    """One part of the answer; a part that is missing was not seen in time."""
    if isinstance(seen, Down | Unknown):
        return seen
    found: Any = seen
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    if found is None or found == {}:
        return Unknown(why=_LATE)
    if not isinstance(found, dict):
        return Unknown(why=_SENSELESS)
    if "unknown" in found:
        return Unknown(why=str(found["unknown"]))
    return Down(str(found["down"])) if "down" in found else found


def parsed(answers: Answers, name: str) -> Mapping[str, Any] | Down | Unknown:
    """Read what a program printed."""
    answer: Answer | Unknown = answers.get(name, Unknown(why="not asked"))
    if isinstance(answer, Unknown):
        return answer
    try:
        seen = json.loads(answer.out)
    except ValueError:
        last = (answer.err.strip().splitlines() or ["it printed nothing"])[-1]
        return Unknown(why=f"the probe failed: {last[:200]}")
    if not isinstance(seen, dict):
        return Unknown(why=_SENSELESS)
    return Down(str(seen["down"])) if "down" in seen else seen


def stored(seen: Mapping[str, Any] | Down | Unknown) -> Stored | Down | Unknown:
    """Read what the program STORED printed."""
    if isinstance(seen, Down | Unknown):
        return seen
    try:
        return Stored(
            wanted=tuple(str(head) for head in seen["wanted"]),
            schema=tuple(str(head) for head in seen["schema"]),
            leftover=bool(seen["leftover"]),
            rows={str(name): tuple(tuple(row) for row in rows) for name, rows in seen["rows"].items()},
            held=tuple(str(table) for table in seen.get("held", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return Unknown(why=_SENSELESS)


def _units(seen: Mapping[str, Any] | Down | Unknown) -> Mapping[str, str] | Unknown:
    if isinstance(seen, Down):
        return Unknown(why=seen.why)
    return seen if isinstance(seen, Unknown) else {str(unit): str(state) for unit, state in seen.items()}


def _account(seen: Mapping[str, Any] | Down | Unknown) -> int | str | Unknown:
    match seen:
        case Unknown():
            return seen
        case Down(why=why):
            return why
        case _:
            return _status(seen["status"]) if "status" in seen else Unknown(why=_SENSELESS)


def _status(said: Any) -> int | str:
    return said if isinstance(said, int) else str(said)


def _api(seen: Mapping[str, Any] | Down | Unknown) -> Seen | Down | Unknown:
    if isinstance(seen, Down | Unknown):
        return seen
    try:
        health = int(seen["health"])
        # Asked last, and Keystone before it.
        return Seen(health, _status(seen["private"])) if "private" in seen else Unknown(why=_LATE)
    except (KeyError, TypeError, ValueError):
        return Unknown(why=_SENSELESS)


def _brought(seen: Mapping[str, Any] | Down | Unknown) -> Mapping[str, str]:
    """Those that could be seen."""
    files = {} if isinstance(seen, Down | Unknown) else seen
    return {str(path): digest for path, digest in files.items() if isinstance(digest, str)}


def _group(seen: Mapping[str, Any] | Down | Unknown) -> Group | Unknown:
    match seen:
        case Unknown():
            return seen
        case Down(why=why):
            return Unknown(why=why)
    try:
        return Group(int(seen["members"]), float(seen["age"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return Unknown(why=_SENSELESS)


def _store(seen: Mapping[str, Any] | Down | Unknown) -> str | Down | Unknown:
    if isinstance(seen, Down | Unknown):
        return seen
    return str(seen["store"]) if "store" in seen else Unknown(why=_SENSELESS)

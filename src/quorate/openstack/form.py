"""A service: views → its schemas, what is to be done once, and the first start.

1. On one controller: each database whose schema was not seen to be the installed one, then what is to be done once and
   was not. All of it may be done again after an interruption, with one exception: a first synchronisation that was
   killed half-way never succeeds again ("table exists"), so that its tables, which hold nothing, are dropped first.
   Tables that hold anything while no version of their schema is written: Blocked, for the operator to judge.
2. On one controller: the account at Keystone, where a member saw its password refused.
3. On all controllers that do not run it: start, and wait until every one of them serves. Where a file is missing that
   the operator brings it could not, and is left alone.

4. On all controllers: what divides work among its members is restarted where not all that run take part.

Evidence is the database itself and not a marker on one controller's disk, so that any controller can be lost between
two runs. A database that cannot be asked while the service runs somewhere was formed once: nothing is done about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus

from quorate.core.act import Run, SetUnit
from quorate.core.observed import Unknown
from quorate.core.plan import Gate, Step, Wave
from quorate.core.system import Blocked, Formation, Site
from quorate.openstack.accounts import accounts
from quorate.openstack.judge import done, left_out
from quorate.openstack.options import connection
from quorate.openstack.probe import Down, Stored, View, stored_argument
from quorate.openstack.programs import CLEAR, NAME_IT
from quorate.openstack.service import AnyService, Once, Schema, ServiceSpec

SETTLE = 90.0
VERSIONS = frozenset({"alembic_version", "django_migrations"})
"""Tables in which the tools for migrations keep the version of a schema."""
RUNNING = ("active", "activating", "reloading", "stopped by a signal")


def form(service: AnyService, spec: ServiceSpec, site: Site, views: Mapping[str, View | Unknown]) -> Formation:
    """Plan what is missing; nothing on a formed cluster."""
    seen = {name: view for name in site.cloud.names if isinstance(view := views.get(name), View)}
    if not seen:
        return ()
    if blocked := unversioned(one for view in seen.values() for one in view.schemas.items()):
        return blocked
    waves = []
    units = service.units(spec)
    acts = (*_database_acts(service, site, seen, units), *_store_acts(service.shared(spec), service, seen))
    if acts:
        step = Step(host=next(iter(seen)), title="; ".join(act.title for act in acts), acts=acts)
        waves.append(Wave(title=f"{service.name}: prepare its database", system=service.name, steps=(step,)))
    if any(_refused(view) for view in seen.values()):
        host = next(iter(seen))
        again = accounts(site, host, only=service.user)
        step = Step(host=host, title=again.title, acts=(again,))
        waves.append(Wave(title=f"{service.name}: its account at Keystone", system=service.name, steps=(step,)))
    able = {name: view for name, view in seen.items() if all(view.brought.get(path) for path in service.brought(spec))}
    return (*waves, *_start(service, able, units), *_again(service, spec, seen))


def unversioned(found: Iterable[tuple[str, Stored | Down | Unknown]]) -> Blocked | None:
    """Refuse to change databases, named with what was seen in them, that hold rows and do not say of which schema.

    Migrations that begin from nothing would fail on the tables that are there, or change what others have made.
    """
    held = {name: one.held for name, one in found if isinstance(one, Stored) and one.held}
    evidence = tuple(f"{name}: rows in {', '.join(tables)}" for name, tables in held.items())
    if not evidence:
        return None
    remedy = "restore the database, or write down its version (alembic_version) if you know it; then apply again"
    return Blocked("a database holds rows and no version of its schema", (*evidence, remedy))


def unusable(schemas: Iterable[Schema], tables: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """Name the databases that `unversioned` would refuse once they are loaded, from the names of their tables alone."""
    remedy = "bring the source to a release that has alembic_version first"
    return tuple(
        f"{one.database}: no table of it says the version of its schema; {remedy}"
        for one in schemas
        if one.database in tables and not tables[one.database] & VERSIONS
    )


def clear(config: str, schema: Schema, user: str) -> Run:
    """Drop what an interrupted first synchronisation left."""
    return Run(
        title=f"drop the empty tables that an interrupted synchronisation left in {schema.database}",
        argv=("python3", "-c", CLEAR, stored_argument(config, schema, {})),
        user=user,
    )


def synchronise(site: Site, schema: Schema, user: str, secret: str, environment: Mapping[str, str] = {}) -> Run:
    """Changes to large tables take longer than an API request may, hence the connection without time-outs."""
    variable = f"OS_{schema.section.upper()}__CONNECTION"
    return Run(
        title=f"bring the schema of {schema.database} to the installed version",
        argv=schema.sync,
        environment={**environment, variable: connection(site, schema.database, secret)},
        user=user,
        timeout=600.0,
    )


def _database_acts(service: AnyService, site: Site, seen: Mapping[str, View], units: Sequence[str]) -> tuple[Run, ...]:
    runs = any(_running(view, unit) for view in seen.values() for unit in units)
    found: list[Run] = []
    for schema in service.schemas:
        stored = [one for view in seen.values() if isinstance(one := view.schemas.get(schema.database), Stored)]
        current = next((one for one in stored if one.is_current), None)
        if current is None and (stored or not runs):
            if any(one.leftover for one in stored):
                found.append(clear(service.config, schema, service.user))
            found.append(synchronise(site, schema, service.user, service.secret("database")))
        if current is not None or stored or not runs:
            found += [
                _once(service, once, site)
                for once in service.once
                if once.database == schema.database and not (current and done(current, once.title))
            ]
    return tuple(found)


def _once(service: AnyService, once: Once, site: Site) -> Run:
    return Run(title=once.title, argv=once.argv(site), user=service.user, timeout=300.0)


def _store_acts(folder: str, service: AnyService, seen: Mapping[str, View]) -> tuple[Run, ...]:
    """Where it was seen and has no name. One that could not be seen may be the one that is not mounted."""
    if not folder or any(view.store != "" for view in seen.values()):
        return ()
    return (Run(title=f"give {folder} a name", argv=("python3", "-c", NAME_IT, folder), user=service.user),)


def _start(service: AnyService, seen: Mapping[str, View], units: Sequence[str]) -> tuple[Wave, ...]:
    idle = {name: [unit for unit in units if _idle(view, unit)] for name, view in seen.items()}
    idle = {name: units for name, units in idle.items() if units}
    if not idle:
        return ()
    steps = tuple(
        Step(
            host=name,
            title=f"start {service.name}",
            acts=tuple(SetUnit(name=unit, enabled=True, verb="start", timeout=SETTLE) for unit in units),
        )
        for name, units in idle.items()
    )
    gate = Gate(system=service.name, members=tuple(idle), timeout=SETTLE)
    return (Wave(title=f"{service.name}: start", system=service.name, steps=steps, gate=gate),)


def _again(service: AnyService, spec: ServiceSpec, seen: Mapping[str, View]) -> tuple[Wave, ...]:
    """Which of them has lost its place cannot be seen; no client comes to any."""
    waves = []
    for daemon in service.daemons_of(spec):
        if daemon.group and left_out(daemon, seen):
            unit = f"{daemon.name}.service"
            restart = SetUnit(name=unit, verb="restart", timeout=SETTLE)
            hosts = tuple(name for name, view in seen.items() if _running(view, unit))
            steps = tuple(Step(host=name, title=f"restart {daemon.name}", acts=(restart,)) for name in hosts)
            gate = Gate(system=service.name, members=hosts, timeout=SETTLE)
            waves.append(Wave(title=f"{service.name}: take part again", system=service.name, steps=steps, gate=gate))
    return tuple(waves)


def _running(view: View, unit: str) -> bool:
    return not isinstance(view.units, Unknown) and view.units.get(unit) in RUNNING


def _idle(view: View, unit: str) -> bool:
    return not isinstance(view.units, Unknown) and view.units.get(unit) not in RUNNING


def _refused(view: View) -> bool:
    """Whether Keystone refuses the service's own account."""
    return view.account == HTTPStatus.UNAUTHORIZED

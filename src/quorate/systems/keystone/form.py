"""Keystone: views → the schema, the bootstrap and the first start.

1. On one controller: schema, then bootstrap (administrator, roles, catalog), where the database was not seen to hold
   them. Both may be done again after an interruption, with one exception: a first db_sync that was killed half-way
   never succeeds again ("table exists"), so that its tables, which hold nothing, are dropped first. Where they hold
   anything and no version of their schema is written: Blocked, for the operator to judge.
2. On all controllers that do not run it: start, and wait until every one of them serves.
3. On one controller: the accounts and the catalog's entries that other services claim, where some are missing.

Evidence is the database itself and not a marker on one controller's disk, so that any controller can be lost between
two runs. A database that cannot be asked while keystone serves somewhere was formed once: nothing is done about it.
"""

from __future__ import annotations

from collections.abc import Mapping

from quorate.core.act import Run, SetUnit
from quorate.core.observed import Unknown
from quorate.core.plan import Gate, Step, Wave
from quorate.core.secret import reference
from quorate.core.system import Formation, Site
from quorate.openstack.accounts import INTERFACES, accounts
from quorate.openstack.form import clear, synchronise, unversioned
from quorate.openstack.probe import Stored
from quorate.systems.keystone.config import (
    ADMIN_SECRET,
    CONFIG,
    DATABASE_SECRET,
    OWNER,
    SCHEMA,
    UNIT,
    KeystoneSpec,
    url,
)
from quorate.systems.keystone.judge import catalogued, unfulfilled
from quorate.systems.keystone.probe import KeystoneView

SETTLE = 60.0
RUNNING = ("active", "activating", "reloading")

# The cache may still hold what an earlier database held: bootstrap would take a region for existing and fail.
_WITHOUT_CACHE = {"OS_CACHE__ENABLED": "false"}


def form(spec: KeystoneSpec, site: Site, views: Mapping[str, KeystoneView | Unknown]) -> Formation:
    """Plan what is missing; nothing on a formed cluster."""
    seen = {name: view for name in site.cloud.names if isinstance(view := views.get(name), KeystoneView)}
    if blocked := unversioned((SCHEMA.database, view.stored) for view in seen.values()):
        return blocked
    acts = _database_acts(spec, site, seen)
    waves = []
    if acts:
        step = Step(host=next(iter(seen)), title="; ".join(act.title for act in acts), acts=acts)
        waves.append(Wave(title="keystone: prepare its database", system="keystone", steps=(step,)))
    idle = [name for name, view in seen.items() if isinstance(view.unit, str) and view.unit not in RUNNING]
    if idle:
        start = SetUnit(name=UNIT, verb="start", timeout=SETTLE)
        waves.append(
            Wave(
                title="keystone: start",
                system="keystone",
                steps=tuple(Step(host=name, title="start keystone", acts=(start,)) for name in idle),
                gate=Gate(system="keystone", members=tuple(idle), timeout=SETTLE),
            )
        )
    return (*waves, *_accounts(site, seen))


def _database_acts(spec: KeystoneSpec, site: Site, seen: Mapping[str, KeystoneView]) -> tuple[Run, ...]:
    if not seen:
        return ()
    stored = [view.stored for view in seen.values() if isinstance(view.stored, Stored)]
    if any(found.is_current and catalogued(spec, site.cloud, found) for found in stored):
        return ()
    if not stored and any(view.unit in RUNNING for view in seen.values()):
        return ()
    if any(found.is_current for found in stored):
        return (_bootstrap(spec, site),)
    dropped = (clear(CONFIG, SCHEMA, OWNER),) if any(found.leftover for found in stored) else ()
    synchronised = synchronise(site, SCHEMA, OWNER, DATABASE_SECRET, _WITHOUT_CACHE)
    return (*dropped, synchronised, _bootstrap(spec, site))


def _accounts(site: Site, seen: Mapping[str, KeystoneView]) -> tuple[Wave, ...]:
    """Nothing where no database could be asked although keystone serves: what was formed once is left alone."""
    stored = [view.stored for view in seen.values() if isinstance(view.stored, Stored)]
    runs = any(view.unit in RUNNING for view in seen.values())
    if not seen or not site.claims_on("identity") or (not stored and runs):
        return ()
    if any(found.is_current and not unfulfilled(site, found) for found in stored):
        return ()
    host = next(iter(seen))
    act = accounts(site, host)
    step = Step(host=host, title=act.title, acts=(act,))
    return (Wave(title="keystone: accounts and catalog of other services", system="keystone", steps=(step,)),)


def _bootstrap(spec: KeystoneSpec, site: Site) -> Run:
    urls = (argument for kind in INTERFACES for argument in (f"--bootstrap-{kind}-url", url(site.cloud)))
    return Run(
        title="bootstrap administrator, roles and catalog",
        argv=("keystone-manage", "bootstrap", *urls, "--bootstrap-region-id", spec.region),
        environment={**_WITHOUT_CACHE, "OS_BOOTSTRAP_PASSWORD": reference(ADMIN_SECRET)},
        user=OWNER,
        timeout=120.0,
    )

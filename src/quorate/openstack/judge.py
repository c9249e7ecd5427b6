"""A service: views → verdict.

A member serves when its units run, its APIs answer and validate tokens, and its databases answer. What is in a
database is no member's own: it counts for the whole, so that members can be restarted one by one meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from quorate.core.observed import Unknown
from quorate.core.system import Site
from quorate.core.verdict import Judgement, Level, Verdict, failing, merge, ok, unknown
from quorate.openstack.probe import Down, Group, Seen, Stored, View
from quorate.openstack.service import AnyService, Api, Daemon, ServiceSpec

JOINING = 30.0
"""Seconds in which one that has just been started takes its place among those that divide the work."""


def judge(service: AnyService, spec: ServiceSpec, site: Site, views: Mapping[str, View | Unknown]) -> Judgement:
    """The service works as long as one member serves, the schema is as it should be and all see the same store."""
    seen = {name: views.get(name, Unknown(why="not asked")) for name in site.cloud.names}
    members = {name: _member(service, spec, view) for name, view in seen.items()}
    whole = (
        serving(members),
        *_schemas(service, seen),
        *_same_store(service.shared(spec), seen),
        *_same_files(service, spec, seen),
        *_work(service, spec, seen),
    )
    return Judgement(merge(whole), members)


def serving(members: Mapping[str, Verdict]) -> Verdict:
    """Whether any member serves, and how many do."""
    count = sum(verdict.is_ok for verdict in members.values())
    words = f"{count} of {len(members)} controllers serve"
    if count:
        return ok(words)
    unseen = any(verdict.level is Level.UNKNOWN for verdict in members.values())
    return unknown(words) if unseen else failing(words)


def database(found: Stored | Down | Unknown, name: str = "its database") -> Verdict:
    """Whether a member reaches its database."""
    match found:
        case Unknown(why=why):
            return unknown(f"{name}: {why}")
        case Down(why=why):
            return failing(f"{name} does not answer: {why}")
        case Stored():
            return ok(f"{name} answers")


def schema(host: str, found: Stored, name: str = "the database") -> Verdict:
    """Whether the schema is the one that the programs on that controller want."""
    if found.held:
        return failing(f"{name} holds rows ({', '.join(found.held)}) and no version of its schema")
    if not found.schema:
        return failing(f"{name} holds {'a schema that was begun and not finished' if found.leftover else 'no schema'}")
    if not found.is_current:
        have, want = ", ".join(found.schema), ", ".join(found.wanted) or "unknown"
        return failing(f"{name} has schema {have}; the programs on {host} want {want}")
    return ok("the schema is current")


def _member(service: AnyService, spec: ServiceSpec, view: View | Unknown) -> Verdict:
    if isinstance(view, Unknown):
        return unknown(view.why)
    if isinstance(view.units, Unknown):
        return unknown(f"state of its units: {view.units.why}")
    if lacking := [path for path in service.brought(spec) if view.brought.get(path) == ""]:
        return failing(f"lacks {', '.join(lacking)}: {service.bring}")
    idle = [f"{unit.removesuffix('.service')} is {view.units.get(unit, 'not known')}" for unit in service.units(spec)]
    idle = [words for words in idle if not words.endswith(" is active")]
    if idle:
        return failing("; ".join(idle))
    apis = [_api(api, view.apis[api.name], view.account) for api in service.apis] or [_account(view.account)]
    rest = [database(found, name) for name, found in view.schemas.items()]
    if folder := service.shared(spec):
        rest.append(_store(folder, view.store))
    return merge(apis) if all(verdict.is_ok for verdict in rest) else merge((*apis, *rest))


def _store(folder: str, seen: str | Down | Unknown) -> Verdict:
    match seen:
        case Unknown(why=why):
            return unknown(f"{folder}: {why}")
        case Down(why=why):
            return failing(f"{folder}: {why}")
        case _:
            return ok(f"{folder} is there")


def _account(seen: int | str | Unknown) -> Verdict:
    match seen:
        case Unknown(why=why):
            return unknown(f"its own account at Keystone: {why}")
        case HTTPStatus.OK | HTTPStatus.CREATED:
            return ok("all that belongs to it runs, and Keystone takes its own account")
        case HTTPStatus.UNAUTHORIZED:
            return failing("Keystone does not take the password of its own account")
        case int():
            return failing(f"Keystone answers its own account with HTTP {seen}")
        case _:
            return failing(f"Keystone does not answer its own account: {seen}")


def _api(api: Api, seen: Seen | Down | Unknown, account: int | str | Unknown) -> Verdict:
    name = api.name
    match seen:
        case Unknown(why=why):
            return unknown(f"{name}: {why}")
        case Down(why=why):
            return failing(f"{name} does not answer: {why}")
        case Seen(health=health) if health not in {HTTPStatus.OK, HTTPStatus.MULTIPLE_CHOICES}:
            return failing(f"{name}'s health check answers HTTP {health}")
        case Seen(private=said) if said in {api.granted, 0} and account != HTTPStatus.UNAUTHORIZED:
            return ok(f"{name} serves")
        case Seen(private=why):
            own = _account(account)
            if own.is_ok:
                return failing(f"{name} answers a good token with {_words(why)}")
            return Verdict(own.level, f"{name} can validate no token: {own.reason}")


def _words(answer: int | str) -> str:
    return f"HTTP {answer}" if isinstance(answer, int) else answer


def _schemas(service: AnyService, views: Mapping[str, View | Unknown]) -> list[Verdict]:
    """Each database, against the programs of every member that looked into it."""
    verdicts = []
    for one in service.schemas:
        found = {
            host: stored
            for host, view in views.items()
            if isinstance(view, View) and isinstance(stored := view.schemas.get(one.database), Stored)
        }
        if not found:
            verdicts.append(unknown(f"no controller could look into the database {one.database}"))
        for host, stored in found.items():
            verdicts.append(
                merge((schema(host, stored, f"database {one.database}"), *_left_out(service, one.database, stored)))
            )
    return verdicts


def _left_out(service: AnyService, name: str, found: Stored) -> list[Verdict]:
    """What is to be done once and is not, in a schema that is as it should be."""
    return [
        failing(f"not done yet: {once.title}")
        for once in service.once
        if once.database == name and found.is_current and not done(found, once.title)
    ]


def done(found: Stored, title: str) -> bool:
    """Whether something that is to be done once was done."""
    rows = found.rows.get(title, ())
    return bool(rows and rows[0] and rows[0][0])


def _same_store(folder: str, views: Mapping[str, View | Unknown]) -> list[Verdict]:
    if not folder:
        return []
    by_name: dict[str, list[str]] = {}
    for host, view in views.items():
        if isinstance(view, View) and isinstance(view.store, str):
            by_name.setdefault(view.store, []).append(host)
    if len(by_name) > 1:
        words = f"{folder} is not the same everywhere ({_camps(by_name)}): what one stores, others do not find"
        return [failing(words)]
    if "" in by_name:
        return [failing(f"{folder} was not looked at by all yet: whether all see the same is not known")]
    if not by_name:
        return [unknown(f"no controller could look into {folder}")]
    who = "all" if sum(map(len, by_name.values())) == len(views) else "all that were seen"
    return [ok(f"{who} see the same {folder}")]


def _same_files(service: AnyService, spec: ServiceSpec, views: Mapping[str, View | Unknown]) -> list[Verdict]:
    """What the operator brings, which is to be one thing everywhere. Where it is missing is told of that member."""
    verdicts = []
    for path in service.brought(spec):
        by_digest: dict[str, list[str]] = {}
        for host, view in views.items():
            if isinstance(view, View) and (digest := view.brought.get(path)):
                by_digest.setdefault(digest, []).append(host)
        if len(by_digest) > 1:
            verdicts.append(failing(f"{path} is not the same everywhere ({_camps(by_digest)}): {service.bring}"))
    return verdicts


def left_out(daemon: Daemon, views: Mapping[str, View | Unknown]) -> str:
    """Say how many of those that run divide the work, where it is not all of them; empty: all, or not known."""
    seen = {host: view for host, view in views.items() if isinstance(view, View)}
    running = [view for view in seen.values() if _runs(daemon, view)]
    groups = [group for view in running if isinstance(group := view.groups.get(daemon.name), Group)]
    if not groups or len(groups) < len(running) or any(group.age < JOINING for group in groups):
        return ""
    members = max(group.members for group in groups)
    return f"{members} of {len(running)} running {daemon.name} divide the work" if members < len(running) else ""


def _runs(daemon: Daemon, view: View) -> bool:
    return not isinstance(view.units, Unknown) and view.units.get(f"{daemon.name}.service") == "active"


def _work(service: AnyService, spec: ServiceSpec, views: Mapping[str, View | Unknown]) -> list[Verdict]:
    """Whoever was away for long has lost its place and does not come back by itself (options.coordination)."""
    said = [left_out(daemon, views) for daemon in service.daemons_of(spec) if daemon.group]
    return [failing(f"{words}: who was away for long does nothing until it is restarted") for words in said if words]


def _camps(found: Mapping[str, list[str]]) -> str:
    return " ≠ ".join(", ".join(hosts) for hosts in found.values())

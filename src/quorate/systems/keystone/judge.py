"""Keystone: views → verdict.

A member serves when its API answers, it reaches its database and has its keys. What is in the database is no member's
own: it counts for the whole, so that members can be restarted one by one while a new address waits for its bootstrap.
"""

from __future__ import annotations

from collections.abc import Mapping

from quorate.core.observed import Unknown
from quorate.core.system import Site
from quorate.core.verdict import Judgement, Level, Verdict, failing, merge, ok, unknown
from quorate.model.cloud import Cloud
from quorate.systems.keystone.config import KEYS, KeystoneSpec, url
from quorate.systems.keystone.probe import Api, Down, KeystoneView, Stored

INTERFACES = ("admin", "internal", "public")


def judge(spec: KeystoneSpec, site: Site, views: Mapping[str, KeystoneView | Unknown]) -> Judgement:
    """The service works as long as one member serves, all agree on the keys and the database is as it should be."""
    seen = {name: views.get(name, Unknown(why="not asked")) for name in site.cloud.names}
    members = {name: _member(view) for name, view in seen.items()}
    return Judgement(merge((_serving(members), _agreement(seen), _contents(spec, site.cloud, seen))), members)


def catalogued(spec: KeystoneSpec, cloud: Cloud, stored: Stored) -> bool:
    """Whether the catalog says of every interface that the API is where this cloud has it: bootstrap's last step."""
    return all((interface, spec.region, url(cloud)) in stored.catalog for interface in INTERFACES)


def _member(view: KeystoneView | Unknown) -> Verdict:
    if isinstance(view, Unknown):
        return unknown(view.why)
    if isinstance(view.unit, str) and view.unit != "active":
        return failing(f"keystone is {view.unit}")
    api = _api(view)
    rest = (_unit(view), _keys(view), _database(view))
    return api if api.is_ok and all(verdict.is_ok for verdict in rest) else merge((api, *rest))


def _unit(view: KeystoneView) -> Verdict:
    return unknown(f"state of its unit: {view.unit.why}") if isinstance(view.unit, Unknown) else ok("it runs")


def _api(view: KeystoneView) -> Verdict:
    match view.api:
        case Unknown(why=why):
            return unknown(f"the API: {why}")
        case Down(why=why):
            return failing(f"the API does not answer: {why}")
        case Api(status=status) if status >= 400:
            return failing(f"the API answers /v3 with HTTP {status}")
        case Api(health=health) if health != 200:
            return failing(f"its health check answers HTTP {health}: it is draining")
        case Api(version=version):
            return ok(f"serves {version}")


def _database(view: KeystoneView) -> Verdict:
    match view.stored:
        case Unknown(why=why):
            return unknown(f"its database: {why}")
        case Down(why=why):
            return failing(f"its database does not answer: {why}")
        case Stored():
            return ok("its database answers")


def _keys(view: KeystoneView) -> Verdict:
    if isinstance(view.keys, Unknown):
        return unknown(view.keys.why)
    empty = [folder for folder in KEYS if not any(path.startswith(f"{folder}/") for path in view.keys)]
    return failing(f"no keys in {', '.join(empty)}") if empty else ok("it has keys")


def _serving(members: Mapping[str, Verdict]) -> Verdict:
    serving = sum(verdict.is_ok for verdict in members.values())
    words = f"{serving} of {len(members)} controllers serve"
    if serving:
        return ok(words)
    unseen = any(verdict.level is Level.UNKNOWN for verdict in members.values())
    return unknown(words) if unseen else failing(words)


def _agreement(views: Mapping[str, KeystoneView | Unknown]) -> Verdict:
    """A token that one member issued must be valid at all others."""
    by_keys: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name, view in views.items():
        if isinstance(view, KeystoneView) and not isinstance(view.keys, Unknown):
            by_keys.setdefault(tuple(sorted(view.keys.items())), []).append(name)
    if len(by_keys) > 1:
        camps = " ≠ ".join(", ".join(names) for names in by_keys.values())
        return failing(f"the controllers hold different keys ({camps}): tokens of one are void at another")
    return ok("all hold the same keys")


def _contents(spec: KeystoneSpec, cloud: Cloud, views: Mapping[str, KeystoneView | Unknown]) -> Verdict:
    """The schema against the programs of every member that saw it, and the catalog."""
    stored = {name: view.stored for name, view in views.items() if isinstance(view, KeystoneView)}
    found = {name: one for name, one in stored.items() if isinstance(one, Stored)}
    if not found:
        return unknown("no controller could look into the database")
    return merge(_content(spec, cloud, name, one) for name, one in found.items())


def _content(spec: KeystoneSpec, cloud: Cloud, name: str, stored: Stored) -> Verdict:
    if not stored.schema:
        return failing("the database holds no schema")
    if not stored.is_current:
        have, want = ", ".join(stored.schema), ", ".join(stored.wanted) or "unknown"
        return failing(f"the database has schema {have}; the programs on {name} want {want}")
    if not catalogued(spec, cloud, stored):
        return failing(f"the catalog does not list {url(cloud)} in {spec.region}")
    return ok("the schema is current")

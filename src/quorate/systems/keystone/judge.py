"""Keystone: views → verdict.

A member serves when its API answers, it reaches its database and has its keys. What is in the database is no member's
own: it counts for the whole, so that members can be restarted one by one while a new address waits for its bootstrap.
"""

from __future__ import annotations

from collections.abc import Mapping

from quorate.core.observed import Unknown
from quorate.core.system import Site
from quorate.core.verdict import Judgement, Verdict, failing, merge, ok, unknown
from quorate.model.cloud import Cloud
from quorate.openstack.accounts import INTERFACES, ROLES
from quorate.openstack.judge import database, schema, serving
from quorate.openstack.probe import Down, Stored
from quorate.systems.keystone.config import KEYS, KeystoneSpec, url
from quorate.systems.keystone.probe import ACCOUNTS, CATALOG, Api, KeystoneView


def judge(spec: KeystoneSpec, site: Site, views: Mapping[str, KeystoneView | Unknown]) -> Judgement:
    """The service works as long as one member serves, all agree on the keys and the database is as it should be."""
    seen = {name: views.get(name, Unknown(why="not asked")) for name in site.cloud.names}
    members = {name: _member(view) for name, view in seen.items()}
    return Judgement(merge((serving(members), _agreement(seen), _contents(spec, site, seen))), members)


def catalogued(spec: KeystoneSpec, cloud: Cloud, stored: Stored) -> bool:
    """Whether the catalog says of every interface that the API is where this cloud has it: bootstrap's last step."""
    return _listed(stored, "identity", spec.region, url(cloud))


def unfulfilled(site: Site, stored: Stored) -> tuple[str, ...]:
    """What other services claim and the database does not hold, in words."""
    region = site.endpoint("identity").options["region"]
    roles = set(stored.rows.get(ACCOUNTS, ()))
    found = []
    for claim in site.claims_on("identity"):
        found += [
            f"the account {claim.name} is not there, or has not the role {r}"
            for r in ROLES
            if (claim.name, r) not in roles
        ]
        found += [
            f"the catalog does not list {one.url} ({one.type}) in {region}"
            for one in claim.listings
            if not _listed(stored, one.type, region, one.url)
        ]
    return tuple(found)


def _listed(stored: Stored, kind: str, region: str, where: str) -> bool:
    return all((kind, interface, region, where) in stored.rows.get(CATALOG, ()) for interface in INTERFACES)


def _member(view: KeystoneView | Unknown) -> Verdict:
    if isinstance(view, Unknown):
        return unknown(view.why)
    if isinstance(view.unit, str) and view.unit != "active":
        return failing(f"keystone is {view.unit}")
    api = _api(view)
    rest = (_unit(view), _keys(view), database(view.stored))
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


def _keys(view: KeystoneView) -> Verdict:
    if isinstance(view.keys, Unknown):
        return unknown(view.keys.why)
    empty = [folder for folder in KEYS if not any(path.startswith(f"{folder}/") for path in view.keys)]
    return failing(f"no keys in {', '.join(empty)}") if empty else ok("it has keys")


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


def _contents(spec: KeystoneSpec, site: Site, views: Mapping[str, KeystoneView | Unknown]) -> Verdict:
    """The schema against the programs of every member that saw it, and the catalog."""
    stored = {name: view.stored for name, view in views.items() if isinstance(view, KeystoneView)}
    found = {name: one for name, one in stored.items() if isinstance(one, Stored)}
    if not found:
        return unknown("no controller could look into the database")
    return merge(_content(spec, site, name, one) for name, one in found.items())


def _content(spec: KeystoneSpec, site: Site, name: str, stored: Stored) -> Verdict:
    verdict = schema(name, stored)
    if not verdict.is_ok:
        return verdict
    if not catalogued(spec, site.cloud, stored):
        return failing(f"the catalog does not list {url(site.cloud)} in {spec.region}")
    return merge(failing(words) for words in missing) if (missing := unfulfilled(site, stored)) else verdict

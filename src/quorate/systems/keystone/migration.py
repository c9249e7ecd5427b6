"""Keystone, when it was taken over: whether it serves clients, and what in its catalog still names another place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from quorate.core.act import Run
from quorate.core.observed import Unknown
from quorate.core.secret import reference
from quorate.core.system import Site
from quorate.openstack import form
from quorate.openstack.options import DOMAIN
from quorate.openstack.probe import Stored
from quorate.systems.keystone.config import ADMIN_SECRET, SCHEMA, KeystoneSpec, url
from quorate.systems.keystone.probe import CATALOG, KeystoneView
from quorate.systems.keystone.programs import ISSUE

PATIENCE = 900.0
"""Seconds: the schema of a large database is brought to another version meanwhile."""


def answers(_spec: KeystoneSpec, site: Site) -> Sequence[Run]:
    """Get a token of the administrator, by the password that bootstrap has set."""
    about = {
        "url": url(site.cloud),
        "user": "admin",
        "password": reference(ADMIN_SECRET),
        "domain": DOMAIN,
        "project": "admin",
        "patience": PATIENCE,
    }
    title = "issue a token at the virtual IP"
    return (Run(title=title, argv=("python3", "-c", ISSUE), stdin=json.dumps(about), timeout=PATIENCE + 30.0),)


def unusable(_spec: KeystoneSpec, tables: Mapping[str, frozenset[str]]) -> Sequence[str]:
    """Refuse a schema whose version is not said: of a release before alembic, say."""
    return form.unusable((SCHEMA,), tables)


def strays(_spec: KeystoneSpec, site: Site, views: Mapping[str, KeystoneView | Unknown]) -> Sequence[str]:
    """Name what the catalog lists and is not at the virtual IP."""
    stored = (view.stored for view in views.values() if isinstance(view, KeystoneView))
    rows = next((one.rows.get(CATALOG, ()) for one in stored if isinstance(one, Stored)), ())
    return tuple(
        f"{kind} ({interface}, {region}): {where}"
        for kind, interface, region, where in rows
        if _host(str(where)) != site.cloud.vip
    )


def _host(where: str) -> str | None:
    try:
        return urlsplit(where).hostname
    except ValueError:
        return None

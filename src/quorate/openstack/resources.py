"""A service → what should be on a controller, and what it offers to and needs of the other systems."""

from __future__ import annotations

import re
from collections.abc import Sequence

from quorate.core.resource import Directory, File, Package, Resource, Unit
from quorate.core.secret import SecretSpec
from quorate.core.system import Claim, Endpoint, Frontend, Site
from quorate.core.template import render
from quorate.model.cloud import Cloud
from quorate.openstack.options import common, ini, merged
from quorate.openstack.service import AnyService, Api, Daemon, ServiceSpec

UNITS = "/etc/systemd/system"


def api_files(
    api: Api,
    *,
    user: str,
    summary: str,
    folder: str,
    address: str,
    workers: int,
    threads: int,
    brought: Sequence[str] = (),
) -> list[File]:
    """Write the settings of uWSGI, where it serves, and the unit."""
    values = {
        "name": api.name,
        "user": user,
        "summary": summary,
        "address": address,
        "port": api.port,
        "wsgi": api.wsgi,
        "health": re.escape(api.health),
        "drain": api.drain,
        "argv": api.argv,
        "brought": brought,
        "streams": api.streams,
        "more": tuple(line.replace("%(address)", address) for line in api.more),
        "forks": api.forks,
        "workers": workers,
        "threads": threads,
        "ini": uwsgi_path(folder, api),
    }
    unit = File(unit_path(api), render(__package__, "api.service.j2", **values))
    return [unit] if api.argv else [File(uwsgi_path(folder, api), render(__package__, "uwsgi.ini.j2", **values)), unit]


def uwsgi_path(folder: str, api: Api) -> str:
    """Say where uWSGI's settings are. Not where the package keeps its own."""
    return f"{folder}/quorate-{api.name}.ini"


def unit_path(one: Api | Daemon) -> str:
    """Say where the unit is that stands in place of the package's."""
    return f"{UNITS}/{one.name}.service"


def frontend(api: Api) -> Frontend:
    """Say how the proxy serves an API: neither a token nor the database is needed for its check."""
    return Frontend(mode="http", backend_port=api.port, check_port=api.port, check_path=api.health)


def resources(service: AnyService, spec: ServiceSpec, site: Site, host: str) -> tuple[Resource, ...]:
    """Everything but the running service: its first start belongs to `form`, behind the schema."""
    address = site.cloud.address(host)
    folder = service.config.rpartition("/")[0]
    parts = (common(service, spec, site, host),) if service.oslo else ()
    text = ini(merged(*parts, service.options(spec, site, host)))
    files = (File(service.config, text, mode=0o640, group=service.user), *service.files(spec, site, host))
    read = tuple(file.path for file in files)
    shared = service.shared(spec)
    found: list[Resource] = [
        *(Package(name) for name in service.packages),
        *([Package("python3-pymysql")] if service.schemas else []),
        *([Package("python3-memcache")] if service.apis else []),
        *files,
    ]
    if shared:
        found.append(Directory(shared, 0o750, service.user, service.user, shared=True))
    for api in service.apis:
        own = api_files(
            api,
            user=service.user,
            summary=service.summary,
            folder=folder,
            address=address,
            workers=spec.workers,
            threads=spec.threads if api.threaded else 1,
            brought=service.brought(spec),
        )
        found += own
        inputs = (*read, *(file.path for file in own))
        found.append(Unit(f"{api.name}.service", state="formed", inputs=inputs))
    for daemon in service.daemons_of(spec):
        found += [Package(name) for name in daemon.packages]
        values = {
            "name": daemon.name,
            "user": service.user,
            "summary": service.summary,
            "argv": daemon.argv,
            "leaves": daemon.leaves,
            "brought": service.brought(spec),
        }
        found.append(File(unit_path(daemon), render(__package__, "daemon.service.j2", **values)))
        found.append(Unit(f"{daemon.name}.service", state="formed", inputs=(*read, unit_path(daemon))))
    # Daemons that the cloud does not have may be somebody else's on the same machine: they are left alone.
    found += [Unit(name, state="stopped", enabled=False) for name in service.unwanted]
    return tuple(found)


def endpoints(service: AnyService, spec: ServiceSpec, cloud: Cloud) -> tuple[Endpoint, ...]:
    """Every API at the virtual IP, and what daemons offer."""
    apis = (Endpoint(api.kind, cloud.vip, api.port, frontend(api), options=api.tells) for api in service.apis)
    others = (
        Endpoint(daemon.kind, cloud.vip, daemon.frontend.backend_port if daemon.frontend else 0, daemon.frontend)
        for daemon in service.daemons_of(spec)
        if daemon.kind
    )
    return (*apis, *others)


def claims(service: AnyService, cloud: Cloud) -> tuple[Claim, ...]:
    """Databases, an account for messages, and one at Keystone with what the catalog is to say."""
    found = [Claim("database", schema.database, service.secret("database")) for schema in service.schemas]
    if service.messages:
        found.append(Claim("messaging", service.user, service.secret("messaging")))
    return (*found, Claim("identity", service.user, service.secret("identity"), service.listings(cloud.vip)))


def secrets(service: AnyService) -> tuple[SecretSpec, ...]:
    """Its passwords, and the key of what it keeps in the cache."""
    what = ["database"] if service.schemas else []
    what += ["messaging"] if service.messages else []
    what += ["identity", "cache"] if service.apis else ["identity"]
    own = (service.secret(name) for name in what)
    return tuple(SecretSpec(name) for name in (*own, *service.secrets))

"""Keystone: its section of cloud.yaml, its files and its unit; what it offers, needs and claims."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Literal

from pydantic import Field

from quorate.core.keys import Repository, dropped, numbers, order
from quorate.core.resource import Directory, File, Gone, Package, Resource, Unit
from quorate.core.secret import SecretSpec, reference
from quorate.core.system import Claim, Endpoint, Site
from quorate.core.template import render
from quorate.model.cloud import Cloud, Spec
from quorate.openstack.options import TIMES, connection
from quorate.openstack.resources import api_files, frontend, unit_path, uwsgi_path
from quorate.openstack.service import Api, Schema

CacheBackend = Literal["oslo_cache.memcache_pool", "dogpile.cache.pymemcache"]

PORT = 5000
UNIT = "keystone.service"
CONFIG = "/etc/keystone/keystone.conf"
WSGI = "/etc/keystone/quorate-wsgi.py"
OPENRC = "/etc/quorate/admin-openrc"
OWNER = "keystone"
DATABASE_SECRET = "keystone.database"  # noqa: S105 - the name of a secret
ADMIN_SECRET = "keystone.admin"  # noqa: S105 - the name of a secret

SERVER = Api("keystone", "identity", PORT, WSGI, forks=True)
# The root domain is what the schema itself brings.
SCHEMA = Schema(
    "keystone",
    section="database",
    migrations="keystone/common/sql/migrations/versions",
    sync=("keystone-manage", "db_sync"),
    brings={"project": "id <> '<<keystone.domain.root>>'"},
)

FOLDER = "/etc/keystone"

# Directory below /etc/keystone → the stem of the secrets that are its keys. The highest number is the one that
# encrypts, 0 is the next one: already known everywhere before it is first used.
KEYS = {
    "fernet-keys": "keystone.fernet",
    "credential-keys": "keystone.credential",
    "receipt-keys": "keystone.receipt",
}
INHERITED = {f"{FOLDER}/{folder}": stem for folder, stem in KEYS.items()}

# How long they are good: Keystone's defaults, which its file leaves as they are. Of a token [token] expiration, and
# allow_expired_window, in which services take one that was good when its request began; of a receipt its expiration.
ROTATED = (
    Repository(f"{FOLDER}/fernet-keys", KEYS["fernet-keys"], timedelta(seconds=3600 + 172800)),
    Repository(f"{FOLDER}/receipt-keys", KEYS["receipt-keys"], timedelta(seconds=300)),
)

# The package must neither make a database nor an administrator: that is ours, once, on one controller.
_PRESEED = (
    "keystone keystone/configure_db boolean false",
    "keystone keystone/create-admin-tenant boolean false",
    "keystone keystone/register-endpoint boolean false",
)


class KeystoneSpec(Spec):
    """The section `keystone`."""

    workers: int = Field(
        default=4, ge=1, le=64, description="Processes on each controller, about 110 MiB each; one core at most each."
    )
    threads: int = Field(default=8, ge=1, le=64, description="Requests that one process serves at a time.")
    region: str = Field(
        default="RegionOne",
        pattern=r"^[A-Za-z0-9._-]{1,255}$",
        description="The region of the catalog in which the identity service is listed.",
    )
    cache_backend: CacheBackend = Field(
        default="oslo_cache.memcache_pool",
        description="`[cache] backend` of oslo.cache. Only memcache_pool itself gives a silent cache up, after 1 s.",
    )


def url(cloud: Cloud) -> str:
    """Where clients find the API, and what the catalog says."""
    return f"http://{cloud.vip}:{PORT}/v3"


def resources(spec: KeystoneSpec, site: Site, host: str) -> tuple[Resource, ...]:
    """Everything but the running API: its first start belongs to `form`, behind the schema."""
    values = {
        **spec.model_dump(),
        "cache": site.endpoint("cache").places,
        "connection": connection(site, SCHEMA.database, DATABASE_SECRET, TIMES),
        "auth_url": url(site.cloud),
        "password": reference(ADMIN_SECRET),
    }

    def rendered(path: str, template: str, mode: int = 0o644, group: str = "root") -> File:
        return File(path, render("quorate.systems.keystone", template, **values), mode=mode, group=group)

    return (
        Package("keystone", preseed=_PRESEED),
        Package("python3-pymysql"),
        # The client of each backend, so that a change from one to the other installs nothing.
        Package("python3-memcache"),
        Package("python3-pymemcache"),
        Directory("/etc/quorate"),
        rendered(CONFIG, "keystone.conf.j2", 0o640, OWNER),
        rendered(WSGI, "wsgi.py.j2"),
        *api_files(
            SERVER,
            user=OWNER,
            summary="identity service",
            folder=FOLDER,
            address=site.cloud.address(host),
            workers=spec.workers,
            threads=spec.threads,
        ),
        rendered(OPENRC, "admin-openrc.j2", 0o600),
        *key_files(site),
        # Keys are read from disk at every use, so that a change of them disturbs nothing.
        Unit(UNIT, state="formed", inputs=(CONFIG, uwsgi_path(FOLDER, SERVER), WSGI, unit_path(SERVER))),
    )


def key_files(site: Site) -> Iterator[Resource]:
    """Every key that there is, in the order in which they may be written; then those that are no more."""
    for folder, stem in KEYS.items():
        path = f"{FOLDER}/{folder}"
        held = numbers(stem, site.held) or {0, 1}
        yield Directory(path, 0o700, OWNER, OWNER)
        for number in order(held):
            # No newline at the end: the very bytes that keystone-manage itself would write.
            yield File(f"{path}/{number}", reference(f"{stem}_{number}"), 0o600, OWNER, OWNER)
        yield from (Gone(f"{path}/{number}") for number in dropped(held))


def endpoints(spec: KeystoneSpec, cloud: Cloud) -> tuple[Endpoint, ...]:
    """The API at the virtual IP. `/healthcheck` needs neither a token nor the database, and says no while draining."""
    options = {"region": spec.region, "admin": ADMIN_SECRET}
    return (Endpoint("identity", cloud.vip, PORT, frontend(SERVER), options=options),)


def claims(_spec: KeystoneSpec, _cloud: Cloud) -> tuple[Claim, ...]:
    """A database of its own."""
    return (Claim("database", SCHEMA.database, DATABASE_SECRET),)


def secrets(_spec: KeystoneSpec, _cloud: Cloud) -> tuple[SecretSpec, ...]:
    """The administrator's and the database account's passwords, and all keys."""
    keys = [spec for stem in KEYS.values() for spec in _first_keys(stem)]
    return (SecretSpec(ADMIN_SECRET), SecretSpec(DATABASE_SECRET), *keys)


def _first_keys(stem: str) -> tuple[SecretSpec, SecretSpec]:
    return SecretSpec(f"{stem}_0", "fernet"), SecretSpec(f"{stem}_1", "fernet", until=stem)


def warnings(spec: KeystoneSpec, cloud: Cloud) -> tuple[str, ...]:
    """What clients send is theirs to protect until the load balancer speaks TLS; one backend waits without end."""
    found = [f"passwords and tokens cross the network in clear on their way to {url(cloud)}"]
    if spec.cache_backend == "dogpile.cache.pymemcache":
        found.append("dogpile.cache.pymemcache knows no time limit: only what stands behind its address sets one")
    return tuple(found)

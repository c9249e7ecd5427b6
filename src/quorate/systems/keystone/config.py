"""Keystone: its section of cloud.yaml, its files and its unit; what it offers, needs and claims."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from quorate.core.resource import Directory, File, Package, Resource, Unit
from quorate.core.secret import SecretSpec, reference
from quorate.core.system import Claim, Endpoint, Frontend, Site
from quorate.core.template import render
from quorate.model.cloud import Cloud, Spec

CacheBackend = Literal["oslo_cache.memcache_pool", "dogpile.cache.pymemcache"]

PORT = 5000
UNIT = "keystone.service"
CONFIG = "/etc/keystone/keystone.conf"
UWSGI = "/etc/keystone/keystone-uwsgi.ini"
WSGI = "/etc/keystone/quorate-wsgi.py"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
OPENRC = "/etc/quorate/admin-openrc"
OWNER = "keystone"

# Directory below /etc/keystone → the secrets that are its keys. The highest number is the one that encrypts, 0 is the
# next one: already known everywhere before it is first used.
KEYS = {
    "fernet-keys": ("keystone.fernet_0", "keystone.fernet_1"),
    "credential-keys": ("keystone.credential_0", "keystone.credential_1"),
    "receipt-keys": ("keystone.receipt_0", "keystone.receipt_1"),
}

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


def database_url(site: Site, options: str = "") -> str:
    """The connection to the database, with a reference in place of the password."""
    database = site.endpoint("database")
    account = f"keystone:{reference('keystone.database')}"
    return f"mysql+pymysql://{account}@{database.address}:{database.port}/keystone?charset=utf8mb4{options}"


def resources(spec: KeystoneSpec, site: Site, host: str) -> tuple[Resource, ...]:
    """Everything but the running API: its first start belongs to `form`, behind the schema."""
    values = {
        **spec.model_dump(),
        "address": site.cloud.address(host),
        "port": PORT,
        "cache": site.endpoint("cache").places,
        # connect_timeout, read_timeout, seconds: see docs/decisions/0007-keystone-keys-and-cache.md
        "connection": database_url(site, "&connect_timeout=3&read_timeout=10"),
        "auth_url": url(site.cloud),
        "password": reference("keystone.admin"),
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
        rendered(UWSGI, "keystone-uwsgi.ini.j2"),
        rendered(WSGI, "wsgi.py.j2"),
        rendered(UNIT_FILE, "keystone.service.j2"),
        rendered(OPENRC, "admin-openrc.j2", 0o600),
        *_keys(),
        # Keys are read from disk at every use, so that a change of them disturbs nothing.
        Unit(UNIT, state="formed", inputs=(CONFIG, UWSGI, WSGI, UNIT_FILE)),
    )


def _keys() -> tuple[Resource, ...]:
    kept: list[Resource] = []
    for folder, names in KEYS.items():
        path = f"/etc/keystone/{folder}"
        kept.append(Directory(path, 0o700, OWNER, OWNER))
        # No newline at the end: the very bytes that keystone-manage itself would write.
        kept += [File(f"{path}/{index}", reference(name), 0o600, OWNER, OWNER) for index, name in enumerate(names)]
    return tuple(kept)


def endpoints(_spec: KeystoneSpec, cloud: Cloud) -> tuple[Endpoint, ...]:
    """The API at the virtual IP. `/healthcheck` needs neither a token nor the database, and says no while draining."""
    frontend = Frontend(mode="http", backend_port=PORT, check_port=PORT, check_path="/healthcheck")
    return (Endpoint("identity", cloud.vip, PORT, frontend),)


def claims(_spec: KeystoneSpec, _cloud: Cloud) -> tuple[Claim, ...]:
    """A database of its own."""
    return (Claim("database", "keystone", "keystone.database"),)


def secrets(_spec: KeystoneSpec, _cloud: Cloud) -> tuple[SecretSpec, ...]:
    """The administrator's and the database account's passwords, and all keys."""
    keys = (SecretSpec(name, "fernet") for names in KEYS.values() for name in names)
    return (SecretSpec("keystone.admin"), SecretSpec("keystone.database"), *keys)


def warnings(spec: KeystoneSpec, cloud: Cloud) -> tuple[str, ...]:
    """What clients send is theirs to protect until the load balancer speaks TLS; one backend waits without end."""
    found = [f"passwords and tokens cross the network in clear on their way to {url(cloud)}"]
    if spec.cache_backend == "dogpile.cache.pymemcache":
        found.append("dogpile.cache.pymemcache knows no time limit: only what stands behind its address sets one")
    return tuple(found)

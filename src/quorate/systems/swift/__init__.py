"""Swift: objects. Its front end, the proxy server, on every controller; the servers that store are others' machines.

Where objects lie is said by the rings, which `swift-ring-builder` makes and the operator brings to every controller, as
to every storage server: it cannot start without them, and with different ones each controller would look elsewhere.
Rings may be replaced while it runs, it reads new ones by itself.

Its configuration is Paste's and not oslo.config's, so that `oslo-config-validator` does not apply and no tool says
which options it knows: it is held to what the server loads, by its own `--test-config`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from quorate.core.resource import File
from quorate.core.secret import reference
from quorate.core.system import Function, Site
from quorate.openstack.options import authtoken, ini
from quorate.openstack.service import Api, Sections, Service, ServiceSpec
from quorate.openstack.system import system_of

FOLDER = "/etc/swift"
PREFIX_SECRET = "swift.hash-prefix"  # noqa: S105 - the name of a secret
SUFFIX_SECRET = "swift.hash-suffix"  # noqa: S105 - the name of a secret
PIPELINE = (
    "catch_errors gatekeeper healthcheck proxy-logging cache listing_formats bulk tempurl authtoken keystoneauth copy "
    "container-quotas account-quotas slo dlo versioned_writes symlink proxy-logging proxy-server"
)
PLAIN = {
    "catch_errors": "catch_errors",
    "gatekeeper": "gatekeeper",
    "proxy-logging": "proxy_logging",
    "listing_formats": "listing_formats",
    "bulk": "bulk",
    "tempurl": "tempurl",
    "copy": "copy",
    "container-quotas": "container_quotas",
    "account-quotas": "account_quotas",
    "slo": "slo",
    "dlo": "dlo",
    "versioned_writes": "versioned_writes",
    "symlink": "symlink",
}
"""Filters as they come, by Swift's name of each."""
API = Api(
    "swift-proxy",
    "object-store",
    8080,
    argv=("/usr/bin/swift-proxy-server", f"{FOLDER}/proxy-server.conf"),
    type="object-store",
    path="/v1/AUTH_%(project_id)s",
    # An account that is nobody's: who is known may not see it, and no storage server is asked for that.
    private="/v1/AUTH_quorate",
    granted=403,
)


class SwiftSpec(ServiceSpec):
    """Objects. Part of the cloud where the file names it: `swift: {}` will do; the rings are brought by hand.

    What a path is hashed with (`swift.hash-prefix` and `swift.hash-suffix` in `secrets.yaml`) must be the storage
    servers' own and never change, else nothing that was stored is found again. Where they have theirs already, write
    those there before the first apply.
    """

    threads: int = Field(default=1024, ge=1, le=16384, description="Requests that one process serves at a time.")
    hash_prefix: bool = Field(default=True, description="False where the storage servers' swift.conf has no prefix.")
    policies: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+$")], ...] = Field(
        default=("Policy-0",),
        min_length=1,
        description="The names of the storage policies (replication), by number; new containers get the first.",
    )


def _options(spec: SwiftSpec, site: Site, host: str) -> Sections:
    cache = site.endpoint("cache")
    return {
        "DEFAULT": {
            "bind_ip": site.cloud.address(host),
            "bind_port": str(API.port),
            "workers": str(spec.workers),
            "max_clients": str(spec.threads),
            "swift_dir": FOLDER,
            "log_name": API.name,
        },
        "pipeline:main": {"pipeline": PIPELINE},
        "app:proxy-server": {"use": "egg:swift#proxy", "account_autocreate": "true"},
        **{f"filter:{name}": {"use": f"egg:swift#{filter_}"} for name, filter_ in PLAIN.items()},
        "filter:healthcheck": {"use": "egg:swift#healthcheck", "disable_path": API.drain},
        "filter:cache": {
            "use": "egg:swift#memcache",
            "memcache_servers": ",".join(cache.places),
            "connect_timeout": "0.3",
            "io_timeout": "2.0",
            "tries": "3",
            "memcache_max_connections": "16",
            # Behind one address there is always somebody, and while it counts as dead nothing is cached.
            "error_suppression_interval": "0" if len(cache.places) == 1 else "30",
        },
        "filter:authtoken": {
            "paste.filter_factory": "keystonemiddleware.auth_token:filter_factory",
            **authtoken(SERVICE, site),
            # Some containers are for everybody: whether a token is needed is said further down.
            "delay_auth_decision": "true",
        },
        "filter:keystoneauth": {
            "use": "egg:swift#keystoneauth",
            "operator_roles": "admin, member",
            "project_reader_roles": "reader",
        },
    }


def _files(spec: SwiftSpec, _site: Site, _host: str) -> tuple[File, ...]:
    """What is the same on every machine of the object store."""
    hashed = {"swift_hash_path_suffix": reference(SUFFIX_SECRET)}
    if spec.hash_prefix:
        hashed["swift_hash_path_prefix"] = reference(PREFIX_SECRET)
    policies = {
        f"storage-policy:{number}": {"name": name, **({} if number else {"default": "yes"})}
        for number, name in enumerate(spec.policies)
    }
    text = ini({"swift-hash": hashed, **policies})
    return (File(f"{FOLDER}/swift.conf", text, 0o640, group="swift"),)


def _rings(spec: SwiftSpec) -> tuple[str, ...]:
    """The rings of accounts, containers, and of the objects of each policy."""
    objects = (f"object-{number}" if number else "object" for number in range(len(spec.policies)))
    return tuple(f"{FOLDER}/{kind}.ring.gz" for kind in ("account", "container", *objects))


SERVICE = Service(
    name="swift",
    summary="objects: the front end of their store on every controller",
    packages=("swift-proxy",),
    config=f"{FOLDER}/proxy-server.conf",
    oslo=False,
    account="filter:authtoken",
    options=_options,
    files=_files,
    apis=(API,),
    brought=_rings,
    bring=f"copy the rings that swift-ring-builder made, the same ones, to {FOLDER} of every controller",
    secrets=(PREFIX_SECRET, SUFFIX_SECRET),
    functions=(Function("object_store", "reach the object store"),),
)

SYSTEM = system_of(SERVICE, SwiftSpec)

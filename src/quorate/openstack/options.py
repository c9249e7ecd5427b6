"""Options that every service needs, by section, and how they become a file.

Only options that the installed releases know: the lab's tests hold every rendered file to what the packages themselves
say that they read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quorate.core.secret import reference
from quorate.core.system import Site, Trial
from quorate.openstack.service import AnyService, Sections, ServiceSpec

PROJECT = "service"
"""The project that all services' accounts belong to."""
NAMESPACES = (
    "keystonemiddleware.auth_token",
    "oslo.cache",
    "oslo.concurrency",
    "oslo.db",
    "oslo.log",
    "oslo.messaging",
    "oslo.middleware.http_proxy_to_wsgi",
    "oslo.policy",
)
"""Whose options all services read: entry points `oslo.config.opts` of the installed packages."""
TIMES = "&connect_timeout=3&read_timeout=10"
"""Seconds that a service waits for its database: docs/decisions/0007-keystone-keys-and-cache.md."""
DOMAIN = "default"


def merged(*parts: Sections) -> dict[str, dict[str, str]]:
    """Put sections together; of an option that is said twice, the last one counts."""
    found: dict[str, dict[str, str]] = {}
    for part in parts:
        for section, options in part.items():
            found.setdefault(section, {}).update(options)
    return found


def ini(sections: Sections) -> str:
    """Write a configuration file of oslo.config."""
    parts = ["# Written by quorate: change cloud.yaml instead."]
    for section, options in sections.items():
        parts += ["", f"[{section}]", *(f"{name} = {value}" for name, value in options.items())]
    return "\n".join(parts) + "\n"


def trials(service: AnyService) -> tuple[Trial, ...]:
    """Ask the installed packages themselves whether they know every option that is set.

    They read past an option that they do not know, and so an old name does nothing. Source: oslo-config-validator.
    """
    if not service.oslo:
        return ()
    read = {service.config: (*service.namespaces, *NAMESPACES), **service.readers}
    return tuple(_trial(path, namespaces, service.own_groups) for path, namespaces in read.items())


def _trial(path: str, namespaces: Sequence[str], own_groups: Sequence[str]) -> Trial:
    known = (word for name in namespaces for word in ("--namespace", name))
    own = (word for name in own_groups for word in ("--exclude-group", name))
    return Trial(path, ("oslo-config-validator", "--input-file", "{file}", *known, *own), "ERROR:root:")


def common(service: AnyService, spec: ServiceSpec, site: Site, host: str) -> Sections:
    """Everything that follows from what the other systems offer."""
    databases = {
        schema.section: _database(site, service, schema.database, spec)
        for schema in reversed(service.schemas)  # the first of those that share a section is the one it names
    }
    return merged(
        {"DEFAULT": {"debug": "false", "use_stderr": "true", **_transport(service, site, host)}},
        databases,
        _requests(service, site),
        _messages(service, site),
    )


def credentials(service: AnyService, site: Site) -> Mapping[str, str]:
    """Who the service is at Keystone, for any section that keystoneauth reads."""
    return {
        "auth_type": "password",
        "auth_url": identity_url(site),
        "username": service.user,
        "password": reference(service.secret("identity")),
        "user_domain_id": DOMAIN,
        "project_name": PROJECT,
        "project_domain_id": DOMAIN,
    }


def identity_url(site: Site, at: str = "") -> str:
    """Say where Keystone is: at the VIP, or the one at that address."""
    endpoint = site.endpoint("identity")
    return f"http://{at or endpoint.address}:{endpoint.port}/v3"


def region(site: Site) -> str:
    """Say which region of the catalog everything is listed in."""
    return site.endpoint("identity").options["region"]


def connection(site: Site, database: str, secret: str, options: str = "") -> str:
    """Say how a database is reached, with a reference in place of the password."""
    place = site.endpoint("database")
    account = f"{database}:{reference(secret)}"
    return f"mysql+pymysql://{account}@{place.address}:{place.port}/{database}?charset=utf8mb4{options}"


def coordination(site: Site) -> str:
    """Say where groups and locks are kept, as tooz reads it.

    No request waits longer than `timeout`. Whoever says nothing for `lock_timeout` seconds holds its locks no more and
    does not know it: much longer than a busy controller is silent. After `membership_timeout` seconds it belongs to no
    group any more, and never comes back by itself (tooz's driver makes a new lease and does not join again): only what
    is longer than a restart of the store may cost a membership.
    """
    place = site.endpoint("coordination")
    return f"etcd3+http://{place.address}:{place.port}?timeout=5&lock_timeout=30&membership_timeout=60"


def _database(site: Site, service: AnyService, database: str, spec: ServiceSpec) -> Mapping[str, str]:
    # The recycling and the retries are Keystone's, too.
    return {
        "connection": connection(site, database, service.secret("database"), TIMES),
        "connection_recycle_time": "300",
        "max_pool_size": str(spec.threads),
        "max_overflow": "16",
        "max_retries": "2",
        "retry_interval": "1",
    }


def _requests(service: AnyService, site: Site) -> Sections:
    """What an API needs to know of whoever asks it."""
    if not service.apis:
        return {}
    return {
        service.account: authtoken(service, site),
        "oslo_middleware": {"enable_proxy_headers_parsing": "true"},
    }


def authtoken(service: AnyService, site: Site) -> Mapping[str, str]:
    """Say how tokens are validated, and where it is remembered that they were."""
    cache = site.endpoint("cache")
    return {
        "www_authenticate_uri": identity_url(site),
        **credentials(service, site),
        "region_name": region(site),
        "http_connect_timeout": "3",
        # Validated tokens; whoever gets at the cache can neither read nor forge them.
        "memcached_servers": ",".join(cache.places),
        "memcache_security_strategy": "ENCRYPT",
        "memcache_secret_key": reference(service.secret("cache")),
        "memcache_pool_socket_timeout": "1",
        # Behind one address there is always somebody, and while it counts as dead nothing is cached.
        "memcache_pool_dead_retry": "1" if len(cache.places) == 1 else "30",
        "service_token_roles": "service",
        "service_token_roles_required": "true",
    }


def _transport(service: AnyService, site: Site, host: str) -> Mapping[str, str]:
    if not service.messages:
        return {}
    place = site.endpoint("messaging")
    # This controller's own node first; oslo.messaging shuffles them for each connection all the same.
    nodes = sorted(place.addresses, key=lambda address: address != site.cloud.address(host))
    password = reference(service.secret("messaging"))
    return {"transport_url": transport_url(nodes, place.port, service.user, password, place.path)}


def transport_url(addresses: Sequence[str], port: int, user: str, password: str, vhost: str) -> str:
    """Return where oslo.messaging finds the nodes."""
    hosts = ",".join(f"{user}:{password}@{address}:{port}" for address in addresses)
    return f"rabbit://{hosts}/{vhost}"


def _messages(service: AnyService, site: Site) -> Sections:
    if not service.messages:
        return {}
    return {
        "oslo_messaging_rabbit": site.endpoint("messaging").options,
        # Where nobody listens to notifications they would pile up in queues.
        "oslo_messaging_notifications": {"driver": "messagingv2" if site.has("telemetry") else "noop"},
    }

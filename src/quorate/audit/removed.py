"""Options that guides and old files still have, and what says it today.

Those that no covered release knows any more; a name that is still read as another's is in `known/` itself. By section
and name, `*` for any section.
"""

from __future__ import annotations

from collections.abc import Mapping

_URL = "[DEFAULT] transport_url = rabbit://ACCOUNT@HOST1:5672,ACCOUNT@HOST2:5672/VHOST"
_DATABASE = "[database] connection"
_NOTIFY = "[oslo_messaging_notifications] driver = messagingv2"
_LOGIN = "[keystone_authtoken] auth_type = password, auth_url, username, password, project_name and the domains' names"
_CATALOG = "the endpoint in Keystone's catalog"
_CACHE = "[keystone_authtoken] memcached_servers for tokens, [cache] memcache_servers for the rest"
_QUORUM = "[oslo_messaging_rabbit] rabbit_quorum_queue"
_FERNET = "[token] provider = fernet, which keeps no tokens anywhere"
_SERVER = "the options of the web server that runs its WSGI application"

REMOVED: Mapping[tuple[str, str], str] = {
    **{
        ("*", name): _URL
        for name in (
            "rabbit_host", "rabbit_hosts", "rabbit_port", "rabbit_userid", "rabbit_password", "rabbit_virtual_host",
            "rpc_backend",
        )
    },
    ("*", "rabbit_max_retries"): "nothing: it tries again for ever",
    ("*", "rabbit_durable_queues"): "[oslo_messaging_rabbit] amqp_durable_queues; quorum queues are durable anyway",
    ("*", "rabbit_quorum_queues"): f"{_QUORUM}: the name with an s never existed",
    **{
        ("*", name): _DATABASE
        for name in ("sql_connection", "sql_idle_timeout", "sql_max_retries", "sql_retry_interval")
    },
    ("*", "idle_timeout"): "[database] connection_recycle_time",
    ("*", "min_pool_size"): "nothing: a pool opens connections as it needs them",
    **{("DEFAULT", name): _NOTIFY for name in ("notifier_strategy", "notification_driver", "notify_driver")},
    ("DEFAULT", "notification_topics"): "[oslo_messaging_notifications] topics",
    ("DEFAULT", "registry_host"): "nothing: Glance has no registry any more",
    ("DEFAULT", "registry_port"): "nothing: Glance has no registry any more",
    ("DEFAULT", "glance_api_servers"): f"{_CATALOG} ([glance] in nova.conf says of which region and interface)",
    ("DEFAULT", "glance_host"): _CATALOG,
    ("DEFAULT", "neutron_url"): f"{_CATALOG} ([neutron] in nova.conf says of which region and interface)",
    ("DEFAULT", "quantum_url"): f"{_CATALOG} ([neutron] in nova.conf says of which region and interface)",
    **{
        ("DEFAULT", name): "[neutron] auth_type, auth_url, username, password, project_name"
        for name in (
            "neutron_auth_strategy", "neutron_admin_username", "neutron_admin_password", "neutron_admin_auth_url",
            "neutron_admin_tenant_name", "network_api_class", "security_group_api", "linuxnet_interface_driver",
        )
    },
    **{
        ("DEFAULT", name): "[service_credentials] auth_url, username, password, project_name"
        for name in ("os_auth_url", "os_username", "os_password", "os_tenant_name")
    },
    **{
        (section, name): _LOGIN
        for section in ("keystone_authtoken", "filter:authtoken")
        for name in (
            "auth_host", "auth_port", "auth_protocol", "auth_admin_prefix", "identity_uri", "admin_user",
            "admin_password", "admin_tenant_name", "admin_token", "signing_dir", "check_revocations_for_cached",
            "hash_algorithms", "revocation_cache_time",
        )
    },
    ("keystone_authtoken", "auth_uri"): "[keystone_authtoken] www_authenticate_uri",
    ("filter:authtoken", "auth_uri"): "[keystone_authtoken] www_authenticate_uri",
    ("DEFAULT", "memcached_servers"): _CACHE,
    ("DEFAULT", "memcache_servers"): _CACHE,
    **{
        ("DEFAULT", name): _SERVER
        for name in ("public_bind_host", "admin_bind_host", "public_port", "admin_port", "compute_port")
    },
    **{("token", name): _FERNET for name in ("driver", "bind", "enforce_token_bind", "hash_algorithm")},
    ("signing", "token_format"): "[token] provider = fernet",
    ("DEFAULT", "admin_token"): "`keystone-manage bootstrap`, which makes the first administrator",
    ("DEFAULT", "rpc_thread_pool_size"): "[DEFAULT] executor_thread_pool_size",
    ("DEFAULT", "verbose"): "nothing: INFO is the default; [DEFAULT] debug for more",
    ("DEFAULT", "use_neutron"): "nothing: there is no other network service",
    ("oslo_messaging_rabbit", "heartbeat_in_pthread"): "nothing: heartbeats have a thread of their own now",
}  # fmt: skip


def instead(section: str, name: str) -> str:
    """Say what says it today; "" where that is not known."""
    return REMOVED.get((section, name), "") or REMOVED.get(("*", name), "")

"""Nova, Neutron, Cinder, Glance, Heat and Ceilometer: what they do not do alone once a controller is gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from quorate.audit.configs import LOOPBACK, NO, Config, configs, hosts, items, parts, several
from quorate.audit.estate import Estate
from quorate.audit.listeners import listeners, virtual_addresses
from quorate.audit.node import Node
from quorate.audit.readers.ini import AGENTS
from quorate.audit.rule import Hit, Rule, Severity

_NEUTRON = "https://docs.openstack.org/neutron/latest"
_CINDER = "https://docs.openstack.org/cinder/latest"


def _routing(estate: Estate) -> Iterator[tuple[Config, Node]]:
    """Neutron servers of several machines with agents of its own for routers and DHCP, which OVN does not have."""
    for one in configs(estate, "neutron") if several(estate, "neutron") else ():
        plugin = one.option("DEFAULT", "core_plugin", "service_plugins")
        drivers = items(one.value("ml2", "mechanism_drivers"))
        if plugin and drivers and "ovn" not in drivers:
            yield one, plugin


def lost_routers(estate: Estate) -> Iterable[Hit]:
    """Routers that are on one agent."""
    for one, plugin in _routing(estate):
        found = one.option("DEFAULT", "l3_ha")
        if not one.true("DEFAULT", "l3_ha") and "router" in one.value("DEFAULT", "service_plugins"):
            yield Hit((found or plugin).place, "l3_ha is not true")


def lost_dhcp(estate: Estate) -> Iterable[Hit]:
    """Networks that have one DHCP server."""
    for one, plugin in _routing(estate):
        number = one.number("DEFAULT", "dhcp_agents_per_network")
        if number is None or number < 2:
            found = one.option("DEFAULT", "dhcp_agents_per_network") or plugin
            yield Hit(found.place, f"dhcp_agents_per_network = {number or 1:g}")


def unshared_locks(estate: Estate) -> Iterable[Hit]:
    """Volume services that work on the same volumes, with locks in files of their own machines."""
    for one in configs(estate, "cinder"):
        cluster = one.option("DEFAULT", "cluster")
        where = one.value("coordination", "backend_url")
        if cluster and cluster.value and (not where or where.startswith("file:")):
            yield Hit(cluster.place, f"cluster = {cluster.value}, with locks in {where or 'files'}")


def orphaned_volumes(estate: Estate) -> Iterable[Hit]:
    """Volumes that belong to a controller, in a store that all of them reach."""
    for one in configs(estate, "cinder") if len(hosts(estate, "cinder")) > 1 else ():
        named = one.value("DEFAULT", "cluster") or one.value("DEFAULT", "backend_host")
        for name in items(one.value("DEFAULT", "enabled_backends")):
            driver = one.option(name.lower(), "volume_driver")
            own = one.value(name.lower(), "backend_host")
            if driver and driver.value.endswith(".RBDDriver") and not (named or own or one.value("DEFAULT", "host")):
                yield Hit(driver.place, f"[{name}] has no backend_host, and there is no cluster")


def no_service_token(estate: Estate) -> Iterable[Hit]:
    """A Nova that Cinder does not believe."""
    for one in configs(estate, "nova"):
        login = one.option("keystone_authtoken", "auth_url", "auth_type")
        talks = one.has("cinder") or one.has("neutron")
        if login and talks and not one.true("service_user", "send_service_user_token"):
            found = one.option("service_user", "send_service_user_token") or login
            yield Hit(found.place, "[service_user] send_service_user_token is not true")


def polled_twice(estate: Estate) -> Iterable[Hit]:
    """Central agents that do not share their work."""
    for one in configs(estate, "ceilometer") if several(estate, "ceilometer") else ():
        first = one.option("DEFAULT", "transport_url") or one.option("service_credentials", "auth_url")
        if first and not one.value("coordination", "backend_url"):
            yield Hit(first.place, f"no [coordination] backend_url on {len(hosts(estate, 'ceilometer'))} machines")


def local_images(estate: Estate) -> Iterable[Hit]:
    """Images in a folder of one machine."""
    for one in configs(estate, "glance") if several(estate, "glance") else ():
        backends = dict(entry.partition(":")[::2] for entry in items(one.value("DEFAULT", "enabled_backends")))
        default = one.option("glance_store", "default_backend", "default_store")
        if default and backends.get(default.value, default.value) in {"file", "filesystem"}:
            yield Hit(default.place, f"[glance_store] {default.name} = {default.value}")


def metadata_secret(estate: Estate) -> Iterable[Hit]:
    """A secret that two sides do not share."""
    for nova in configs(estate, "nova"):
        one = nova.option("neutron", "metadata_proxy_shared_secret")
        for agent in configs(estate, AGENTS):
            other = agent.option("DEFAULT", "metadata_proxy_shared_secret")
            if one and other and agent.host == nova.host and one.value != other.value:
                yield Hit(other.place, "metadata_proxy_shared_secret is not Nova's", (one.place,))


_FOR_USERS = (
    ("nova", "vnc", "novncproxy_base_url"),
    ("nova", "spice", "html5proxy_base_url"),
    ("nova", "serial_console", "base_url"),
    ("heat", "DEFAULT", "heat_metadata_server_url"),
    ("heat", "DEFAULT", "heat_waitcondition_server_url"),
    ("keystone", "DEFAULT", "public_endpoint"),
    ("cinder", "DEFAULT", "public_endpoint"),
    ("glance", "DEFAULT", "public_endpoint"),
)
"""Addresses that go to users and instances as they are written."""


def _for_users(estate: Estate) -> Iterator[tuple[Node, str, str]]:
    for kind, section, name in _FOR_USERS:
        for one in configs(estate, kind):
            if found := one.option(section, name):
                yield found, f"[{section}] {name} = {found.value}", _host(found.value)


def console_nowhere(estate: Estate) -> Iterable[Hit]:
    """Addresses for users that lead to the users' own machines."""
    for found, told, host in _for_users(estate):
        if LOOPBACK.fullmatch(host):
            yield Hit(found.place, told)


def one_console(estate: Estate) -> Iterable[Hit]:
    """Addresses for users that lead to one of the controllers behind HAProxy."""
    every = tuple(listeners(estate))
    controllers = {server.host: listener for listener in every for server in listener.servers}
    virtual = virtual_addresses(estate)
    for found, told, host in _for_users(estate):
        if host in controllers and host not in virtual and len(controllers) > 1:
            yield Hit(found.place, told, (controllers[host].section.place,))


def _host(address: str) -> str:
    split = parts(address)
    return (split.hostname or "") if split else ""


def one_ovn(estate: Estate) -> Iterable[Hit]:
    """One node of OVN's databases, of which all are known."""
    for one in configs(estate, "neutron"):
        both = [one.option("ovn", name) for name in ("ovn_nb_connection", "ovn_sb_connection")]
        lengths = [len(items(found.value)) if found else 0 for found in both]
        if min(lengths) == 1 and max(lengths) > 1:
            for found, length in zip(both, lengths, strict=True):
                if found and length == 1:
                    yield Hit(found.place, f"[ovn] {found.name} has one address, the other database has {max(lengths)}")


def no_reschedule(estate: Estate) -> Iterable[Hit]:
    """DHCP servers that stay on an agent that is gone."""
    for one, _ in _routing(estate):
        found = one.option("DEFAULT", "allow_automatic_dhcp_failover")
        if found and found.value.lower() in NO:
            yield Hit(found.place, f"allow_automatic_dhcp_failover = {found.value}")


RULES = (
    Rule(
        "SVC001",
        Severity.WARNING,
        "a router is on one machine only",
        "When that machine is lost, the networks behind its routers have no way out until somebody moves them.",
        f"{_NEUTRON}/admin/deploy-ovs-ha-vrrp.html",
        "Write l3_ha = true. Routers that exist are changed one by one: openstack router set --ha, while disabled.",
        "power-cut on a machine with routers: its networks have no way out",
        lost_routers,
    ),
    Rule(
        "SVC002",
        Severity.WARNING,
        "a network has one DHCP server",
        "When its machine is lost, instances get no address until another agent takes the network over: "
        "agent_down_time and more, 75 s by default.",
        f"{_NEUTRON}/admin/config-dhcp-ha.html",
        "Write dhcp_agents_per_network = 2.",
        "power-cut on a machine with a DHCP agent",
        lost_dhcp,
    ),
    Rule(
        "SVC003",
        Severity.ERROR,
        "volume services share volumes, and no locks",
        "With a cluster several cinder-volume work on the same volumes. Their locks are in files of each machine: two "
        "of them change one volume at the same time.",
        f"{_CINDER}/contributor/high_availability.html",
        "Write [coordination] backend_url with etcd or another store that all of them reach.",
        "",
        unshared_locks,
    ),
    Rule(
        "SVC004",
        Severity.WARNING,
        "volumes belong to a controller",
        "Every controller reaches the store, and each volume is managed by the one that made it only: when that is "
        "lost, its volumes cannot be attached, changed or removed.",
        f"{_CINDER}/contributor/high_availability.html",
        "Write cluster, with [coordination], or one backend_host on all controllers with one cinder-volume at a time.",
        "power-cut on the controller that made a volume: it can be neither attached nor removed",
        orphaned_volumes,
    ),
    Rule(
        "SVC005",
        Severity.WARNING,
        "Nova does not say that it is a service",
        "Since the fix of CVE-2023-2088 Cinder refuses to detach a volume in use for anybody but a service: instances "
        "cannot be deleted or moved cleanly. Long work fails, too, once the user's token runs out.",
        "https://docs.openstack.org/nova/latest/admin/configuration/service-user-token.html",
        "Write [service_user] send_service_user_token = true, with Nova's account.",
        "",
        no_service_token,
    ),
    Rule(
        "SVC006",
        Severity.WARNING,
        "several central agents measure the same",
        "Where the central agent runs on each of them, without coordination, each polls everything: every sample "
        "comes once for each machine.",
        "https://docs.openstack.org/ceilometer/latest/admin/telemetry-data-collection.html: workload partitioning",
        "Write [coordination] backend_url, or run the central agent on one machine at a time.",
        "",
        polled_twice,
    ),
    Rule(
        "SVC007",
        Severity.NOTE,
        "images are in a folder, which has to be one for all controllers",
        "Unless the folder is one file system for all controllers, an image is on the one that took it: the others "
        "answer 404, and it is lost with its disk.",
        "https://docs.openstack.org/glance/latest/configuration/configuring.html: file system store",
        "Use a store that all controllers reach: rbd, swift, s3, or one shared file system.",
        "power-cut on a controller: downloads of its images fail",
        local_images,
    ),
    Rule(
        "SVC008",
        Severity.ERROR,
        "Nova and the metadata agent have different secrets",
        "Nova answers 403 to what the agent signs: new instances get no keys and no configuration.",
        "https://docs.openstack.org/nova/latest/admin/metadata-service.html",
        "Write the same secret in both, on all machines.",
        "",
        metadata_secret,
    ),
    Rule(
        "SVC009",
        Severity.ERROR,
        "users are sent to their own machines",
        "The address goes to users and instances as it is written: at a loopback address nobody answers them.",
        "https://docs.openstack.org/nova/latest/admin/remote-console-access.html",
        "Write the virtual IP, or the name that users know.",
        "",
        console_nowhere,
    ),
    Rule(
        "SVC010",
        Severity.ERROR,
        "one of OVN's databases is known by one address",
        "Its cluster elects another leader when that machine is lost, and Neutron does not find it.",
        f"{_NEUTRON}/configuration/ml2-conf.html#ovn.ovn_nb_connection",
        "Name all of them, with commas, as for the other database.",
        "power-cut on that machine: networks and ports cannot be changed",
        one_ovn,
    ),
    Rule(
        "SVC011",
        Severity.WARNING,
        "DHCP servers stay on a machine that is gone",
        "Neutron does not move networks to another agent.",
        f"{_NEUTRON}/configuration/neutron.html#DEFAULT.allow_automatic_dhcp_failover",
        "Take it out; the default is true.",
        "power-cut on a machine with a DHCP agent",
        no_reschedule,
    ),
    Rule(
        "SVC012",
        Severity.ERROR,
        "users are sent to one controller",
        "The address goes to users and instances as it is written. When that controller is lost they have no "
        "consoles, or whatever it is for, though others could serve them.",
        "https://docs.openstack.org/nova/latest/admin/remote-console-access.html",
        "Write the virtual IP, or the name that users know.",
        "power-cut on that controller: consoles do not open",
        one_console,
    ),
)

"""What RabbitMQ wants on a controller: its section of the cloud file, the resources and the endpoint that follow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from quorate.core.resource import Directory, File, Package, Resource, Sysctl, Unit
from quorate.core.secret import SecretSpec, reference
from quorate.core.system import Endpoint, Site
from quorate.core.template import render
from quorate.model.cloud import Cloud, Spec

PORT = 5672
API_PORT = 15672
NODES_PORT = 25672
"""Where nodes talk to each other; 20000 above the clients' port, RabbitMQ's own choice."""
NAMES_PORT = 4369
UNIT = "rabbitmq-server.service"
ACCOUNTS_UNIT = "quorate-rabbitmq-accounts.service"
"""Reads the definitions again: a new account, or another password, interrupts no message."""
NAMES_SOCKET = "epmd.socket"
OWNER = "rabbitmq"
VHOST = "openstack"
NEIGHBOURS = {"base_reachable_time_ms": "1000", "delay_first_probe_time": "1", "retrans_time_ms": "100"}
"""How soon the kernel notices that a neighbour's address is gone: after some 2 s, instead of 40. Who dials a lost
node is told at once from then on, and does not wait out its own 5 s (decision 13). Source: arp(7)."""
ALL = {"configure": ".*", "write": ".*", "read": ".*"}
"""The permissions of whoever may do everything in a virtual host."""
LOOKER = "quorate"
"""The account by which the node is looked at: it may see everything and change nothing."""
LOOKER_SECRET = "rabbitmq.looker"  # noqa: S105 - the name of a secret
COOKIE_SECRET = "rabbitmq.cookie"  # noqa: S105 - the name of a secret

HOME = "/var/lib/rabbitmq"
COOKIE = f"{HOME}/.erlang.cookie"
CONFIG = "/etc/rabbitmq/rabbitmq.conf"
ADVANCED = "/etc/rabbitmq/advanced.config"
ENVIRONMENT = "/etc/rabbitmq/rabbitmq-env.conf"
PLUGINS = "/etc/rabbitmq/enabled_plugins"
DEFINITIONS = "/etc/rabbitmq/quorate-definitions.json"
DROP_IN = "/etc/systemd/system/rabbitmq-server.service.d/quorate.conf"
ACCOUNTS_FILE = f"/etc/systemd/system/{ACCOUNTS_UNIT}"
REJOIN_UNIT = "quorate-rabbitmq-rejoin.service"
REJOIN_PROGRAM = "/usr/local/sbin/quorate-rabbitmq-rejoin"
REJOIN_FILE = f"/etc/systemd/system/{REJOIN_UNIT}"
NAMES_DROP_IN = "/etc/systemd/system/epmd.socket.d/quorate.conf"


class RabbitSpec(Spec):
    """RabbitMQ on all controllers, one cluster. Part of the cloud where the file names it: `rabbitmq: {}` will do."""

    optional: ClassVar[bool] = True

    net_ticktime: int = Field(
        default=4,
        ge=4,
        le=120,
        description="Seconds of silence until a node is taken for lost, give or take a quarter; 60 upstream.",
    )
    net_setuptime: int = Field(
        default=2,
        ge=1,
        le=120,
        description="Seconds for connecting with a node; who asks a lost one for something waits so long. 7 upstream.",
    )
    failure_poll_ms: int = Field(
        default=1000,
        ge=100,
        le=10000,
        description="How often a quorum queue looks whether its leader's node lives, ms (aten's poll_interval; 5000 "
        "upstream).",
    )
    heartbeat: int = Field(
        default=2,
        ge=1,
        le=120,
        description="Seconds between signs of life of service and node; one that missed two is left. 60 upstream.",
    )
    memory_mb: int = Field(
        default=1024,
        ge=128,
        description="Memory above which publishers are held back, MiB; 0.4 or 0.6 of the machine upstream, which has "
        "other things to hold here.",
    )
    disk_free_mb: int = Field(
        default=2048, ge=50, description="Free disk space below which publishers are held back, MiB; 50 upstream."
    )


def node(cloud: Cloud, host: str) -> str:
    """Say the Erlang node's name. By address: nothing depends on how names are resolved."""
    return f"rabbit@{cloud.address(host)}"


def endpoints(spec: RabbitSpec, cloud: Cloud) -> Sequence[Endpoint]:
    """Every node, in the file's order: clients choose among them and notice themselves when one is gone."""
    addresses = tuple(cloud.address(host) for host in cloud.names)
    options = oslo_options(spec, cloud)
    return (Endpoint("messaging", addresses[0], PORT, addresses=addresses, path=VHOST, options=options),)


def oslo_options(spec: RabbitSpec, cloud: Cloud) -> dict[str, str]:
    """What services are to say below `[oslo_messaging_rabbit]`, by name.

    Queue types as the release has them: all of them replicated (quorum queues, and a stream for fan-out), which needs
    RabbitMQ 3.13 and an oslo.messaging that knows them; before, those that live longer than a client. The queue manager
    gives queues names that survive a restart, or quorum queues would pile up. Source: oslo.messaging's release notes.
    """
    patience = {
        "heartbeat_timeout_threshold": str(spec.heartbeat),
        "heartbeat_rate": "2",
        "kombu_reconnect_delay": "0.5",
    }
    if cloud.os == "debian-12":
        return {"rabbit_quorum_queue": "true", **patience}
    names = ("rabbit_quorum_queue", "rabbit_transient_quorum_queue", "use_queue_manager", "rabbit_stream_fanout")
    # A stream is read by credit: it wants a bound, and this is how many requests a service handles at a time.
    return {**dict.fromkeys(names, "true"), "rabbit_qos_prefetch_count": "64", **patience}


def secrets(_spec: RabbitSpec, _cloud: Cloud) -> Sequence[SecretSpec]:
    """What nodes know each other by, and the password of the account that looks."""
    return SecretSpec(COOKIE_SECRET), SecretSpec(LOOKER_SECRET)


def warnings(_spec: RabbitSpec, cloud: Cloud) -> Sequence[str]:
    """What the operator should know before it happens."""
    said = ["rabbitmq: messages and passwords cross the management network unencrypted"]
    if len(cloud.names) == 2:
        said.append("rabbitmq: of two nodes neither may go on alone: the loss of either stops all messages")
    return tuple(said)


def definitions(site: Site) -> dict[str, Any]:
    """What must exist: the virtual host, the accounts that others claim, and the one that looks.

    Source: the HTTP API's `/api/definitions`; a `password` there is hashed by the broker when it is read. With the tag
    `management` an account may ask the API who it is, which is how its password is tried; it can see its own virtual
    host there, and nothing else.
    """
    claimed = [(claim.name, claim.secret) for claim in site.claims_on("messaging")]
    accounts = [{"name": name, "password": reference(secret), "tags": "management"} for name, secret in claimed]
    nothing = {"configure": "^$", "write": "^$", "read": "^$"}
    return {
        "vhosts": [{"name": VHOST}],
        "users": [{"name": LOOKER, "password": reference(LOOKER_SECRET), "tags": "monitoring"}, *accounts],
        "permissions": [
            {"user": LOOKER, "vhost": VHOST, **nothing},
            *({"user": name, "vhost": VHOST, **ALL} for name, _ in claimed),
        ],
    }


def resources(spec: RabbitSpec, site: Site, host: str) -> Sequence[Resource]:
    """Everything on the management network and this machine only."""
    cloud = site.cloud
    values = {
        "spec": spec,
        "cloud": cloud.cloud,
        "address": cloud.address(host),
        "erlang_address": "{" + cloud.address(host).replace(".", ",") + "}",
        "node": node(cloud, host),
        "nodes": [node(cloud, name) for name in cloud.names],
        "port": PORT,
        "api_port": API_PORT,
        "nodes_port": NODES_PORT,
        "names_port": NAMES_PORT,
        "definitions": DEFINITIONS,
        "program": REJOIN_PROGRAM,
        "looker": LOOKER,
    }

    def rendered(path: str, template: str, mode: int = 0o644) -> File:
        return File(path, render(__package__, template, **values), mode=mode)

    card = f"net/ipv4/neigh/{cloud.networks['management'].interface}"
    return (
        Package("rabbitmq-server"),
        *(Sysctl(f"{card}/{name}", value) for name, value in NEIGHBOURS.items()),
        Directory("/etc/rabbitmq"),
        Directory(DROP_IN.rpartition("/")[0]),
        Directory(NAMES_DROP_IN.rpartition("/")[0]),
        File(COOKIE, reference(COOKIE_SECRET), 0o400, OWNER, OWNER),
        rendered(CONFIG, "rabbitmq.conf.j2"),
        rendered(ADVANCED, "advanced.config.j2"),
        rendered(ENVIRONMENT, "rabbitmq-env.conf.j2"),
        rendered(DROP_IN, "unit.conf.j2"),
        rendered(NAMES_DROP_IN, "epmd-socket.conf.j2"),
        File(PLUGINS, "[rabbitmq_management].\n"),
        File(DEFINITIONS, json.dumps(definitions(site), indent=2) + "\n", 0o640, "root", OWNER),
        rendered(ACCOUNTS_FILE, "accounts.service.j2"),
        rendered(REJOIN_PROGRAM, "rejoin.j2", 0o755),
        rendered(REJOIN_FILE, "rejoin.service.j2"),
        Unit(NAMES_SOCKET, inputs=(NAMES_DROP_IN,)),
        Unit(UNIT, state="formed", inputs=(COOKIE, CONFIG, ADVANCED, ENVIRONMENT, PLUGINS, DROP_IN)),
        Unit(ACCOUNTS_UNIT, state="formed", inputs=(DEFINITIONS, ACCOUNTS_FILE)),
        Unit(REJOIN_UNIT, inputs=(REJOIN_PROGRAM, REJOIN_FILE)),
    )

"""Whose port is whose. (OpenStack Install Guide, Firewalls and default ports; each project's own guide.)"""

from __future__ import annotations

DATABASE = 3306
CACHE = 11211
MESSAGES = (5671, 5672)

APIS = {
    5000: "Keystone",
    35357: "Keystone",
    6385: "Ironic",
    8000: "Heat (CloudFormation)",
    8004: "Heat",
    8041: "Gnocchi",
    8042: "Aodh",
    8080: "Swift",
    8773: "Nova (EC2)",
    8774: "Nova",
    8775: "Nova (metadata)",
    8776: "Cinder",
    8777: "Ceilometer",
    8778: "Placement",
    8786: "Manila",
    9001: "Designate",
    9191: "Glance (registry)",
    9292: "Glance",
    9311: "Barbican",
    9511: "Magnum",
    9696: "Neutron",
    9876: "Octavia",
}
"""Services that answer HTTP and hold nothing: any of their servers does."""

ANYBODY_S = frozenset((8000, 8080, 9001))
"""Ports of APIs that other programs use as well: alone they tell nothing."""

CONSOLES = {6080: "noVNC", 6082: "SPICE", 6083: "the serial console"}

SERVICES = (
    APIS | CONSOLES | {DATABASE: "the database", CACHE: "memcached", MESSAGES[0]: "RabbitMQ", MESSAGES[1]: "RabbitMQ"}
)

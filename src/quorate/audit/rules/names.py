"""Names, addresses and ports that one file says and another one does not know."""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from quorate.audit.cluster import Cluster, agent, clusters, said, setting
from quorate.audit.estate import Document, Estate
from quorate.audit.node import Node, Place
from quorate.audit.ports import APIS, DATABASE, MESSAGES, SERVICES
from quorate.audit.proxies import Address, is_address, sections, ways
from quorate.audit.rule import Hit, Rule, Severity
from quorate.audit.vrrp import vips

_OPENSTACK = ("keystone", "nova", "neutron", "glance", "cinder", "heat", "placement", "ceilometer")
_CLIENT = re.compile(r"(.*_)?(connection|transport_url|url|uri|auth_host|registry_host|rabbit_hosts?)$")
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<rest>[^/\s?]+)")
_DEFAULTS = {"rabbit": 5672, "mysql": DATABASE, "mysql+pymysql": DATABASE, "rabbit_host": 5672, "rabbit_hosts": 5672}
"""Ports where a URL, by its scheme, or an option, by its name, says none."""
_FIGURES = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])")
_PROGRAMS = {"rabbitmq": MESSAGES[1], "mysql": DATABASE, "mariadb": DATABASE, "galera": DATABASE}
"""Agents of Pacemaker, by a part of their names, and the port of what they start."""


@dataclass(frozen=True)
class Target:
    """Whom a service asks: its option, and one of the addresses in it."""

    option: Node
    address: Address


def _targets(document: Document) -> Iterator[Target]:
    """Addresses in the options of an OpenStack service that say where others are; names of hosts are left out."""
    for node in document.root.walk():
        if len(node.words) == 2 and _CLIENT.match(node.name) and not node.name.startswith("bind"):
            url = _URL.match(node.value)
            default = _DEFAULTS.get(url["scheme"] if url else node.name)
            for part in (url["rest"] if url else node.value).split(","):
                host, colon, port = part.rpartition("@")[2].strip().rpartition(":")
                host = (host if colon else port).strip("[]")
                if is_address(host):
                    yield Target(node, Address(host, int(port) if colon and port.isdigit() else default))


def _asked(estate: Estate) -> Iterator[Target]:
    for document in estate.of(*_OPENSTACK):
        yield from _targets(document)


def _known(estate: Estate) -> set[str]:
    """Every address that is said anywhere but where a service asks for another one."""
    found: set[str] = set()
    for document in estate.documents:
        asked = {id(target.option) for target in _targets(document)} if document.kind in _OPENSTACK else set()
        for node in document.root.walk():
            if id(node) not in asked:
                found.update(address for word in node.words for address in _FIGURES.findall(word))
    return found


def _served(estate: Estate) -> Mapping[int, dict[str, Place]]:
    """Where services are, by port: behind HAProxy, or in a group of Pacemaker with an address of its own."""
    found: dict[int, dict[str, Place]] = defaultdict(dict)
    for section in sections(estate):
        for entrance, node in section.binds:
            if entrance.port and not entrance.anywhere:
                found[entrance.port][entrance.host] = node.place
    for cluster in clusters(estate):
        for group in cluster.root.all("group"):
            for port in _programs(cluster, group):
                # A group whose address has a wrong name has none: it is one of the others then.
                theirs = _addresses(cluster, group) or cluster.vips
                found[port] |= {said(setting(vip, "ip")): vip.place for vip in theirs}
    return found


def _members(cluster: Cluster, group: Node) -> list[Node]:
    return [cluster.resources[one.value] for one in group.all("member") if one.value in cluster.resources]


def _programs(cluster: Cluster, group: Node) -> set[int]:
    kinds = [agent(member).rpartition(":")[2] for member in _members(cluster, group)]
    return {port for kind in kinds for word, port in _PROGRAMS.items() if word in kind}


def _addresses(cluster: Cluster, group: Node) -> Iterable[Node]:
    return [member for member in _members(cluster, group) if member in cluster.vips]


_ANYBODY_S = (8000, 8080, 9001)
"""Ports that others use as well."""
_OURS = SERVICES.keys() - _ANYBODY_S


def wrong_service(estate: Estate) -> Iterable[Hit]:
    """Doors of one service that lead to the port of another."""
    for way in ways(estate):
        wanted = {SERVICES[port] for port in way.ports if port in _OURS}
        wrong = [
            server
            for server in way.section.servers
            if server.address.port in _OURS and SERVICES[server.address.port] not in wanted
        ]
        if wanted and len(way.ports) == 1 and wrong:
            port = wrong[0].address.port
            asks, gets = ", ".join(wanted), SERVICES[port] if port else ""
            told = f"{way.section.name}: {asks} is asked for at {min(way.ports)}, {gets} answers at {port}"
            yield Hit(wrong[0].node.place, told, tuple(server.node.place for server in wrong[1:]))


def nobody_there(estate: Estate) -> Iterable[Hit]:
    """Services asked for at an address that nothing else mentions, while they are at another of its network.

    An address of another network may be that of a balancer, or of a cloud, of which no file was read.
    """
    served, known = _served(estate), _known(estate)
    for target in _asked(estate):
        where = served.get(target.address.port or 0, {})
        host = target.address.host
        near = any(_network(host) == _network(other) for other in where if is_address(other))
        if near and host not in where and host not in known:
            told = f"{target.option.name}: {host}, where {SERVICES.get(target.address.port or 0, 'it')} is at "
            yield Hit(target.option.place, told + " or ".join(sorted(where)), tuple(where.values()))


def _network(host: str) -> str:
    """The network of an address, as large as they are for controllers: 24 bits, or 64 of IPv6."""
    return str(ipaddress.ip_interface(f"{host}/{64 if ':' in host else 24}").network)


def past_the_proxy(estate: Estate) -> Iterable[Hit]:
    """Databases asked for at one of the servers, though HAProxy stands before them."""
    doors = {found.host for way in ways(estate) if way.serves(DATABASE) for found, _ in way.entrances}
    servers = {
        server.address.host: server.node.place
        for way in ways(estate)
        if way.serves(DATABASE) and way.entrances
        for server in way.section.servers
    }
    for target in _asked(estate):
        host = target.address.host
        anywhere = any(Address(door, None).anywhere for door in doors)
        if target.address.port == DATABASE and host in servers and host not in doors and not anywhere:
            yield Hit(target.option.place, f"{target.option.name}: {host}", (servers[host],))


def nobody_brings_it(estate: Estate) -> Iterable[Hit]:
    """Addresses at which HAProxy listens and that neither move nor belong to a machine."""
    moving = set(vips(estate)) | {said(setting(vip, "ip")) for cluster in clusters(estate) for vip in cluster.vips}
    doors = [(found, node, one) for one in sections(estate) for found, node in one.binds]
    own = _own(estate)
    for found, node, section in doors if moving & {found.host for found, _, _ in doors} else ():
        if is_address(found.host) and not (found.anywhere or found.local or found.host in moving | own):
            yield Hit(node.place, f"{section.name}: {found.host}, while {', '.join(sorted(moving))} move")


def _own(estate: Estate) -> set[str]:
    """Addresses of machines, as far as any file but HAProxy's own doors tells of them."""
    found: set[str] = set()
    for document in estate.documents:
        for node in document.root.walk():
            if node.name != "bind":
                found.update(address for word in node.words[1:] for address in _FIGURES.findall(word))
    return found


def closed_door(estate: Estate) -> Iterable[Hit]:
    """URLs of APIs that lead to HAProxy's address, at a port where it does not listen. Others may listen for others."""
    open_ports: dict[str, set[int | None]] = defaultdict(set)
    places: dict[str, Place] = {}
    for section in sections(estate):
        for found, node in section.binds:
            open_ports["" if found.anywhere else found.host].add(found.port)
            places.setdefault(found.host, node.place)
    elsewhere = {
        said(setting(vip, "ip"))
        for cluster in clusters(estate)
        for vip in cluster.vips
        if vip.words[1] in cluster.holders
    }
    for target in _asked(estate):
        host, port = target.address.host, target.address.port
        there = open_ports[host] | open_ports[""]
        api = port in APIS and target.option.value.startswith("http")
        if api and host in places and host not in elsewhere and port not in there:
            yield Hit(target.option.place, f"{target.option.name}: {host}:{port}", (places[host],))


def two_machines(estate: Estate) -> Iterable[Hit]:
    """One name of a server for two addresses of a network."""
    first: dict[tuple[str, str], tuple[str, Place]] = {}
    told: set[tuple[str, str, str]] = set()
    for section in sections(estate):
        for server in section.servers:
            host = server.address.host
            if is_address(host):
                key = (section.host, f"{server.name} {_network(host)}")
                seen, place = first.setdefault(key, (host, server.node.place))
                if seen != host and (section.host, server.name, host) not in told:
                    told.add((section.host, server.name, host))
                    yield Hit(server.node.place, f"{server.name} is {host} here and {seen} there", (place,))


RULES = (
    Rule(
        "NAM001",
        Severity.ERROR,
        "a service's door leads to another service",
        "Clients get answers of a service that they did not ask for: 404, or a version that makes no sense.",
        "https://docs.openstack.org/install-guide/firewalls-default-ports.html",
        "Write the port of the service at its servers.",
        "",
        wrong_service,
    ),
    Rule(
        "NAM002",
        Severity.ERROR,
        "a service is asked for at an address that is not its own",
        "None of these files gives that address to anybody: the client waits for an answer until its timeout, and "
        "tries again for ever.",
        "https://docs.openstack.org/ha-guide/control-plane-stateless.html",
        "Write the address at which the service is.",
        "",
        nobody_there,
    ),
    Rule(
        "NAM003",
        Severity.ERROR,
        "the database is asked for at one controller",
        "HAProxy stands before the database, and this client goes past it: the loss of that one controller stops the "
        "service, and it writes to a node that others do not write to.",
        "https://docs.openstack.org/ha-guide/control-plane-stateful.html",
        "Write the VIP at which HAProxy takes connections for the database.",
        "power-cut of that controller: the service fails until it is back",
        past_the_proxy,
    ),
    Rule(
        "NAM004",
        Severity.WARNING,
        "HAProxy listens at an address that nobody brings up",
        "It is no VIP here, and no machine's as far as these files tell: HAProxy does not start, or listens where "
        "nobody comes.",
        "https://docs.haproxy.org/3.0/configuration.html#4.2-bind",
        "Write the VIP, or have Pacemaker or keepalived bring the address up.",
        "",
        nobody_brings_it,
    ),
    Rule(
        "NAM005",
        Severity.WARNING,
        "HAProxy does not listen where it is asked",
        "At that port of the VIP nobody answers, or only the service of the very controller that holds the VIP: "
        "unchecked, and alone.",
        "https://docs.openstack.org/install-guide/firewalls-default-ports.html",
        "Add a section for the port, or correct the client.",
        "",
        closed_door,
    ),
    Rule(
        "NAM006",
        Severity.NOTE,
        "one name stands for two machines",
        "Whoever takes `controller1` out of service, or reads its name in a log, means one machine and gets another.",
        "https://docs.haproxy.org/3.0/configuration.html#4.2-server",
        "Give each machine one name in all sections.",
        "",
        two_machines,
    ),
)

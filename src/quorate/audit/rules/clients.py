"""Clients of RabbitMQ and of the database: whom they know, what they ask for, how long they wait.

Sources: oslo.messaging (`transport.py`, `_drivers/impl_rabbit.py`), oslo.db (`options.py`, `sqlalchemy/engines.py`),
PyMySQL (`connections.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from quorate.audit.configs import (
    EVERY,
    LOOPBACK,
    Config,
    Peer,
    Url,
    configs,
    databases,
    parts,
    peer,
    several,
    transport,
)
from quorate.audit.estate import Estate
from quorate.audit.listeners import listeners, virtual_addresses
from quorate.audit.node import Node
from quorate.audit.rule import Hit, Rule, Severity

_MESSAGING = "https://docs.openstack.org/oslo.messaging/latest/configuration/opts.html"
_RABBIT = "oslo_messaging_rabbit"
_DURABLE = ("amqp_durable_queues", "rabbit_durable_queues")
_DB = "https://docs.openstack.org/oslo.db/latest/reference/opts.html"


def _urls(estate: Estate) -> Iterator[tuple[Config, Node, Url]]:
    for one in configs(estate, *EVERY):
        found = transport(one)
        if found and found[1].scheme in {"rabbit", "kombu", "amqp"}:
            yield one, *found


def one_broker(estate: Estate) -> Iterable[Hit]:
    """One place of several, as far as it is certain that it is no virtual address, and no name of several."""
    names = {document.host.partition(".")[0] for document in estate.documents}
    virtual = virtual_addresses(estate)
    for one, node, url in _urls(estate):
        host = url.peers[0].host if len(url.peers) == 1 else ""
        machine = re.fullmatch(r"[\d.]+|[\da-f:]+:[\da-f:]*", host) or host.partition(".")[0] in names
        if host and machine and host not in virtual and several(estate, one.kind):
            yield Hit(node.place, f"transport_url has one host only: {host}")


def proxied_broker(estate: Estate) -> Iterable[Hit]:
    """A load balancer between the service and its broker."""
    for _, node, url in _urls(estate):
        for listener in listeners(estate):
            found = [one for one in url.peers if listener.serves(Peer(one.host, one.port or 5672))]
            if found and listener.servers:
                yield Hit(node.place, f"transport_url leads to HAProxy at {found[0].host}", (listener.section.place,))
                break


def half_accounts(estate: Estate) -> Iterable[Hit]:
    """Hosts without an account, beside others with one."""
    for _, node, url in _urls(estate):
        without = [one.host for one in url.peers if one.user is None]
        if without and len(without) < len(url.peers):
            yield Hit(node.place, f"transport_url has no account for {', '.join(without)}")


def broken_url(estate: Estate) -> Iterable[Hit]:
    """A port that is none, or no scheme."""
    for one in configs(estate, *EVERY):
        node = one.option("DEFAULT", "transport_url")
        if node is None or not node.value or "$" in node.value or "{{" in node.value:
            continue
        split = parts(node.value)
        if split is None:
            yield Hit(node.place, "transport_url has brackets that are not around an address")
        elif not split.scheme:
            yield Hit(node.place, "transport_url has no scheme")
        elif any(_no_port(entry) for entry in split.netloc.split(",")):
            yield Hit(node.place, "transport_url has a port that is no number")


def _no_port(entry: str) -> bool:
    found = peer(entry)
    return found is None or not 0 <= found.port < 65536


def mirrored(estate: Estate) -> Iterable[Hit]:
    """Mirroring that is asked for in a way that RabbitMQ does not hear."""
    for one in configs(estate, *EVERY):
        found = one.option(_RABBIT, "rabbit_ha_queues") or one.option("DEFAULT", "rabbit_ha_queues")
        both = one.true(_RABBIT, "rabbit_quorum_queue")
        if found and found.value.lower() in {"true", "1", "yes", "on"} and not both:
            yield Hit(found.place, f"{found.name} = {found.value}")


def both_kinds(estate: Estate) -> Iterable[Hit]:
    """Quorum queues and mirrored ones at once."""
    for one in configs(estate, *EVERY):
        if one.true(_RABBIT, "rabbit_ha_queues") and one.true(_RABBIT, "rabbit_quorum_queue"):
            found = one.option(_RABBIT, "rabbit_ha_queues")
            other = one.option(_RABBIT, "rabbit_quorum_queue")
            if found and other:
                yield Hit(found.place, "rabbit_ha_queues and rabbit_quorum_queue are both true", (other.place,))


def unreplicated(estate: Estate) -> Iterable[Hit]:
    """Queues of one node, on a RabbitMQ that has no other classic ones."""
    replicated = any(
        "default_queue_type" in node.name and "quorum" in node.value
        for document in estate.of("rabbitmq")
        for node in document.root.walk()
    )
    for one, node, url in _urls(estate) if estate.since("rabbitmq", (4,)) and not replicated else ():
        if len(url.peers) > 1 and not one.true(_RABBIT, "rabbit_quorum_queue"):
            yield Hit(node.place, "several hosts, and rabbit_quorum_queue is not true")


def _durable(one: Config) -> bool:
    """Whether it declares durable exchanges and queues; with quorum queues it does so anyway."""
    return any(one.true(section, *_DURABLE, "rabbit_quorum_queue") for section in (_RABBIT, "DEFAULT"))


def _quorum(one: Config) -> bool:
    return one.true(_RABBIT, "rabbit_quorum_queue")


def contradictory(estate: Estate) -> Iterable[Hit]:
    """Queues and exchanges that services of one virtual host declare differently."""
    differing: set[str] = set()
    for what, names in ((_quorum, ("rabbit_quorum_queue",)), (_durable, _DURABLE)):
        said: dict[str, dict[bool, Node]] = {}
        for one in configs(estate, *EVERY):
            found = one.option(_RABBIT, *names) or one.option("DEFAULT", *names)
            at = transport(one)
            place = found or (at[0] if at else None)
            if place is not None:
                said.setdefault(at[1].path if at else "", {}).setdefault(what(one), place)
        for vhost, answers in said.items():
            if len(answers) > 1 and vhost not in differing:
                differing.add(vhost)
                more = f"{names[0]} is true here, and not everywhere in the vhost {vhost or '/'}"
                yield Hit(answers[True].place, more, (answers[False].place,))


def no_heartbeat(estate: Estate) -> Iterable[Hit]:
    """Nobody notices a dead broker."""
    for one in configs(estate, *EVERY):
        found = one.option(_RABBIT, "heartbeat_timeout_threshold")
        if found and one.number(_RABBIT, "heartbeat_timeout_threshold") == 0:
            yield Hit(found.place, "heartbeat_timeout_threshold = 0")


def transient(estate: Estate) -> Iterable[Hit]:
    """Quorum queues for requests, and none for their answers."""
    for one in configs(estate, *EVERY):
        found = one.option(_RABBIT, "rabbit_quorum_queue")
        other = one.option(_RABBIT, "rabbit_transient_quorum_queue")
        if found and one.true(_RABBIT, "rabbit_quorum_queue") and other and not one.true(_RABBIT, other.name):
            yield Hit(other.place, f"{other.name} = {other.value} beside rabbit_quorum_queue", (found.place,))


def _databases(estate: Estate) -> Iterator[tuple[Config, Node, Url]]:
    for one in configs(estate, *EVERY):
        for node, url in databases(one):
            yield one, node, url


def sqlite(estate: Estate) -> Iterable[Hit]:
    """A database in a file of one machine."""
    for _, node, url in _databases(estate):
        if url.scheme.startswith("sqlite"):
            yield Hit(node.place, f"{node.name} = {url.scheme}://…")


def driver(estate: Estate) -> Iterable[Hit]:
    """The driver that nobody installs, and that blocks a whole process."""
    for _, node, url in _databases(estate):
        if url.scheme in {"mysql", "mariadb", "mysql+mysqldb"}:
            yield Hit(node.place, f"{node.name} = {url.scheme}://…")


def _nodes(estate: Estate) -> dict[str, Node]:
    """The addresses of database nodes, and where it says that they are some."""
    found: dict[str, Node] = {}
    for document in estate.documents:
        for node in document.root.walk():
            if node.name.replace("-", "_") == "wsrep_cluster_address":
                for entry in node.value.strip("\"'").removeprefix("gcomm://").partition("?")[0].split(","):
                    found[entry.strip().partition(":")[0]] = node
    return {host: node for host, node in found.items() if host and not LOOPBACK.fullmatch(host)}


def one_node(estate: Estate) -> Iterable[Hit]:
    """One node of a cluster that has several; where HAProxy stands before it, NAM003 speaks of it."""
    nodes = _nodes(estate)
    proxied = any(listener.at.port == 3306 for listener in listeners(estate))
    for _, node, url in _databases(estate) if len(nodes) > 1 and not proxied else ():
        host = url.peers[0].host if len(url.peers) == 1 else ""
        if host in nodes:
            yield Hit(node.place, f"{node.name} leads to {host}, one of {len(nodes)} nodes", (nodes[host].place,))


def no_read_timeout(estate: Estate) -> Iterable[Hit]:
    """Answers that are waited for as long as the kernel does."""
    for one, node, url in _databases(estate):
        more = one.value("database", "connection_parameters")
        if url.scheme == "mysql+pymysql" and "read_timeout" not in url.query and "read_timeout" not in more:
            yield Hit(node.place, f"{node.name} has no read_timeout")


def tries_for_ever(estate: Estate) -> Iterable[Hit]:
    """Requests that wait for a database that is away."""
    for one in configs(estate, *EVERY):
        for section in ("database", "api_database"):
            found = one.option(section, "max_retries")
            if found and one.number(section, "max_retries") == -1:
                yield Hit(found.place, f"[{section}] max_retries = -1")


RULES = (
    Rule(
        "CLI001",
        Severity.ERROR,
        "a service knows one node of RabbitMQ only",
        "When that node's machine is lost the service has no messages, though the cluster lives.",
        f"{_MESSAGING}#DEFAULT.transport_url",
        "Name all nodes: rabbit://ACCOUNT@HOST1:5672,ACCOUNT@HOST2:5672,ACCOUNT@HOST3:5672/VHOST.",
        "power-cut on that node: calls fail until it is back",
        one_broker,
    ),
    Rule(
        "CLI002",
        Severity.WARNING,
        "messages go through a load balancer",
        "oslo.messaging finds another node by itself. Behind HAProxy it sees one address: a connection that HAProxy "
        "closes for being idle, or that dies with its node, looks like a broker that is gone, and is tried again "
        "there.",
        "https://docs.openstack.org/ha-guide/control-plane-stateful.html: access to RabbitMQ is not normally handled "
        "by HAProxy",
        "Name all nodes in transport_url.",
        "power-cut on the holder of the virtual IP: messages stop with it",
        proxied_broker,
    ),
    Rule(
        "CLI003",
        Severity.ERROR,
        "an account for some of RabbitMQ's nodes only",
        "oslo.messaging does not carry an account over to the next host: once it fails over to that node, it is "
        "refused.",
        "https://docs.openstack.org/oslo.messaging/latest/reference/transport.html#oslo_messaging.TransportURL",
        "Write the account before every host.",
        "power-cut on the node with the account: the service cannot log in at the next one",
        half_accounts,
    ),
    Rule(
        "CLI004",
        Severity.ERROR,
        "a transport_url that cannot be read",
        "The service ends with an error when it starts.",
        "https://docs.openstack.org/oslo.messaging/latest/reference/transport.html#oslo_messaging.TransportURL",
        "Write rabbit://ACCOUNT@HOST:PORT,ACCOUNT@HOST:PORT/VHOST, with special characters of a password as %XX.",
        "",
        broken_url,
    ),
    Rule(
        "CLI005",
        Severity.WARNING,
        "mirrored queues are asked for, and RabbitMQ does not hear it",
        "Since RabbitMQ 3.0 a queue is mirrored by a policy of the broker only; the argument that this option sends "
        "does nothing. RabbitMQ 4.0 has no mirrored queues at all. Without one of both a queue is lost with its node.",
        f"{_MESSAGING}#oslo_messaging_rabbit.rabbit_ha_queues",
        "Write rabbit_quorum_queue = true instead, on all services at once.",
        "power-cut on a queue's node: calls fail for about a minute, and messages are lost",
        mirrored,
    ),
    Rule(
        "CLI006",
        Severity.ERROR,
        "mirrored and quorum queues are both asked for",
        "oslo.messaging raises a RuntimeError: the service has no messages at all.",
        "https://opendev.org/openstack/oslo.messaging/src/branch/master/oslo_messaging/_drivers/impl_rabbit.py",
        "Take rabbit_ha_queues out.",
        "",
        both_kinds,
    ),
    Rule(
        "CLI007",
        Severity.WARNING,
        "queues of one node only",
        "RabbitMQ 4 replicates quorum queues and streams only. A classic queue is gone while its node is: calls to it "
        "fail, and its messages may be lost.",
        "https://www.rabbitmq.com/docs/quorum-queues",
        "Write rabbit_quorum_queue = true, rabbit_transient_quorum_queue = true and use_queue_manager = true, on all "
        "services at once.",
        "power-cut on a queue's node: calls fail for about a minute, with quorum queues for about 9 s",
        unreplicated,
    ),
    Rule(
        "CLI008",
        Severity.WARNING,
        "services of one virtual host declare queues differently",
        "Whoever comes second to an exchange or queue that both use, such as that of notifications, is refused with "
        "PRECONDITION_FAILED: it tries again for ever, or goes on with one that is lost with its node.",
        "https://www.rabbitmq.com/docs/queues#property-equivalence",
        "Write the same everywhere, and delete the queues and exchanges of the old kind.",
        "",
        contradictory,
    ),
    Rule(
        "CLI009",
        Severity.ERROR,
        "no heartbeats to RabbitMQ",
        "When a node disappears without a word the service waits until the kernel gives the connection up: about a "
        "quarter of an hour.",
        f"{_MESSAGING}#oslo_messaging_rabbit.heartbeat_timeout_threshold",
        "Take it out; the default is 60 s.",
        "silent-cut on a node: calls over it fail for minutes",
        no_heartbeat,
    ),
    Rule(
        "CLI010",
        Severity.WARNING,
        "quorum queues for calls, and none for their answers",
        "Queues of replies and of fan-outs stay classic ones: they are lost with their node, and RabbitMQ 4.3 refuses "
        "those that are transient.",
        f"{_MESSAGING}#oslo_messaging_rabbit.rabbit_transient_quorum_queue",
        "Write rabbit_transient_quorum_queue = true and use_queue_manager = true, on all services at once.",
        "power-cut on a queue's node: calls wait for answers that do not come",
        transient,
    ),
    Rule(
        "CLI011",
        Severity.ERROR,
        "a database in a file of one machine",
        "Each controller has a database of its own, and no other one has it when the machine is lost.",
        f"{_DB}#database.connection",
        "Write mysql+pymysql:// and the virtual IP.",
        "",
        sqlite,
    ),
    Rule(
        "CLI012",
        Severity.WARNING,
        "a database driver that OpenStack does not use",
        "mysql:// means mysqlclient for SQLAlchemy. It is no requirement of OpenStack, and often not installed; in "
        "services with green threads it stops the whole process until the database answers.",
        "https://docs.sqlalchemy.org/en/20/dialects/mysql.html",
        "Write mysql+pymysql://.",
        "",
        driver,
    ),
    Rule(
        "CLI013",
        Severity.ERROR,
        "a service uses one node of the database's cluster",
        "When that node is lost the service has no database, though the cluster lives; and several such services write "
        "to several nodes, which gives deadlocks.",
        f"{_DB}#database.connection",
        "Put HAProxy before the nodes, with one of them for all writes, and write the virtual IP.",
        "power-cut on that node: requests fail until it is back",
        one_node,
    ),
    Rule(
        "CLI014",
        Severity.NOTE,
        "an answer of the database is waited for without a limit",
        "PyMySQL has no read timeout of its own. When the database's machine disappears without a word, a request that "
        "waits for it hangs until the kernel gives up: about a quarter of an hour by default.",
        "https://pymysql.readthedocs.io/en/latest/modules/connections.html",
        "Add &read_timeout=30&connect_timeout=3 to the connection, or lower net.ipv4.tcp_retries2.",
        "silent-cut on the database's writer: requests that were under way hang",
        no_read_timeout,
    ),
    Rule(
        "CLI015",
        Severity.NOTE,
        "a service waits for its database for ever",
        "As long as the database is away, whatever needs the first connection of a process hangs, a request of a user "
        "too, and nobody is told why. It does let services come up in any order after a loss of power.",
        f"{_DB}#database.max_retries",
        "Leave it if the services start before the database; otherwise a few tries, and let the unit be restarted.",
        "all-at-once",
        tries_for_ever,
    ),
)

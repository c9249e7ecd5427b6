"""Members of one cluster, servers of one pool: what they have to agree on, and what is each one's own."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator

from quorate.audit.estate import Estate
from quorate.audit.rule import Hit, Rule, Severity
from quorate.audit.rules.equal import Said, alike, unlike
from quorate.audit.rules.galera import Server, members
from quorate.audit.rules.galera_members import host
from quorate.audit.rules.galera_provider import options
from quorate.audit.rules.nutcracker import first, name, servers
from quorate.audit.rules.rabbitmq import brokers


def pools(estate: Estate) -> Iterable[Hit]:
    """Pools of one name: who serves a key must not depend on whom one asks."""
    found: dict[str, list[Said]] = {}
    for document in estate.of("nutcracker"):
        for pool in document.root.inside:
            spread = pool.get("distribution", default="ketama")
            ring = [(name(server), first(server)) for server in servers(pool) if first(server)]
            how = (spread, pool.get("hash", default="fnv1a_64"), pool.get("hash_tag"))
            value = (how, frozenset(ring) if spread == "ketama" else tuple(ring))
            shown = f"{pool.name}: {'/'.join(filter(None, how))} over {', '.join(sorted(one for one, _ in ring))}"
            found.setdefault(pool.name, []).append(Said(document.host, value, shown, pool.place))
    for said in found.values():
        yield from unlike(said)


def _of_members(estate: Estate, option: str, read: Callable[[str], Hashable] = str.strip) -> Iterator[Said]:
    for member in members(estate):
        if member.get(option):
            yield Said(
                member.host, read(member.get(option)), f"{option} = {member.get(option)}", member.options[option].place
            )


def clusters(estate: Estate) -> Iterable[Hit]:
    """The name of the cluster."""
    yield from unlike(_of_members(estate, "wsrep_cluster_name"))


def member_settings(estate: Estate) -> Iterable[Hit]:
    """What members have to agree on, and the timers by which they miss each other."""
    for option in (
        "wsrep_sst_method", "lower_case_table_names", "innodb_flush_log_at_trx_commit", "sql_mode",
        "character_set_server", "collation_server", "max_allowed_packet", "innodb_page_size",
    ):  # fmt: skip
        yield from unlike(_of_members(estate, option, str.lower))
    yield from unlike(_timers(member) for member in members(estate) if "wsrep_provider_options" in member.options)


def _timers(member: Server) -> Said:
    found = {key: value for key, value in options(member).items() if key.startswith("evs.")}
    shown = "; ".join(f"{key}={value}" for key, value in sorted(found.items())) or "evs.*: as Galera has them"
    return Said(member.host, frozenset(found.items()), shown, member.options["wsrep_provider_options"].place)


def member_names(estate: Estate) -> Iterable[Hit]:
    """The name and the address of a member."""
    yield from alike(_of_members(estate, "wsrep_node_name"))
    yield from alike(_of_members(estate, "wsrep_node_address", host))


def broker_settings(estate: Estate) -> Iterable[Hit]:
    """What RabbitMQ's nodes have to agree on."""
    for key, path in (
        ("cluster_partition_handling", ("rabbit", "cluster_partition_handling")),
        ("net_ticktime", ("kernel", "net_ticktime")),
    ):
        found = ((broker.host, broker.find(key, *path)) for broker in brokers(estate))
        yield from unlike(
            Said(machine, node.value, f"{key} = {node.value}", node.place) for machine, node in found if node
        )
    yield from unlike(
        Said(
            broker.host,
            frozenset(peer.value for peer in peers),
            f"nodes: {', '.join(sorted(peer.value for peer in peers))}",
            peers[0].place,
        )
        for broker in brokers(estate)
        if (peers := broker.peers())
    )


def broker_names(estate: Estate) -> Iterable[Hit]:
    """The names of RabbitMQ's nodes; one for localhost is of a node that is nobody's neighbour."""
    found = ((broker.host, broker.variable("NODENAME")) for broker in brokers(estate))
    yield from alike(
        Said(machine, node.value, f"{node.name}={node.value}", node.place)
        for machine, node in found
        if node and "@" in node.value and not node.value.endswith("@localhost")
    )


RULES = (
    Rule(
        "EQU002",
        Severity.ERROR,
        "twemproxy's pools differ between controllers",
        "Names, weights, hash and distribution decide which server has a key: a controller reads and deletes elsewhere "
        "than the others write.",
        "https://github.com/twitter/twemproxy/blob/master/notes/recommendation.md",
        "Write the same pool on all controllers, with names for the servers.",
        "",
        pools,
    ),
    Rule(
        "EQU005",
        Severity.ERROR,
        "members of different clusters",
        "A node joins only those whose wsrep_cluster_name it has.",
        "https://mariadb.com/kb/en/galera-cluster-system-variables/#wsrep_cluster_name",
        "Write the same wsrep_cluster_name on all members.",
        "",
        clusters,
    ),
    Rule(
        "EQU006",
        Severity.WARNING,
        "members of one cluster are set up differently",
        "A copy needs the same method on both sides, a statement means something else in another mode, and members "
        "with other timers do not give up the same ones at the same time.",
        "https://mariadb.com/kb/en/galera-cluster-system-variables/",
        "Write the same values on all members.",
        "silent-cut: how long writes stand still, by whom is lost",
        member_settings,
    ),
    Rule(
        "EQU007",
        Severity.ERROR,
        "two members have the same name or address",
        "The address is where a copy is sent and where the others look for the member: one of the two is not found, or "
        "both fail to join.",
        "https://mariadb.com/kb/en/galera-cluster-system-variables/#wsrep_node_address",
        "Write each member's own name and address.",
        "",
        member_names,
    ),
    Rule(
        "EQU008",
        Severity.ERROR,
        "RabbitMQ's nodes are set up differently",
        "With other strategies for partitions or other tick times the nodes do not agree who is gone; with other lists "
        "of nodes they form several clusters at their first start.",
        "https://www.rabbitmq.com/docs/partitions",
        "Write the same values on all nodes.",
        "partition-halves: the cluster is in two parts after the network is back",
        broker_settings,
    ),
    Rule(
        "EQU009",
        Severity.ERROR,
        "two nodes of RabbitMQ have one name",
        "A name is of one node only: the second one is refused.",
        "https://www.rabbitmq.com/docs/clustering#node-names",
        "Write NODENAME=rabbit@ and each machine's own name.",
        "",
        broker_names,
    ),
)

"""RabbitMQ's nodes: how many, what they do when they lose sight of each other, and what stops their clients."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice

from quorate.audit.estate import Estate
from quorate.audit.near import MISSPELT, nearest
from quorate.audit.node import Node
from quorate.audit.rule import Hit, Rule, Severity

DOCS = "https://www.rabbitmq.com/docs"
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@dataclass(frozen=True)
class Broker:
    """What one node reads: rabbitmq.conf, Erlang terms (advanced.config, rabbitmq.config), its environment.

    `main`: rabbitmq.conf itself was read, so that what is not said anywhere is not set.
    """

    host: str
    conf: Node | None
    terms: Node | None
    env: Node | None
    main: bool

    def find(self, key: str, *path: str) -> Node | None:
        """Where a setting is said: by its key, or by its path in the terms, which count more."""
        found = self.terms.last(*path) if self.terms and path else None
        return found or (self.conf.last(key) if self.conf else None)

    def starting(self, *prefixes: str) -> tuple[Node, ...]:
        """The lines of rabbitmq.conf whose keys begin so."""
        return tuple(node for node in self.conf.inside if node.name.startswith(prefixes)) if self.conf else ()

    def variable(self, name: str) -> Node | None:
        """A variable of its environment, with or without `RABBITMQ_`."""
        return (self.env.last(name) or self.env.last(f"RABBITMQ_{name}")) if self.env else None

    def peers(self) -> tuple[Node, ...]:
        """The nodes that the cluster is formed of, as they are listed."""
        listed = self.starting("cluster_formation.classic_config.nodes.")
        terms = self.terms.last("rabbit", "cluster_nodes") if self.terms else None
        return listed or tuple(node for node in (terms.walk() if terms is not None else ()) if "@" in node.value)


def brokers(estate: Estate) -> Iterator[Broker]:
    """Every node of which a file was read."""
    conf, terms, env = (estate.merged(kind) for kind in ("rabbitmq", "rabbitmq-terms", "rabbitmq-env"))
    main = {one.host for one in estate.of("rabbitmq") if one.text.path.rpartition("/")[2] == "rabbitmq.conf"}
    for host in dict.fromkeys((*conf, *terms, *env)):
        yield Broker(host, conf.get(host), terms.get(host), env.get(host), host in main)


def commands(estate: Estate, *words: str) -> Iterator[Node]:
    """Commands of scripts in which these words stand."""
    for document in estate.of("shell"):
        yield from (node for node in document.root.inside if set(words) <= set(node.words))


def mirrored(estate: Estate) -> Iterator[Hit]:
    """Policies that mirror queues, in definitions and in scripts."""
    for document in estate.of("rabbitmq-definitions"):
        for kind in document.root.all("policies", "operator_policies"):
            for policy in kind.inside:
                if mode := policy.last("definition", "ha-mode"):
                    yield Hit(mode.place, f"{policy.get('name')}: ha-mode {mode.value}")
    for command in commands(estate, "set_policy"):
        if "ha-mode" in command.value:
            yield Hit(command.place, f"{command.name} {command.value}")


def ram_nodes(estate: Estate) -> Iterable[Hit]:
    """Nodes that keep nothing on disk."""
    for broker in brokers(estate):
        kind = broker.find("cluster_formation.node_type")
        if kind is not None and kind.value == "ram":
            yield Hit(kind.place, "cluster_formation.node_type = ram")
        terms = broker.terms.last("rabbit", "cluster_nodes") if broker.terms else None
        if terms is not None and any("ram" in node.words[1:] for node in terms.walk()):
            yield Hit(terms.place, "cluster_nodes … ram")
    for command in (*commands(estate, "join_cluster", "--ram"), *commands(estate, "rabbitmqctl", "cluster")):
        yield Hit(command.place, f"{command.name} {command.value}")


def ignored_partitions(estate: Estate) -> Iterable[Hit]:
    """`ignore`, said, or by default in a cluster."""
    if estate.since("rabbitmq", (4, 3)):
        return
    for broker in brokers(estate):
        handling = broker.find("cluster_partition_handling", "rabbit", "cluster_partition_handling")
        if handling is not None and handling.value == "ignore":
            yield Hit(handling.place, "cluster_partition_handling = ignore")
        elif handling is None and broker.main and broker.peers() and estate.since("rabbitmq", (4, 2)) is False:
            yield Hit(broker.peers()[0].place, "cluster_partition_handling is not set: ignore")


def healed_by_loss(estate: Estate) -> Iterable[Hit]:
    """`autoheal`."""
    for broker in brokers(estate):
        handling = broker.find("cluster_partition_handling", "rabbit", "cluster_partition_handling")
        if handling is not None and handling.value == "autoheal" and not estate.since("rabbitmq", (4, 3)):
            yield Hit(handling.place, "cluster_partition_handling = autoheal")


def unheeded(estate: Estate) -> Iterable[Hit]:
    """What a release accepts and does not do."""
    for broker in brokers(estate):
        if estate.since("rabbitmq", (4, 3)):
            yield from (Hit(node.place, node.name) for node in broker.starting("cluster_partition_handling"))
        if estate.since("rabbitmq", (4, 0)):
            gone = broker.starting("vm_memory_high_watermark_paging_ratio", "queue_master_locator")
            yield from (Hit(node.place, node.name) for node in gone)


def pairs(estate: Estate) -> Iterable[Hit]:
    """A cluster of two."""
    for broker in brokers(estate):
        peers = broker.peers()
        if len({node.value for node in peers}) == 2:
            yield Hit(peers[0].place, f"nodes: {', '.join(node.value for node in peers)}")


@cache
def _known() -> tuple[str, ...]:
    return tuple(importlib.resources.files("quorate.audit").joinpath("known/rabbitmq.txt").read_text().split())


@cache
def _patterns() -> re.Pattern[str]:
    parts = (re.sub(r"\\\$\w+", lambda _: r"[^.]+", re.escape(key)) for key in _known())
    return re.compile("|".join(parts))


def _plain(node: Node) -> str:
    """A key, with dots only where parts begin."""
    return node.name.replace("\\.", "-")


def unknown_keys(estate: Estate) -> Iterable[Hit]:
    """Keys that no release has, and nearly one that there is: a plugin of somebody else brings keys of its own."""
    for document in estate.of("rabbitmq"):
        strange = (node for node in document.root.inside if not _patterns().fullmatch(_plain(node)))
        for node in islice(strange, MISSPELT):
            key = _plain(node)
            meant = nearest(key, _known(), 0.8)
            # 4.3 makes the keys of sockets and of TLS anew wherever they belong: not all of them are in the list.
            is_like = meant and meant.count(".") == key.count(".") and "$" not in meant
            if is_like and "_options" not in key:
                yield Hit(node.place, f"{node.name} (is it {meant}?)")


def size(text: str) -> int | None:
    """How many bytes `50MB`, `2GiB` or `50000` are; None where it is no size."""
    match = re.fullmatch(r"(\d+)\s*([kmgt]?)(i?)b?", text.lower())
    return int(match[1]) * (_BINARY if match[3] else _UNITS).get(match[2], 1) if match else None


def full_disks(estate: Estate) -> Iterable[Hit]:
    """The limit of a laptop, said or by default."""
    for broker in brokers(estate):
        said = broker.starting("disk_free_limit")
        terms = broker.terms.last("rabbit", "disk_free_limit") if broker.terms else None
        if broker.conf and broker.main and not said and terms is None:
            yield Hit(broker.conf.place, "disk_free_limit is not set: 50 MB")
        for node in (*said, *((terms,) if terms else ())):
            room = size(node.value) if node.name != "disk_free_limit.relative" else None
            if room is not None and room <= 50 << 20:
                yield Hit(node.place, f"{node.name} = {node.value}")


def watermarks(estate: Estate) -> Iterable[Hit]:
    """A share of the memory that blocks everything, or that leaves too little."""
    for broker in brokers(estate):
        node = broker.find("vm_memory_high_watermark.relative", "rabbit", "vm_memory_high_watermark")
        if node is None or broker.starting("vm_memory_high_watermark.absolute"):
            continue
        if re.fullmatch(r"\d*\.?\d+", node.value) and (float(node.value) == 0 or float(node.value) > 0.7):
            yield Hit(node.place, f"{node.name} = {node.value}")


def no_heartbeats(estate: Estate) -> Iterable[Hit]:
    """Heartbeats that the server does not ask for."""
    for broker in brokers(estate):
        beat = broker.find("heartbeat", "rabbit", "heartbeat")
        if beat is not None and beat.value == "0":
            yield Hit(beat.place, "heartbeat = 0")


def slow_ticks(estate: Estate) -> Iterable[Hit]:
    """A node that is missed after more than a minute."""
    for broker in brokers(estate):
        tick = broker.find("net_ticktime", "kernel", "net_ticktime")
        if tick is not None and tick.value.isdecimal() and int(tick.value) > 60:
            yield Hit(tick.place, f"net_ticktime {tick.value} s")


def unreachable_names(estate: Estate) -> Iterable[Hit]:
    """A node of a cluster whose name leads nobody to it."""
    for broker in brokers(estate):
        name = broker.variable("NODENAME")
        if name is not None and broker.peers() and name.value.rpartition("@")[2] in ("localhost", "127.0.0.1"):
            yield Hit(name.place, f"{name.name}={name.value}")


RULES = (
    Rule(
        "RMQ001",
        Severity.ERROR,
        "a policy mirrors queues, and this release mirrors none",
        "Since 4.0 the ha- keys of a policy have no effect: classic queues have one copy, and are gone with its node "
        "until that comes back.",
        f"{DOCS}/migrate-mcq-to-qq",
        "Make quorum queues: rabbit_quorum_queue = true in every service, then take the policy out.",
        "messages-killed: publishers wait, messages are not found",
        lambda estate: mirrored(estate) if estate.since("rabbitmq", (4, 0)) else (),
    ),
    Rule(
        "RMQ002",
        Severity.WARNING,
        "queues are mirrored, which ends with RabbitMQ 4.0",
        "Mirrored classic queues are deprecated since 3.9 and removed in 4.0, where the policy has no effect any more. "
        "A mirror that joins is empty, so that messages are lost when its leader goes first.",
        f"{DOCS}/migrate-mcq-to-qq",
        "Make quorum queues: rabbit_quorum_queue = true in every service, then take the policy out.",
        "power-cut: how long publishers wait, and confirmed messages that are not found",
        lambda estate: () if estate.since("rabbitmq", (4, 0)) else mirrored(estate),
    ),
    Rule(
        "RMQ003",
        Severity.WARNING,
        "a node keeps what it knows in memory only",
        "A RAM node is no copy: after all machines went down the cluster is what the disc nodes remember. It is "
        "deprecated, and gone in 4.3; `rabbitmqctl cluster` is gone since 3.0.",
        f"{DOCS}/clustering#cluster-node-types",
        "Let every node be a disc node: join_cluster without --ram, cluster_formation.node_type = disc.",
        "all-at-once: which queues and accounts are there afterwards",
        ram_nodes,
    ),
    Rule(
        "RMQ004",
        Severity.ERROR,
        "a cluster that parts stays parted",
        "Both sides go on and take messages for queues of the same names. They do not become one again when the "
        "network is back, until a person restarts one of them.",
        f"{DOCS}/partitions",
        "Write cluster_partition_handling = pause_minority, with three nodes or more.",
        "partition-halves: the cluster is in two parts after the network is back",
        ignored_partitions,
    ),
    Rule(
        "RMQ005",
        Severity.WARNING,
        "a cluster that parts heals by throwing one side away",
        "With autoheal both sides take messages while they are apart. Then the side with fewer clients is restarted, "
        "and what only it had is lost.",
        f"{DOCS}/partitions",
        "Write cluster_partition_handling = pause_minority, with three nodes or more.",
        "partition-halves: confirmed messages that are not found",
        healed_by_loss,
    ),
    Rule(
        "RMQ006",
        Severity.NOTE,
        "this release does not heed a setting",
        "It is accepted and does nothing: 4.3 knows no strategies for partitions; 4.0 pages nothing out, and asks "
        "queue_leader_locator where a queue goes.",
        "https://github.com/rabbitmq/rabbitmq-server/blob/main/release-notes/4.3.0.md",
        "Take it out; for queue_master_locator write queue_leader_locator = balanced.",
        "",
        unheeded,
    ),
    Rule(
        "RMQ007",
        Severity.WARNING,
        "two nodes have no majority without each other",
        "When one is lost, quorum queues stop, and with pause_minority the other node stops itself.",
        f"{DOCS}/clustering#node-count",
        "Make the cluster of three nodes.",
        "power-cut: no messages until the machine is back",
        pairs,
    ),
    Rule(
        "RMQ008",
        Severity.ERROR,
        "rabbitmq.conf has a key that there is not",
        "`You've tried to set …, but there is no setting with that name`, and the node does not start.",
        f"{DOCS}/configure#config-file",
        "Write the key as the manual has it.",
        "",
        unknown_keys,
    ),
    Rule(
        "RMQ009",
        Severity.WARNING,
        "publishers are stopped only when the disk is all but full",
        "With 50 MB left there is no time to stop them: the disk fills, and the node ends, which can cost messages. "
        "50 MB is meant for trying RabbitMQ out.",
        f"{DOCS}/production-checklist",
        "Write disk_free_limit.absolute = 2GB or more.",
        "disk-full-messages: whether the node lives",
        full_disks,
    ),
    Rule(
        "RMQ010",
        Severity.WARNING,
        "the memory's high watermark is of no use",
        "0 blocks every publisher at once, where it is taken at all. Above 0.7 too little is left for garbage "
        "collection and everything else on a controller, and the kernel kills somebody.",
        f"{DOCS}/memory",
        "Write vm_memory_high_watermark.relative = 0.4, or an absolute size where other services share the machine.",
        "memory-pressure: who is killed",
        watermarks,
    ),
    Rule(
        "RMQ011",
        Severity.WARNING,
        "the server asks for no heartbeats",
        "A client that has none of its own stays connected to a dead peer until the kernel gives up, after 11 minutes; "
        "its consumers keep their messages for so long.",
        f"{DOCS}/heartbeats",
        "Take heartbeat out (60 s), and keep it on in the services.",
        "silent-cut: how long consumers wait",
        no_heartbeats,
    ),
    Rule(
        "RMQ012",
        Severity.WARNING,
        "nodes miss each other after minutes",
        "A node that vanished is missed after net_ticktime and up to a quarter more. For so long classic queues and "
        "whoever asks for them wait.",
        f"{DOCS}/nettick",
        "Write net_ticktime = 10 to 60, the same on all nodes.",
        "silent-cut: how long publishers wait",
        slow_ticks,
    ),
    Rule(
        "RMQ013",
        Severity.ERROR,
        "a node of a cluster is named for localhost",
        "The other nodes look for it under that name, on themselves: it cannot join.",
        f"{DOCS}/clustering#node-names",
        "Write NODENAME=rabbit@ and the name or address that all nodes find the machine by.",
        "",
        unreachable_names,
    ),
)

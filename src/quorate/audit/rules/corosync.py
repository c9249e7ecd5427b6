"""Corosync: who belongs to the cluster, who hears whom, and who may go on alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from quorate.audit.cluster import clusters, said
from quorate.audit.estate import Estate
from quorate.audit.node import Place
from quorate.audit.rings import COEFFICIENT_MS, TOKEN_MS, Ring, rings
from quorate.audit.rule import Hit, Rule, Severity

_CONF = "corosync.conf(5), https://github.com/corosync/corosync/blob/main/man/corosync.conf.5"
_VOTES = "votequorum(5), https://github.com/corosync/corosync/blob/main/man/votequorum.5"
_CONFIG_C = "https://github.com/corosync/corosync/blob/main/exec/totemconfig.c"
LONG_TOKEN_MS = 10_000
OLD = ("amf", "aisexec", "service")
"""Sections of Corosync 1 that nothing reads any more."""
FEWEST = 10
"""Different characters of a key. Even a decimal number has so many, and what corosync-keygen makes about a hundred."""


def _totem(ring: Ring) -> Place:
    return ring.root.all("totem")[0].place


def open_talk(estate: Estate) -> Iterable[Hit]:
    """Clusters that believe whatever they are told. Corosync 2 encrypts unless it is told not to, 3 only if it is."""
    for ring in rings(estate):
        asked = [ring.root.last("totem", name) for name in ("secauth", "crypto_cipher", "crypto_hash")]
        off = [node for node in asked if node and node.value in ("off", "none", "no")]
        silent = ring.knet and not any(asked)
        if off and not any(node and node.value not in ("off", "none", "no") for node in asked):
            yield Hit(off[-1].place, " ".join(off[-1].words))
        elif silent:
            yield Hit(_totem(ring), "neither crypto_cipher nor crypto_hash is set")


def one_link(estate: Estate) -> Iterable[Hit]:
    """Transports without encryption and with one link, as they are in Corosync 3."""
    for ring in rings(estate):
        if ring.transport and ring.transport.value in ("udp", "udpu") and ring.modern is not False:
            yield Hit(ring.transport.place, f"transport: {ring.transport.value}")


def early_consensus(estate: Estate) -> Iterable[Hit]:
    """Clusters that begin anew before they could have agreed."""
    for ring in rings(estate):
        consensus, nodes = ring.root.last("totem", "consensus"), len(ring.nodes)
        if consensus and consensus.value.isdigit() and nodes > 2:
            token = ring.number("totem", "token")
            coefficient = ring.number("totem", "token_coefficient")
            base = TOKEN_MS if token is None else token
            whole = base + (nodes - 2) * (COEFFICIENT_MS if coefficient is None else coefficient)
            known = token is not None or ring.modern
            if known and int(consensus.value) < whole:
                said = f"consensus {consensus.value} ms, token {whole} ms with {nodes} nodes"
                yield Hit(consensus.place, said)


def slow_token(estate: Estate) -> Iterable[Hit]:
    """Clusters that wait long before they miss somebody."""
    for ring in rings(estate):
        token = ring.root.last("totem", "token")
        if token and token.value.isdigit() and int(token.value) >= LONG_TOKEN_MS:
            yield Hit(token.place, f"token: {token.value}")


def two_that_are_not_two(estate: Estate) -> Iterable[Hit]:
    """`two_node` where there are more or fewer, or beside what it does not go with."""
    for ring in rings(estate):
        two = ring.on("quorum", "two_node")
        if two and len(ring.nodes) > 2:
            yield Hit(two.place, f"two_node: {two.value}, with {len(ring.nodes)} nodes")
        for other in (ring.qdevice, ring.on("quorum", "auto_tie_breaker")) if two else ():
            if other and two:
                yield Hit(two.place, f"two_node: {two.value} beside {' '.join(other.words)}", (other.place,))


def alone_at_once(estate: Estate) -> Iterable[Hit]:
    """Two nodes of which each may begin without having seen the other."""
    for ring in rings(estate):
        wait = ring.root.last("quorum", "wait_for_all")
        if ring.on("quorum", "two_node") and wait and wait.value == "0":
            yield Hit(wait.place, "two_node: 1 and wait_for_all: 0")


def none_may_go_on(estate: Estate) -> Iterable[Hit]:
    """Two nodes of which neither may go on alone, unless Pacemaker was told not to ask."""
    ignored = any(said(cluster.property("no-quorum-policy")) == "ignore" for cluster in clusters(estate))
    for ring in () if ignored else rings(estate):
        votes = {node.get("quorum_votes", default="1") for node in ring.nodes}
        alone = ring.on("quorum", "two_node") or ring.on("quorum", "auto_tie_breaker") or ring.qdevice
        if len(ring.nodes) == 2 and votes == {"1"} and _quorum(ring) and not alone:
            yield Hit(ring.root.all("nodelist")[0].place, "two nodes, neither two_node nor a quorum device")


def _quorum(ring: Ring) -> bool:
    return ring.root.get("quorum", "provider") == "corosync_votequorum"


def no_quorum(estate: Estate) -> Iterable[Hit]:
    """Clusters that count nobody."""
    for ring in rings(estate):
        if not _quorum(ring):
            said = ring.root.get("quorum", "provider")
            yield Hit(_totem(ring), f"quorum.provider is {said}" if said else "there is no quorum.provider")


def of_another_age(estate: Estate) -> Iterable[Hit]:
    """Statements that Corosync does not read any more."""
    for ring in rings(estate):
        for node in ring.root.all(*OLD):
            yield Hit(node.place, f"{node.name} {{ }}")
        for totem in ring.root.all("totem"):
            for node in totem.all("vsftype", *(("rrp_mode", "threads") if ring.modern is not False else ())):
                yield Hit(node.place, ": ".join(node.words))


def unnamed(estate: Estate) -> Iterable[Hit]:
    """Members without a number, which knet wants."""
    for ring in rings(estate):
        for node in ring.nodes if ring.knet else ():
            if node.get("nodeid") in ("", "0"):
                yield Hit(node.place, f"the node {node.get('name') or node.get('ring0_addr')} has no nodeid")


def twice(estate: Estate) -> Iterable[Hit]:
    """Numbers, names and addresses that two members have."""
    for ring in rings(estate):
        for key in ("nodeid", "name", *(f"ring{number}_addr" for number in range(8))):
            said = [found for node in ring.nodes if (found := node.last(key))]
            counts = Counter(node.value for node in said)
            for node in said:
                first = next(one for one in said if one.value == node.value)
                if counts[node.value] > 1 and node is not first:
                    yield Hit(node.place, f"{key}: {node.value} is another node's, too", (first.place,))


def at_itself(estate: Estate) -> Iterable[Hit]:
    """Members at an address that every machine has for itself."""
    for ring in rings(estate):
        for node in ring.nodes:
            for found in node.inside:
                if found.name.startswith("ring") and (
                    found.value.startswith("127.") or found.value in ("::1", "localhost")
                ):
                    yield Hit(found.place, ": ".join(found.words))


def miscounted(estate: Estate) -> Iterable[Hit]:
    """Votes that are expected and are not those there are."""
    for ring in rings(estate):
        expected = ring.root.last("quorum", "expected_votes")
        own = [node.get("quorum_votes", default="1") for node in ring.nodes]
        if expected and expected.value.isdigit() and own and all(vote.isdigit() for vote in own) and not ring.qdevice:
            votes = sum(int(vote) for vote in own)
            if int(expected.value) != votes:
                yield Hit(expected.place, f"expected_votes: {expected.value}, while the nodes have {votes}")


def last_without_first(estate: Estate) -> Iterable[Hit]:
    """`last_man_standing` without what it needs, or beside what takes its place."""
    for ring in rings(estate):
        last = ring.on("quorum", "last_man_standing")
        if last and ring.qdevice:
            yield Hit(last.place, "last_man_standing beside a quorum device", (ring.qdevice.place,))
        elif last and not ring.on("quorum", "wait_for_all"):
            yield Hit(last.place, "last_man_standing without wait_for_all")


def half_a_cipher(estate: Estate) -> Iterable[Hit]:
    """Encryption without authentication, which Corosync refuses; or any, where there is none."""
    for ring in rings(estate):
        cipher, hashed = ring.root.last("totem", "crypto_cipher"), ring.root.get("totem", "crypto_hash")
        on = cipher is not None and cipher.value != "none"
        if cipher and on and hashed == "none":
            yield Hit(cipher.place, f"crypto_cipher: {cipher.value}, crypto_hash: none")
        elif cipher and on and ring.modern and ring.transport and not ring.knet:
            yield Hit(
                cipher.place, f"crypto_cipher: {cipher.value} over {ring.transport.value}", (ring.transport.place,)
            )


def key_in_the_open(estate: Estate) -> Iterable[Hit]:
    """Keys that many can read, or that were made up."""
    for ring in rings(estate):
        key = ring.root.last("totem", "key")
        if key and (ring.mode is None or ring.mode & 0o044):
            yield Hit(key.place, "totem.key is in the file")
    for document in estate.of("corosync-key"):
        if document.text.mode is not None and document.text.mode & 0o007:
            yield Hit(document.place, f"mode {document.text.mode:04o}")
        elif len(set(document.text.body.strip())) < FEWEST:
            yield Hit(document.place, "nothing that came out of corosync-keygen")


RULES = (
    Rule(
        "COR001",
        Severity.ERROR,
        "the cluster has no quorum",
        "Corosync counts nobody without a provider. Pacemaker does not start without it; whatever else runs here goes "
        "on in every part of a network that was cut.",
        _VOTES,
        "Write `quorum { provider: corosync_votequorum }` and list all nodes in `nodelist`.",
        "partition-minority: both sides go on",
        no_quorum,
    ),
    Rule(
        "COR002",
        Severity.ERROR,
        "members believe whatever the network tells them",
        "Without crypto anybody who sends packets in a member's name to UDP port 5405 is one, and may give Pacemaker "
        "orders that it carries out as root.",
        _CONF,
        "Write `crypto_cipher: aes256` and `crypto_hash: sha256`, and give all nodes one key of corosync-keygen.",
        "",
        open_talk,
    ),
    Rule(
        "COR003",
        Severity.WARNING,
        "udp and udpu have one link, and in Corosync 3 neither encryption nor authentication",
        "One network that fails is a lost controller. With crypto_cipher set, Corosync 3 refuses to start.",
        _CONF,
        "Write `transport: knet`, and a `ring1_addr` for each node where there is a second network.",
        "cable-pulled: the controller is lost though another network would reach it",
        one_link,
    ),
    Rule(
        "COR004",
        Severity.ERROR,
        "two_node does not fit",
        "two_node sets the quorum to 1. Corosync drops it as soon as a third node joins, so that the answer to a loss "
        "depends on who joined; beside a quorum device it refuses to start; beside auto_tie_breaker it is dropped.",
        _VOTES,
        "Leave two_node out with three nodes or with a quorum device; use it with exactly two.",
        "partition-minority: one node alone goes on",
        two_that_are_not_two,
    ),
    Rule(
        "COR005",
        Severity.ERROR,
        "two nodes may each begin alone",
        "wait_for_all: 0 takes back what two_node brings with it. After a loss of power or of the link each node "
        "starts without having seen the other, has quorum, and fences it or holds the same VIP.",
        _VOTES,
        "Leave wait_for_all out.",
        "all-at-once, with the link between them cut: both hold the VIP",
        alone_at_once,
    ),
    Rule(
        "COR006",
        Severity.ERROR,
        "neither of two nodes survives the other",
        "The majority of two is two: when one is lost the other has no quorum and stops everything.",
        _VOTES,
        "Write `two_node: 1` and have fencing, or add a quorum device or a third node.",
        "power-cut: the controller that is left stops all resources",
        none_may_go_on,
    ),
    Rule(
        "COR007",
        Severity.ERROR,
        "the votes that are expected are not those of the nodes",
        "expected_votes overrides the count of the nodelist. If it is too low, two halves of a cut network both have "
        "quorum; if it is too high, a loss that should be survived stops the cluster.",
        _VOTES,
        "Leave expected_votes out: the nodelist is counted.",
        "partition-halves: both sides, or none, go on",
        miscounted,
    ),
    Rule(
        "COR008",
        Severity.ERROR,
        "two nodes have the same number, name or address",
        "Corosync refuses a nodeid that is there twice; nodes with one name or address are one to it, and the other "
        "never joins.",
        _CONFIG_C,
        "Give each node its own.",
        "",
        twice,
    ),
    Rule(
        "COR009",
        Severity.ERROR,
        "a node is at an address that every machine has for itself",
        "Nobody else hears it there: each machine is a cluster of its own, with quorum.",
        _CONF,
        "Write the controller's address on the network of the cluster.",
        "partition-halves: nothing changes, for they never were together",
        at_itself,
    ),
    Rule(
        "COR010",
        Severity.ERROR,
        "a node has no nodeid",
        "knet, the transport of Corosync 3, wants one for each node, and refuses to start without.",
        _CONFIG_C,
        "Write `nodeid: 1`, 2, 3 and keep them: they are never given to another machine.",
        "",
        unnamed,
    ),
    Rule(
        "COR011",
        Severity.ERROR,
        "Corosync refuses this encryption",
        "crypto_cipher wants a crypto_hash, and both want knet. Corosync does not start.",
        _CONFIG_C,
        "Write `transport: knet`, `crypto_cipher: aes256` and `crypto_hash: sha256`.",
        "",
        half_a_cipher,
    ),
    Rule(
        "COR012",
        Severity.WARNING,
        "the cluster begins anew before it could have agreed",
        "With three nodes and more, consensus is to be larger than the token, which grows with each node by "
        "token_coefficient (650 ms unless it is set). Else memberships change when nobody was lost.",
        _CONF,
        "Leave consensus out (1.2 times the token), or write `token_coefficient: 0` and consensus as 1.2 times the "
        "token.",
        "memory-pressure: members leave and join though nobody failed",
        early_consensus,
    ),
    Rule(
        "COR013",
        Severity.WARNING,
        "last_man_standing does not do what it should",
        "Without wait_for_all, parts that start apart may each lower the votes until they have quorum. With it, "
        "Corosync ignores the quorum device.",
        _VOTES,
        "Add `wait_for_all: 1`; with a quorum device leave last_man_standing out.",
        "partition-halves, then a restart: both go on",
        last_without_first,
    ),
    Rule(
        "COR014",
        Severity.ERROR,
        "the key of the cluster is no secret",
        "Whoever has the key is a member: Pacemaker does what members say, as root.",
        _CONF,
        "Make one with corosync-keygen, keep it in /etc/corosync/authkey with mode 0400, and leave `key` out of the "
        "file.",
        "",
        key_in_the_open,
    ),
    Rule(
        "COR015",
        Severity.WARNING,
        "a lost controller is missed after ten seconds at the earliest",
        "Nothing is done before the token is given up and the others have agreed (2.2 times the token): the VIP is "
        "nowhere as long.",
        _CONF,
        "Leave the token at its default (3 s), or set it to 1000.",
        "power-cut: the VIP is gone for more than twice the token",
        slow_token,
    ),
    Rule(
        "COR016",
        Severity.NOTE,
        "a statement that nothing reads",
        "Sections of Corosync 1 start nothing any more, and rrp_mode brings no second ring: knet takes `link_mode` "
        "and a ringX_addr for each link.",
        _CONF,
        "Take it out. Pacemaker is a service of its own; a second link is a `ring1_addr` for each node.",
        "",
        of_another_age,
    ),
)

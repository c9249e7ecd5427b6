"""Who is a member of a Galera cluster: the addresses, the arbiter, and what makes a node start one of its own."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from quorate.audit.estate import Estate
from quorate.audit.node import Node
from quorate.audit.rule import Hit, Rule, Severity
from quorate.audit.rules.galera import GUIDE, VARIABLES, Server, is_on, members, servers

_ARGUMENT = re.compile(r"--bind[-_]address[= ](\S+)")
_ADDRESS = "https://galeracluster.com/library/documentation/galera-parameters.html"


def named(member: Server) -> tuple[str, ...]:
    """Whom wsrep_cluster_address names, without ports and options."""
    address = member.get("wsrep_cluster_address").partition("?")[0]
    parts = (part.strip() for part in address.removeprefix("gcomm://").split(","))
    return tuple(host(part) for part in parts if part)


def host(address: str) -> str:
    """Take the port off an address."""
    match = re.fullmatch(r"\[(.+)\](?::\d+)?|([^:]+):\d+", address.strip())
    return (match[1] or match[2]) if match else address.strip()


def own_clusters(estate: Estate) -> Iterable[Hit]:
    """An empty address, or the order to begin anew, in a file that is read at every start."""
    for member in members(estate):
        address = member.options.get("wsrep_cluster_address")
        if address is not None and address.value.partition("?")[0].rstrip("/") in ("gcomm:", ""):
            yield Hit(address.place, f"wsrep_cluster_address = {address.value}")
        if is_on(member, "wsrep_new_cluster"):
            yield Hit(member.options["wsrep_new_cluster"].place, "wsrep_new_cluster")


def nothing_replicated(estate: Estate) -> Iterable[Hit]:
    """An address of a cluster, but replication off; or on, without the library."""
    for member in members(estate):
        on, provider = member.options.get("wsrep_on"), member.options.get("wsrep_provider")
        if on is not None and not is_on(member, "wsrep_on"):
            yield Hit(on.place, f"wsrep_on = {on.value}, with an address of a cluster")
        elif on is None and member.whole and estate.since("mariadb", (10, 1, 1)):
            yield Hit(member.place(), "wsrep_on is not set: OFF")
        if provider is None and member.whole:
            yield Hit(member.place(), "wsrep_provider is not set: none")
        elif provider is not None and not provider.value.endswith(".so"):
            yield Hit(provider.place, f"wsrep_provider = {provider.value}")


def missing_members(estate: Estate) -> Iterable[Hit]:
    """A list of one, or one that leaves out a member whose files were read."""
    everyone = [*members(estate)]
    known = {member.host: host(member.get("wsrep_node_address")) for member in everyone}
    for member in everyone:
        listed = named(member)
        absent = [
            address
            for address in known.values()
            if listed and _is_address(address) and all(map(_is_address, listed)) and address not in listed
        ]
        itself = len(everyone) == 1 and _is_in(member, listed)  # one member is a cluster, too
        if absent or (len(listed) == 1 and not itself):
            lacks = f", without {', '.join(absent)}" if absent else ""
            place = member.options["wsrep_cluster_address"].place
            yield Hit(place, f"wsrep_cluster_address = {member.get('wsrep_cluster_address')}{lacks}")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def two_votes(estate: Estate) -> Iterable[Hit]:
    """Two members everywhere, and no arbiter's file."""
    everyone = [*members(estate)]
    addresses = {address for member in everyone for address in named(member)}
    # A list may leave out the member that reads it: then there is one more than it says.
    all_named = len(everyone) == 2 or any(_is_in(member, addresses) for member in everyone)
    if len(addresses) == 2 and len(everyone) <= 2 and all_named and not _has_third_place(estate):
        for member in everyone:
            yield Hit(member.place(), f"members: {', '.join(sorted(addresses))}")


def _has_third_place(estate: Estate) -> bool:
    """Whether there is an arbiter, or a machine that may well run one: Corosync's votes there."""
    devices = (node for one in estate.of("corosync") for node in one.root.walk() if node.name == "device")
    told = any(one.root.get("arbiters", default="0") != "0" for one in estate.of("galera-health"))
    return told or bool(estate.of("garb")) or next(devices, None) is not None


def _is_in(member: Server, addresses: Iterable[str]) -> bool:
    own = {host(member.get("wsrep_node_address")), member.get("wsrep_node_name"), member.host} - {""}
    return any(address in own or address.partition(".")[0] in own for address in addresses)


def strange_arbiter(estate: Estate) -> Iterable[Hit]:
    """An arbiter of a cluster that none of the members read belongs to."""
    names = {member.get("wsrep_cluster_name", "my_wsrep_cluster") for member in members(estate)}
    for document in estate.of("garb"):
        group = document.root.last("GALERA_GROUP")
        if group is not None and names and group.value not in names:
            yield Hit(group.place, f"GALERA_GROUP={group.value}, the members are of {', '.join(sorted(names))}")


def bindings(member: Server) -> Iterable[tuple[str, Node]]:
    """Where clients are let in: addresses as they are written, each with its option."""
    option = member.options.get("bind_address")
    if option is not None:
        yield from ((address.strip(), option) for address in option.value.split(","))


def public(estate: Estate) -> Iterable[Hit]:
    """An address of the Internet."""
    for member in servers(estate):
        for address, option in bindings(member):
            if _is_public(address):
                yield Hit(option.place, f"bind_address = {address}")
    for document in estate.of("pacemaker"):
        for node in document.root.walk():
            match = _ARGUMENT.search(node.value)
            if match and not node.inside and _is_public(match[1]):
                yield Hit(node.place, match[0])


def _is_public(address: str) -> bool:
    return _is_address(address) and ipaddress.ip_address(address).is_global


def everywhere(estate: Estate) -> Iterable[Hit]:
    """Every address of the machine, said or by default."""
    for member in members(estate):
        for address, option in bindings(member):
            if address in ("0.0.0.0", "::", "*"):  # noqa: S104 - that is what is looked for
                yield Hit(option.place, f"bind_address = {address}")
        if "bind_address" not in member.options and member.whole:
            yield Hit(member.place(), "bind_address is not set: every address")


def unreachable(estate: Estate) -> Iterable[Hit]:
    """Loopback only, or no network at all."""
    for member in members(estate):
        found = [*bindings(member)]
        if found and all(address in ("127.0.0.1", "::1", "localhost") for address, _ in found):
            yield Hit(found[0][1].place, f"bind_address = {found[0][1].value}")
        if is_on(member, "skip_networking"):
            yield Hit(member.options["skip_networking"].place, "skip_networking")


RULES = (
    Rule(
        "GAL020",
        Severity.ERROR,
        "a node that starts makes a cluster of its own",
        "An empty gcomm:// is for the one start that makes the cluster. Left in, the next start of that node makes a "
        "second cluster, which takes writes that the others never see, or ends because grastate.dat says that it is "
        "not safe.",
        _ADDRESS,
        "Write gcomm:// with the addresses of all members; make the cluster once with galera_new_cluster.",
        "reboot: wsrep_cluster_size is 1 on that node",
        own_clusters,
    ),
    Rule(
        "GAL021",
        Severity.ERROR,
        "nothing is replicated",
        "There is an address of a cluster, but without wsrep_on, or without a library, this is a server alone, which "
        "takes writes that no other one has. With a path that is no library it does not start.",
        GUIDE,
        "Write wsrep_on = ON and wsrep_provider = /usr/lib/galera/libgalera_smm.so (or where it is).",
        "power-cut: the other members have none of its rows",
        nothing_replicated,
    ),
    Rule(
        "GAL022",
        Severity.WARNING,
        "a member is not named",
        "A node that starts asks only those that it names. While they are down it finds nobody, and does not join the "
        "members that are up.",
        _ADDRESS,
        "Name all members in wsrep_cluster_address, on each of them.",
        "power-cut of the named member, then reboot of this one: it does not come back",
        missing_members,
    ),
    Rule(
        "GAL023",
        Severity.WARNING,
        "two members, and no arbiter was seen",
        "One of two is no majority: when one machine dies, the other one refuses every statement until a person comes.",
        "https://galeracluster.com/library/documentation/weighted-quorum.html",
        "Add a third member, or garbd on a third machine (and its file to what is audited).",
        "power-cut: no writes until the machine is back",
        two_votes,
    ),
    Rule(
        "GAL024",
        Severity.ERROR,
        "the arbiter is of another cluster",
        "garbd joins only the cluster of its group's name: it does not vote here.",
        "https://galeracluster.com/library/documentation/arbitrator.html",
        "Write the members' wsrep_cluster_name as GALERA_GROUP.",
        "power-cut: no majority in spite of the arbiter",
        strange_arbiter,
    ),
    Rule(
        "GAL025",
        Severity.ERROR,
        "the database listens on a public address",
        "Everybody on the Internet may try passwords, and use holes of the server before one is asked for.",
        "https://mariadb.com/kb/en/configuring-mariadb-for-remote-client-access/",
        "Write the controller's address on the management network as bind_address.",
        "",
        public,
    ),
    Rule(
        "GAL026",
        Severity.WARNING,
        "the database listens on every network of the controller",
        "Also on those of tenants and of the API, where nobody should reach it; and a load balancer on the same "
        "machine cannot have the same port on the virtual address.",
        "https://mariadb.com/kb/en/server-system-variables/#bind_address",
        "Write the controller's address on the management network as bind_address.",
        "",
        everywhere,
    ),
    Rule(
        "GAL027",
        Severity.ERROR,
        "only its own machine reaches this member",
        "Load balancers on the other controllers cannot use it: it is a copy of the data, and no spare for clients.",
        GUIDE,
        "Write the controller's address on the management network as bind_address; take skip_networking out.",
        "database-stopped on the writer: clients find no other one",
        unreachable,
    ),
    Rule(
        "GAL028",
        Severity.ERROR,
        "the server only prints its position and ends",
        "wsrep_recover is an order for one start by hand.",
        f"{VARIABLES}#wsrep_recover",
        "Take wsrep_recover out of the file.",
        "",
        lambda estate: (
            Hit(member.options["wsrep_recover"].place, "wsrep_recover")
            for member in members(estate)
            if is_on(member, "wsrep_recover")
        ),
    ),
)

"""HAProxy's servers: to whom it leads, and how it notices that somebody is gone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from quorate.audit.estate import Estate
from quorate.audit.ports import APIS, CACHE, DATABASE, MESSAGES, SERVICES
from quorate.audit.proxies import Section, Server, Way, is_address, milliseconds, sections, ways
from quorate.audit.rule import Hit, Rule, Severity

_MANUAL = "https://docs.haproxy.org/3.0/configuration.html"
_NUMERIC = re.compile(r"[\d.]+$")
SLOW_MS = 10_000


def invalid_addresses(estate: Estate) -> Iterable[Hit]:
    """Addresses of figures and dots that are none."""
    for section in sections(estate):
        for server in section.servers:
            host = server.address.host
            if _NUMERIC.match(host) and not is_address(host):
                yield Hit(server.node.place, f"{section.name}: {server.node.value}")


def databases(estate: Estate) -> Iterator[Way]:
    """The ways to MariaDB."""
    return (way for way in ways(estate) if way.serves(DATABASE))


def several_writers(estate: Estate) -> Iterable[Hit]:
    """Databases that get connections side by side."""
    for way in databases(estate):
        if len(way.section.active) > 1 and not _one_at_a_time(way.section):
            balance = way.section.said("balance")
            place = balance.place if balance and balance in way.section.node.inside else way.place
            how = " ".join(balance.words) if balance else "balance roundrobin, the default"
            names = ", ".join(server.name for server in way.section.active)
            also = tuple(server.node.place for server in way.section.active)
            yield Hit(place, f"{way.section.name}: {how} over {names}", also)


def unchecked(estate: Estate) -> Iterable[Hit]:
    """Servers of several that nobody looks at."""
    for section in sections(estate):
        for server in section.servers if len(section.servers) > 1 else ():
            if not any(server.has(word) for word in ("check", "track", "agent-check")):
                yield Hit(server.node.place, f"{section.name}: {server.node.value}")


def _only_connects(section: Section) -> bool:
    """Whether servers are checked, and by nothing but a connection to a port."""
    check = section.check
    plain = check is None or (check.words[1] == "tcp-check" and not section.said("tcp-check"))
    return plain and _checked(section)


def _checked(section: Section) -> bool:
    return any(server.has("check") for server in section.servers) and not any(
        server.has("agent-check") for server in section.servers
    )


def _one_at_a_time(section: Section) -> bool:
    """Whether clients get one server after all, though several are in use."""
    return bool(section.said("stick", "on", "dst") or section.said("balance", "first"))


def shallow_database_checks(estate: Estate) -> Iterable[Hit]:
    """Databases of which only the port, or the greeting, is asked."""
    for way in databases(estate):
        check = way.section.check
        if len(way.section.servers) > 1 and _only_connects(way.section):
            yield Hit(way.place, f"{way.section.name}: a connection to the port is all that is tried")
        elif len(way.section.servers) > 1 and check and check.words[1] == "mysql-check" and _checked(way.section):
            yield Hit(check.place, f"{way.section.name}: {' '.join(check.words)}")


def shallow_api_checks(estate: Estate) -> Iterable[Hit]:
    """APIs of which only the port is asked."""
    for way in ways(estate):
        if _only_connects(way.section) and any(map(way.serves, APIS)):
            yield Hit(way.place, f"{way.section.name}: checked by a connection to its port only")


def unnamed_health(estate: Estate) -> Iterable[Hit]:
    """APIs that are asked for no page in particular."""
    for way in ways(estate):
        check = way.section.check
        uri = way.section.said("http-check", "send") or way.section.said("http-check", "expect")
        if check and check.words[1:] == ("httpchk",) and not uri and any(map(way.serves, APIS)):
            yield Hit(check.place, f"{way.section.name}: option httpchk")


def rules_in_vain(estate: Estate) -> Iterable[Hit]:
    """Rules of a check that is not that of the section."""
    for section in sections(estate):
        check = section.check.words[1] if section.check else ""
        for word, option in (("http-check", "httpchk"), ("tcp-check", "tcp-check")):
            rules = section.node.all(word)
            if rules and section.servers and check != option:
                yield Hit(rules[0].place, f"{section.name}: {word} without option {option}")


def plain_check_of_tls(estate: Estate) -> Iterable[Hit]:
    """Ports that speak TLS, asked in plain HTTP."""
    for section in sections(estate):
        check = section.check
        if check and check.words[1] == "httpchk" and not section.said("http-check", "connect"):
            for server in section.servers:
                port = server.value("port") or str(server.address.port or "")
                if port == "443" and server.has("check") and not (server.has("check-ssl") or server.has("ssl")):
                    yield Hit(server.node.place, f"{section.name}: {server.node.value}", (check.place,))


def kept_on_the_dead(estate: Estate) -> Iterable[Hit]:
    """Databases whose clients stay connected to a server that is known to be down."""
    for way in databases(estate):
        for server in way.section.servers if len(way.section.servers) > 1 else ():
            if server.has("check") and server.value("on-marked-down") != "shutdown-sessions":
                yield Hit(server.node.place, f"{way.section.name}: {server.node.value}")


def the_same_twice(estate: Estate) -> Iterable[Hit]:
    """Two servers of a section with one address."""
    for section in sections(estate):
        seen: dict[object, Server] = {}
        for server in section.servers:
            first = seen.setdefault(server.address, server)
            if first is not server and server.address.port and server.address.host:
                both = f"{first.name} and {server.name} are both {server.node.words[2]}"
                yield Hit(server.node.place, f"{section.name}: {both}", (first.node.place,))


def only_one(estate: Estate) -> Iterable[Hit]:
    """Services with one server, beside others that have several."""
    everything = tuple(ways(estate))
    several = {way.section.host for way in everything if len(way.section.servers) > 1}
    for way in everything:
        alone = len(way.section.servers) == 1 and not way.section.servers[0].address.local
        if alone and way.section.host in several and any(map(way.serves, SERVICES)):
            yield Hit(way.place, f"{way.section.name}: {way.section.servers[0].node.value}")


def messages_through(estate: Estate) -> Iterable[Hit]:
    """RabbitMQ's clients, led through HAProxy."""
    for way in ways(estate):
        if any(map(way.serves, MESSAGES)):
            yield Hit(way.place, f"{way.section.name}: {', '.join(s.name for s in way.section.servers)}")


def spread_cache(estate: Estate) -> Iterable[Hit]:
    """Caches among which connections are spread."""
    for way in ways(estate):
        if way.serves(CACHE) and len(way.section.active) > 1 and not _one_at_a_time(way.section):
            yield Hit(way.place, f"{way.section.name}: {', '.join(server.name for server in way.section.active)}")


def slow_to_notice(estate: Estate) -> Iterable[Hit]:
    """Servers whose death is noticed late: `fall` checks, the interval apart, or the faster one once it has begun."""
    for section in sections(estate):
        for server in section.servers if len(section.servers) > 1 else ():
            inter = milliseconds(server.value("inter") or "2s") or 0
            fast = milliseconds(server.value("fastinter")) or inter
            fall = server.value("fall") or "3"
            if server.has("check") and fall.isdecimal() and inter + fast * (int(fall) - 1) >= SLOW_MS:
                seconds = (inter + fast * (int(fall) - 1)) / 1000
                yield Hit(server.node.place, f"{section.name}: {server.name} is taken for well for {seconds:g} s")
                break


RULES = (
    Rule(
        "HAP001",
        Severity.ERROR,
        "a server's address is none",
        "HAProxy takes it for a host name, cannot resolve it, and refuses to start with this file; a reload leaves "
        "the old one running.",
        f"{_MANUAL}#5.2",
        "Write the controller's address: four figures from 0 to 255.",
        "",
        invalid_addresses,
    ),
    Rule(
        "HAP002",
        Severity.ERROR,
        "several databases are written to at the same time",
        "Two transactions that change the same rows on two Galera nodes are both accepted, and one of them fails at "
        "its commit with a deadlock error. OpenStack's SELECT ... FOR UPDATE locks rows on one node only. `balance "
        "source` and `leastconn` spread clients as well.",
        "https://mariadb.com/kb/en/mariadb-galera-cluster-known-limitations/",
        "Give all servers but one the word `backup` (and `stick on dst` so that clients do not move back), on every "
        "controller in the same order.",
        "database-killed: transactions fail before anything is broken",
        several_writers,
    ),
    Rule(
        "HAP003",
        Severity.ERROR,
        "a server is never checked",
        "Without `check` a server is always taken for well: after its controller has died it still gets its share of "
        "the requests.",
        f"{_MANUAL}#5.2-check",
        "Add `check` to the server, or to `default-server`.",
        "power-cut: a share of all requests fails until the machine is back",
        unchecked,
    ),
    Rule(
        "HAP004",
        Severity.ERROR,
        "the check does not see whether a database takes writes",
        "A Galera node without quorum, or one that is still being filled, accepts connections and greets; every query "
        "then fails with 'WSREP has not yet prepared node'. HAProxy goes on sending clients there.",
        "https://galeracluster.com/library/documentation/monitoring-cluster.html",
        "Ask a program that looks at wsrep_cluster_status and wsrep_local_state_comment, over HTTP: `option httpchk` "
        "and `check port 9200`.",
        "partition-minority: clients of the node that lost quorum get errors while HAProxy says UP",
        shallow_database_checks,
    ),
    Rule(
        "HAP005",
        Severity.WARNING,
        "an API is checked by connecting to its port only",
        "The kernel accepts connections for a process that hangs, and a web server for an application that fails every "
        "request. Such a server keeps its share of the requests.",
        f"{_MANUAL}#4.2-option%20httpchk",
        "Write `option httpchk GET /healthcheck` (oslo.middleware's healthcheck; Swift has it too), or a page that the "
        "service answers with 2xx or 3xx.",
        "the service's -frozen fault: requests hang and the server stays UP",
        shallow_api_checks,
    ),
    Rule(
        "HAP006",
        Severity.ERROR,
        "a port that speaks TLS is checked in plain HTTP",
        "A web server answers a plain request at its TLS port with 400 Bad Request, or closes: HAProxy marks every "
        "server DOWN and answers 503, though all are well.",
        f"{_MANUAL}#5.2-check-ssl",
        "Add `check-ssl verify none` (or a CA) to the servers, or check a port that speaks HTTP with `check port`.",
        "",
        plain_check_of_tls,
    ),
    Rule(
        "HAP007",
        Severity.WARNING,
        "clients stay connected to a database that is down",
        "When a check marks a server DOWN, connections that exist are left alone. Services keep using them: they wait "
        "for a dead machine until a timeout ends it, or write to a node that was cut off.",
        f"{_MANUAL}#5.2-on-marked-down",
        "Add `on-marked-down shutdown-sessions` to the servers, or to `default-server`.",
        "silent-cut: clients of the lost database hang until their own timeouts",
        kept_on_the_dead,
    ),
    Rule(
        "HAP008",
        Severity.WARNING,
        "two servers of a section are one and the same",
        "The loss of that one is the loss of both; the other controller's service is never used.",
        f"{_MANUAL}#4.2-server",
        "Give each server its own controller's address.",
        "power-cut: the whole service is gone with one controller",
        the_same_twice,
    ),
    Rule(
        "HAP009",
        Severity.WARNING,
        "a service has a single server",
        "Other services here have several. This one is gone with its controller, whatever HAProxy does.",
        f"{_MANUAL}#4.2-server",
        "Run the service on every controller, and name all of them here.",
        "power-cut of that controller: the service does not answer until it is back",
        only_one,
    ),
    Rule(
        "HAP010",
        Severity.WARNING,
        "RabbitMQ's clients come through HAProxy",
        "oslo.messaging finds another broker by itself, from its list of hosts. Behind HAProxy it knows only one: idle "
        "connections are ended by HAProxy's timeouts, and those through a controller that lost the VIP hang until "
        "heartbeats fail.",
        "https://docs.openstack.org/ha-guide/control-plane-stateful.html",
        "Name all brokers in `transport_url`, and take this section away.",
        "power-cut of the VIP's holder: consumers are gone longer than with a list of brokers",
        messages_through,
    ),
    Rule(
        "HAP011",
        Severity.WARNING,
        "one cache is spread over several memcacheds that know nothing of each other",
        "Each connection ends at any of them: what was written through one is not found through the next, and what was "
        "deleted there is still served here, tokens that were revoked among it.",
        "https://github.com/memcached/memcached/wiki/ConfiguringClient",
        "Give clients the list of all memcacheds, so that a key always has the same one; or let all but one be "
        "`backup`.",
        "",
        spread_cache,
    ),
    Rule(
        "HAP012",
        Severity.NOTE,
        "a dead server is taken for well for ten seconds or more",
        "Until `fall` checks have failed, each `inter` after the last, the server gets its share of new requests; with "
        "one database, all of them.",
        f"{_MANUAL}#5.2-fall",
        "Write `inter 1s fastinter 250ms fall 2` or the like: `fastinter` looks again soon once a check has failed.",
        "power-cut: errors for as long as that",
        slow_to_notice,
    ),
    Rule(
        "HAP013",
        Severity.NOTE,
        "an API is asked for no page that tells of its health",
        "`option httpchk` alone asks OPTIONS /. What a service says to that, a list of versions or 401, says nothing "
        "of its database and is the same for a broken one.",
        f"{_MANUAL}#4.2-option%20httpchk",
        "Name the page: `option httpchk GET /healthcheck`.",
        "",
        unnamed_health,
    ),
    Rule(
        "HAP023",
        Severity.ERROR,
        "rules of a check that HAProxy ignores",
        "`http-check` counts only beside `option httpchk`, and `tcp-check` beside `option tcp-check`: HAProxy says so "
        "in a warning, and tries no more than a connection to the port.",
        f"{_MANUAL}#4.2-http-check%20send",
        "Add `option httpchk` (or `option tcp-check`) to the section.",
        "the service's -frozen fault: requests hang and the server stays UP",
        rules_in_vain,
    ),
)

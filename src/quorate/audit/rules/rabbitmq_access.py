"""Who gets into RabbitMQ: accounts, what guards them, the cookie, and the addresses it listens on."""

from __future__ import annotations

import re
from collections.abc import Iterable

from quorate.audit.estate import Estate
from quorate.audit.node import Node
from quorate.audit.rule import Hit, Rule, Severity
from quorate.audit.rules.rabbitmq import DOCS, Broker, brokers

_ANY = ("0.0.0.0", "::", "[::]")  # noqa: S104 - that is what is looked for
_COOKIE = re.compile(r"-setcookie\s+\S+")


def users(estate: Estate, host: str) -> tuple[Node, ...]:
    """The accounts that definitions make on a node."""
    return tuple(
        user
        for document in estate.of("rabbitmq-definitions")
        if document.host == host
        for kind in document.root.all("users")
        for user in kind.inside
    )


def open_guest(estate: Estate) -> Iterable[Hit]:
    """guest, let in from other machines; where something else makes the accounts, there is no guest."""
    for broker in brokers(estate):
        made = {user.get("name") for user in users(estate, broker.host)}
        first = broker.find("default_user", "rabbit", "default_user")
        made |= {first.value} if first else set()
        if made and "guest" not in made:
            continue
        terms = broker.terms.last("rabbit", "loopback_users") if broker.terms else None
        if terms is not None and not terms.inside and not terms.value:
            yield Hit(terms.place, "loopback_users: []")
        for node in broker.starting("loopback_users"):
            if (node.name, node.value) in (("loopback_users", "none"), ("loopback_users.guest", "false")):
                yield Hit(node.place, f"{node.name} = {node.value}")


def guessed(estate: Estate) -> Iterable[Hit]:
    """The password that everybody knows."""
    for broker in brokers(estate):
        password = broker.find("default_pass", "rabbit", "default_pass")
        if password is not None and password.value == "guest":
            yield Hit(password.place, "guest (default_pass)")
    for document in estate.of("rabbitmq-definitions"):
        for kind in document.root.all("users"):
            for user in kind.inside:
                if user.get("password") in ("guest", user.get("name")):
                    yield Hit(user.place, f"user {user.get('name')}: its name, or guest, is its password")


def readable(estate: Estate) -> Iterable[Hit]:
    """Files with accounts that every user of the machine may read."""
    for document in estate.of("rabbitmq-definitions", "rabbitmq", "rabbitmq-terms"):
        secret = [node for node in document.root.walk() if node.name in ("password", "password_hash", "default_pass")]
        if secret and document.text.mode is not None and document.text.mode & 0o004:
            yield Hit(document.place, f"mode {document.text.mode:04o}, and in it {secret[0].name}")


def shown_cookies(estate: Estate) -> Iterable[Hit]:
    """A cookie as an argument of a process, or in the CIB."""
    for broker in brokers(estate):
        for node in broker.env.inside if broker.env else ():
            if "ERLANG_COOKIE" in node.name and node.value:
                yield Hit(node.place, f"{node.name}=•••")
            elif _COOKIE.search(node.value):
                yield Hit(node.place, f"{node.name}={_COOKIE.sub('-setcookie •••', node.value)}")

    for document in estate.of("pacemaker"):
        for node in document.root.walk():
            if "erlang_cookie" in node.words[:2] and node.words[-1] != "erlang_cookie":
                yield Hit(node.place, "erlang_cookie, a parameter of a resource")


def loose_cookies(estate: Estate) -> Iterable[Hit]:
    """A cookie's file that others may read."""
    for document in estate.of("erlang-cookie"):
        if document.text.mode is not None and document.text.mode & 0o077:
            yield Hit(document.place, f"mode {document.text.mode:04o}")


def everywhere(estate: Estate) -> Iterable[Hit]:
    """Listeners without an address, or on all, for clients without TLS."""
    for broker in brokers(estate):
        listeners = broker.starting("listeners.tcp")
        terms = broker.terms.last("rabbit", "tcp_listeners") if broker.terms else None
        for node in listeners:
            address = node.value.rpartition(":")[0]
            if node.value.isdecimal() or address in _ANY:
                yield Hit(node.place, f"{node.name} = {node.value}")
        if (
            broker.conf
            and broker.main
            and not listeners
            and terms is None
            and broker.variable("NODE_IP_ADDRESS") is None
        ):
            yield Hit(broker.conf.place, "listeners.tcp is not set: every address, port 5672")
        for node in broker.starting("management.tcp.ip", "management.listener.ip"):
            if node.value in _ANY and not _has_tls(broker):
                yield Hit(node.place, f"{node.name} = {node.value}")


def _has_tls(broker: Broker) -> bool:
    return any(node.value == "true" for node in broker.starting("management.listener.ssl"))


def undefined(estate: Estate) -> Iterable[Hit]:
    """Definitions that give rights to an account, or a policy to a virtual host, that they do not make."""
    for document in estate.of("rabbitmq-definitions"):
        root = document.root
        names = {
            kind: {item.get("name") for part in root.all(kind) for item in part.inside}
            for kind in ("users", "vhosts")
            if root.all(kind)
        }
        for kind in root.all("permissions", "topic_permissions", "policies"):
            for item in kind.inside:
                for key, plural in (("user", "users"), ("vhost", "vhosts")):
                    if plural in names and item.last(key) and item.get(key) not in names[plural]:
                        yield Hit(item.place, f"{kind.name}: {key} {item.get(key)!r} is not in {plural}")


RULES = (
    Rule(
        "RMQ020",
        Severity.ERROR,
        "guest is let in from other machines",
        "The account guest may do everything, and its password is guest unless somebody changed it. Only that it is "
        "refused from afar guards it.",
        f"{DOCS}/access-control#loopback-users",
        "Take loopback_users out; delete guest and make an account for the services.",
        "",
        open_guest,
    ),
    Rule(
        "RMQ021",
        Severity.ERROR,
        "an account has the password that everybody tries first",
        "Who reaches the port reads and writes every message of the cloud.",
        f"{DOCS}/production-checklist",
        "Make an account with a long random password, and delete guest.",
        "",
        guessed,
    ),
    Rule(
        "RMQ022",
        Severity.ERROR,
        "every user of the machine may read the accounts",
        "The passwords of the message bus, or hashes of them, are in this file.",
        f"{DOCS}/passwords",
        "chown it to rabbitmq and chmod it to 0600.",
        "",
        readable,
    ),
    Rule(
        "RMQ023",
        Severity.WARNING,
        "the cookie is where others see it",
        "An argument is in the list of processes, for every user of the machine; a parameter of a resource is in the "
        "CIB and in its backups. Who has the cookie and reaches the nodes' port runs what he likes on all of them.",
        f"{DOCS}/clustering#erlang-cookie",
        "Write it into /var/lib/rabbitmq/.erlang.cookie, mode 0400, and take it out here.",
        "",
        shown_cookies,
    ),
    Rule(
        "RMQ024",
        Severity.ERROR,
        "others may read the cookie's file",
        "Erlang refuses such a file: neither the node nor rabbitmqctl start. Who read it runs what he likes.",
        f"{DOCS}/clustering#erlang-cookie",
        "chmod it to 0400, owned by rabbitmq; make a new cookie if it was read.",
        "",
        loose_cookies,
    ),
    Rule(
        "RMQ025",
        Severity.WARNING,
        "RabbitMQ listens on every network of the controller, without TLS",
        "Also on those of tenants and of the API, where passwords and messages of the cloud do not belong.",
        f"{DOCS}/networking#interfaces",
        "Write listeners.tcp.1 = ADDRESS:5672 with the controller's address on the management network; "
        "management.tcp.ip likewise.",
        "",
        everywhere,
    ),
    Rule(
        "RMQ026",
        Severity.WARNING,
        "definitions name somebody who does not exist",
        "Unless somebody made it by hand before, the rights are not given: RabbitMQ says so in its log and goes on, "
        "and clients are refused. A policy of a virtual host that does not exist applies to nothing.",
        f"{DOCS}/definitions",
        "Add the account or the virtual host to the same file, or correct the name.",
        "",
        undefined,
    ),
)

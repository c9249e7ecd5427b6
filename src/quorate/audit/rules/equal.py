"""What must be the same on all controllers and is not, and what must differ and is the same. Secrets by hash only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass

from quorate.audit.estate import Document, Estate
from quorate.audit.node import Place
from quorate.audit.readers import ini
from quorate.audit.readers.keys import digest
from quorate.audit.rule import Hit, Rule, Severity

_KINDS = frozenset(kind.name for kind in ini.KINDS)


@dataclass(frozen=True)
class Said:
    """What one controller says: what is compared, how it is shown, and where it is written."""

    host: str
    value: Hashable
    shown: str
    place: Place


def unlike(said: Iterable[Said]) -> Iterator[Hit]:
    """Find those who say something else than most do; where there is no majority, else than the first one."""
    everyone = [*said]
    if len({one.host for one in everyone}) < 2:
        return
    counts = Counter(one.value for one in everyone)
    usual = max(counts, key=lambda value: counts[value])
    for one in everyone:
        if one.value != usual:
            other = next(each for each in everyone if each.value == usual)
            yield Hit(one.place, f"{one.shown}; on {other.host or 'another'}: {other.shown}", (other.place,))


def alike(said: Iterable[Said]) -> Iterator[Hit]:
    """Find those who say what another one says."""
    first: dict[Hashable, Said] = {}
    for one in said:
        other = first.setdefault(one.value, one)
        if other.host != one.host:
            yield Hit(one.place, f"{one.shown}, as on {other.host or 'another'}", (other.place,))


def files(estate: Estate) -> Iterator[tuple[Document, ...]]:
    """The files of OpenStack's services that have the same name on several controllers, together."""
    groups: dict[tuple[str, str, str], list[Document]] = {}
    for document in estate.documents:
        if document.kind in _KINDS:
            *_, folder, name = ["", *document.text.path.split("/")]
            container = folder if folder.startswith(f"{document.kind}-") else ""  # of kolla: nova-api, nova-conductor
            groups.setdefault((document.kind, container, name), []).append(document)
    yield from (tuple(group) for group in groups.values() if len({one.host for one in group}) > 1)


def _as_written(value: str) -> Hashable:
    return value.strip()


def _as_word(value: str) -> Hashable:
    return value.strip().lower()


def _as_list(value: str) -> Hashable:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _as_set(value: str) -> Hashable:
    """The same servers in any order: `rabbit://` addresses are shuffled by some deployers on purpose."""
    scheme, _, rest = value.partition("://")
    servers_, _, after = rest.partition("/")
    return (scheme, frozenset(servers_.split(",")), after)


def _as_switch(value: str) -> Hashable:
    return value.strip().lower() in ("1", "true", "yes", "on")


@dataclass(frozen=True)
class Option:
    """An option of OpenStack that must be the same everywhere. `secret`: show its hash only."""

    section: str
    name: str
    read: Callable[[str], Hashable] = _as_written
    secret: bool = False


def compared(*rows: Option) -> Callable[[Estate], Iterable[Hit]]:
    """Find what differs between the same file of several controllers; who does not say it is not compared."""

    def find(estate: Estate) -> Iterable[Hit]:
        for group in files(estate):
            for row in rows:
                yield from unlike(_said(group, row))

    return find


def _said(group: Iterable[Document], row: Option) -> Iterator[Said]:
    for document in group:
        node = document.root.last(row.section, row.name)
        if node is not None:
            shown = f"hash {digest(node.value)} ({row.name})" if row.secret else f"{row.name} = {node.value}"
            yield Said(document.host, row.read(node.value), shown, node.place)


_CACHES = compared(
    Option("cache", "memcache_servers", _as_list),
    Option("keystone_authtoken", "memcached_servers", _as_list),
    Option("DEFAULT", "memcached_servers", _as_list),
)
_SECRETS = compared(
    *(
        Option(section, option, secret=True)
        for section, option in (
            ("DEFAULT", "auth_encryption_key"),
            ("DEFAULT", "metadata_proxy_shared_secret"),
            ("neutron", "metadata_proxy_shared_secret"),
            ("keystone_authtoken", "memcache_secret_key"),
            ("publisher", "telemetry_secret"),
            ("DEFAULT", "stack_domain_admin_password"),
        )
    )
)
_QUEUES = compared(
    *(
        Option(section, option, _as_switch)
        for section in ("oslo_messaging_rabbit", "DEFAULT")
        for option in (
            "amqp_durable_queues", "rabbit_durable_queues", "rabbit_quorum_queue", "amqp_auto_delete",
        )
    )
)  # fmt: skip
_SETTINGS = compared(
    Option("database", "connection", lambda value: value.partition("?")[0].rpartition("@")[2]),
    Option("DEFAULT", "transport_url", _as_set, secret=True),
    *(
        Option(section, option, _as_word)
        for section, option in (
            ("cache", "backend"), ("cache", "memcache_dead_retry"), ("cache", "memcache_socket_timeout"),
            ("keystone_authtoken", "memcache_security_strategy"), ("token", "expiration"), ("token", "provider"),
            ("fernet_tokens", "max_active_keys"), ("DEFAULT", "rpc_response_timeout"),
            ("oslo_messaging_rabbit", "heartbeat_timeout_threshold"), ("oslo_messaging_rabbit", "heartbeat_rate"),
            ("DEFAULT", "service_down_time"), ("DEFAULT", "report_interval"), ("DEFAULT", "agent_down_time"),
            ("DEFAULT", "l3_ha"), ("DEFAULT", "dhcp_agents_per_network"), ("DEFAULT", "max_l3_agents_per_router"),
            ("oslo_messaging_rabbit", "rabbit_transient_quorum_queue"),
            ("oslo_messaging_rabbit", "rabbit_stream_fanout"), ("DEFAULT", "region_name"),
        )
    ),
)  # fmt: skip


def cookies(estate: Estate) -> Iterable[Hit]:
    """Erlang's cookies."""
    yield from unlike(
        Said(one.host, one.root.get("digest"), f"hash {one.root.get('digest')}", one.place)
        for one in estate.of("erlang-cookie")
    )


def keys(estate: Estate) -> Iterable[Hit]:
    """Keystone's keys: the same set in each repository."""
    found: dict[tuple[str, str], list[Document]] = {}
    for document in estate.of("keystone-keys"):
        found.setdefault((document.text.path.split("/")[-2], document.host), []).append(document)
    for repository in dict.fromkeys(folder for folder, _ in found):
        yield from unlike(
            Said(
                machine,
                frozenset(one.root.get("digest") for one in documents),
                f"{repository}: {len(documents)} keys, hashes {', '.join(one.root.get('digest') for one in documents)}",
                documents[0].place,
            )
            for (folder, machine), documents in found.items()
            if folder == repository
        )


def balanced(estate: Estate) -> Iterable[Hit]:
    """The servers behind one name in HAProxy."""
    found: dict[str, list[Said]] = {}
    for document in estate.of("haproxy"):
        for section in document.root.all("listen", "backend"):
            listed = frozenset(server.words[1:3] for server in section.all("server"))
            shown = f"{section.value}: {', '.join(sorted(' '.join(words) for words in listed))}"
            found.setdefault(section.value, []).append(Said(document.host, listed, shown, section.place))
    for said in found.values():
        yield from unlike(said)


RULES = (
    Rule(
        "EQU001",
        Severity.ERROR,
        "controllers ask different cache servers",
        "The list, in its order, decides which server has a key. With another list a controller does not find what the "
        "others cached, and what it deletes stays where the others find it: tokens that were revoked, for example.",
        "https://docs.openstack.org/ha-guide/control-plane-stateful.html",
        "Write the same servers in the same order on all controllers.",
        "cache-servers-killed: the share of hits on each controller",
        _CACHES,
    ),
    Rule(
        "EQU003",
        Severity.ERROR,
        "Erlang's cookies differ",
        "Nodes with another cookie refuse each other: RabbitMQ forms no cluster.",
        "https://www.rabbitmq.com/docs/clustering#erlang-cookie",
        "Copy the cookie of the node with the data to the others, and restart these.",
        "",
        cookies,
    ),
    Rule(
        "EQU004",
        Severity.ERROR,
        "Keystone's keys differ between controllers",
        "A token of one controller is no token on the other: requests fail by chance, with 401. Credentials that one "
        "encrypted cannot be read by the other.",
        "https://docs.openstack.org/keystone/latest/admin/fernet-token-faq.html",
        "Rotate on one controller and copy the whole folder to the others before the next rotation.",
        "standby: requests with tokens of the other controller",
        keys,
    ),
    Rule(
        "EQU010",
        Severity.ERROR,
        "a secret that a service shares with itself differs",
        "What one controller signed or encrypted is refused by the other: which requests fail is chance.",
        "https://docs.openstack.org/ha-guide/control-plane-stateless.html",
        "Write the same secret on all controllers.",
        "standby: requests that the other controller refuses",
        _SECRETS,
    ),
    Rule(
        "EQU011",
        Severity.ERROR,
        "controllers declare the same queues differently",
        "RabbitMQ refuses to declare a queue again with other properties (406 PRECONDITION_FAILED): the service on the "
        "controller that comes second does not receive anything.",
        "https://www.rabbitmq.com/docs/queues#property-equivalence",
        "Write the same values on all controllers.",
        "messages-killed: which services do not come back",
        _QUEUES,
    ),
    Rule(
        "EQU012",
        Severity.WARNING,
        "one service is set up differently on controllers",
        "Clients see another cloud by chance: other time-outs, other servers, other lifetimes.",
        "https://docs.openstack.org/ha-guide/control-plane-stateless.html",
        "Write the same values on all controllers.",
        "",
        _SETTINGS,
    ),
    Rule(
        "EQU013",
        Severity.ERROR,
        "load balancers lead to different servers",
        "When the virtual address moves, the servers change with it: those that are missing there serve nobody.",
        "https://docs.openstack.org/ha-guide/control-plane-stateless.html",
        "Write the same servers on all controllers.",
        "standby: errors while the other load balancer serves",
        balanced,
    ),
)

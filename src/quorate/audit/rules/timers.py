"""Times that do not fit together: who gives up before the other one answers."""

from __future__ import annotations

from collections.abc import Iterable

from quorate.audit.configs import EVERY, LOOPBACK, Config, Peer, configs, databases
from quorate.audit.estate import Estate
from quorate.audit.listeners import listeners
from quorate.audit.node import Node
from quorate.audit.readers.ini import AGENTS
from quorate.audit.rule import Hit, Rule, Severity

_API = {"nova": 8774, "neutron": 9696, "cinder": 8776, "heat": 8004}
"""The usual ports of APIs that wait for answers to messages."""
_LONG_CACHE = 900
"""Seconds; keystonemiddleware's own is 300."""


def recycled_late(estate: Estate) -> Iterable[Hit]:
    """Connections that a proxy has cut before their client looks at them again."""
    for one in configs(estate, *EVERY):
        for node, url in databases(one):
            section = "database" if node is one.option("database", "connection") else "api_database"
            recycle = one.number(section, "connection_recycle_time") or 3600
            at = Peer(url.peers[0].host, url.peers[0].port or 3306) if url.peers else None
            for listener in listeners(estate) if at else ():
                idle = [listener.timeouts[name] for name in ("client", "server") if listener.timeouts.get(name)]
                if at and listener.serves(at) and idle and min(idle) < recycle:
                    said = one.option(section, "connection_recycle_time") or node
                    more = f"recycled after {recycle:g} s, and HAProxy cuts an idle connection after {min(idle):g} s"
                    yield Hit(said.place, f"[{section}] {more}", (listener.section.place,))
                    break


def flapping_agents(estate: Estate) -> Iterable[Hit]:
    """Agents that count as dead between two reports."""
    servers = configs(estate, "neutron")
    for server in servers:
        down = server.option("DEFAULT", "agent_down_time")
        limit = server.number("DEFAULT", "agent_down_time") or 75
        for agent in (server, *configs(estate, AGENTS)):
            report = agent.option("agent", "report_interval")
            seconds = agent.number("agent", "report_interval") or 30
            said = down or report
            if said and limit < 2 * seconds and (report or agent is server) and agent.host in {server.host, ""}:
                others = tuple(node.place for node in (report,) if node and node is not said)
                yield Hit(said.place, f"agent_down_time {limit:g} s, report_interval {seconds:g} s", others)


def flapping_services(estate: Estate) -> Iterable[Hit]:
    """Services that count as down between two reports."""
    for one in configs(estate, "nova", "cinder"):
        down, report = one.option("DEFAULT", "service_down_time"), one.option("DEFAULT", "report_interval")
        limit = one.number("DEFAULT", "service_down_time") or 60
        seconds = one.number("DEFAULT", "report_interval") or 10
        said = down or report
        if said and limit < 2 * seconds:
            yield Hit(said.place, f"service_down_time {limit:g} s, report_interval {seconds:g} s")


def answered_late(estate: Estate) -> Iterable[Hit]:
    """Requests that the load balancer gives up before the API does."""
    for kind, port in _API.items():
        for one in configs(estate, kind):
            found = one.option("DEFAULT", "rpc_response_timeout")
            seconds = one.number("DEFAULT", "rpc_response_timeout") or 60
            for listener in listeners(estate) if found else ():
                limit = listener.timeouts.get("server")
                if found and limit is not None and listener.at.port == port and limit <= seconds:
                    more = f"an answer is waited for {seconds:g} s, and HAProxy waits {limit:g} s"
                    yield Hit(found.place, more, (listener.section.place,))
                    break


def useless_session(estate: Estate) -> Iterable[Hit]:
    """Sessions that are to be longer than the tokens in them."""
    keystones = configs(estate, "keystone")
    if not keystones:
        return
    tokens = min(one.number("token", "expiration") or 3600 for one in keystones)
    for root in estate.merged("horizon").values():
        found = root.last("SESSION_TIMEOUT")
        if found and found.value.isdecimal() and int(found.value) > tokens:
            yield Hit(found.place, f"SESSION_TIMEOUT = {found.value}, and a token is valid for {tokens:g} s")


def no_timeout_to_keystone(estate: Estate) -> Iterable[Hit]:
    """A Keystone that is waited for without a limit."""
    for one in configs(estate, *EVERY):
        login = one.option("keystone_authtoken", "auth_url")
        if login and not _is_local(login) and one.option("keystone_authtoken", "http_connect_timeout") is None:
            yield Hit(login.place, "[keystone_authtoken] has no http_connect_timeout")


def _is_local(login: Node) -> bool:
    return bool(LOOPBACK.search(login.value))


def long_believed(estate: Estate) -> Iterable[Hit]:
    """Tokens that are believed long after they were revoked."""
    for one in configs(estate, *EVERY):
        found, seconds = _seconds(one, "keystone_authtoken", "token_cache_time")
        if found and seconds is not None and seconds > _LONG_CACHE:
            yield Hit(found.place, f"[keystone_authtoken] token_cache_time = {found.value}")


def back_late(estate: Estate) -> Iterable[Hit]:
    """Services that look for a broker again later than calls are waited for."""
    for one in configs(estate, *EVERY):
        found, seconds = _seconds(one, "oslo_messaging_rabbit", "rabbit_interval_max")
        calls = one.number("DEFAULT", "rpc_response_timeout") or 60
        if found and seconds is not None and seconds >= calls:
            yield Hit(found.place, f"rabbit_interval_max = {found.value}, and a call is waited for {calls:g} s")


def _seconds(one: Config, section: str, name: str) -> tuple[Node | None, float | None]:
    return one.option(section, name), one.number(section, name)


RULES = (
    Rule(
        "TIM001",
        Severity.NOTE,
        "a proxy cuts connections to the database before their clients renew them",
        "A connection that nobody used for that long is dead when the next request takes it: it has to be noticed and "
        "made anew while the user waits, and the database logs an aborted connection.",
        "https://docs.openstack.org/oslo.db/latest/reference/opts.html#database.connection_recycle_time",
        "Write a connection_recycle_time below the proxy's timeouts, or longer timeouts for the database's listener.",
        "",
        recycled_late,
    ),
    Rule(
        "TIM002",
        Severity.ERROR,
        "agents count as dead between two of their reports",
        "One late report, and Neutron moves routers and networks away from an agent that is well.",
        "https://docs.openstack.org/neutron/latest/configuration/neutron.html#DEFAULT.agent_down_time",
        "Write an agent_down_time of at least twice report_interval; the defaults are 75 s and 30 s.",
        "",
        flapping_agents,
    ),
    Rule(
        "TIM003",
        Severity.ERROR,
        "services count as down between two of their reports",
        "One late report, and the scheduler does not use a service that is well. Where the first time is not even the "
        "longer one, the service takes 2.5 times the second instead.",
        "https://docs.openstack.org/nova/latest/configuration/config.html#DEFAULT.service_down_time",
        "Write a service_down_time of several times report_interval; the defaults are 60 s and 10 s.",
        "",
        flapping_services,
    ),
    Rule(
        "TIM004",
        Severity.NOTE,
        "the load balancer gives a request up before the API does",
        "The user sees 504 while the work goes on, and tries again: it is done twice.",
        "https://docs.openstack.org/oslo.messaging/latest/configuration/opts.html#DEFAULT.rpc_response_timeout",
        "Write a timeout server in HAProxy that is longer than rpc_response_timeout.",
        "messages-frozen: requests end with 504",
        answered_late,
    ),
    Rule(
        "TIM005",
        Severity.NOTE,
        "a session is to be longer than its token",
        "The dashboard logs the user out when his token runs out, whatever SESSION_TIMEOUT says.",
        "https://docs.openstack.org/horizon/latest/configuration/settings.html#session-timeout",
        "Write a SESSION_TIMEOUT of at most [token] expiration.",
        "",
        useless_session,
    ),
    Rule(
        "TIM006",
        Severity.NOTE,
        "Keystone is waited for without a limit",
        "keystonemiddleware has no timeout unless it is told one. When Keystone's machine disappears without a word, "
        "every request that has to validate a token hangs until the kernel gives up: about a quarter of an hour by "
        "default.",
        "https://opendev.org/openstack/keystonemiddleware/src/branch/master/keystonemiddleware/auth_token/_opts.py",
        "Write http_connect_timeout = 3; it holds for the whole request.",
        "silent-cut on the holder of the virtual IP: requests that were under way hang",
        no_timeout_to_keystone,
    ),
    Rule(
        "TIM007",
        Severity.WARNING,
        "a revoked token is believed for long",
        "An API asks Keystone about a token it knows only after that time: until then a user that was locked out goes "
        "on.",
        "https://docs.openstack.org/keystonemiddleware/latest/middlewarearchitecture.html",
        "Leave token_cache_time at 300.",
        "",
        long_believed,
    ),
    Rule(
        "TIM008",
        Severity.WARNING,
        "a service looks for RabbitMQ again later than calls are waited for",
        "After an outage it may take that long until it is back: calls to it fail though RabbitMQ is well.",
        "https://docs.openstack.org/oslo.messaging/latest/configuration/opts.html"
        "#oslo_messaging_rabbit.rabbit_interval_max",
        "Leave rabbit_interval_max at 30.",
        "messages-killed: calls fail for longer than RabbitMQ is away",
        back_late,
    ),
)

"""What the systems say of their clients, and the parts of the clients that need no daemon."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Self

import pymysql
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate import systems
from quorate.core.client import Failed, Surroundings, Uncertain, ranges
from quorate.core.drill import Workload
from quorate.core.system import site_of
from quorate.engine.clients import load
from quorate.model.cloud import Cloud
from quorate.systems.cache.client import SLOTS, step
from quorate.systems.cache.workloads import workloads as of_cache
from quorate.systems.galera import client as galera
from quorate.systems.galera.workloads import workloads as of_galera
from quorate.systems.haproxy.workloads import workloads as of_haproxy
from quorate.systems.keystone.workloads import workloads as of_keystone

SYSTEMS = [system for system in systems.discover() if not system.spec.optional]
SAYS: dict[str, Any] = {"cache": of_cache, "galera": of_galera, "haproxy": of_haproxy, "keystone": of_keystone}
NAMES = ["c1", "c2", "c3"]


def said(system: str, **options: object) -> tuple[Workload, ...]:
    sections = {s.name: s.spec.model_validate(options if s.name == system else {}) for s in SYSTEMS}
    cloud = Cloud.model_validate(
        {
            "cloud": "lab",
            "networks": {"management": {"subnet": "10.77.0.0/24"}},
            "vips": {"api": {"address": "10.77.0.10"}},
            "controllers": {name: f"10.77.0.1{n}" for n, name in enumerate(NAMES)},
            "systems": sections,
        }
    )
    return tuple(SAYS[system](sections[system], site_of(cloud, SYSTEMS)))


def one(system: str, name: str) -> Workload:
    return next(workload for workload in said(system) if workload.name == name)


async def in_thread(function: Any, /, *args: object) -> Any:
    return function(*args)


def surroundings(workload: Workload) -> Surroundings:
    passwords = dict.fromkeys(workload.passwords, "made up")
    secrets = dict.fromkeys(workload.secrets, "secret")
    return Surroundings("r1", workload.bound, in_thread, workload.settings, secrets, passwords)


@pytest.mark.parametrize("system", SAYS)
def test_every_client_can_be_made(system: str) -> None:
    for workload in said(system):
        load(workload, surroundings(workload))


def test_who_works() -> None:
    told = {workload.name: (workload.function, workload.rate) for system in SAYS for workload in said(system)}
    assert told == {
        "cache_c1": ("cache", 20.0),
        "cache_c2": ("cache", 20.0),
        "cache_c3": ("cache", 20.0),
        "database_write": ("database_write", 20.0),
        "database_read": ("database_read", 10.0),
        "connect_database": ("virtual_ip", 10.0),
        "connect_identity": ("virtual_ip", 10.0),
        "probe_page_api": ("virtual_ip", 10.0),
        "token_validation": ("token_validation", 20.0),
        "token_issue": ("token_issue", 2.0),
    }


def test_no_page_no_client_of_it() -> None:
    assert [workload.name for workload in said("haproxy", probe_port=0)] == ["connect_database", "connect_identity"]


@pytest.mark.parametrize(
    ("engine", "port", "others"),
    [("quorate", 22122, ["c2", "c3"]), ("twemproxy", 22122, ["c2", "c3"]), ("localhost", 11211, [])],
)
def test_the_cache_is_used_where_services_use_it(engine: str, port: int, others: list[str]) -> None:
    first, *_ = said("cache", engine=engine)
    assert (first.at, first.settings) == ("c1", {"port": port, "owner": "c1", "others": others})


def test_an_engine_without_a_port_of_its_own_has_no_client() -> None:
    assert said("cache", engine="direct") == ()


def test_the_database_of_a_drill_is_made_anew_and_dropped() -> None:
    write, read = said("galera")
    assert (write.prepare, write.clean_up) == (read.prepare, read.clean_up)
    ((made,), (dropped,)) = write.prepare, write.clean_up
    assert made.stdin.startswith(dropped.stdin)
    assert dropped.stdin.splitlines() == [
        "DROP DATABASE IF EXISTS `quorate_drill`;",
        "DROP USER IF EXISTS `quorate_drill`@`10.77.0.0/255.255.255.0`;",
    ]
    assert re.findall(r"@@drill:(.*?)@@", made.stdin) == ["quorate_drill"]
    assert not any("@@" in word for word in made.argv)


@pytest.mark.parametrize(
    ("numbers", "found"),
    [((), []), ((5,), [[5, 5]]), ((3, 1, 2, 7, 9, 8), [[1, 3], [7, 9]])],
)
def test_ranges(numbers: Sequence[int], found: list[list[int]]) -> None:
    assert ranges(numbers) == found


@given(st.sets(st.integers(0, 200)))
def test_ranges_hold_all_numbers_and_no_other(numbers: set[int]) -> None:
    found = ranges(numbers)
    assert [n for first, last in found for n in range(first, last + 1)] == sorted(numbers)
    assert all(before[1] + 1 < after[0] for before, after in pairwise(found))


def test_summary_of_rows() -> None:
    rows = [(1, 0, "c1"), (4, 1, "c1"), (8, 3, "c2"), (10, 4, "c1"), (11, 3, "c2")]
    assert galera.summary(rows) == {
        "rows": 5,
        "numbers": [[0, 1], [3, 4]],
        "more_than_once": [[3, 2, ["c2", "c2"]]],
        "servers": [
            {"server": "c1", "first": 1, "last": 4, "rows": 2},
            {"server": "c2", "first": 8, "last": 8, "rows": 1},
            {"server": "c1", "first": 10, "last": 10, "rows": 1},
            {"server": "c2", "first": 11, "last": 11, "rows": 1},
        ],
    }
    assert galera.summary([]) == {"rows": 0, "numbers": [], "more_than_once": [], "servers": []}


class Database:
    """Stands in for pymysql: every connection is to `server`; `broken` ones answer nothing."""

    def __init__(self) -> None:
        self.server = "c1"
        self.error: Exception | None = None
        self.connections: list[Any] = []

    def connect(self, **_settings: object) -> Any:
        if self.error is not None:
            raise self.error
        self.connections.append(made := Session(self, self.server))
        return made


class Session:
    """One connection, and its own cursor."""

    def __init__(self, database: Database, server: str) -> None:
        self.database = database
        self.server = server
        self.error: Exception | None = None
        self.closed = False
        self.pings = 0

    def ping(self, *, reconnect: bool) -> None:
        assert not reconnect
        self.pings += 1
        if self.error is not None:
            raise self.error

    def cursor(self) -> Session:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def execute(self, sql: str, _arguments: object) -> None:
        if self.error is not None and "wsrep_node_name" not in sql.partition("VALUES")[0]:
            raise self.error

    def fetchall(self) -> list[tuple[str]]:
        return [(self.server,)]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    made = Database()
    monkeypatch.setattr(pymysql, "connect", made.connect)
    return made


async def insert(rows: galera.Rows) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    await rows.operate(7, facts)
    return facts


async def test_an_idle_connection_is_pinged_and_used_again(database: Database) -> None:
    rows = galera.Rows(surroundings(one("galera", "database_write")))
    assert await insert(rows) == {"number": 7, "server": "c1"}
    assert await insert(rows) == {"number": 7, "server": "c1"}
    assert [made.pings for made in database.connections] == [1]


async def test_operations_side_by_side_wait_for_no_other(database: Database) -> None:
    pool = galera.Pool(surroundings(one("galera", "database_write")))
    with pool.connection(), pool.connection(), pool.connection():
        assert len(database.connections) == 3
    assert not any(made.closed for made in database.connections)


async def test_when_an_idle_one_is_dead_all_are_dropped_and_nobody_notices(database: Database) -> None:
    rows = galera.Rows(surroundings(one("galera", "database_write")))
    pool = rows._pool
    with pool.connection(), pool.connection():
        pass
    for made in database.connections:
        made.error = pymysql.OperationalError(2013, "Lost connection")
    database.server = "c2"
    assert await insert(rows) == {"number": 7, "server": "c2"}
    assert [(made.pings, made.closed) for made in database.connections] == [(0, True), (1, True), (0, False)]


async def test_one_that_fails_at_work_takes_the_others_with_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = galera.Rows(surroundings(one("galera", "database_write")))
    pool = rows._pool
    with pool.connection(), pool.connection():
        with pool.connection():
            pass
        first, second, idle = database.connections
        idle.error = pymysql.OperationalError(2013, "Lost connection")
        monkeypatch.setattr(Session, "ping", lambda _self, reconnect: None)  # noqa: ARG005 - it dies behind the ping
        with pytest.raises(Uncertain, match="2013"):
            await insert(rows)
    assert [made.closed for made in (first, second, idle)] == [True, True, True]  # older than the failure


@pytest.mark.parametrize(
    ("error", "kind", "kept"),
    [
        (pymysql.OperationalError(2013, "Lost connection to MySQL server during query"), Uncertain, False),
        (pymysql.InternalError(1180, "Got error 6 during COMMIT"), Uncertain, False),
        (pymysql.OperationalError(1213, "Deadlock: wsrep aborted transaction"), Failed, True),
        (pymysql.OperationalError(1047, "WSREP has not yet prepared node for application use"), Failed, False),
    ],
)
async def test_whether_a_row_may_be_there(
    database: Database, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[Exception], kept: bool
) -> None:
    rows = galera.Rows(surroundings(one("galera", "database_write")))
    monkeypatch.setattr(Session, "ping", lambda _self, reconnect: None)  # noqa: ARG005
    await insert(rows)
    database.connections[0].error = error
    with pytest.raises(kind, match=str(error.args[0])):
        await insert(rows)
    assert database.connections[0].closed is not kept


async def test_without_a_server_nothing_was_written(database: Database) -> None:
    rows = galera.Rows(surroundings(one("galera", "database_write")))
    database.error = pymysql.OperationalError(2003, "Can't connect to MySQL server")
    facts: dict[str, Any] = {}
    with pytest.raises(Failed, match=r"cannot connect: .*2003"):
        await rows.operate(7, facts)
    assert facts == {"number": 7}


def test_many_threads_share_the_pool(database: Database) -> None:
    pool = galera.Pool(surroundings(one("galera", "database_write")))

    def use() -> None:
        for _ in range(50):
            with pool.connection():
                pass

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(not made.closed for made in database.connections) <= galera.KEPT


def test_keys_are_changed_by_their_owner_and_no_key_soon_again() -> None:
    changed = [(n, slot) for n in range(2000) for kind, _, slot in [step(n, "c1", ["c2", "c3"])] if kind != "get"]
    assert all(step(n, "c1", ["c2", "c3"])[1] == "c1" for n, _ in changed)
    last: dict[int, int] = {}
    for number, slot in changed:
        assert number - last.get(slot, -1000) >= 70  # 3.5 s at 20 a second
        last[slot] = number
    assert set(last) == set(range(SLOTS))
    assert {slot for n, slot in changed if step(n, "c1", [])[0] == "delete"} == set(range(SLOTS))


def test_everybody_s_keys_are_read_and_some_just_after_they_were_changed() -> None:
    others = ["c2", "c3"]
    reads = [(n, *step(n, "c1", others)[1:]) for n in range(2000) if step(n, "c1", others)[0] == "get"]
    assert {owner for _, owner, _ in reads} == {"c1", "c2", "c3"}
    for owner in ("c1", "c2", "c3"):
        assert {slot for _, whose, slot in reads if whose == owner} == set(range(SLOTS))


def test_some_keys_are_read_just_after_they_were_changed_and_some_later() -> None:
    changed: dict[int, int] = {}
    lags = set()
    for number in range(2000):
        kind, _, slot = step(number, "c1", ["c2", "c3"])
        if kind != "get":
            changed[slot] = number
        elif slot in changed:
            lags.add(number - changed[slot])
    assert min(lags) == 1
    assert max(lags) > 50


def test_alone_it_reads_its_own() -> None:
    assert {step(n, "c1", [])[1] for n in range(100)} == {"c1"}

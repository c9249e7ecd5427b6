"""Galera's clients in a drill: rows with numbers, written through the VIP, and read back.

Connections are kept as SQLAlchemy and oslo.db keep them for OpenStack: an operation takes an idle one and pings it, or
opens a new one; when one fails, all that are older than the failure are dropped. No operation waits for another.

What the record says of it:

- a write: `number`, and `server`, the member that took it;
- a read: `highest`, the highest number that was there (None: no row), and `server`. A lower one than that of a write
  acknowledged before the read began is a stale read;
- at the end: `rows`, `numbers` as ranges, `more_than_once` (number, times, servers), and `servers`: who took them, in
  the order of their ids. One who comes back while another one writes was a second writer.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.connections import Connection

from quorate.core.client import Facts, Failed, Surroundings, Uncertain, ranges

CONNECT_TIMEOUT = 3
"""Seconds; what Quorate writes into the services' own configuration."""
KEPT = 5
"""Idle connections: `max_pool_size` of oslo.db."""
_PATIENCE = 20
_NO_QUORUM = 1047
_NOT_DONE = {_NO_QUORUM, 1205, 1213, 1290}
"""Answers after which a row is surely not there: no quorum, waited for a lock, conflict, read only. The connection is
as good as before; only the first means another one for oslo.db."""

_INSERT = "INSERT INTO written (number, server) VALUES (%s, @@wsrep_node_name)"
_ALL = "SELECT id, number, server FROM written ORDER BY id"

Row = tuple[int, int, str]


@dataclass(eq=False)
class Kept:
    """A connection, the member at its other end, and how many failures had been seen when it was opened."""

    connection: Connection[Any]
    server: str
    age: int

    def close(self) -> None:
        """Close it, whatever its state."""
        with contextlib.suppress(Exception):
            self.connection.close()


class Pool:
    """Idle connections. The lock guards the list, and is held over nothing that could take long."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._settings = surroundings.settings
        self._password = surroundings.passwords[self._settings["user"]]
        self._bound = surroundings.bound
        self._lock = threading.Lock()
        self._idle: deque[Kept] = deque()
        self._failures = 0

    @contextlib.contextmanager
    def connection(self) -> Iterator[Kept]:
        """Give one that answers, for one operation; after any error but Failed it is used no more.

        Failed also if there is none.
        """
        kept = self._take()
        try:
            yield kept
        except Failed:
            self._give_back(kept)
            raise
        except BaseException:
            self._forget(kept)
            raise
        self._give_back(kept)

    def connect(self, timeout: float) -> Kept:
        """Open a new one, whose answers may take so many seconds."""
        connection = pymysql.connect(
            host=self._settings["host"],
            port=self._settings["port"],
            user=self._settings["user"],
            password=self._password,
            database=self._settings["database"],
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=timeout,
            write_timeout=timeout,
            ssl_disabled=True,  # as OpenStack's; else each connection loads this machine's certificates: 20 ms of CPU
        )
        kept = Kept(connection, "", self._failures)
        try:
            ((kept.server,),) = rows(kept, "SELECT @@wsrep_node_name")
        except BaseException:
            kept.close()
            raise
        return kept

    def close(self) -> None:
        """Close the idle ones; those at work follow when they come back."""
        self._forget(None)

    def _take(self) -> Kept:
        while True:
            with self._lock:
                kept = self._idle.popleft() if self._idle else None
            try:
                if kept is None:
                    return self.connect(self._bound)
                kept.connection.ping(reconnect=False)
            except (pymysql.MySQLError, OSError) as error:
                if kept is None:
                    raise Failed(f"cannot connect: {error}") from None
                self._forget(kept)
            else:
                return kept

    def _give_back(self, kept: Kept) -> None:
        with self._lock:
            keep = kept.age == self._failures and len(self._idle) < KEPT
            if keep:
                self._idle.append(kept)
        if not keep:
            kept.close()

    def _forget(self, failed: Kept | None) -> None:
        """Drop it and, as it need not be the only one, all idle ones; those at work follow when they come back."""
        with self._lock:
            dropped = [*self._idle, *([failed] if failed else [])]
            self._idle.clear()
            self._failures += 1
        for kept in dropped:
            kept.close()


class Rows:
    """Writes one row an operation."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._in_thread = surroundings.in_thread
        self._pool = Pool(surroundings)

    async def prepare(self) -> None:
        """See that the account may read the table."""
        await self._in_thread(self._look)

    async def operate(self, number: int, facts: Facts) -> None:
        """Insert the row of this number."""
        facts["number"] = number
        await self._in_thread(self._insert, number, facts)

    async def finish(self) -> Mapping[str, Any]:
        """Read all rows, as a member that has applied everything shows them."""
        return summary(await self._in_thread(self._look))

    async def close(self) -> None:
        """Close the idle connections."""
        await self._in_thread(self._pool.close)

    def _insert(self, number: int, facts: Facts) -> None:
        with self._pool.connection() as kept:
            facts["server"] = kept.server
            try:
                rows(kept, _INSERT, number)
            except (pymysql.MySQLError, OSError) as error:
                code = error.args[0] if error.args else 0
                if code == _NO_QUORUM:
                    self._pool.close()
                raise (Failed if code in _NOT_DONE else Uncertain)(f"{type(error).__name__}: {error}") from None

    def _look(self) -> list[Row]:
        kept = self._pool.connect(_PATIENCE)
        try:
            rows(kept, "SET SESSION wsrep_sync_wait = 1")
            return rows(kept, _ALL)
        finally:
            kept.close()


class Reads:
    """Reads the highest number an operation."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._in_thread = surroundings.in_thread
        self._pool = Pool(surroundings)

    async def prepare(self) -> None:
        """See that the account may read the table."""
        await self._in_thread(self._read, {})

    async def operate(self, number: int, facts: Facts) -> None:
        """Read what is there, without waiting for what is on its way (as OpenStack's services read)."""
        del number
        await self._in_thread(self._read, facts)

    async def finish(self) -> Mapping[str, Any]:
        """What is there is read by Rows."""
        return {}

    async def close(self) -> None:
        """Close the idle connections."""
        await self._in_thread(self._pool.close)

    def _read(self, facts: Facts) -> None:
        with self._pool.connection() as kept:
            facts["server"] = kept.server
            ((facts["highest"],),) = rows(kept, "SELECT MAX(number) FROM written")


def rows(kept: Kept, sql: str, *arguments: object) -> list[Any]:
    """Run a statement; its rows, if it has any."""
    with kept.connection.cursor() as cursor:
        cursor.execute(sql, arguments)
        return list(cursor.fetchall())


def summary(found: Iterable[Row]) -> dict[str, Any]:
    """Say of the rows, ordered by id, what checkers need, in little room."""
    servers: list[dict[str, Any]] = []
    by_number: dict[int, list[str]] = {}
    for key, number, server in found:
        by_number.setdefault(number, []).append(server)
        if not servers or servers[-1]["server"] != server:
            servers.append({"server": server, "first": key, "rows": 0})
        servers[-1]["last"] = key
        servers[-1]["rows"] += 1
    times = Counter({number: len(takers) for number, takers in by_number.items()})
    return {
        "rows": times.total(),
        "numbers": ranges(by_number),
        "more_than_once": [[number, count, by_number[number]] for number, count in sorted(times.items()) if count > 1],
        "servers": servers,
    }

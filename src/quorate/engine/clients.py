"""Clients as users have them: one validates Keystone tokens, one writes rows; each through the virtual IP."""

from __future__ import annotations

import asyncio
import ssl
import threading
from dataclasses import dataclass, field

import httpx
import pymysql
from pymysql.connections import Connection

from quorate.errors import QuorateError


@dataclass
class TokenValidation:
    """Validates one Keystone token, on a connection of its own each time, as a service would for a new caller."""

    base: str
    password: str = field(repr=False)
    user: str = "admin"
    project: str = "admin"
    _token: str = field(default="", repr=False)

    async def issue(self) -> str:
        """Get a token from Keystone, and keep it."""
        scope = {"project": {"name": self.project, "domain": {"id": "default"}}}
        user = {"name": self.user, "domain": {"id": "default"}, "password": self.password}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        async with self._client(30.0) as client:
            reply = await client.post("/v3/auth/tokens", json=body)
        if reply.status_code != 201:
            raise QuorateError(f"{self.base} issues no token: HTTP {reply.status_code}")
        self._token = reply.headers["x-subject-token"]
        return self._token

    async def __call__(self, _number: int, /) -> None:
        """Validate it. Raises when the answer is anything but 200."""
        headers = {"x-auth-token": self._token, "x-subject-token": self._token}
        async with self._client(10.0) as client:
            reply = await client.get("/v3/auth/tokens", headers=headers)
        if reply.status_code != 200:
            raise QuorateError(f"HTTP {reply.status_code}")

    def _client(self, seconds: float) -> httpx.AsyncClient:
        # Without its own empty context every client would load the system's certificates anew: 20 ms each.
        return httpx.AsyncClient(
            base_url=self.base, timeout=seconds, trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )


@dataclass
class RowWriter:
    """Writes numbered rows, one connection kept until it fails; remembers which were acknowledged."""

    host: str
    user: str
    password: str = field(repr=False)
    database: str
    port: int = 3306
    bound: float = 2.0
    acknowledged: set[int] = field(default_factory=set)
    _connection: Connection | None = field(default=None, repr=False)
    _alone: threading.Lock = field(default_factory=threading.Lock, repr=False)

    async def __call__(self, number: int) -> None:
        """Insert row `number`. Raises when it was not acknowledged; it may be there all the same."""
        await asyncio.to_thread(self._insert, number)

    def prepare(self) -> None:
        """Make the table, empty."""
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS written (number BIGINT PRIMARY KEY)")
            cursor.execute("DELETE FROM written")

    def lost(self) -> set[int]:
        """Rows that were acknowledged and are not there."""
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT number FROM written")
            return self.acknowledged - {int(row[0]) for row in cursor.fetchall()}

    def close(self) -> None:
        """Give up the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _insert(self, number: int) -> None:
        with self._alone:
            try:
                if self._connection is None:
                    self._connection = self._connect()
                with self._connection.cursor() as cursor:
                    cursor.execute("INSERT INTO written VALUES (%s)", (number,))
            except Exception:
                self.close()
                raise
            self.acknowledged.add(number)

    def _connect(self) -> Connection:
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            database=self.database,
            autocommit=True,
            connect_timeout=1,
            read_timeout=self.bound,
            write_timeout=self.bound,
        )

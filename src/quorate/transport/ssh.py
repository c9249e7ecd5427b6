"""The way to a controller in production: one ssh connection, kept open, a channel for each command.

The operator's own ssh settings apply (~/.ssh/config, its known hosts, the agent); what cloud.yaml says goes first. No
host key is ever taken on trust. A call's time covers everything, connecting included, because a frozen machine's kernel
goes on accepting connections that nobody will ever answer.

A command runs below `timeout` of coreutils, so that it ends over there too when its time is up: closing a channel ends
nothing, and a machine that was cut off has nobody else to end it. A cancelled call leaves its command to that. One that
leaves something running in the background has to redirect its outputs, or it has not ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from math import inf
from pathlib import Path
from typing import Any

import asyncssh

from quorate.errors import Unreachable
from quorate.model.cloud import Cloud
from quorate.transport.contract import LEFT, Completed, Take
from quorate.transport.request import REPLY_LIMIT
from quorate.transport.ssh_failure import Client, explained
from quorate.transport.ssh_stream import streamed

KEEPALIVE_INTERVAL = 5.0
KEEPALIVE_COUNT = 3
AT_ONCE = 8
"""Commands at once on one connection: sshd's own limit (MaxSessions) is 10 unless somebody lowered it."""
GRACE = 2
"""Seconds between TERM and KILL for a command whose time is up."""


def connect(cloud: Cloud, controller: str, base: Path) -> SshTransport:
    """Make the way to a controller of the cloud. `base`: the folder of cloud.yaml. Nothing is contacted yet."""
    return connect_to(cloud, cloud.controllers[controller].ssh_host or cloud.address(controller), base, name=controller)


def connect_to(
    cloud: Cloud, address: str, base: Path, *, name: str = "", user: str | None = None, port: int | None = None
) -> SshTransport:
    """Make the way to any machine, with the cloud's settings where nothing else is said. `name`: for messages."""
    ssh = cloud.ssh
    return SshTransport(
        name or address,
        address,
        user=user or ssh.user,
        port=port or ssh.port,
        identity=base / Path(ssh.identity).expanduser() if ssh.identity else None,
        known_hosts=base / Path(ssh.known_hosts).expanduser() if ssh.known_hosts else None,
        sudo=ssh.sudo and user != "root",
    )


class SshTransport:
    """A way to one machine over ssh (see contract.py). `config`: the ssh config to use, default the operator's."""

    def __init__(
        self,
        host: str,
        address: str,
        *,
        user: str | None = None,
        port: int | None = None,
        identity: Path | None = None,
        known_hosts: Path | None = None,
        config: Path | None = None,
        sudo: bool = False,
    ) -> None:
        self._host = host
        self._address = address
        self._identity = identity
        self._known_hosts = known_hosts
        self._sudo = sudo
        said = {"username": user, "port": port, "config": [config] if config else None}
        self._said: dict[str, Any] = {key: value for key, value in said.items() if value is not None}
        self._opening = asyncio.Lock()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._knock: Client | None = None
        self._line: _Line | None = None
        self._lines: set[_Line] = set()

    @property
    def host(self) -> str:
        """The controller's name."""
        return self._host

    async def run(self, argv: Sequence[str], stdin: bytes = b"", *, timeout: float, reach: float = inf) -> Completed:
        """Run the command (contract.py). After a call that ran out of time the next one opens a new connection."""
        now = asyncio.get_running_loop().time
        started = now()
        session = _Session()
        try:
            async with asyncio.timeout(min(timeout, reach)) as limit, self._room:
                while True:
                    async with self._use() as line:
                        command = self._command(argv, started + timeout - now())
                        if await line.open(session, command):
                            limit.reschedule(started + timeout)
                            return await session.finish(stdin, self._host)
        except TimeoutError:
            raise Unreachable(self._host, self._late(session, argv, f"within {now() - started:.3g} s")) from None

    async def stream(
        self, argv: Sequence[str], *, timeout: float, feed: AsyncIterable[bytes] | None = None, take: Take | None = None
    ) -> Completed:
        """Run the command on a connection of its own (contract.py)."""
        conn: asyncssh.SSHClientConnection | None = None
        try:
            async with asyncio.timeout(timeout) as limit:
                conn = await self.dial()
                return await streamed(self._host, conn, self._command(argv, timeout), feed, take)
        except TimeoutError:
            if not limit.expired():
                raise
            raise Unreachable(self._host, f"{argv[0]} did not end within {timeout:g} s") from None
        finally:
            if conn is not None:
                conn.abort()

    async def dial(self, *, keepalive: float = KEEPALIVE_INTERVAL) -> asyncssh.SSHClientConnection:
        """Open a connection that is the caller's own, to close it and to limit the time. Raises Unreachable.

        `keepalive`: seconds between questions whether the machine lives; after a few without an answer it is closed.
        """
        return await self._dial(Client(), keepalive)

    async def close(self) -> None:
        """Close all connections; calls that are under way end as Unreachable."""
        self._line = None
        for line in tuple(self._lines):
            await line.close()
        self._lines.clear()

    def _command(self, argv: Sequence[str], left: float) -> str:
        sudo = ("sudo", "-n") if self._sudo else ()
        seconds = f"{max(left, 0.1):.3f}"
        return shlex.join([*sudo, "timeout", "-k", str(GRACE), seconds, "env", f"{LEFT}={seconds}", *argv])

    def _late(self, session: _Session, argv: Sequence[str], within: str) -> str:
        """Say how far we came."""
        if session.opened:
            return f"{argv[0]} did not end {within}"
        if self._knock is None or self._knock.conn is None:
            return f"timed out connecting to {self._address}: no answer {within}"
        if self._knock.conn.get_extra_info("server_version") is None:
            return f"it accepts connections and sends no ssh banner {within}: it may be frozen"
        if not self._knock.admitted:
            return f"ssh began and did not let us in {within}"
        return f"the open connection gave no answer {within}"

    @contextlib.asynccontextmanager
    async def _use(self) -> AsyncIterator[_Line]:
        """Give the open line, or open it. One on which a call was cut short is used no more."""
        async with self._opening:
            if self._line is None or not self._line.usable:
                self._line = await self._open()
                self._lines.add(self._line)
            line = self._line
        line.users += 1
        try:
            yield line
        except asyncio.CancelledError:
            line.usable = False
            raise
        finally:
            line.users -= 1
            if not line.usable and not line.users:
                line.conn.abort()
                self._lines.discard(line)

    async def _open(self) -> _Line:
        self._knock = Client()
        return _Line(await self._dial(self._knock, KEEPALIVE_INTERVAL))

    async def _dial(self, client: Client, keepalive: float) -> asyncssh.SSHClientConnection:
        options: asyncssh.SSHClientConnectionOptions | None = None
        try:
            options = await self._options(keepalive)
            return await asyncssh.connect(self._address, options=options, client_factory=lambda: client)
        except (OSError, ValueError, asyncssh.Error) as error:
            if isinstance(error, TimeoutError):
                raise
            raise explained(self._host, error, client, options, self._known_hosts) from None

    async def _options(self, keepalive: float) -> asyncssh.SSHClientConnectionOptions:
        """Combine cloud.yaml with the operator's ssh config."""
        said = self._said | {
            "host": self._address,
            "login_timeout": 0,  # `run` has the time
            "keepalive_interval": keepalive,
            "keepalive_count_max": KEEPALIVE_COUNT,
        }
        if self._identity is not None:
            public = self._identity.with_name(f"{self._identity.name}.pub")
            agent = {"agent_identities": [str(public)]} if public.exists() else {"agent_path": ""}
            said |= agent | {"client_keys": [str(self._identity)], "ignore_encrypted": True}
        if self._known_hosts is not None:
            said["known_hosts"] = str(self._known_hosts) if self._known_hosts.exists() else b"# none\n"
        construct = asyncssh.SSHClientConnectionOptions.construct
        options: asyncssh.SSHClientConnectionOptions = await construct(**said)
        if options.known_hosts is None:  # `UserKnownHostsFile none` would mean: trust anybody
            options = await construct(options, known_hosts=b"")
        return options


class _Line:
    """An open connection and how many calls are using it."""

    def __init__(self, conn: asyncssh.SSHClientConnection) -> None:
        self.conn = conn
        self.users = 0
        self.fresh = True
        self._usable = True

    @property
    def usable(self) -> bool:
        """Whether new calls may use it."""
        return self._usable and not self.conn.is_closed()

    @usable.setter
    def usable(self, usable: bool) -> None:
        self._usable = usable

    async def open(self, session: _Session, command: str) -> bool:
        """Begin the command. False: this connection cannot and never heard of the command, so try another.

        It had died, or its sshd has as many sessions as it allows; one that is new has no such excuse.
        """
        fresh, self.fresh = self.fresh, False
        try:
            await self.conn.create_session(lambda: session, command, encoding=None, request_pty=False)
        except (OSError, asyncssh.Error) as error:
            if not fresh and not session.opened:
                self.usable = False
                return False
            session.refusal = error
        return True

    async def close(self) -> None:
        """Close it without waiting for the other side."""
        self.usable = False
        self.conn.abort()
        await self.conn.wait_closed()


class _Session(asyncssh.SSHClientSession[bytes]):
    """One command: what it prints, and how it ends."""

    def __init__(self) -> None:
        self.opened = False
        self.refusal: Exception | None = None
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._code: int | None = None
        self._printed: dict[int | None, bytearray] = {None: bytearray(), asyncssh.EXTENDED_DATA_STDERR: bytearray()}
        self._ended = asyncio.Event()
        self._lost: Exception | None = None

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan
        self.opened = True

    def data_received(self, data: bytes, datatype: int | None) -> None:
        printed = self._printed[datatype]
        printed += data
        if len(printed) > REPLY_LIMIT:
            self._lost = ValueError(f"it printed more than {REPLY_LIMIT >> 20} MiB")
            self._abort()

    def exit_status_received(self, status: int) -> None:
        self._code = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        del core_dumped, msg, lang
        self._code = -_number(signal)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = self._lost or exc
        self._ended.set()

    async def finish(self, stdin: bytes, host: str) -> Completed:
        """Give it its input and wait for its end."""
        if isinstance(self.refusal, asyncssh.ChannelOpenError):
            hint = "Its sshd may allow few sessions at once: MaxSessions of sshd_config."
            raise Unreachable(host, f"ssh gave us no session: {self.refusal.reason}", hint=hint)
        if self.refusal is not None or self._channel is None:
            raise Unreachable(host, f"lost while the command was being started, which may go on: {self.refusal}")
        try:
            with contextlib.suppress(BrokenPipeError):  # it ended without reading
                self._channel.write(stdin)
                self._channel.write_eof()
            await self._ended.wait()
        finally:
            self._abort()
        if self._lost is not None or self._code is None:
            why = self._lost or "the connection was closed"
            raise Unreachable(host, f"lost while the command ran, which may go on: {why}")
        out, err = self._printed.values()
        return Completed(self._code, bytes(out), bytes(err))

    def _abort(self) -> None:
        if self._channel is not None and not self._ended.is_set():
            self._channel.abort()


def _number(name: str) -> int:
    """Give a signal's number; 0 cannot be one, so an unknown name counts as KILL."""
    try:
        return int(signal.Signals[f"SIG{name}"])
    except KeyError:
        return int(signal.SIGKILL)

"""Connections to servers until they stand: the call, the TLS handshake, and why one fails."""

from __future__ import annotations

import errno
import select
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quorate.balancer.config import Config
from quorate.balancer.health import LASTING
from quorate.balancer.session import Backend
from quorate.balancer.sockets import unpaced
from quorate.balancer.worker import Worker

if TYPE_CHECKING:
    from quorate.balancer.tls import Secured

    Socket = socket.socket | Secured

CONNECT = 0.25
"""Seconds that a connection to a server may take to stand, TLS handshake included."""
RECALL = 1.0
"""Seconds until a server is called again when somebody must first mend something: a handshake costs both sides."""
_RESET = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Call:
    """A connection that does not stand yet. `secured`: its handshake is under way."""

    sock: socket.socket
    backend: Backend
    since: float
    secured: Secured | None = None


class Opening:
    """Calls every server that has no connection, and hands over those that stand."""

    def __init__(
        self,
        worker: Worker,
        config: Config,
        epoll: select.epoll,
        stands: Callable[[Socket, Backend], None],
    ) -> None:
        self.worker = worker
        self.config = config
        self.epoll = epoll
        self.stands = stands
        self.calls: dict[int, Call] = {}
        self.not_before: dict[int, float] = {}  # by server
        self.secure: Callable[[socket.socket, str], Secured] | None = secure(config)

    def call_missing(self) -> None:
        """End the calls that take too long, and call whoever is not connected."""
        now = self.worker.now
        for fd, call in list(self.calls.items()):
            if now - call.since > CONNECT:
                self._fails(
                    fd, "does not answer the call" if call.secured is None else "does not answer TLS's handshake"
                )
        under_way = {call.backend.server for call in self.calls.values()}
        for server, present in enumerate(self.worker.connections):
            if present is None and server not in under_way and now >= self.not_before.get(server, 0.0):
                self._call(server)

    def _call(self, server: int) -> None:
        address = self.config.servers[server].address
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self.config.timing.deadline)
        # However it is closed, even by the death of this process, nothing of it is delivered any more.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        backend = Backend(self.worker, server, self.worker.latencies[server, b"get"])
        fd = sock.fileno()
        self.calls[fd] = Call(sock, backend, self.worker.now)
        try:
            outcome = sock.connect_ex((address.host, address.port))
        except (OSError, UnicodeError) as error:  # a name that is nobody's
            self._fails(fd, str(error))
            return
        if outcome in {0, errno.EINPROGRESS}:
            self.epoll.register(fd, select.EPOLLOUT)
        else:
            self._fails(fd, errno.errorcode.get(outcome, str(outcome)))

    def goes_on(self, fd: int, event: int) -> None:
        """Take what epoll says of a call."""
        call = self.calls[fd]
        if call.secured is not None:
            self._shakes_hands(fd, call.secured)
            return
        error = call.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error or event & select.EPOLLERR:
            self._fails(fd, errno.errorcode.get(error, "fails"))
            return
        host, port = call.sock.getsockname()[:2]
        call.backend.local = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if call.sock.getpeername()[0] == host:
            unpaced(call.sock)
        if self.secure is None:
            self._stands(fd, call.sock)
        else:
            call.secured = self.secure(call.sock, self.config.servers[call.backend.server].address.host)
            self._shakes_hands(fd, call.secured)

    def _shakes_hands(self, fd: int, secured: Secured) -> None:
        try:
            wants = secured.handshake()
        except OSError as error:
            self._fails(fd, str(error))
            return
        if wants:
            self.epoll.modify(fd, wants)
        else:
            self._stands(fd, secured)

    def put_off(self, server: int, why: str) -> None:
        """Call a server later that was lost for a reason which somebody must mend."""
        if why.startswith(LASTING):
            self.not_before[server] = self.worker.now + RECALL

    def _stands(self, fd: int, sock: Socket) -> None:
        self.epoll.unregister(fd)
        self.stands(sock, self.calls.pop(fd).backend)

    def _fails(self, fd: int, why: str) -> None:
        call = self.calls.pop(fd)
        call.sock.close()
        server = call.backend.server
        self.put_off(server, why)
        if self.worker.health[server].lost(why, self.worker.now):
            self.worker.is_out(server, why)


def secure(config: Config) -> Callable[[socket.socket, str], Secured] | None:
    """How a connection is secured; None: not at all."""
    if config.tls is None:
        return None
    from quorate.balancer import tls  # noqa: PLC0415 - OpenSSL is for those who ask for it

    made = tls.context(config.tls)
    return lambda sock, host: tls.Secured(sock, made, host)

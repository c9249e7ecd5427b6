"""Sockets and timers of one worker and nothing else: an epoll loop that feeds session.py and calls worker.py."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from quorate.balancer.config import Config
from quorate.balancer.conn import Conn
from quorate.balancer.handover import ClientState
from quorate.balancer.opening import Opening
from quorate.balancer.pages import Visitor
from quorate.balancer.session import Backend, Client
from quorate.balancer.sockets import has_given_up
from quorate.balancer.worker import Worker

if TYPE_CHECKING:
    from quorate.balancer.opening import Socket

READ = 65536
"""Bytes of one read: no client gets more of a loop tick than that."""
FIRST_READ = 479
"""Bytes of a client's reads until one is full: most are short, and Python has room for so many at hand (512 with what
a `bytes` is besides), where more is asked of the C library and most of it given back."""
SWEEP = 0.005
"""Seconds between two looks for what is late."""
PAUSE = 0.2
"""Seconds between two looks at the clock after which what is believed of others is looked at before it is used."""
START = 1.0
"""Seconds after which clients are served even if no quorum of servers was found."""
TELL = 60.0
"""Seconds between two log lines that say that no client can be taken."""
VISITORS = 32
"""Connections to the pages at a time."""
SLOW_OUTPUT = 262_144
"""Bytes waiting for a client that does not read; from there on nothing more is read from it."""
TOTAL_OUTPUT = 33_554_432
"""Bytes waiting for all slow clients of a worker; beyond, those who let most of it wait are closed."""
_IN, _OUT = select.EPOLLIN, select.EPOLLOUT


class Peer:
    """A socket and the connection that it carries."""

    __slots__ = ("conn", "fd", "feed", "left", "loop", "mask", "recv", "room", "send", "sock", "waiting", "written")

    def __init__(self, loop: Loop, sock: Socket, conn: Conn) -> None:
        self.loop = loop
        self.sock = sock
        self.conn = conn
        self.fd = sock.fileno()
        self.recv = sock.recv
        self.room = FIRST_READ if isinstance(conn, Client) else READ  # TLS tells only once of what it has decrypted
        self.send = sock.send
        self.left: deque[bytes] = deque()  # output that the socket did not take
        self.waiting = 0  # bytes of it
        self.written = 0  # bytes since the client's window was fitted
        self.mask = _IN
        self.feed: Callable[[bytes], None] = conn.data_received  # type: ignore[attr-defined]
        conn.write = self.write
        conn.close = self.close
        conn.pause = self.pause
        conn.resume = self.resume
        conn.quick = self.quick
        loop.peers[self.fd] = self
        loop.epoll.register(self.fd, _IN)

    def write(self, data: bytes) -> None:
        """Write now what the socket takes and keep the rest."""
        if self.left:
            self._keep(data)
            return
        try:
            sent = self.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.loop.ended(self, str(error))
            return
        self.written += sent
        if sent < len(data):
            self._keep(data[sent:])
            self.watch(self.mask | _OUT)
        elif self.conn.ending:
            self.loop.ended(self, "done")

    def _keep(self, data: bytes) -> None:
        self.left.append(data)
        self.waiting += len(data)
        if isinstance(self.conn, Client):
            self.loop.kept(self, len(data))

    def writable(self) -> None:
        """Go on writing."""
        before = self.waiting
        while self.left:
            data = self.left.popleft()
            try:
                sent = self.send(data)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self.loop.ended(self, str(error))
                return
            self.waiting -= sent
            if sent < len(data):
                self.left.appendleft(data[sent:])
                break
        if isinstance(self.conn, Client):
            self.loop.kept(self, self.waiting - before)
        if not self.left:
            self.watch(self.mask & ~_OUT)
            if self.conn.ending:
                self.loop.ended(self, "done")
            elif not self.mask & _IN:
                self.resume()

    def watch(self, mask: int) -> None:
        """Tell the kernel what is of interest."""
        if mask != self.mask and not self.conn.closed:
            self.mask = mask
            self.loop.epoll.modify(self.fd, mask)

    def pause(self) -> None:
        """Read no more."""
        self.watch(self.mask & ~_IN)

    def resume(self) -> None:
        """Read again, beginning with what was kept."""
        if isinstance(self.conn, Client) and self.waiting <= SLOW_OUTPUT and self.loop.is_open:
            self.conn.resize(self.written)
            self.written = 0
            self.conn.waits = False
            self.watch(self.mask | _IN)
            self.conn.data_received(b"")

    def quick(self) -> None:
        """Acknowledge at once: a client that wants no reply (noreply) may wait for that before it says more (Nagle)."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def close(self) -> None:
        """Close the socket."""
        if self.loop.peers.pop(self.fd, None) is None:
            return
        # Peer and connection know each other: they stay until the collector runs, but not with what nobody will read.
        self.left.clear()
        self.conn.out = None
        self.conn.more = []
        if isinstance(self.conn, Client):
            self.loop.buffered -= self.waiting
            for req in self.conn.queue:
                req.resp = b""
        self.sock.close()


class Loop:
    """One worker's sockets. `run` returns after `stop` once all that was asked is answered."""

    def __init__(self, worker: Worker, config: Config, listener: socket.socket, pages: socket.socket | None) -> None:
        self.worker = worker
        self.config = config
        self.listener = listener
        self.epoll = select.epoll()
        self.peers: dict[int, Peer] = {}
        self.opening = Opening(worker, config, self.epoll, self._stands)
        self.others: dict[int, Callable[[], None]] = {}  # signals and whatever else is watched for reading
        self.clients = 0
        self.visitors = 0
        self.buffered = 0
        self.probe_every = config.timing.probe / 1000
        self.at_probe: Callable[[], None] = int  # type: ignore[assignment]  # the watchdog's, say
        self.is_open = False  # clients are read
        self.full = False  # no client can be taken, until the next probe
        self.told_full = -TELL
        self.until: float | None = None
        worker.clients = lambda: self.clients
        if pages is not None:
            self.watch(pages.fileno(), lambda: self._visit(pages))

    def open(self) -> None:
        """Begin to serve clients: once servers are known, so that nobody misses what is only not connected yet."""
        self.is_open = True
        self.watch(self.listener.fileno(), self._accept)
        for peer in list(self.peers.values()):
            peer.resume()

    # --- the loop ------------------------------------------------------------------------------------------------

    def run(self) -> None:  # noqa: PLR0912 - one flat loop: every call costs
        """Serve."""
        worker, poll, monotonic, peers = self.worker, self.epoll.poll, time.monotonic, self.peers
        worker.now = monotonic()
        began = next_probe = next_sweep = worker.now
        wait = 0.0
        while self.until is None or (worker.now < self.until and self._busy_clients()):
            events = poll(wait)
            now = monotonic()
            if now - worker.now > PAUSE:
                worker.overslept(now)
            worker.now = now
            for fd, event in events:
                peer = peers.get(fd)
                if peer is None:
                    self._other(fd, event)
                    continue
                if event != _IN:
                    if event & _OUT:
                        peer.writable()
                    if not event & ~_OUT or peer.conn.closed:
                        continue
                try:
                    data = peer.recv(peer.room)
                except BlockingIOError:
                    continue
                except OSError as error:
                    self.ended(peer, str(error))
                    continue
                if data:
                    if len(data) == peer.room:
                        peer.room = READ
                    peer.feed(data)
                else:
                    self.ended(peer, "closed the connection")
            if (late := monotonic()) - now > PAUSE:
                worker.overslept(late)  # in the middle of all that: nothing of it is sent to servers any more
            if worker.dirty or worker.unblocked:
                worker.flush()
            if now >= next_sweep:
                next_sweep = now + SWEEP
                worker.sweep()
                worker.flush()
            if now >= next_probe:
                next_probe = now + self.probe_every
                self._probe()
            if not self.is_open and self.until is None and (worker.is_ready or now > began + START):
                self.open()
            wait = SWEEP if events or self._waits() else max(0.0, next_probe - now)

    def _probe(self) -> None:
        """Do what is done at every probe interval."""
        if self.full:
            self._look_again()
        self.opening.call_missing()
        self.worker.probe()
        self.worker.flush()
        self.at_probe()

    def stop(self, seconds: float) -> None:
        """Read no more from clients, and end once the requests under way are answered, or after so many seconds."""
        if self.until is None:
            self.until = self.worker.now + seconds
            if self.is_open and not self.full:
                self.unwatch(self.listener.fileno())
            self.is_open = False
            for peer in self.peers.values():
                if isinstance(peer.conn, Client):
                    peer.pause()

    def leave(self) -> dict[int, ClientState]:
        """Return what the next process needs to know of each client, by descriptor."""
        return {
            peer.fd: peer.conn.leave(b"".join(peer.left))
            for peer in self.peers.values()
            if isinstance(peer.conn, Client)
        }

    def watch(self, fd: int, then: Callable[[], None]) -> None:
        """Call `then` whenever this descriptor can be read."""
        self.others[fd] = then
        self.epoll.register(fd, _IN)

    def unwatch(self, fd: int) -> None:
        """Watch it no longer."""
        del self.others[fd]
        self.epoll.unregister(fd)

    def _waits(self) -> bool:
        return bool(self.worker.waiting) or any(b is not None and b.fifo for b in self.worker.connections)

    def _busy_clients(self) -> bool:
        return any(isinstance(p.conn, Client) and p.conn.queue for p in self.peers.values())

    def _other(self, fd: int, event: int) -> None:
        if fd in self.opening.calls:
            self.opening.goes_on(fd, event)
        elif fd in self.others:
            self.others[fd]()

    # --- clients -------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        for _ in range(64):
            try:
                sock, _ = self.listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                    self._rest(error.strerror or "")
                return
            if self.clients >= self.config.limits.connections:
                with contextlib.suppress(OSError):
                    sock.send(b"SERVER_ERROR too many connections\r\n")
                sock.close()
                continue
            self.adopt(sock)

    def _rest(self, why: str) -> None:
        """Take nobody until the next probe: those who wait would be looked at without end."""
        self.full = True
        self.unwatch(self.listener.fileno())
        if self.worker.now - self.told_full >= TELL:
            self.told_full = self.worker.now
            self.worker.log(f"no client can be taken: {why}", "no_client_taken", reason=why)

    def _look_again(self) -> None:
        self.full = False
        if self.is_open:
            self.watch(self.listener.fileno(), self._accept)

    def adopt(self, sock: socket.socket, state: ClientState | None = None) -> None:
        """Serve a client, from where its former process left it; not one that gave up before this one could begin."""
        with contextlib.suppress(OSError):
            if has_given_up(sock, self.worker.deadline):
                sock.close()
                return
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = Client(self.worker)
        peer = Peer(self, sock, client)
        peer.feed = self.worker.wary(client.data_received)
        self.clients += 1
        if state is not None:
            client.buf = state.sent
            client.skip = state.skip
            peer.pause()
            if state.unread:
                peer.write(state.unread)

    def _visit(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            sock, _ = listener.accept()
            sock.setblocking(False)
            if self.visitors >= VISITORS:
                sock.close()
                return
            self.visitors += 1
            Peer(self, sock, Visitor(self.worker))

    def kept(self, peer: Peer, more: int) -> None:
        """Bound what waits for slow clients."""
        self.buffered += more
        if peer.waiting > SLOW_OUTPUT:
            peer.pause()
        if more > 0 and (peer.waiting > self.config.limits.output or self.buffered > TOTAL_OUTPUT):
            worst = max((p for p in self.peers.values() if isinstance(p.conn, Client)), key=lambda p: p.waiting)
            self.worker.log(f"a client was closed: it let {worst.waiting} bytes wait", "client_closed")
            self.ended(worst, "too slow")

    def ended(self, peer: Peer, why: str) -> None:
        """A socket is done with."""
        conn = peer.conn
        if conn.closed:
            return
        if isinstance(conn, Backend):
            self.opening.put_off(conn.server, why)
            self.worker.give_up(conn, why)
            return
        conn.closed = True
        peer.close()
        if isinstance(conn, Client):
            self.clients -= 1
            self.worker.hold.discard(conn)
        else:
            self.visitors -= 1

    # --- servers -------------------------------------------------------------------------------------------------

    def _stands(self, sock: Socket, backend: Backend) -> None:
        Peer(self, sock, backend)
        self.worker.connected(backend)

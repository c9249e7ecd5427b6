"""Where clients connect, and the sockets and notes that a former process left."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from dataclasses import dataclass, field

from quorate.balancer import handover, notify
from quorate.balancer.config import Address
from quorate.balancer.handover import State

BACKLOG = 1024
"""Clients that may wait until they are taken."""
TAKEN = 1.0
"""Seconds that the service manager is waited for to forget what it passed on."""
_INFO = struct.Struct("=B51xI")
"""Of the kernel's `tcp_info`: the state, and the milliseconds since data came last."""
_CLOSE_WAIT = 8
"""The state of a connection that the other end has closed."""


_OWN = {"127.0.0.1", "::1"}


@dataclass
class Left:
    """What a former process, or one former worker, left."""

    state: State = field(default_factory=State)
    clients: list[socket.socket] = field(default_factory=list)
    listeners: list[socket.socket] = field(default_factory=list)


def received() -> dict[int, Left]:
    """Return what former workers left, by number, through `exec` or through the service manager.

    Listening sockets are all with the first.
    """
    found = {1: Left()}
    state, descriptors = handover.inherited()
    kept = notify.kept()
    found[1].state = state
    take(found[1], descriptors)
    for name, numbers in kept.items():
        notify.notify(f"FDSTOREREMOVE=1\nFDNAME={name}")
        kind, _, number = name.partition(".")
        left = found.setdefault(int(number) if number.isdigit() else 1, Left())
        if kind == "state":
            for descriptor in numbers:
                left.state, _ = handover.read_state(descriptor)
        else:
            take(left, numbers)
    if kept:
        notify.barrier(TAKEN)  # until then it holds them as well, and clients may wait where nobody takes them
    for other in [left for which, left in found.items() if which > 1]:
        found[1].listeners += other.listeners
        other.listeners = []
    return found


def take(left: Left, descriptors: list[int]) -> None:
    """Make sockets of descriptors."""
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
        sock = socket.socket(fileno=descriptor)
        (left.listeners if is_listening(sock) else left.clients).append(sock)


def gathered(found: dict[int, Left], workers: int) -> dict[int, Left]:
    """Return the same for so many workers: the first takes over what more of them left."""
    for number in sorted(number for number in found if number > workers):
        surplus = found.pop(number)
        found[1].state = found[1].state.merged(surplus.state)
        found[1].clients += surplus.clients
    return found


def is_listening(sock: socket.socket) -> bool:
    """Whether clients connect to it."""
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def is_shared(sock: socket.socket) -> bool:
    """Whether others can listen where it does."""
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT))


def is_at(sock: socket.socket, address: Address) -> bool:
    """Whether it listens where the configuration says."""
    found = sock.getsockname()
    if not isinstance(found, tuple):
        return False
    try:
        meant = socket.getaddrinfo(address.host, address.port, sock.family, socket.SOCK_STREAM)
    except socket.gaierror:
        return False
    return any(place[:2] == found[:2] for *_, place in meant)


def listen(address: Address) -> socket.socket:
    """Open an address at which the pages are asked for."""
    sock = bound(address)
    sock.listen(BACKLOG)
    return sock


def listen_alone(address: Address) -> socket.socket:
    """Open an address at which clients connect, where nobody listens yet.

    It can be shared: with several workers after a restart it stays in use, since the service manager holds it, too.
    """
    bound(address).close()
    sock = bound(address, shared=True)
    sock.listen(BACKLOG)
    return sock


def bound(address: Address, *, shared: bool = False) -> socket.socket:
    """Take an address, but do not listen yet. `shared`: each of several such sockets gets its share of the clients."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((address.host, address.port))
    if sock.getsockname()[0] in _OWN:
        unpaced(sock)
    return sock


def unpaced(sock: socket.socket) -> None:
    """Do without pacing where nothing leaves this machine; whoever is accepted at a listener inherits that.

    Where BBR is the host's congestion control it spreads out every reply, with a timer of the kernel's.
    """
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")  # the one that every kernel has


def has_given_up(client: socket.socket, seconds: float) -> bool:
    """Whether a client has hung up, and nothing came from it for so long: it waited in vain.

    Most likely it has made its change again elsewhere by now. Who says something and hangs up at once is no such one.
    """
    state, silent = _INFO.unpack(client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size))
    return bool(state == _CLOSE_WAIT and silent > 1000 * seconds)


def drained(listener: socket.socket) -> list[socket.socket]:
    """Close a listening socket; return the clients that nobody had taken yet."""
    clients = []
    while True:
        try:
            clients.append(listener.accept()[0])
        except OSError:
            listener.close()
            return clients

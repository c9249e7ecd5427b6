"""What listening sockets hand on to those that are accepted."""

from __future__ import annotations

import contextlib
import socket

from quorate.balancer.config import Address
from quorate.balancer.sockets import listen_alone


def congestion_control(sock: socket.socket) -> bytes:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0")


def test_clients_on_the_loopback_are_answered_without_pacing() -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listen_alone(Address("127.0.0.1", 0)))
        listener.setblocking(True)
        client = stack.enter_context(socket.create_connection(listener.getsockname()))
        accepted = stack.enter_context(listener.accept()[0])
        assert congestion_control(accepted) == b"reno"
        with open("/proc/sys/net/ipv4/tcp_congestion_control", "rb") as default:  # noqa: PTH123
            assert congestion_control(client) == default.read().strip()

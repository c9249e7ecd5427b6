"""Ports of 127.0.0.1 for the servers of tests."""

from __future__ import annotations

import contextlib
import random
import socket

BELOW = range(20_000, 32_000)
"""Below those that Linux gives to outgoing connections (ip_local_port_range): they stay free for a moment."""

_given: set[int] = set()


def free_port() -> int:
    """Give a port that nobody has, and never the same one twice: the first may not be listened at yet."""
    while True:
        port = random.choice(BELOW)
        if port not in _given:
            with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
                _given.add(port)
                return port

"""A real memcached on loopback, asked over one connection."""

from __future__ import annotations

import socket
import subprocess

import pytest

from ports import free_port


class Memcached:
    """A daemon on loopback and one connection to it."""

    def __init__(self) -> None:
        port = free_port()
        command = ["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-u", "root", "-m", "64", "-t", "1"]
        self.process = subprocess.Popen(command)
        self.address = ("127.0.0.1", port)
        self.socket = self.connect()
        self.asked = 0

    def connect(self) -> socket.socket:
        while self.process.poll() is None:
            try:
                return socket.create_connection(self.address, timeout=10)
            except ConnectionRefusedError:
                continue
        pytest.fail("memcached does not start")

    def ask(self, data: bytes) -> bytes:
        """What it says to this, up to the answer to a miss that is asked for behind it."""
        self.asked += 1
        last = b"EN Olast%d\r\n" % self.asked
        self.socket.sendall(data + b"mg nothing Olast%d\r\n" % self.asked)
        reply = b""
        while not reply.endswith(last):
            more = self.socket.recv(65536)
            assert more, f"hung up on {data!r}"
            reply += more
        return reply[: -len(last)]

    def stop(self) -> None:
        self.socket.close()
        self.process.kill()
        self.process.wait()

"""Restart, upgrade and reload without losing a connection or a request.

A worker that is to end reads no more, answers what was asked, and writes down what the next process needs: for each
client what it had sent of its next command and what it has not read yet, and what is owed at which server. The sockets
themselves go on as open descriptors: through `exec` (SIGHUP), or kept by the service manager (SIGTERM). They find their
notes again by the socket's inode, since descriptors change their numbers and their order on the way.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STATE = "QUORATE_BALANCER_STATE"
"""The environment variable that tells the next process which descriptor holds the state."""


@dataclass(frozen=True)
class ClientState:
    """One client: what it sent of its next command, what it has not read, how much of a refused block is to come."""

    sent: bytes = b""
    unread: bytes = b""
    skip: int = 0


@dataclass(frozen=True)
class State:
    """What one worker leaves to the next. `debts`: by the server's name, the delete lines; None: of any key.

    `filling`: names of servers that may hold values which are not settled.
    """

    clients: Mapping[int, ClientState] = field(default_factory=dict)
    debts: Mapping[str, list[bytes] | None] = field(default_factory=dict)
    life: str = ""
    seq: int = 0
    filling: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """Return it as JSON."""
        clients = {str(inode): [_text(c.sent), _text(c.unread), c.skip] for inode, c in self.clients.items()}
        debts = {name: None if keys is None else [_text(key) for key in keys] for name, keys in self.debts.items()}
        whole = {"clients": clients, "debts": debts, "life": self.life, "seq": self.seq, "filling": self.filling}
        return json.dumps(whole).encode()


def decode(data: bytes) -> State:
    """Read it back. ValueError, KeyError or TypeError: it is no state."""
    seen: dict[str, Any] = json.loads(data)
    clients = {int(i): ClientState(_bytes(s), _bytes(u), int(skip)) for i, (s, u, skip) in seen["clients"].items()}
    debts = {name: None if keys is None else [_bytes(key) for key in keys] for name, keys in seen["debts"].items()}
    return State(clients, debts, str(seen["life"]), int(seen["seq"]), tuple(seen["filling"]))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


def inode(descriptor: int) -> int:
    """Return what a socket keeps when its descriptor gets another number."""
    return os.fstat(descriptor).st_ino


def write_state(state: State) -> int:
    """Write it to memory that a descriptor holds, and return that."""
    descriptor = os.memfd_create("quorate-balancer-state", os.MFD_CLOEXEC)
    data = state.encode()
    while data:
        data = data[os.write(descriptor, data) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def read_state(descriptor: int) -> State:
    """Read what `write_state` wrote, and close it; what cannot be read is as if nothing was left."""
    try:
        with os.fdopen(descriptor, "rb") as file:
            file.seek(0)
            return decode(file.read())
    except (OSError, ValueError, KeyError, TypeError):
        return State()


def become_anew(descriptors: list[int], state: int) -> None:
    """Replace this process by a new one of the same program and arguments that inherits these descriptors."""
    for descriptor in [*descriptors, state]:
        os.set_inheritable(descriptor, True)
    os.environ[STATE] = ",".join(map(str, [state, *descriptors]))
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - the program that runs already


def inherited() -> tuple[State, list[int]]:
    """Return what the former process left to this one through `exec`: its state and its sockets."""
    numbers = [int(text) for text in os.environ.pop(STATE, "").split(",") if text.isdigit()]
    if not numbers:
        return State(), []
    for descriptor in numbers:
        os.set_inheritable(descriptor, False)
    return read_state(numbers[0]), numbers[1:]

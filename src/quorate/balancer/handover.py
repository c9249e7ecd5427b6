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
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from quorate.balancer import notify

STATE = "QUORATE_BALANCER_STATE"
"""The environment variable that tells the next process which descriptor holds the state."""

SUPERVISOR = "QUORATE_BALANCER_SUPERVISOR"
"""The one that tells a supervisor which became anew of its workers."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What `decode` raises for bytes that are no state."""


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

    def merged(self, other: State) -> State:
        """Return it with the clients and the debts of another worker, which is no more."""
        debts = dict(self.debts)
        for name, keys in other.debts.items():
            mine = debts.get(name, [])
            debts[name] = None if keys is None or mine is None else [*mine, *keys]
        filling = tuple(dict.fromkeys((*self.filling, *other.filling)))
        return State({**self.clients, **other.clients}, debts, self.life, max(self.seq, other.seq), filling)

    def encode(self) -> bytes:
        """Return it as JSON."""
        clients = {str(inode): [_text(c.sent), _text(c.unread), c.skip] for inode, c in self.clients.items()}
        debts = {name: None if keys is None else [_text(key) for key in keys] for name, keys in self.debts.items()}
        whole = {"clients": clients, "debts": debts, "life": self.life, "seq": self.seq, "filling": self.filling}
        return json.dumps(whole).encode()


def decode(data: bytes) -> State:
    """Read it back. One of UNREADABLE: it is no state."""
    seen: dict[str, Any] = json.loads(data)
    clients = {
        int(i): ClientState(_bytes(s), _bytes(u), max(0, int(skip))) for i, (s, u, skip) in seen["clients"].items()
    }
    debts = {name: None if keys is None else [_bytes(key) for key in keys] for name, keys in seen["debts"].items()}
    return State(clients, debts, str(seen["life"]), int(seen["seq"]), tuple(map(str, seen["filling"])))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


def inode(descriptor: int) -> int:
    """Return what a socket keeps when its descriptor gets another number."""
    return os.fstat(descriptor).st_ino


def write_state(state: State, descriptors: Sequence[int] = ()) -> int:
    """Write it, and the numbers of descriptors, to memory that a descriptor holds; returns that one."""
    memory = os.memfd_create("quorate-balancer-state", os.MFD_CLOEXEC)
    with os.fdopen(memory, "wb", closefd=False) as file:
        file.write(json.dumps(list(descriptors)).encode() + b"\n" + state.encode())
    os.lseek(memory, 0, os.SEEK_SET)
    return memory


def read_state(memory: int) -> tuple[State, list[int]]:
    """Read what `write_state` wrote, and close it; what cannot be read is as if nothing was left."""
    try:
        with os.fdopen(memory, "rb") as file:
            file.seek(0)
            descriptors = [int(number) for number in json.loads(file.readline())]
            return decode(file.read()), descriptors
    except (OSError, *UNREADABLE):
        return State(), []


def environment(memory: int) -> dict[str, str]:
    """Return what tells a process where its state is."""
    return {STATE: str(memory)}


def inherited() -> tuple[State, list[int]]:
    """Return what this process was left by the one before it or above it: state and sockets."""
    text = os.environ.pop(STATE, "")
    if not text.isdigit():
        return State(), []
    state, descriptors = read_state(int(text))
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return state, descriptors


def is_supervised() -> bool:
    """Whether this process was a supervisor before it became anew."""
    return SUPERVISOR in os.environ


def command() -> list[str]:
    """Return how this program was started."""
    return [sys.executable, *sys.orig_argv[1:]]


def become_anew(descriptors: Sequence[int], environment: Mapping[str, str]) -> None:
    """Replace this process by a new one of the same program and arguments that inherits these descriptors.

    Signals wait meanwhile: their default would end it. The watchdog counts from here: until the new one tells it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
    notify.alive()
    os.execve(sys.executable, command(), {**os.environ, **environment})  # noqa: S606 - the program that runs already

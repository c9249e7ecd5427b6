"""Targets `config`, `handover` and `register`: texts that others write and the balancer reads."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from fuzz.played import require
from quorate.balancer import config as settings
from quorate.balancer import handover, registers, ring
from quorate.balancer.config import ConfigError
from quorate.balancer.handover import State

FOLDER = Path(tempfile.mkdtemp(prefix="quorate-fuzz-"))
"""Where the file lies that is read again and again."""
LARGEST_RING = 8
"""Servers of a configuration whose ring is laid out as well."""
_MISTAKE = re.compile(r"(?P<file>.+?\.(?:toml|yml)):(?:(?P<line>[0-9]+): )?[^\r\n]+", re.DOTALL)


def check_config(data: bytes) -> None:
    """Every file is either understood or refused with all that is wrong, a line each, in which it says what is allowed.

    Input: one byte that chooses TOML or a nutcracker.yml, then the file.
    """
    file = FOLDER / ("balancer.toml" if data[:1] < b"\x80" else "nutcracker.yml")
    file.write_bytes(data[1:])
    lines = len(data[1:].decode("utf-8", "replace").splitlines()) + 1
    try:
        config = settings.load(file)
    except ConfigError as error:
        require(bool(error.mistakes), "refused without a reason")
        for mistake in error.mistakes:
            found = _MISTAKE.fullmatch(mistake)
            require((found is not None and "allowed" in mistake) or "cannot be read" in mistake, "no mistake", mistake)
            require(found is None or int(found["line"] or 1) <= lines, "a line that is not there", mistake)
        return
    require(1 <= config.copies <= len(config.servers), "copies that cannot be")
    require(config.name in config.balancers, "a name that is none of the balancers")
    if config.ring.kind not in {"quorate", "random"} and len(config.servers) <= LARGEST_RING:
        made = ring.make(config)
        require(len(set(made.copies(b"key"))) == config.copies, "a ring with other copies than asked for")


def check_handover(data: bytes) -> None:
    """A state is either read back, as something that can be written again, or refused with the errors that it names."""
    try:
        state = handover.decode(data)
    except handover.UNREADABLE:
        return
    require(handover.decode(state.encode()) == state, "not what was written", state)
    usable(state)


def usable(state: State) -> None:
    """Require what the next process does with it."""
    for client in state.clients.values():
        require(client.skip >= 0, "bytes that were refused before they were said", client)
    listed = [key for keys in state.debts.values() for key in keys or ()]
    require({*map(type, listed)} <= {bytes}, "debts that are no lines", state.debts)
    require({*map(type, state.filling)} <= {str}, "no names", state.filling)


def check_register(data: bytes) -> None:
    """A register is read back or is none. Input: a byte for how many servers there are, then the item's value."""
    servers = data[0] % 8 if data else 3
    register = registers.decode(data[1:], servers)
    if register is not None:
        require(len(register.marks) == servers, "no register", register)
        readable = not data[1:].isascii() or registers.decode(register.encode(), servers) == register
        require(readable, "not what was written", register)

"""What the service manager is told (sd_notify(3)), and what it keeps for us: readiness, the watchdog, descriptors."""

from __future__ import annotations

import array
import os
import select
import socket
from collections.abc import Sequence

MAX_DESCRIPTORS = 250
"""Of one message: the kernel takes 253 (SCM_MAX_FD)."""


def notify(text: str, descriptors: Sequence[int] = ()) -> bool:
    """Send one message; False where there is no service manager, or it does not listen."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors).tobytes())] if descriptors else []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.sendmsg([text.encode()], extra, 0, address)
        except OSError:
            return False
    return True


def watchdog() -> float | None:
    """Return the seconds within which the watchdog wants to hear from this process, None where there is none."""
    text = os.environ.get("WATCHDOG_USEC", "")
    mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(text) / 1e6 if text.isdigit() and mine else None


def alive() -> None:
    """Tell the watchdog that this process lives, if it is the one that the watchdog wants to hear from."""
    if watchdog() is not None:
        notify("WATCHDOG=1")


def keep(descriptors: Sequence[int], name: str) -> None:
    """Have the service manager keep descriptors until this service's next process."""
    for first in range(0, len(descriptors), MAX_DESCRIPTORS):
        notify(f"FDSTORE=1\nFDNAME={name}\nFDPOLL=0", descriptors[first : first + MAX_DESCRIPTORS])


def barrier(seconds: float) -> None:
    """Wait until the service manager has taken what it was sent: it does not know who sent it once that is gone."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        sent = notify("BARRIER=1", [writer])
    finally:
        os.close(writer)
    if sent:
        poll = select.poll()
        poll.register(reader)
        poll.poll(1000 * seconds)  # until the other end is closed
    os.close(reader)


def kept() -> dict[str, list[int]]:
    """Return the descriptors that the service manager passes to this process, by name (sd_listen_fds_with_names(3))."""
    if os.environ.pop("LISTEN_PID", "") != str(os.getpid()):
        return {}
    count = int(os.environ.pop("LISTEN_FDS", "0"))
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    found: dict[str, list[int]] = {}
    for number in range(count):
        name = names[number] if number < len(names) else "unknown"
        found.setdefault(name, []).append(3 + number)
    return found

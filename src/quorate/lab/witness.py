"""Watches the bridge: which machine used an address, and when. Nobody can use it there unseen.

The kernel filters (only frames of a holder reach us) and stamps the time; a thread merges what comes into runs, so
that a busy address costs little and memory is bounded. What could not be seen makes the report say so.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from quorate.errors import QuorateError
from quorate.lab.sightings import Judgement, Run, Sighting, added, judge

_ETH_P_ALL = 3
_SOL_PACKET = 263
_PACKET_ADD_MEMBERSHIP, _PACKET_STATISTICS = 1, 6
_PACKET_MR_PROMISC = 1
_SO_ATTACH_FILTER, _SO_TIMESTAMPNS = 26, 35
_SNAP = 64  # bytes of a frame that we look at
_ARP, _IPV4 = 0x0806, 0x0800


@dataclass(frozen=True)
class Report:
    """What was seen. `dropped` counts frames that the kernel could not hand over.

    `blind` says that more went unseen: the bridge was down for a while, or there were too many runs to remember.
    """

    address: str
    begin: float
    end: float
    runs: tuple[Run, ...]
    judgement: Judgement
    dropped: int
    blind: bool

    @property
    def two_holders(self) -> bool | None:
        """Whether two held the address at once; None where the answer is no, but not all was seen."""
        if self.judgement.overlaps:
            return True
        return None if self.dropped or self.blind else False


class Witness:
    """Watches while it is entered: `with lab.witness(vip) as witness: …; witness.report()`."""

    def __init__(self, interface: str, address: str, machines: Mapping[str, str]) -> None:
        """Watch for the address on the interface; `machines` gives names to hardware addresses."""
        self._interface = interface
        self._address = ipaddress.IPv4Address(address)
        self._machines = dict(machines)
        self._lock = threading.Lock()
        self._runs: list[Run] = []
        self._dropped = 0
        self._blind = False
        self._begin = self._end = 0.0
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._wake: tuple[int, int] = (-1, -1)

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise QuorateError("a witness watches once")
        self._socket = _open(self._interface, self._address)
        self._wake = os.pipe()
        self._begin = time.monotonic()
        self._thread = threading.Thread(target=self._watch, name=f"witness {self._address}", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.write(self._wake[1], b".")
        if self._thread is not None:
            self._thread.join()
        self._end = time.monotonic()
        with self._lock:
            if self._socket is not None:
                self._count_dropped(self._socket)
                self._socket.close()
                self._socket = None
        for descriptor in self._wake:
            os.close(descriptor)

    @property
    def holder(self) -> str | None:
        """Who used the address last."""
        with self._lock:
            return self._runs[-1].holder if self._runs else None

    def report(self) -> Report:
        """What was seen so far."""
        with self._lock:
            if self._socket is not None:
                self._count_dropped(self._socket)
            runs = tuple(self._runs)
            end = self._end or time.monotonic()
            return Report(str(self._address), self._begin, end, runs, judge(runs), self._dropped, self._blind)

    def _watch(self) -> None:
        connection = self._socket
        if connection is None:
            return
        while True:
            ready, _, _ = select.select([connection.fileno(), self._wake[0]], [], [])
            if connection.fileno() in ready:
                self._drain(connection)
            elif ready:
                return

    def _drain(self, connection: socket.socket) -> None:
        """Take every frame that waits, and not for ever: at most so many before we look whether to stop."""
        for _ in range(256):
            try:
                frame, extra, _, _ = connection.recvmsg(_SNAP, 64)
            except BlockingIOError:
                return
            except OSError:  # the bridge has gone, as the lab goes down; there is nothing more to see
                self._blind = True
                time.sleep(0.05)
                return
            seen = sighting(frame, self._address, _stamp(extra))
            if seen is None:
                continue
            named = Sighting(seen.at, self._machines.get(seen.holder, seen.holder), seen.announced)
            with self._lock:
                self._blind = not added(self._runs, named) or self._blind

    def _count_dropped(self, connection: socket.socket) -> None:
        """The kernel counts from the last question on."""
        _, dropped = struct.unpack("II", connection.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self._dropped += dropped


def sighting(frame: bytes, address: ipaddress.IPv4Address, at: float) -> Sighting | None:
    """Return what the frame shows of the address: nothing, unless its sender uses it. Pure."""
    kind = int.from_bytes(frame[12:14], "big")
    holder = frame[6:12].hex(":")
    if kind == _ARP and frame[28:32] == address.packed:
        return Sighting(at, holder, announced=frame[38:42] == address.packed)
    if kind == _IPV4 and frame[26:30] == address.packed:
        return Sighting(at, holder)
    return None


def program(address: ipaddress.IPv4Address) -> list[tuple[int, int, int, int]]:
    """Return the kernel's filter for the same, as classic BPF. Pure."""
    load_half, load_word, equal, give = 0x28, 0x20, 0x15, 0x06
    value = int(address)
    return [
        (load_half, 0, 0, 12),
        (equal, 0, 2, _ARP),
        (load_word, 0, 0, 28),
        (equal, 3, 4, value),
        (equal, 0, 3, _IPV4),
        (load_word, 0, 0, 26),
        (equal, 0, 1, value),
        (give, 0, 0, _SNAP),
        (give, 0, 0, 0),
    ]


def _open(interface: str, address: ipaddress.IPv4Address) -> socket.socket:
    """Open a socket that sees all frames on the bridge which the filter lets through, from now on."""
    connection = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        code = b"".join(struct.pack("HBBI", *step) for step in program(address))
        buffer = ctypes.create_string_buffer(code)
        filters = struct.pack("HP", len(code) // 8, ctypes.addressof(buffer))
        connection.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filters)
        connection.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        connection.bind((interface, _ETH_P_ALL))
        # A bridge shows us what it forwards between machines only while it is promiscuous.
        member = struct.pack("iHH8s", socket.if_nametoindex(interface), _PACKET_MR_PROMISC, 0, b"")
        connection.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, member)
        connection.setblocking(False)
    except OSError as error:
        connection.close()
        raise QuorateError(
            f"cannot watch {interface}: {error.strerror}", hint="is the lab up, and is this root?"
        ) from error
    return connection


def _stamp(extra: list[tuple[int, int, bytes]]) -> float:
    """Return when the kernel saw the frame, on the monotonic clock."""
    now = time.monotonic()
    for level, kind, data in extra:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) == 16:
            seconds, nanoseconds = struct.unpack("qq", data)
            late = time.time() - (seconds + nanoseconds / 1e9)
            return now - late if 0 <= late < 10 else now  # a clock that was set meanwhile tells nothing
    return now

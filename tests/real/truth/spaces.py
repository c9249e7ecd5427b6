"""Three network namespaces on one bridge, without names: they end with the processes in them, however those end."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence

_CLONE_NEWNET = 0x40000000
_OWN = "/proc/thread-self/ns/net"
_LIBC = ctypes.CDLL(None, use_errno=True)
_NFT = "libnftables.so.1"
"""What /usr/sbin/nft is made of; called directly, a rule stands within a millisecond on a busy machine too."""


class Space:
    """A network namespace, held open."""

    def __init__(self) -> None:
        """Make a new one; the caller's thread stays where it is."""
        with _coming_back():
            _check(_LIBC.unshare(_CLONE_NEWNET))
            self.handle = os.open(_OWN, os.O_RDONLY)
            self._nft = ctypes.CDLL(_NFT)
            self._nft.nft_ctx_new.restype = ctypes.c_void_p
            self._filter = ctypes.c_void_p(self._nft.nft_ctx_new(0))

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Be in it: sockets opened and processes started by this thread meanwhile belong to it."""
        with _coming_back():
            _check(_LIBC.setns(self.handle, _CLONE_NEWNET))
            yield

    def run(self, argv: Sequence[str], stdin: str, handles: Sequence[int] = ()) -> None:
        """Run a command in it."""
        with self.inside():
            subprocess.run(argv, input=stdin, text=True, check=True, pass_fds=handles, capture_output=True, timeout=20)

    def filter(self, rules: str) -> None:
        """Load rules as nft does."""
        with self.inside():
            if self._nft.nft_run_cmd_from_buffer(self._filter, rules.encode()) != 0:
                raise RuntimeError(f"nftables refuses:\n{rules}")

    def close(self) -> None:
        """Let it go."""
        self._nft.nft_ctx_free(self._filter)
        os.close(self.handle)


def plug(switch: Space, spaces: Sequence[Space], addresses: Sequence[str]) -> None:
    """Connect each space by a cable to one bridge, which lives in a space of its own."""
    bridge = "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\nlink set br0 up\nlink set lo up\n"
    cables = "".join(
        f"link add v{number} type veth peer name eth0 netns /proc/self/fd/{space.handle}\n"
        f"link set v{number} master br0 up\n"
        for number, space in enumerate(spaces)
    )
    switch.run(["ip", "-batch", "-"], bridge + cables, [space.handle for space in spaces])
    for space, address in zip(spaces, addresses, strict=True):
        inside = f"link set lo up\naddr add {address}/24 dev eth0\nlink set eth0 up\n"
        space.run(["ip", "-batch", "-"], inside)


@contextlib.contextmanager
def _coming_back() -> Iterator[None]:
    home = os.open(_OWN, os.O_RDONLY)
    try:
        yield
    finally:
        _check(_LIBC.setns(home, _CLONE_NEWNET))
        os.close(home)


def _check(returned: int) -> None:
    if returned != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

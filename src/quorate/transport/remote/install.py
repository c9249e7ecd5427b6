"""Install packages without starting their services, whatever state an interrupted run has left dpkg in."""
# pathlib is left out: importing it costs more than observing forty files.

from __future__ import annotations

import contextlib
import os
import stat

from quorate.transport.remote.files import KEPT, copy, put
from quorate.transport.remote.program import ENVIRONMENT, Failed, execute, must, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

POLICY = "/usr/sbin/policy-rc.d"
DENY = (
    b"#!/bin/sh\n# quorate: nothing starts by being installed; this file goes when the installation ends.\nexit 101\n"
)
WITHIN = 1800.0
QUIET = {
    "DEBIAN_FRONTEND": "noninteractive",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",  # it would restart daemons, one controller's quorum member among them
    "UCF_FORCE_CONFFOLD": "1",
}
APT = ("apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=60")
INSTALL = (
    *APT,
    *("-o", "Dpkg::Options::=--force-confold", "-o", "Dpkg::Options::=--force-confdef"),
    *("install", "--no-install-recommends", "--"),
)
STALE = (
    "Unable to locate package",
    "has no installation candidate",
    "404  Not Found",
    "Unable to fetch",
    "was not found",
)
"""What apt says when its lists are older than its mirror, or were never fetched."""


def install(packages: list[str], preseed: list[str], root: str) -> None:
    """Install the packages; Failed says what apt said last. The lists are fetched only where they prove too old."""
    env = {**ENVIRONMENT, **QUIET}
    with _nothing_starts(root):
        if preseed:
            must(["debconf-set-selections"], 60, "".join(f"{line}\n" for line in preseed).encode(), env=env)
        if must(["dpkg", "--audit"], 60, env=env).strip() or os.listdir("/var/lib/dpkg/updates"):
            must(["dpkg", "--configure", "-a", "--force-confold", "--force-confdef"], WITHIN, env=env)
        try:
            code, out, err = execute([*INSTALL, *packages], WITHIN, last=True, env=env)
            if code and any(sign in words(err, out) for sign in STALE):
                must([*APT, "update"], 300, env=env)
                code, out, err = execute([*INSTALL, *packages], WITHIN, last=True, env=env)
        except TimeoutError:
            raise Failed(f"apt-get did not end within {WITHIN:g} s and was killed") from None
        if code:
            raise Failed(f"apt-get install: exit code {code}: {words(out, err)}")


@contextlib.contextmanager
def _nothing_starts(root: str) -> Iterator[None]:
    """Have policy-rc.d deny every start, and put the machine's own back."""
    restore(root)
    if os.path.lexists(POLICY):
        own = f"{root}{KEPT}/policy-rc.d"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{own}.new")  # a copy that was cut off
        copy(POLICY, f"{own}.new")
        os.replace(f"{own}.new", own)  # from here on a crash is mended by restore()
    try:
        put(POLICY, DENY, 0o755, 0, 0)
        yield
    finally:
        restore(root)


def restore(root: str) -> None:
    """Put back the policy-rc.d that a run which was killed while it installed had set aside; else do nothing."""
    own = f"{root}{KEPT}/policy-rc.d"
    with contextlib.suppress(FileNotFoundError), open(POLICY, "rb") as file:
        if file.read(len(DENY) + 1) == DENY:
            os.unlink(POLICY)
    if not os.path.lexists(own):
        return
    status = os.lstat(own)
    if stat.S_ISLNK(status.st_mode):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(POLICY)
        os.symlink(os.readlink(own), POLICY)
    else:
        with open(own, "rb") as file:
            put(POLICY, file.read(), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    os.unlink(own)

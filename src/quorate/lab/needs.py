"""What a lab needs of this host: all that is missing is said in one error, with the command that installs it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import Unsupported
from quorate.lab.cgroups import detect
from quorate.lab.spec import Places

# program → the Debian package that brings it
_PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "mount": "mount",
    "umount": "mount",
    "setsid": "util-linux",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "chroot": "coreutils",
}
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_REST = (
    "without the lab all else works: init, check, plan, apply, status, drill, recover and audit need no more than "
    "ssh to the controllers, and `quorate check` not even that"
)


@dataclass(frozen=True)
class Host:
    """What was seen of this host."""

    system: str
    kernel: str
    root: bool
    programs: frozenset[str]
    overlay: bool
    disk: str
    cgroup2: bool
    keyring: bool


def look() -> Host:
    """Look at this host."""
    linux = sys.platform == "linux"
    filesystems = Path("/proc/filesystems").read_text() if linux else ""
    mounts = Path("/proc/self/mounts").read_text() if linux else ""
    modules = Path(f"/lib/modules/{platform.release()}/kernel/fs/overlayfs")
    return Host(
        system=platform.system(),
        kernel=platform.release(),
        root=os.geteuid() == 0,
        programs=frozenset(name for name in _PROGRAMS if shutil.which(name)),
        overlay="\toverlay\n" in filesystems or modules.is_dir(),
        disk=filesystem(mounts, Places().state),
        cgroup2=detect(mounts, booted=False) is not None,
        keyring=_KEYRING.exists(),
    )


def missing(host: Host) -> Unsupported | None:
    """Return the one error that lists all that is missing, or None. Pure."""
    if host.system != "Linux":
        return Unsupported(f"the lab runs on Linux, this is {host.system}", hint=_REST)
    lacks = []
    if not host.root:
        lacks.append("root (run it with sudo)")
    if _version(host.kernel) < (5, 14):
        lacks.append(f"Linux 5.14 or newer, for cgroup.kill (this is {host.kernel})")
    if not host.cgroup2:
        lacks.append("cgroup v2 (mounted alone or beside v1)")
    if not host.overlay:
        lacks.append("overlayfs in the kernel")
    if host.disk == "overlay":
        lacks.append(f"a disk for {Places().state} that is not itself an overlay (this seems to be a container)")
    absent = [name for name in _PROGRAMS if name not in host.programs]
    lacks += absent
    packages = {_PROGRAMS[name] for name in absent}
    if not host.keyring:
        lacks.append(f"Debian's archive keys ({_KEYRING})")
        packages.add("debian-archive-keyring")
    if not lacks:
        return None
    install = f"apt install {' '.join(sorted(packages))}; " if packages else ""
    return Unsupported(f"the lab needs what this host lacks: {', '.join(lacks)}", hint=f"{install}{_REST}")


def require() -> None:
    """Raise Unsupported unless this host can carry a lab."""
    error = missing(look())
    if error is not None:
        raise error


def filesystem(mounts: str, path: Path) -> str:
    """Return the kind of file system that holds the path. Pure: `mounts` is the text of /proc/self/mounts."""
    best = ("", "")
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) > 2 and path.is_relative_to(fields[1]) and len(fields[1]) >= len(best[0]):
            best = (fields[1], fields[2])
    return best[1]


def _version(release: str) -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", release)
    return (int(found[1]), int(found[2])) if found else (0, 0)

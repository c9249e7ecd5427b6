"""Files: atomic writes, locks, owners."""
# pathlib is left out: importing it costs more than observing forty files.

from __future__ import annotations

import contextlib
import fcntl
import grp
import json
import os
import pwd
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

RUN = "/run/quorate"
KEPT = "/var/lib/quorate"


def put(path: str, data: bytes, mode: int = 0o600, uid: int = -1, gid: int = -1) -> None:
    """Put a file in place atomically and durably, with its owner and mode from its first moment on.

    It is made in a folder of its own: whoever reads all files beside it (Keystone its keys) must not come upon one that
    he may not read yet, or that is renamed before he does.
    """
    folder, name = os.path.split(path)
    os.makedirs(folder, 0o755, exist_ok=True)
    aside = f"{folder}/.{name}.quorate"
    new = f"{aside}/{name}"
    _clear(new, aside)  # left by a run that was cut off
    try:
        os.mkdir(aside, 0o700)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
            os.fchown(file.fileno(), uid, gid)  # before chmod: it takes set-user-id away
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    finally:
        _clear(new, aside)
    sync(folder)


def _clear(new: str, aside: str) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(new)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(aside)


def sync(folder: str) -> None:
    """Make the folder's entries durable."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def copy(path: str, to: str) -> None:
    """Copy a file or a link with its owner, its mode and its time."""
    status = os.lstat(path)
    private(os.path.dirname(to))
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(path), to)
        return
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        put(to, file.read(), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    os.utime(to, ns=(status.st_atime_ns, status.st_mtime_ns))


def private(folder: str) -> None:
    """Make a folder, and those above it that are missing, for root only."""
    if not os.path.isdir(folder):
        private(os.path.dirname(folder))
        os.mkdir(folder, 0o700)


@contextlib.contextmanager
def locked(path: str, wait: float = 10.0) -> Iterator[None]:
    """Hold the lock file. BlockingIOError: another holds it still after `wait` seconds. The dead hold none."""
    private(os.path.dirname(path))
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.02)
        yield
    finally:
        os.close(lock)


def read_json(path: str) -> Any:
    """Read one of our own small files; None where it is absent or torn."""
    try:
        with open(path, "rb") as file:
            return json.loads(file.read())
    except (FileNotFoundError, ValueError):
        return None


def owner_name(uid: int) -> str:
    """Name a user, by number where it has no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """Name a group, by number where it has no name."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def sysctl_paths(name: str, root: str) -> tuple[str, str]:
    """Where a kernel setting lives, and where its value is kept.

    As sysctl(8) has it, the first separator says which: net.ipv4.conf.eth0/100.rp_filter, net/ipv4/conf/eth0.100/….
    """
    dots, slashes = name.find("."), name.find("/")
    if slashes < 0 or 0 <= dots < slashes:
        name = name.translate({ord("."): "/", ord("/"): "."})
    return f"/proc/sys/{name}", f"{root}/etc/sysctl.d/60-quorate-{name.replace('.', '%2E').replace('/', '.')}.conf"


def kept_sysctl(name: str, value: str) -> bytes:
    """Write down a kernel setting for the next boot."""
    return f"# Kept by quorate.\n{name} = {value}\n".encode()

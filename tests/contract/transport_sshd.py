"""A real sshd on a port of its own on loopback, with its own keys, that a test may freeze, cut and stop."""

from __future__ import annotations

import os
import select
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ports import free_port
from quorate.transport.ssh import SshTransport

SSHD = Path("/usr/sbin/sshd")


class Sshd:
    def __init__(self, folder: Path) -> None:
        if not SSHD.exists():
            pytest.fail("these tests need a real sshd: apt-get install openssh-server")
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.identity = keygen(folder / "user_key")
        self.host_key = keygen(folder / "host_key")
        self.known_hosts = folder / "known_hosts"
        self.know(self.host_key)
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        sudo = bin_folder / "sudo"  # a stand-in that shows how it was called and does it
        sudo.write_text('#!/bin/sh\necho "sudo $1" >&2\nshift\nexec "$@"\n')
        sudo.chmod(0o755)
        self.config = folder / "sshd_config"
        self.config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.host_key}\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {self.identity}.pub\nStrictModes no\nPermitRootLogin prohibit-password\n"
            f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 100\n"
            f"SetEnv HOME={folder} PATH={bin_folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def know(self, key: Path) -> None:
        public = key.with_name(f"{key.name}.pub").read_text()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {public}")

    def start(self) -> None:
        listening = threading.Event()
        argv = [str(SSHD), "-D", "-e", "-f", str(self.config)]
        self.process = process = subprocess.Popen(argv, stderr=subprocess.PIPE)

        def drain() -> None:
            assert process.stderr is not None
            with process.stderr as log:
                for line in log:
                    if b"Server listening" in line:
                        listening.set()

        threading.Thread(target=drain, daemon=True).start()
        assert listening.wait(10)

    def stop(self) -> None:
        """Stop the listener; connections that are open stay."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze the listener and all that serves connections, as `cgroup.freeze` would."""
        pids = self.pids()
        for pid in pids:
            send(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                send(pid, signal.SIGCONT)

    def cut(self) -> None:
        """Kill all that serve connections: the kernel closes them."""
        for pid in self.pids()[1:]:
            with pidfd(pid) as ended:
                send(pid, signal.SIGKILL)
                wait_until_ended(ended)

    def pids(self) -> list[int]:
        """The listener first, then the servers of its connections."""
        assert self.process is not None
        listener = self.process.pid
        children = Path(f"/proc/{listener}/task/{listener}/children").read_text().split()
        return [listener, *map(int, children)]

    def transport(self, **changes: object) -> SshTransport:
        settings = {"port": self.port, "user": "root", "identity": self.identity, "known_hosts": self.known_hosts}
        config = self.folder / "no_ssh_config"
        config.touch()
        return SshTransport("c1", "127.0.0.1", **{"config": config, **settings, **changes})  # type: ignore[arg-type]


@contextmanager
def sshd_in(folder: Path) -> Iterator[Sshd]:
    sshd = Sshd(folder)
    sshd.start()
    try:
        yield sshd
    finally:
        for pid in sshd.pids()[1:]:
            send(pid, signal.SIGKILL)
        sshd.stop()


def keygen(path: Path) -> Path:
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(argv, check=True)
    return path


def send(pid: int, number: signal.Signals) -> None:
    """Signal a process that may have ended meanwhile."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


@contextmanager
def pidfd(pid: int) -> Iterator[int | None]:
    """Watch a process; None where it has ended already."""
    try:
        opened = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield opened
    finally:
        os.close(opened)


def wait_until_ended(watched: int | None) -> None:
    """Return as soon as the process has ended."""
    assert watched is None or select.select([watched], [], [], 10)[0], "it runs on"


def writes_its_pid(path: Path, then: str) -> tuple[str, ...]:
    return ("sh", "-c", f"echo $$ > {shlex.quote(str(path))}; exec {then}")

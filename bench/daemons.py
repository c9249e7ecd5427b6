"""The processes of `bench/balancer.py`: memcached and stub servers, proxies, load generator; started, awaited, ended.

Configuration files are pure functions; whatever is started has a session of its own and is ended with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quorate.systems.cache.bundle import bundle

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "bench"
BUILD = ROOT / "build" / "bench"
IMAGES = Path("/var/cache/quorate/images")
"""Where the lab keeps its images: Debian 13's memcached, which has a proxy, is taken from one of them."""
PACKAGES = {"memcached": "memcached", "nutcracker": "nutcracker", "cc": "gcc", "taskset": "util-linux"}
"""Programs and the Debian packages that have them."""
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
START = 15.0
"""Seconds until a daemon answers."""
CALM = 0.3
"""Seconds that a daemon which answers is left alone."""
STOP = 5.0
"""Seconds until a daemon that was asked to end is killed."""


def missing() -> list[str]:
    """Name the Debian packages that are needed and not there."""
    return sorted({package for program, package in PACKAGES.items() if not which(program)})


def which(program: str) -> str:
    """Find a program, /usr/sbin included; empty if there is none."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}") or ""


def compiled(name: str) -> Path:
    """Compile bench/NAME.c, if it or a header is newer than what is there."""
    program, source = BUILD / name, SOURCES / f"{name}.c"
    newest = max(path.stat().st_mtime for path in (source, *SOURCES.glob("*.h")))
    if not program.exists() or program.stat().st_mtime < newest:
        BUILD.mkdir(parents=True, exist_ok=True)
        draft = BUILD / f"{name}.{os.getpid()}"
        subprocess.run([which("cc"), "-O2", "-Wall", "-Wextra", "-o", draft, source], check=True)
        draft.replace(program)
    return program


def ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses."""
    with contextlib.ExitStack() as held:
        found = []
        for _ in range(count):
            one = held.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            found.append(int(one.getsockname()[1]))
        return found


# ---- configuration files


def quorate_toml(port: int, servers: Sequence[int], copies: int, workers: int) -> str:
    """Our balancer's."""
    lines = [f'listen = "127.0.0.1:{port}"', 'name = "bench"', f"copies = {copies}", f"workers = {workers}"]
    for number, server in enumerate(servers, 1):
        lines += ["[[servers]]", f'name = "server{number}"', f'address = "127.0.0.1:{server}"']
    return "\n".join(lines) + "\n"


def nutcracker_yml(port: int, servers: Sequence[int]) -> str:
    """twemproxy's, as OpenStack sites have it: consistent hashing, one connection to each server."""
    lines = ["bench:", f"  listen: 127.0.0.1:{port}", "  hash: fnv1a_64", "  distribution: ketama"]
    lines += ["  auto_eject_hosts: false", "  preconnect: true", "  timeout: 400", "  servers:"]
    lines += [f"    - 127.0.0.1:{server}:1 server{number}" for number, server in enumerate(servers, 1)]
    return "\n".join(lines) + "\n"


def routelib_lua(servers: Sequence[int]) -> str:
    """Memcached's proxy: the plainest route, one pool."""
    backends = ", ".join(f'"127.0.0.1:{server}"' for server in servers)
    return (
        f'pools{{ main = {{ backends = {{ {backends} }} }} }}\nroutes{{ default = route_direct{{ child = "main" }} }}\n'
    )


# ---- command lines


@dataclass(frozen=True)
class Proxy:
    """One of what is compared: its name in the figures, what it is, copies of each key, worker processes or threads."""

    name: str
    kind: str
    copies: int = 1
    workers: int = 1


def proxy_command(proxy: Proxy, ours: str, port: int, servers: Sequence[int], folder: Path) -> list[str]:
    """Write its configuration into the folder; returns how to start it."""
    config = folder / f"{proxy.kind}.conf"
    if proxy.kind == "twemproxy":
        config.write_text(nutcracker_yml(port, servers), encoding="utf-8")
        return [which("nutcracker"), "-c", str(config), "-a", "127.0.0.1", "-s", str(ports(1)[0])]
    if proxy.kind == "memcached_proxy":
        config.write_text(routelib_lua(servers), encoding="utf-8")
        options = ["-o", f"proxy_config=routelib,proxy_arg={config}", "-t", str(proxy.workers), "-c", "4096"]
        return [*memcached_with_proxy(), "-u", "root", "-l", "127.0.0.1", "-p", str(port), *options]
    config.write_text(quorate_toml(port, servers, proxy.copies, proxy.workers), encoding="utf-8")
    program = folder / "quorate-balancer"
    program.write_text(bundle(), encoding="utf-8")
    addresses = " ".join(f"127.0.0.1:{server}" for server in servers)
    fields = {"config": config, "port": port, "servers": addresses, "copies": proxy.copies, "workers": proxy.workers}
    return shlex.split((ours or f"{python()} {program} -c {{config}}").format(**fields))


def python() -> str:
    """Return what runs the balancer on a controller, the distribution's python3; this one where that is too old."""
    system = "/usr/bin/python3"
    told = subprocess.run([system, "-c", "import tomllib"], check=False, capture_output=True) if which(system) else None
    return system if told is not None and told.returncode == 0 else sys.executable


def memcached_with_proxy() -> list[str]:
    """How to start a memcached that has a proxy: this machine's, else that of a lab image; empty if there is none.

    The image's own loader runs it with the image's libraries, so that nothing needs to be entered or written there.
    """
    here = which("memcached")
    candidates = [[here]] if here else []
    for program in sorted(IMAGES.glob("*/root/usr/bin/memcached")):
        root = program.parents[2]
        libraries = ":".join(str(path) for path in sorted(root.glob("usr/lib/*-linux-gnu")))
        loaders = sorted(root.glob("usr/lib*/ld-linux*.so.*"))
        candidates += [[str(loader), "--library-path", libraries, str(program)] for loader in loaders]
    for command in candidates:
        told = subprocess.run([*command, "-h"], check=False, capture_output=True, text=True)
        if "proxy_arg" in told.stdout:
            return command
    return []


def memcached_command(port: int) -> list[str]:
    """A server as Debian starts it, with memory for every scenario."""
    return [which("memcached"), "-u", "root", "-l", "127.0.0.1", "-p", str(port), "-m", "256", "-c", "4096"]


# ---- processes


class Daemon:
    """A process, and those it starts, on some cores (none given: all)."""

    def __init__(self, command: Sequence[str], log: Path, cores: Iterable[int] = ()) -> None:
        self.log = log
        self.command = pinned(command, cores)
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=ROOT,
                start_new_session=True,
            )

    def ready(self, port: int) -> None:
        """Return when a value can be stored through the port; SystemExit with the log's end if that takes too long.

        Not the first moment: a balancer that was asked to store something before it knew its servers has that to mend.
        """
        until = time.monotonic() + START
        while time.monotonic() < until and self.process.poll() is None:
            if says(port, b"version\r\n", b"VERSION "):
                time.sleep(CALM)
                if says(port, b"set bench:ready 0 0 1\r\n1\r\n", b"STORED\r\n"):
                    return
            time.sleep(0.02)
        raise SystemExit(f"bench: {shlex.join(self.command)} is not ready:\n{self.tail()}")

    def tail(self) -> str:
        """Return the end of what it wrote."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def stop(self) -> None:
        """Ask it to end; kill what of its session does not."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP)
        for pid in [pid for pid, session in sessions() if session == self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def pinned(command: Sequence[str], cores: Iterable[int]) -> list[str]:
    """Return the command, kept to the cores."""
    listed = ",".join(map(str, cores))
    return [which("taskset"), "-c", listed, *command] if listed else list(command)


def sessions() -> Iterator[tuple[int, int]]:
    """Every process with its session's number."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(folder.name), int((folder / "stat").read_text().rpartition(")")[2].split()[3])


def says(port: int, command: bytes, wanted: bytes) -> bool:
    """Whether the command is answered with what is wanted, now."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(command)
            return connection.recv(64).startswith(wanted)
    except OSError:
        return False


@contextlib.contextmanager
def running(command: Sequence[str], port: int, log: Path, cores: Iterable[int] = ()) -> Iterator[Daemon]:
    """Run a daemon until the block ends."""
    daemon = Daemon(command, log, cores)
    try:
        daemon.ready(port)
        yield daemon
    finally:
        daemon.stop()


def load(arguments: Sequence[str], cores: Iterable[int] = ()) -> dict[str, Any]:
    """Run the load generator; returns what it measured. Wrong or refused replies are in it, not raised."""
    command = pinned([str(compiled("load")), *arguments], cores)
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    if done.returncode not in {0, 3}:
        raise SystemExit(f"bench: {shlex.join(command)}: {done.stderr}")
    sys.stderr.write(done.stderr)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured

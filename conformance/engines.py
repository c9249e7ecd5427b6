"""What stands between the tests and the servers: its command, its configuration, and which layouts it knows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
PORT = 11211
"""Where the tests look; some of them know no other port, so each run has a network namespace of its own."""
FIRST_SERVER = 11311
IMAGES = Path("/var/cache/quorate/images")
"""The lab's images: Debian 13's memcached has the proxy, Debian 12's has not."""

ENGINES = ("balancer", "direct", "twemproxy", "memcached-proxy")


@dataclass(frozen=True)
class Layout:
    """So many servers, and so many copies of each key."""

    servers: int
    copies: int

    def __str__(self) -> str:
        return f"{self.servers}x{self.copies}"


@dataclass(frozen=True)
class Command:
    """A daemon: what to run, where it listens, and the file of configuration that it reads (name and text)."""

    words: tuple[str, ...]
    port: int = PORT
    file: tuple[str, str] | None = None
    environment: Mapping[str, str] | None = None


def layouts(engine: str, servers: Iterable[int], copies: Iterable[int]) -> list[Layout]:
    """Return the layouts that exist: no more copies than servers, and only the balancer has copies."""
    wished = [Layout(s, c) for s in servers for c in copies if c <= s]
    if engine == "direct":
        return [Layout(1, 1)]
    return wished if engine == "balancer" else [layout for layout in wished if layout.copies == 1]


def daemons(engine: str, layout: Layout, folder: Path, proxy: Iterable[str] = ("memcached",)) -> list[Command]:
    """Return what is to be started, servers first. `proxy`: how a memcached that has the proxy is run."""
    if engine == "direct":
        return [memcached(PORT)]
    ports = range(FIRST_SERVER, FIRST_SERVER + layout.servers)
    servers = [memcached(port) for port in ports]
    words: tuple[str, ...]
    if engine == "twemproxy":
        words = ("nutcracker", "-c", str(folder / "nutcracker.yml"))
        return [*servers, Command(words, PORT, ("nutcracker.yml", nutcracker_yml(ports)))]
    if engine == "memcached-proxy":
        option = f"proxy_config=routelib,proxy_arg={folder / 'routes.lua'}"
        words = (*proxy, "-u", "root", "-l", HOST, "-p", str(PORT), "-o", option)
        return [*servers, Command(words, PORT, ("routes.lua", routes_lua(ports)))]
    words = (sys.executable, "-m", "quorate.balancer", "--config", str(folder / "balancer.toml"))
    file = ("balancer.toml", balancer_toml(ports, layout.copies))
    return [*servers, Command(words, PORT, file, {"PYTHONPATH": str(ROOT / "src")})]


def memcached(port: int) -> Command:
    """Return a server with its defaults."""
    return Command(("memcached", "-u", "root", "-l", HOST, "-p", str(port), "-U", "0"), port)


def nutcracker_yml(ports: Iterable[int]) -> str:
    """Return twemproxy's configuration: what the guides recommend."""
    lines = [
        "mc:",
        f"  listen: {HOST}:{PORT}",
        "  hash: fnv1a_64",
        "  distribution: ketama",
        "  auto_eject_hosts: true",
        "  timeout: 400",
        "  server_retry_timeout: 30000",
        "  server_failure_limit: 2",
        "  preconnect: true",
        "  servers:",
        *(f"   - {HOST}:{port}:1 s{port}" for port in ports),
    ]
    return "\n".join(lines) + "\n"


def routes_lua(ports: Iterable[int]) -> str:
    """Return the configuration of memcached's own proxy: one pool."""
    backends = ", ".join(f'"{HOST}:{port}"' for port in ports)
    return (
        f'pools{{ main = {{ backends = {{ {backends} }} }} }}\nroutes{{ default = route_direct{{ child = "main" }} }}\n'
    )


def balancer_toml(ports: Iterable[int], copies: int) -> str:
    """Return the balancer's configuration: what has no default."""
    lines = [f'listen = "{HOST}:{PORT}"', 'name = "s1"', f"copies = {copies}"]
    for number, port in enumerate(ports, 1):
        lines += ["[[servers]]", f'name = "s{number}"', f'address = "{HOST}:{port}"']
    return "\n".join(lines) + "\n"


def proxy_command(images: Path = IMAGES) -> tuple[str, ...]:
    """Return how to run a memcached that has the proxy: the host's, or an image's through the image's own loader."""
    roots = sorted(images.glob("*/root/usr/bin/memcached"), key=lambda path: path.stat().st_mtime, reverse=True)
    commands: list[tuple[str, ...]] = [("memcached",)] if shutil.which("memcached") else []
    for program in roots:
        usr = program.parent.parent
        loaders, libraries = sorted(usr.glob("lib*/ld-linux-*.so.*")), sorted(usr.glob("lib/*-linux-gnu"))
        if loaders and libraries:
            commands.append((str(loaders[0]), "--library-path", str(libraries[0]), str(program)))
    for command in commands:
        said = subprocess.run([*command, "-h"], capture_output=True, text=True, check=False).stdout
        if "proxy_config" in said:
            return command
    raise FileNotFoundError("no memcached with the proxy: none here, and no image of the lab of Debian 13 (make demo)")


def missing(engine: str) -> list[str]:
    """Return the Debian packages that this engine needs and that are not there."""
    wanted = {"memcached": "memcached", "memccapable": "libmemcached-tools", "unshare": "util-linux"}
    if engine == "twemproxy":
        wanted["nutcracker"] = "nutcracker"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return [package for program, package in wanted.items() if shutil.which(program, path=path) is None]

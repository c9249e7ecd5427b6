"""What stands between clients and servers in a world: the balancer, or twemproxy for comparison."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from real.truth.schedule import CONTROLLERS

SUBNET = "10.99.0"
SERVER_PORT = 11211
CLIENT_PORT = 22122
SOURCES = Path(__file__).resolve().parents[3] / "src"
LAWLESS = Path(__file__).resolve().parents[2] / "balancer_laws.py"
"""The balancer as a program that leaves a law out."""


def address(controller: int) -> str:
    """Where this controller's memcached listens."""
    return f"{SUBNET}.{11 + controller}"


@dataclass(frozen=True)
class Engine:
    """How one is configured and started: `argv` from the path of its configuration and a folder for what it writes.

    `meta`: whether it understands memcached's meta commands, and gat. `workers`: its processes on each controller.
    """

    name: str
    config: Callable[[int], str]
    argv: Callable[[Path, Path], list[str]]
    meta: bool
    workers: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)


def engine(name: str, without: str = "", workers: int = 1) -> Engine:
    """Return the engine of this name; `without` names the law that the balancer leaves out."""
    if name == "twemproxy":
        return Engine(name, _twemproxy, _nutcracker, meta=False)
    environment = {"PYTHONPATH": str(SOURCES), "PATH": os.environ.get("PATH", ""), "PYTHONDONTWRITEBYTECODE": "1"}
    program = [sys.executable, str(LAWLESS), without] if without else [sys.executable, "-m", "quorate.balancer"]

    def argv(config: Path, _folder: Path) -> list[str]:
        return [*program, "-c", str(config)]

    return Engine(name, partial(_balancer, workers), argv, meta=True, workers=workers, environment=environment)


def _balancer(workers: int, controller: int) -> str:
    names = ", ".join(f'"controller{number + 1}"' for number in range(CONTROLLERS))
    servers = "".join(
        f'[[servers]]\nname = "controller{number + 1}"\naddress = "{address(number)}:{SERVER_PORT}"\n'
        for number in range(CONTROLLERS)
    )
    return (
        f'listen = "127.0.0.1:{CLIENT_PORT}"\nname = "controller{controller + 1}"\nbalancers = [{names}]\n'
        f"copies = 2\nworkers = {workers}\n{servers}"
    )


def _twemproxy(_controller: int) -> str:
    """What guides ship, except that an ejected server is tried again after one second, not thirty."""
    servers = "".join(
        f"   - {address(number)}:{SERVER_PORT}:1 controller{number + 1}\n" for number in range(CONTROLLERS)
    )
    return (
        f"cache:\n  listen: 127.0.0.1:{CLIENT_PORT}\n  hash: fnv1a_64\n  distribution: ketama\n"
        "  auto_eject_hosts: true\n  timeout: 400\n  server_retry_timeout: 1000\n  server_failure_limit: 2\n"
        f"  preconnect: true\n  servers:\n{servers}"
    )


def _nutcracker(config: Path, folder: Path) -> list[str]:
    own = ["-a", "127.0.0.1", "-o", str(folder / "nutcracker.log"), "-p", str(folder / "nutcracker.pid")]
    return ["nutcracker", "-c", str(config), *own]

"""Names, subnets and image of the labs that tests make, so that no run meets another's, nor what a killed run left."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import subprocess
from pathlib import Path

from quorate.cli.lab import OPTIONAL, lines, packages
from quorate.lab import sweep
from quorate.lab.lab import Lab
from quorate.lab.spec import Places

PACKAGES = (*packages("trixie", lines(tuple(OPTIONAL))), "nutcracker")
"""What all systems want by default, and one more engine. To build an image takes longer than most tests."""
_OURS = re.compile(r"test-(\d+)(-.*)?")


def name(suffix: str = "") -> str:
    """A lab's name that says which process made it."""
    return f"test-{os.getpid()}{suffix and '-'}{suffix}"


def take_down_stale() -> None:
    """Take down what killed test runs left; one that had this process's number is one of them."""
    for found in filter(None, map(_OURS.fullmatch, sweep.labs(Places()))):
        if int(found[1]) == os.getpid() or not Path(f"/proc/{found[1]}").exists():
            Lab(found[0]).down()


def free_subnet() -> str:
    """A /24 that no route of this host overlaps."""
    routes = json.loads(subprocess.run(["ip", "-j", "-4", "route"], capture_output=True, check=True, timeout=10).stdout)
    taken = [ipaddress.IPv4Network(route["dst"], strict=False) for route in routes if route["dst"] != "default"]
    first = os.getpid() * 7
    for number in range(first, first + 4096):
        subnet = ipaddress.IPv4Network(f"10.{200 + number // 256 % 50}.{number % 256}.0/24")
        if not any(subnet.overlaps(other) for other in taken):
            return str(subnet)
    raise AssertionError("no subnet is free")

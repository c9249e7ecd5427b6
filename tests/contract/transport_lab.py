"""One machine of a lab for the transports, made when a test first asks for it and gone at the end of the run."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lab import labs
from quorate.lab.lab import Lab
from quorate.transport.ssh import SshTransport

MACHINE = "controller1"


@dataclass(frozen=True)
class LabMachine:
    lab: Lab
    config: Path

    @property
    def ssh(self) -> tuple[str, ...]:
        return tuple(self.lab.ssh(MACHINE))

    def transport(self) -> SshTransport:
        lab = self.lab
        address = str(lab.address(MACHINE))
        return SshTransport(
            "c1", address, user="root", identity=lab.key, known_hosts=lab.known_hosts, config=self.config
        )


@cache
def lab_machine() -> LabMachine:
    folder = Path(tempfile.mkdtemp(prefix="quorate-transports-"))
    lab = Lab(labs.name("transports"))
    labs.take_down_stale()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(lab.down)
    lab.up(folder, machines=1, subnet=labs.free_subnet(), packages=labs.PACKAGES)
    config = folder / "no_ssh_config"
    config.touch()
    return LabMachine(lab, config)

"""The power daemon: plays the BMCs of a lab's machines, on the bridge address, and restarts guests that reboot.

`lab up` starts it and `lab down` ends it: `python -m quorate.lab.power NAME STATE CACHE`. It holds nothing in memory
that matters: what is on and off is asked of the kernel each time, so that it can die and be started again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from quorate.errors import QuorateError
from quorate.lab import cgroups, redfish
from quorate.lab.folder import BMC_USER
from quorate.lab.machine import Machine
from quorate.lab.spec import POWER_PORT, Places, Spec

_SHUTDOWN_SECONDS = 60.0
_LOOK_SECONDS = 0.2

_log = logging.getLogger("quorate.lab.power")


class LabRack:
    """The lab's machines, as the BMCs reach them."""

    def __init__(self, machines: Sequence[Machine]) -> None:
        self._machines = {machine.name: machine for machine in machines}

    def names(self) -> Sequence[str]:
        """All machines."""
        return list(self._machines)

    def on(self, name: str) -> bool:
        """Say whether the machine has power."""
        return self._machines[name].on()

    def reset(self, name: str, kind: str) -> None:
        """Do one of redfish.RESETS."""
        machine = self._machines[name]
        if kind in ("On", "ForceOn"):
            machine.power_on()
        elif kind == "ForceOff":
            machine.kill()
        elif kind in ("ForceRestart", "PowerCycle"):
            machine.restart()
        else:
            machine.shut_down(_SHUTDOWN_SECONDS)
            if kind == "GracefulRestart":
                machine.power_on()

    def settle(self) -> None:
        """Deal with machines that switched themselves off or rebooted."""
        for machine in self._machines.values():
            if machine.ended():
                _log.info("%s %s", machine.name, machine.settle() or "had been dealt with")


async def _watch(rack: LabRack) -> None:
    """Play the part of the mainboard: a guest that reboots comes back, one that powers off loses its network."""
    while True:
        try:
            await asyncio.to_thread(rack.settle)
        except (QuorateError, OSError) as error:
            _log.error("%s", error)
        await asyncio.sleep(_LOOK_SECONDS)


async def _serve(places: Places, spec: Spec) -> None:
    state = places.state / spec.name
    layout = cgroups.host_layout()
    rack = LabRack([Machine(spec, slot, places, layout) for slot in spec.slots])
    guard = redfish.Guard(BMC_USER, (state / "bmc_password").read_text())
    config = uvicorn.Config(
        redfish.app(rack, guard),
        host=spec.gateway,
        port=POWER_PORT,
        ssl_certfile=state / "power.pem",
        ssl_keyfile=state / "power.pem",
        access_log=False,
        log_config=None,
        lifespan="off",
        limit_concurrency=64,
        timeout_keep_alive=5,
        h11_max_incomplete_event_size=16384,
    )
    watch = asyncio.create_task(_watch(rack))
    try:
        await uvicorn.Server(config).serve()
    finally:
        watch.cancel()


def main(arguments: Sequence[str]) -> None:
    """Serve until killed."""
    name, state, cache = arguments
    places = Places(state=Path(state), cache=Path(cache))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    spec = Spec.from_json((places.state / name / "lab.json").read_text())
    (places.state / name / "power.pid").write_text(f"{os.getpid()}\n")
    asyncio.run(_serve(places, spec))


if __name__ == "__main__":
    main(sys.argv[1:])

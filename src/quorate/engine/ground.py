"""What machines stand on, their power and cables: what a place offers of it, and the BMCs, which every place has.

A lab offers more than a rack does: it can freeze a machine and cut its cable (cli/ground.py). Power is cut alike in
both, by Redfish at the device that the cloud file names, as Pacemaker's own fencing does it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Protocol

import httpx

from quorate.core.fault import GroundAct
from quorate.core.secret import Secrets, reference
from quorate.errors import QuorateError, Unreachable, Unsupported
from quorate.model.cloud import Cloud, Fencing

PATIENCE = 30.0
"""Seconds in which a BMC must have done what it was asked."""
_REQUEST = 10.0


class Ground(Protocol):
    """What can be done to machines from outside."""

    @property
    def offers(self) -> frozenset[GroundAct]:
        """The acts that this place knows."""
        ...

    async def do(self, act: GroundAct, hosts: Sequence[str]) -> None:
        """Do it to all of them at once, and return once it is so. Idempotent. QuorateError when it cannot be done."""
        ...


class Power:
    """The controllers' power, through their BMCs."""

    def __init__(self, cloud: Cloud, secrets: Secrets) -> None:
        self._devices = {name: one.fencing for name, one in cloud.controllers.items() if one.fencing}
        self._passwords = {name: secrets.resolve(reference(f"fencing.{name}")) for name in self._devices}

    @property
    def offers(self) -> frozenset[GroundAct]:
        """Power, where every controller has a device."""
        return frozenset({"power-off", "power-on"}) if self._devices else frozenset()

    async def do(self, act: GroundAct, hosts: Sequence[str]) -> None:
        """Switch them, all at once."""
        if act not in {"power-off", "power-on"}:
            raise Unsupported(f"a BMC cannot {act}")
        await asyncio.gather(*(self._switch(host, on=act == "power-on") for host in hosts))

    async def _switch(self, host: str, *, on: bool) -> None:
        device = self._devices.get(host)
        if device is None:
            raise Unsupported(f"{host} has no fencing device in the cloud file")
        wanted = "On" if on else "Off"
        try:
            async with asyncio.timeout(PATIENCE), self._client(host, device) as bmc:
                path = f"/redfish/v1/Systems/{device.system}"
                if await _state(bmc, path) != wanted:
                    reply = await bmc.post(
                        f"{path}/Actions/ComputerSystem.Reset", json={"ResetType": "On" if on else "ForceOff"}
                    )
                    if reply.status_code >= 400 and await _state(bmc, path) != wanted:
                        raise QuorateError(f"the BMC of {host} refuses: HTTP {reply.status_code}")
                while await _state(bmc, path) != wanted:  # noqa: ASYNC110 - a BMC tells nobody, it is asked
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise Unreachable(host, f"its BMC did not switch it {wanted.lower()} within {PATIENCE:g} s") from None
        except httpx.HTTPError as error:
            raise Unreachable(host, f"its BMC at {device.address} does not answer: {error}") from None

    def _client(self, host: str, device: Fencing) -> httpx.AsyncClient:
        context = ssl.create_default_context()
        if not device.tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return httpx.AsyncClient(
            base_url=f"https://{device.address}:{device.port}",
            auth=(device.username, self._passwords[host]),
            verify=context,
            timeout=_REQUEST,
            trust_env=False,
        )


async def _state(bmc: httpx.AsyncClient, path: str) -> str:
    reply = await bmc.get(path)
    if reply.status_code != 200:
        raise QuorateError(f"the BMC answers HTTP {reply.status_code} to {path}")
    return str(reply.json().get("PowerState", "unknown"))

"""The ground of the cloud at hand: a lab's, where this host runs one for it, else what its BMCs offer."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from quorate.core.fault import GroundAct
from quorate.core.record import HolderLine, Watched
from quorate.core.secret import Secrets
from quorate.engine.drill import Sightings
from quorate.engine.ground import Power
from quorate.errors import QuorateError
from quorate.lab import sweep
from quorate.lab.lab import Lab
from quorate.lab.spec import Places
from quorate.lab.witness import Report, Witness
from quorate.model.cloud import Cloud


def lab_of(cloud_file: Path) -> Lab | None:
    """The lab that this cloud file belongs to; None where there is none, or where we may not see it."""
    if os.geteuid() != 0:
        return None
    folder = cloud_file.absolute().parent.resolve()
    for lab in map(Lab, sweep.labs(Places())):
        with contextlib.suppress(QuorateError):  # another lab, which is just coming or going, hides none
            if Path(lab.spec.folder).resolve() == folder:
                return lab
    return None


class LabGround:
    """A lab's machines: their power through their BMCs, like anybody's, the rest from their host."""

    def __init__(self, lab: Lab, power: Power) -> None:
        self._lab = lab
        self._power = power
        self._acts: dict[GroundAct, Callable[..., None]] = {
            "freeze": lab.freeze,
            "thaw": lab.heal,
            "unplug": lab.cut,
            "cut": lambda *hosts: lab.cut(*hosts, silent=True),
            "plug": lab.heal,
        }

    @property
    def offers(self) -> frozenset[GroundAct]:
        """Everything."""
        return self._power.offers | frozenset(self._acts)

    async def do(self, act: GroundAct, hosts: Sequence[str]) -> None:
        """Do it."""
        if act in self._acts:
            await asyncio.to_thread(self._acts[act], *hosts)
        else:
            await self._power.do(act, hosts)


def ground_of(cloud: Cloud, secrets: Secrets, lab: Lab | None) -> Power | LabGround:
    """What there is."""
    power = Power(cloud, secrets)
    return LabGround(lab, power) if lab else power


def watch_of(lab: Lab) -> Callable[[Sequence[str]], contextlib.AbstractContextManager[Sightings]]:
    """Watch the lab's bridge for who holds the addresses."""

    @contextlib.contextmanager
    def watch(addresses: Sequence[str]) -> Iterator[Sightings]:
        with contextlib.ExitStack() as stack:
            witnesses = [stack.enter_context(lab.witness(address)) for address in addresses]
            yield lambda: _sightings(witnesses)

    return watch


def _sightings(witnesses: Sequence[Witness]) -> list[HolderLine | Watched]:
    told: list[HolderLine | Watched] = []
    for report in (witness.report() for witness in witnesses):
        told += [
            HolderLine(address=report.address, holder=r.holder, first=r.first, last=r.last, announced=r.announced)
            for r in report.runs
        ]
        told.append(Watched(address=report.address, two_holders=report.two_holders, overlaps=_overlaps(report)))
    return told


def _overlaps(report: Report) -> tuple[str, ...]:
    return tuple(
        f"{one.stayed} still used it while {one.other} did, for {one.end - one.begin:.2f} s"
        for one in report.judgement.overlaps
    )

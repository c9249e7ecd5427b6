"""etcd in drills: a member can be hit; what waits for locks is a service's own."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.core.drill import DataFolder, Drills, Process
from quorate.core.system import Site
from quorate.systems.etcd.config import DATA, PEER_PORT, UNIT, EtcdSpec

PART = "coordination"


def processes(_spec: EtcdSpec, _site: Site) -> Sequence[Process]:
    """One member on every controller."""
    return (Process(PART, UNIT, port=PEER_PORT),)


def data(_spec: EtcdSpec, _site: Site) -> Sequence[DataFolder]:
    """Its log and its snapshots."""
    return (DataFolder(DATA, UNIT, PART),)


DRILLS = Drills[EtcdSpec](processes=processes, data=data)

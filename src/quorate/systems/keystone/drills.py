"""Keystone in drills: what its functions rest on. How soon a lost server gets no more clients is the proxy's to say."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.core.drill import Drills, Process
from quorate.core.system import Site
from quorate.systems.keystone.config import PORT, UNIT, KeystoneSpec
from quorate.systems.keystone.workloads import workloads


def processes(_spec: KeystoneSpec, _site: Site) -> Sequence[Process]:
    """One server on every controller, all alike."""
    return (Process("identity", UNIT, port=PORT),)


DRILLS = Drills[KeystoneSpec](
    processes=processes,
    uses={
        # A token is signed, not stored, and a cache that is gone is a miss; who asks for one is looked up.
        "token_validation": ("virtual_ip", "proxy:identity", "cache:waited-for"),
        "token_issue": ("virtual_ip", "proxy:identity", "cache:waited-for", "database_read"),
    },
    workloads=workloads,
)

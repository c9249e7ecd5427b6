"""memcached in drills: what stands in front of the servers says what their loss does."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.core.drill import Drills, Process
from quorate.core.system import Site
from quorate.systems.memcached.config import PORT, MemcachedSpec


def processes(_spec: MemcachedSpec, _site: Site) -> Sequence[Process]:
    """One server on every controller."""
    return (Process("cache-servers", "memcached.service", port=PORT),)


DRILLS = Drills[MemcachedSpec](processes=processes)

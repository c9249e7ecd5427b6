"""memcached: a cache server on every controller, reached by the others at its management address.

Whoever spreads keys over them needs `cache-servers`: the port here, the addresses from the cloud.
The servers know nothing of each other: losing one loses its share of the keys and nothing else.

config.py   its section of cloud.yaml, the files and the unit
probe.py    what is asked, how answers are read and judged
"""

from quorate.core.system import System
from quorate.systems.memcached.config import MemcachedSpec, endpoints, resources, warnings
from quorate.systems.memcached.drills import DRILLS
from quorate.systems.memcached.probe import MemcachedView, judge, questions, read

SYSTEM: System[MemcachedSpec, MemcachedView] = System(
    name="memcached",
    summary="a cache server on every controller",
    spec=MemcachedSpec,
    resources=resources,
    questions=questions,
    read=read,
    judge=judge,
    endpoints=endpoints,
    offers=("cache-servers",),
    settle=20.0,
    warnings=warnings,
    drills=DRILLS,
)

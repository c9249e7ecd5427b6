"""The cache: where services find memcached, and the engine that stands between them and the servers.

`quorate` is our own balancer, `twemproxy` and `memcached-proxy` are the others: one on every controller, at the same
loopback address, in front of all memcached servers. With `direct` services choose among all servers themselves, with
`localhost` each has its own controller's. Exactly one engine runs; a switch stops the old one and starts the new one.

config.py   its section of cloud.yaml, the endpoint that it offers, warnings
engines.py  what each engine puts on a controller
bundle.py   the balancer as one file
probe.py    what is asked, and how answers are read
judge.py    views → verdict
impact.py   what a switch of the engine does to what is cached, and whom it cannot be switched to
"""

from quorate.core.system import Function, System
from quorate.systems.cache.config import CacheSpec, endpoints, warnings
from quorate.systems.cache.drills import DRILLS, stands
from quorate.systems.cache.engines import resources
from quorate.systems.cache.impact import form, impact
from quorate.systems.cache.judge import judge, settling
from quorate.systems.cache.probe import CacheView, questions, read

SYSTEM: System[CacheSpec, CacheView] = System(
    name="cache",
    summary="the cache at one address on every controller, over all memcached servers",
    spec=CacheSpec,
    resources=resources,
    questions=questions,
    read=read,
    judge=judge,
    form=form,
    endpoints=endpoints,
    offers=("cache",),
    needs=("cache-servers",),
    settle=20.0,
    warnings=warnings,
    settling=settling,
    impact=impact,
    functions=lambda _spec, _site: (Function("cache", "use the cache"),),
    drills=DRILLS,
    stands=stands,
)

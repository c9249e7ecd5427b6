"""twemproxy (nutcracker): the cache at one local address on every controller, in front of all memcached servers.

Services know `127.0.0.1:22122` and nothing else. Every proxy has the same servers under the same names in the same
order, so that all of them find a key on the same server. A server that stops answering is taken out of the ring and
its share of the keys goes to the others; it is tried again later.

config.py   its section of cloud.yaml, the files and the unit, the endpoint that it offers
probe.py    what is asked, how answers are read and judged
"""

from quorate.core.system import System
from quorate.systems.twemproxy.config import TwemproxySpec, endpoints, resources
from quorate.systems.twemproxy.probe import TwemproxyView, judge, questions, read

SYSTEM: System[TwemproxySpec, TwemproxyView] = System(
    name="twemproxy",
    summary="the memcache load balancer on every controller's localhost",
    spec=TwemproxySpec,
    resources=resources,
    questions=questions,
    read=read,
    judge=judge,
    endpoints=endpoints,
    offers=("cache",),
    needs=("cache-servers",),
    settle=20.0,
)

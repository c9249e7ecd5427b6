"""haproxy: the proxy on the VIPs, which sends every client to a healthy server on some controller.

`config.py` says what is on every controller (the templates: the configuration, the agent by which the cluster manager
sees that the proxy really answers); `probe.py` how a proxy is looked at and judged; `drain.py` how it leaves a
controller in order. There is nothing to form.

How one writer is kept: clients come through a VIP, a VIP is on one controller, and that controller's proxy sends all
connections of a `one_active` endpoint to one server, which keeps them until it fails (docs/decisions/0005).
"""

from __future__ import annotations

from quorate.core.system import System
from quorate.systems.haproxy import config, drain, drills, probe

SYSTEM = System(
    name="haproxy",
    summary="proxy on the virtual IPs",
    spec=config.HaproxySpec,
    resources=config.resources,
    questions=probe.questions,
    read=probe.read,
    judge=probe.judge,
    roles=probe.roles,
    endpoints=config.endpoints,
    drain=drain.drain,
    offers=("proxy", "probe"),
    settle=15.0,
    drills=drills.DRILLS,
)

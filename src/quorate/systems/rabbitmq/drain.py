"""How a node is drained: it takes no clients, those that it has go to others, and it leads no queue.

That is RabbitMQ's own maintenance mode. It ends with the node: one that comes back drained from a reboot is told again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quorate.core.act import Run
from quorate.core.fault import Hit, Loss
from quorate.core.observed import Unknown
from quorate.core.plan import Step, Wave
from quorate.core.system import Site, Withdrawal
from quorate.systems.rabbitmq.config import RabbitSpec, node
from quorate.systems.rabbitmq.drills import PART
from quorate.systems.rabbitmq.probe import View, drained_in, running_in


def drain(_spec: RabbitSpec, site: Site, views: Mapping[str, View | Unknown]) -> Sequence[Withdrawal]:
    """Tell who runs and is to be drained, and those that may serve again; one after the other."""
    out = {host for host in site.cloud.names if node(site.cloud, host) in drained_in(views)}
    serving = set(running_in(views)) - out
    away = [host for host in site.cloud.names if host in serving & site.drained]
    back = [host for host in site.cloud.names if host in out - site.drained]
    return (
        *(Withdrawal(_wave(host, "drain"), (Hit(host, PART, Loss.DRAINED),)) for host in away),
        *(Withdrawal(_wave(host, "revive")) for host in back),
    )


def _wave(host: str, verb: str) -> Wave:
    what = "send its clients to other nodes" if verb == "drain" else "take clients again"
    run = Run(title=what, argv=("rabbitmq-upgrade", "--quiet", verb), timeout=120.0)
    step = Step(host=host, title=f"{what}: {host}", acts=(run,), diff=(f"! {what}",))
    return Wave(title=f"rabbitmq: {host}: {what}", steps=(step,))

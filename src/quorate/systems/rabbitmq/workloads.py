"""RabbitMQ: the clients of a drill. One publishes numbered messages and reads them back, one makes calls.

Account, virtual host and queue are made for the drill by the first controller and removed after it. Left by a drill
that was cut off, they are removed before the next one.
"""

from __future__ import annotations

import json
from typing import Any

from quorate.core.client import password
from quorate.core.drill import Workload
from quorate.core.fault import OnHost
from quorate.core.system import Site
from quorate.systems.rabbitmq.config import ALL, HOME, OWNER, RabbitSpec, oslo_options

DRILL = "quorate-drill"
"""The account and its virtual host."""
LEADER = "queue-leader"
"""The part that the node plays which the publisher is connected to: its queue's leader is there, too."""
CONNECT = 1.0
"""Seconds until a node that does not answer is left for the next one."""
CONFIRM = 2.0
"""Seconds until a message counts as not confirmed, and its node as lost."""

REMOVE = f"""for what in vhost user; do
  rabbitmqctl --quiet "delete_$what" {DRILL} </dev/null 2>/dev/null
done
exit 0"""
MAKE = f"""({REMOVE})
umask 077
file=$(mktemp -p {HOME}) && trap 'rm -f "$file"' EXIT || exit
cat >"$file" && chown {OWNER}: "$file" && rabbitmqctl --quiet import_definitions "$file" </dev/null"""
"""By a file that only the broker reads: given over standard input, a password makes rabbitmqctl wait for ever."""


def workloads(spec: RabbitSpec, site: Site) -> tuple[Workload, ...]:
    """Messages, confirmed and consumed; calls, answered."""
    endpoint = site.endpoint("messaging")
    host = site.cloud.names[0]
    nodes = {name: site.cloud.address(name) for name in site.cloud.names}
    settings = {"nodes": nodes, "port": endpoint.port, "user": DRILL, "vhost": DRILL}
    prepare = (OnHost(host, ("bash", "-c", MAKE), stdin=_definitions(), timeout=60.0),)
    clean_up = (OnHost(host, ("bash", "-c", REMOVE), timeout=60.0),)

    def workload(name: str, program: str, rate: float, bound: float, **more: Any) -> Workload:
        return Workload(
            name=name,
            function=name,
            objective=name,
            client=f"quorate.systems.rabbitmq.client:{program}",
            rate=rate,
            bound=bound,
            passwords=(DRILL,),
            prepare=prepare,
            clean_up=clean_up,
            **more,
        )

    # The queue manager keeps names over restarts in files of the service's machine; these queues go with the drill.
    options = {**oslo_options(spec, site.cloud), "use_queue_manager": "false"}
    return (
        workload("messaging", "Messages", 20.0, CONFIRM + 2 * CONNECT, settings=settings, shows=LEADER),
        workload("rpc", "Calls", 10.0, 3.0, settings={**settings, "options": options}),
    )


def _definitions() -> str:
    made = {
        "vhosts": [{"name": DRILL}],
        "users": [{"name": DRILL, "password": password(DRILL), "tags": ""}],
        "permissions": [{"user": DRILL, "vhost": DRILL, **ALL}],
    }
    return json.dumps(made)

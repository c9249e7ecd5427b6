"""RabbitMQ in drills: how long no message is confirmed when a node is lost."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.core.drill import DataFolder, Drills, Process, Roles
from quorate.core.failure import Pause, Stage
from quorate.core.fault import MACHINE, Hit, Loss
from quorate.core.system import Site
from quorate.systems.rabbitmq.config import HOME, PORT, UNIT, RabbitSpec
from quorate.systems.rabbitmq.workloads import CONFIRM, CONNECT, LEADER, workloads

PART = "messages"


def processes(_spec: RabbitSpec, _site: Site) -> Sequence[Process]:
    """One node on every controller."""
    return (Process(PART, UNIT, port=PORT, role=LEADER),)


def data(_spec: RabbitSpec, _site: Site) -> Sequence[DataFolder]:
    """Queues, their logs and the metadata lie in one folder."""
    return (DataFolder(HOME, UNIT, PART),)


def reacts(spec: RabbitSpec, _site: Site, _roles: Roles, hits: Sequence[Hit]) -> Sequence[Pause]:
    """A client leaves a node that confirms nothing; a queue whose leader is silent gets another.

    Both wait at the same time, so the longer one counts. Source: aten's poll interval (a node that is not heard of for
    that long is suspected, and its queues elect); what the client waits for is its own choice (client.py).
    """
    left = [hit for hit in hits if hit.part in {MACHINE, PART}]
    lost = [hit.host for hit in left if hit.loss is not Loss.DRAINED]
    paused = Stage("it waits before it tries another node", 0.5, "kombu_reconnect_delay")
    if not lost:
        drained = ", ".join(hit.host for hit in left)
        answered = Stage("what had waited is answered", 0.5, "measured, test_impact.py")
        return (Pause("rpc", f"{drained} took its leave", (paused, answered)),) if left else ()
    poll = spec.failure_poll_ms / 1000
    stages = (
        Stage("the client waits for a confirmation", CONFIRM, "workloads.py, CONFIRM"),
        Stage("the queues look for their leaders", max(0.0, 2 * poll - CONFIRM), "aten.poll_interval, twice"),
        Stage("another node is tried, and it may be silent too", 2 * CONNECT, "workloads.py, CONNECT"),
    )
    given_up = 2.25 * spec.heartbeat
    gone = max(0.0, 1.25 * spec.net_ticktime - given_up - paused.seconds)
    silence = (
        Stage("a service misses two signs of life", given_up, "heartbeat_timeout_threshold, looked for 4 times in it"),
        paused,
        Stage("the nodes take the silent one for gone", gone, "net_ticktime: kernel(6)"),
        Stage("it is asked for its streams once more", spec.net_setuptime, "net_setuptime: kernel(6)"),
        Stage("what had waited is answered", 2.0, "measured, decision 13"),
    )
    because = f"{', '.join(lost)} left the cluster"
    return (Pause("messaging", because, stages), Pause("rpc", because, silence))


DRILLS = Drills[RabbitSpec](
    processes=processes,
    data=data,
    reacts=reacts,
    workloads=workloads,
)

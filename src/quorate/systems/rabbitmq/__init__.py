"""RabbitMQ: the message broker on every controller, one cluster; clients know all of its nodes, no proxy in between.

- `config.py`: its section of the cloud file → what should be on a controller, and the `messaging` endpoint it offers
- `probe.py`: how a node is looked at, and what to make of the answers
- `drills.py`, `workloads.py`, `client.py`: what of it can be hit, and who notices
- `drain.py`: how clients leave a node in order
- `form.py`: how the cluster comes into being and grows, and when that is refused
- `recover.py`: who may begin without those that never come back
- `templates/`: the broker's settings, its environment, its unit's drop-in

Others ask for an account by a claim on `messaging`: it may do everything in the virtual host `openstack`, with the
claim's secret as its password.
"""

from __future__ import annotations

from quorate.core.system import Function, Kept, System
from quorate.systems.rabbitmq.backup import backups, holders
from quorate.systems.rabbitmq.config import RabbitSpec, endpoints, resources, secrets, warnings
from quorate.systems.rabbitmq.drain import drain
from quorate.systems.rabbitmq.drills import DRILLS
from quorate.systems.rabbitmq.form import SETTLE, form, occupied
from quorate.systems.rabbitmq.probe import View, judge, questions, read
from quorate.systems.rabbitmq.recover import evidence, recover

SYSTEM: System[RabbitSpec, View] = System(
    name="rabbitmq",
    summary="RabbitMQ: the messages between the services, replicated on all controllers",
    spec=RabbitSpec,
    resources=resources,
    questions=questions,
    read=read,
    judge=judge,
    form=form,
    evidence=evidence,
    recover=recover,
    occupied=occupied,
    drain=drain,
    endpoints=endpoints,
    secrets=secrets,
    offers=("messaging",),
    quorum="majority",
    settle=SETTLE,
    warnings=warnings,
    functions=lambda _spec, _site: (
        Function("messaging", "publish a message"),
        Function("rpc", "call a service by message"),
    ),
    drills=DRILLS,
    keeps=(Kept("confirmed messages", on="majority"),),
    backups=backups,
    holders=holders,
)

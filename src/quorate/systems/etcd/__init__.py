"""etcd: locks and groups for the services that must not do the same thing twice (tooz); one member on every controller.

- `config.py`: its section of the cloud file → what should be on a controller, and the `coordination` endpoint it offers
- `probe.py`: how a member is looked at, and what to make of the answers
- `form.py`: how the cluster comes into being, grows, and takes back a member that lost its disk
- `drills.py`: what of it can be hit
- `templates/`: its environment and its unit's drop-in

Each service asks the member on its own controller, which listens there and nowhere else.
"""

from __future__ import annotations

from quorate.core.system import Function, Kept, System
from quorate.systems.etcd.config import EtcdSpec, endpoints, resources, warnings
from quorate.systems.etcd.drills import DRILLS
from quorate.systems.etcd.form import SETTLE, form, occupied
from quorate.systems.etcd.probe import View, judge, questions, read

SYSTEM: System[EtcdSpec, View] = System(
    name="etcd",
    summary="etcd: locks and groups for the services, kept by a majority of the controllers",
    spec=EtcdSpec,
    resources=resources,
    questions=questions,
    read=read,
    judge=judge,
    form=form,
    occupied=occupied,
    endpoints=endpoints,
    offers=("coordination",),
    quorum="majority",
    settle=SETTLE,
    warnings=warnings,
    functions=lambda _spec, _site: (Function("lock", "take a lock"),),
    drills=DRILLS,
    keeps=(Kept("locks and groups", on="majority"),),
    lacks={"debian-12": "it has etcd 3.4, which upstream no longer mends"},
)

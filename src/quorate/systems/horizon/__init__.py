"""Horizon: the dashboard, alike on every controller; a session begun at one goes on at any other.

Sessions lie in the shared database and are signed with a key that all controllers have. It is Django under uWSGI, as
the APIs are, and looked at as they are; but it has no account of its own, only that of whoever is logged in.

config.py   its section of cloud.yaml, what it is made of, its files and unit; what it offers, claims and warns of
drills.py   what can be hit, and its client
client.py   the client: logs in once and reads pages
"""

from functools import partial

from quorate.core.system import Function, System
from quorate.openstack import form, judge, probe
from quorate.openstack.system import LACKS
from quorate.systems.horizon.config import (
    KIND,
    SERVICE,
    HorizonSpec,
    claims,
    endpoints,
    read,
    resources,
    secrets,
    warnings,
)
from quorate.systems.horizon.drills import DRILLS

SYSTEM: System[HorizonSpec, probe.View] = System(
    name=SERVICE.name,
    summary=SERVICE.summary,
    spec=HorizonSpec,
    resources=resources,
    questions=partial(probe.questions, SERVICE),
    read=read,
    judge=partial(judge.judge, SERVICE),
    form=partial(form.form, SERVICE),
    endpoints=endpoints,
    claims=claims,
    secrets=secrets,
    offers=(KIND,),
    needs=("database", "virtual-ip", "identity"),
    after=("network",),
    settle=form.SETTLE,
    lacks=LACKS,
    warnings=warnings,
    functions=lambda _spec, _site: (Function(KIND, "see the dashboard"),),
    drills=DRILLS,
)

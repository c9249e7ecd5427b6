"""corosync: who belongs to the cluster, and whether those who do are the majority.

`config.py` says what is on every controller and why its timers are what they are; `probe.py` how a membership is
looked at and judged. Started with the same nodelist, the controllers find each other; `form.py` only brings in a new
key.
"""

from __future__ import annotations

from quorate.core.system import System
from quorate.systems.corosync import config, drills, form, probe

SYSTEM = System(
    name="corosync",
    summary="cluster membership and quorum",
    spec=config.CorosyncSpec,
    resources=config.resources,
    questions=probe.questions,
    read=probe.read,
    judge=probe.judge,
    occupied=probe.occupied,
    form=form.form,
    secrets=config.secrets,
    warnings=config.warnings,
    offers=("membership",),
    quorum="majority",
    settle=30.0,
    drills=drills.DRILLS,
    stands=drills.stands,
)

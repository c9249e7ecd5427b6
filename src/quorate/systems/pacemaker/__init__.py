"""pacemaker: each VIP on exactly one controller, one whose proxy answers, and a lost controller without power.

`config.py` says what is on every controller, `cib.py` what belongs in the cluster's database and why, `form.py` how it
gets there, `drain.py` how a controller is put in standby, `probe.py` how the cluster is looked at, `judge.py` when it
is well. Why so: docs/decisions/0005.
"""

from __future__ import annotations

from quorate.core.system import System
from quorate.systems.pacemaker import config, drain, drills, form, judge, probe

SYSTEM = System(
    name="pacemaker",
    summary="virtual IPs and fencing",
    spec=config.PacemakerSpec,
    resources=config.resources,
    questions=probe.questions,
    read=probe.read,
    judge=judge.judge,
    form=form.form,
    drained=judge.drained,
    drain=drain.drain,
    secrets=config.secrets,
    warnings=config.warnings,
    offers=("virtual-ip",),
    needs=("membership", "proxy"),
    quorum="majority",
    settle=form.SETTLE,
    roles=judge.roles,
    functions=drills.functions,
    drills=drills.DRILLS,
    stands=drills.stands,
)

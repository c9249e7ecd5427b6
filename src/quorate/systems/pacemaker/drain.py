"""How a controller is drained: in standby, nothing of the cluster's may run there, so its VIPs move away in order.

The attribute lies in the CIB: it outlives the controller, which comes back drained after a reboot, and with an empty
disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quorate.core.act import Run
from quorate.core.fault import Hit, Loss
from quorate.core.observed import Unknown
from quorate.core.plan import Gate, Step, Wave
from quorate.core.system import Site, Withdrawal
from quorate.systems.pacemaker.config import PacemakerSpec
from quorate.systems.pacemaker.drills import PART
from quorate.systems.pacemaker.form import SETTLE
from quorate.systems.pacemaker.probe import View, reference


def drain(_spec: PacemakerSpec, site: Site, views: Mapping[str, View | Unknown]) -> Sequence[Withdrawal]:
    """Put in standby who is to be drained and is not yet, and out of it who is to serve; one after the other."""
    believed = reference(views)
    if believed is None:
        return ()
    leader, status = believed
    known = [name for name in site.cloud.names if name in status.nodes]
    away = [name for name in known if name in site.drained - status.standby]
    back = [name for name in known if name in status.standby - site.drained]
    online = {name for name, state in status.nodes.items() if state in {"online", "standby"}}
    return (
        *(Withdrawal(_wave(name, "on", leader, online), (Hit(name, PART, Loss.DRAINED),)) for name in away),
        *(Withdrawal(_wave(name, "off", leader, online)) for name in back),
    )


def _wave(name: str, value: str, leader: str, online: set[str]) -> Wave:
    """Said on the controller itself where it runs: apply then looks once more whether the others can spare it."""
    what = f"{'put' if value == 'on' else 'take'} {name} {'in' if value == 'on' else 'out of'} standby"
    act = Run(title=what, argv=("crm_attribute", "--node", name, "--name", "standby", "--update", value))
    here = name in online
    step = Step(
        host=name if here else leader,
        title=what,
        acts=(act,),
        diff=(f"! {what}",),
        disturbs=here and value == "on",
    )
    gate = Gate(system="pacemaker", members=(name,), timeout=SETTLE) if here else None
    return Wave(title=f"pacemaker: {what}", steps=(step,), gate=gate)

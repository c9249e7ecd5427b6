"""What a system says of drills: what of it can be hit, who plays which part, how it reacts, and its clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from quorate.core.failure import Pause
from quorate.core.fault import MACHINE, Hit, Loss, OnHost
from quorate.model.cloud import Spec

if TYPE_CHECKING:
    from quorate.core.system import Site

S = TypeVar("S", bound=Spec)

Roles = Mapping[str, str]
"""Who plays which part now, as clients see it: part → controller, such as `virtual-ip` or `writer`."""
SERVER = "server"
"""The fact of an operation that names the controller which served it."""


@dataclass(frozen=True)
class Process:
    """Something of a system that runs on every controller and can be hit by itself.

    `port`: where it is talked to, for a deaf port; 0: nowhere. `role`: the part whose holder is hit where nobody says
    which controller; empty: any. `fenced`: losses for which the others cut the power of its controller. `watchdog`:
    seconds after which its manager ends one that says nothing; 0: it never does.
    """

    word: str
    unit: str
    port: int = 0
    role: str = ""
    fenced: frozenset[Loss] = frozenset()
    watchdog: float = 0.0

    def hits(self, host: str, loss: Loss) -> tuple[Hit, ...]:
        """What its loss takes: itself, and all of its controller where that loses its power for it."""
        lasts = self.watchdog if loss is Loss.HUNG else 0.0
        machine = (Hit(host, MACHINE, Loss.FENCED),) if loss in self.fenced else ()
        return (Hit(host, self.word, loss, lasts), *machine)


@dataclass(frozen=True)
class Workload:
    """A real client that works throughout a drill, outside of the cluster, at `rate` operations a second.

    `name` tells it from others; several may exercise one `function`, and `objective` is the key of the cloud file's
    objectives that bounds its outage. `client`: `module:Class` of the program that does one operation
    (engine/clients.py says what it is given); `settings` are plain values, `secrets` names of secrets that it gets,
    `passwords` names of accounts for which a password is made up for this drill alone. An operation that takes longer
    than `bound` seconds is unknown. `at`: the controller whose own server it uses; empty: the VIP. `shows`: the part
    that whoever serves it plays (its operations have the fact `server`). `prepare` and `clean_up` run on any one
    controller, before and after; a reference `@@drill:NAME@@` in their stdin is that password.
    """

    name: str
    function: str
    objective: str
    client: str
    rate: float
    bound: float = 3.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    passwords: tuple[str, ...] = ()
    at: str = ""
    shows: str = ""
    prepare: tuple[OnHost, ...] = ()
    clean_up: tuple[OnHost, ...] = ()


@dataclass(frozen=True)
class DataFolder:
    """A folder that can run full, with the unit that writes there and who owns it."""

    path: str
    unit: str
    word: str


@dataclass(frozen=True)
class Sign:
    """How a unit's journal tells that a stage is over: a text that stands in the line, for `grep -F`."""

    name: str
    unit: str
    text: str


@dataclass(frozen=True)
class Standby:
    """How a controller is taken out of the way in order, and brought back. `part`: what it gives away."""

    part: str
    away: OnHost
    back: OnHost


@dataclass(frozen=True)
class Drills(Generic[S]):
    """What one system says of drills. All functions are pure.

    `uses`: function → functions without which it does not work. `reacts`: the pauses that follow from what was hit.
    `standby`: the commands that take a controller out of the way in order, and bring it back. `signs`: by what one sees
    where the time of a failover goes. `data`: folders that can run full.
    """

    processes: Callable[[S, Site], Sequence[Process]] = lambda _spec, _site: ()
    reacts: Callable[[S, Site, Roles, Sequence[Hit]], Sequence[Pause]] = lambda _spec, _site, _roles, _hits: ()
    uses: Mapping[str, Sequence[str]] = field(default_factory=dict)
    workloads: Callable[[S, Site], Sequence[Workload]] = lambda _spec, _site: ()
    standby: Callable[[S, Site, str], Standby | None] = lambda _spec, _site, _host: None
    signs: tuple[Sign, ...] = ()
    data: Callable[[S, Site], Sequence[DataFolder]] = lambda _spec, _site: ()

"""The plan: waves of steps, a value that can be stored, compared, approved and applied later."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from quorate.core.act import Act


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Step(_Part):
    """What is done to one controller in one go; its acts run in order and stop at the first that fails.

    `diff`: what people read, unified-diff lines with secrets masked. `disturbs`: a running member is interrupted.
    `irreversible`: what cannot be undone about it, or empty.
    """

    host: str
    title: str
    acts: tuple[Act, ...]
    diff: tuple[str, ...] = ()
    disturbs: bool = False
    irreversible: str = ""


class Gate(_Part):
    """What must be well before the next wave: these members of this system, within `timeout` seconds."""

    system: str
    members: tuple[str, ...]
    timeout: float


class Impact(_Part):
    """What an interruption does to whoever uses the cloud: function → seconds that it pauses at most.

    Of the system's members `left` are known to be well and go on, and `least` must be. `plays`: the parts that clients
    would miss, for which it comes after the others: they move once, and not from one to the next. `donor`: who serves
    nobody meanwhile, because it gives a copy of its data.
    """

    pauses: dict[str, float]
    left: int
    least: int
    plays: tuple[str, ...] = ()
    donor: str = ""


class Takes(_Part):
    """How long something takes, seconds (core/lasting.py).

    `about`: a guess, which rests on `source`. `most`: by then it is done or apply has stopped; None: nothing bounds it.
    """

    about: float
    most: float | None
    source: str


class Wave(_Part):
    """Steps that run side by side, one for each controller; then the gate. A disturbing wave has one step only.

    `system` is empty for the preparation, which touches nothing that runs. `impact`: of one that interrupts somebody.
    `takes`: all of it, the gate and the looks before and after it included.
    """

    title: str
    system: str = ""
    steps: tuple[Step, ...]
    gate: Gate | None = None
    impact: Impact | None = None
    takes: Takes | None = None


class Refusal(_Part):
    """Why something that ought to be done is not: apply refuses the whole plan as long as one is in it.

    `passing`: it may be gone at another look.
    """

    system: str
    reason: str
    evidence: tuple[str, ...] = ()
    passing: bool = False


class Note(_Part):
    """What a system says about the change as a whole, which stands in no diff: what it costs, say."""

    system: str
    text: str


class Missing(_Part):
    """A controller that was not seen, and why. Apply refuses unless it is left out by name."""

    host: str
    why: str


class Plan(_Part):
    """All that would be done. `fingerprint` covers everything else but `made`: the same world gives the same print.

    `drained`: the controllers that nobody depends on, once it is done.
    `only`: the systems that it is for, in their order; of the others nothing is planned. Empty: all of the cloud.
    `undoes`: of a rollback, the first run that it undoes.
    `takes`: from apply's first look to its last one; None: there is nothing to do.
    """

    cloud: str
    made: str
    waves: tuple[Wave, ...]
    missing: tuple[Missing, ...] = ()
    without: tuple[str, ...] = ()
    drained: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    undoes: str = ""
    takes: Takes | None = None
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[Note, ...] = ()
    world: str = Field(description="Digest of all that was observed and asked for where it matters to this plan.")
    fingerprint: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be done."""
        return not self.waves

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps in order."""
        return tuple(step for wave in self.waves for step in wave.steps)

    def printed(self) -> Plan:
        """Give the plan its fingerprint."""
        covered = self.model_dump(mode="json", exclude={"made", "fingerprint"})
        return self.model_copy(update={"fingerprint": digest(covered)})


def digest(value: Any) -> str:
    """SHA-256, in hexadecimal, of the value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

"""The record of one drill: JSON lines on disk, written while it runs, read again by whoever judges it.

The first line is the header, the last one says `done`; between them, in the order in which they came to be known::

    {"what": "header", "run": "…", "cloud": "lab", "drill": "power-cut", "workloads": [...], "predictions": [...], …}
    {"what": "operation", "by": "token_validation", "start": 1.04, "end": 1.06, "outcome": "ok", "facts": {}}
    {"what": "mark", "name": "inject", "at": 5.02}
    {"what": "look", "at": 6.2, "level": "failing", "why": {"galera": "2 of 3 members synced"}}
    {"what": "holder", "address": "10.77.0.100", "holder": "controller2", "first": 7.1, "last": 30.0, "announced": 7.1}
    {"what": "final", "by": "database_write", "facts": {"rows": …}}
    {"what": "done"}

Times are seconds of one clock that begins with the drill. A record without its last line was cut off: what it does
not show is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from quorate.core.history import Operation
from quorate.errors import InvalidInput, Problem

MarkName = Literal["calm", "inject", "injected", "proved", "heal", "healed", "whole", "end", "pause"]
"""`calm`: clients work, nothing is disturbed yet. `pause`: the drill's own process stood still, for `seconds`."""


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Client(_Line):
    """A workload, as far as judging needs it."""

    name: str
    function: str
    objective: str
    rate: float
    at: str = ""
    shows: str = ""


class StageLine(_Line):
    """One stage of a pause (core/failure.py)."""

    name: str
    seconds: float
    source: str


class PauseLine(_Line):
    """One pause (core/failure.py)."""

    function: str
    because: str
    stages: tuple[StageLine, ...]
    after: tuple[str, ...] = ()
    takes_over: tuple[str, ...] = ()
    losable: str = ""


class PredictionLine(_Line):
    """What was predicted of a function. `seconds` is None where nothing bounds it; `chain` decides how long it is."""

    function: str
    seconds: float | None
    chain: tuple[PauseLine, ...] = ()


class HitLine(_Line):
    """What the fault takes (core/fault.py)."""

    host: str
    part: str
    loss: str
    lasts: float = 0.0


class Header(_Line):
    """What was to be done to whom, and what was expected of it. `began`: time of day, ISO 8601, when the clock was 0.

    `objectives`: seconds for each key that a client names. `within`: the cloud is built to survive this.
    `watched`: addresses whose holders were watched on the wire; an address that is not among them is unknown.
    `stands`: whether each function works while the fault lasts, by the model (null: it may, for a while, by what is
    cached); empty, where what was lost may come back.
    """

    what: Literal["header"] = "header"
    version: Literal[1] = 1
    run: str
    cloud: str
    began: str
    drill: str
    summary: str
    seed: int
    hits: tuple[HitLine, ...]
    roles: dict[str, str]
    within: bool
    hold: float
    workloads: tuple[Client, ...]
    objectives: dict[str, float]
    predictions: tuple[PredictionLine, ...]
    vips: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()
    stands: dict[str, bool | None] = Field(default_factory=dict)


class OperationLine(_Line):
    """One operation of one client."""

    what: Literal["operation"] = "operation"
    by: str
    start: float
    end: float
    outcome: Literal["ok", "failed", "unknown"]
    note: str = ""
    facts: dict[str, Any] = Field(default_factory=dict)


class Mark(_Line):
    """Something that the drill did, or saw of itself."""

    what: Literal["mark"] = "mark"
    name: MarkName
    at: float
    seconds: float = 0.0


class LookLine(_Line):
    """What `status` would have said then. `why`: the reason of each system that was not ok."""

    what: Literal["look"] = "look"
    at: float
    level: Literal["ok", "unknown", "failing"]
    why: dict[str, str] = Field(default_factory=dict)


class HolderLine(_Line):
    """A series of frames of one holder of an address, as the wire shows them (lab/sightings.py)."""

    what: Literal["holder"] = "holder"
    address: str
    holder: str
    first: float
    last: float
    announced: float | None = None


class Watched(_Line):
    """What the watch over an address came to: whether two held it at once; None: not all was seen."""

    what: Literal["watched"] = "watched"
    address: str
    two_holders: bool | None
    overlaps: tuple[str, ...] = ()


class SignLine(_Line):
    """A stage that a controller's journal says is over (core/drill.py), on that controller's own clock."""

    what: Literal["sign"] = "sign"
    at: float
    host: str
    name: str


class Final(_Line):
    """What a client found at the end, when all was quiet."""

    what: Literal["final"] = "final"
    by: str
    facts: dict[str, Any]


class Done(_Line):
    """The last line."""

    what: Literal["done"] = "done"


Line = Annotated[
    Header | OperationLine | Mark | LookLine | HolderLine | Watched | SignLine | Final | Done,
    Field(discriminator="what"),
]
_LINE: TypeAdapter[Line] = TypeAdapter(Line)


@dataclass
class Record:
    """A record that was read. `complete`: it has its last line."""

    header: Header
    operations: dict[str, list[Operation]] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)
    looks: list[LookLine] = field(default_factory=list)
    holders: list[HolderLine] = field(default_factory=list)
    watches: list[Watched] = field(default_factory=list)
    signs: list[SignLine] = field(default_factory=list)
    finals: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    complete: bool = False

    def mark(self, name: MarkName) -> float | None:
        """When something was done first; None: it never was."""
        return next((mark.at for mark in self.marks if mark.name == name), None)

    def add(self, line: Line) -> None:
        """Take one more line."""
        match line:
            case OperationLine():
                operation = Operation(line.start, line.end, line.outcome, line.note, line.facts)
                self.operations.setdefault(line.by, []).append(operation)
            case Mark():
                self.marks.append(line)
            case LookLine():
                self.looks.append(line)
            case HolderLine():
                self.holders.append(line)
            case Watched():
                self.watches.append(line)
            case SignLine():
                self.signs.append(line)
            case Final():
                self.finals[line.by] = line.facts
            case Done():
                self.complete = True
            case Header():
                raise ValueError("a second header")


def encode(line: Line) -> str:
    """Return the line as it is written, with its newline."""
    return json.dumps(line.model_dump(exclude_defaults=False), separators=(",", ":")) + "\n"


def operation_line(by: str, operation: Operation) -> str:
    """Encode an operation: most lines are such, and a model for each would cost more than the client's work."""
    told = {
        "what": "operation",
        "by": by,
        "start": round(operation.start, 5),
        "end": round(operation.end, 5),
        "outcome": operation.outcome,
        "note": operation.note,
        "facts": dict(operation.facts),
    }
    return json.dumps(told, separators=(",", ":")) + "\n"


def parse(lines: Iterable[str], file: str) -> Record:
    """Read a record; InvalidInput names the first line that is none. A last line that is cut off is passed over."""
    told = iter(enumerate(lines, start=1))
    number, first = next(told, (1, ""))
    header = _read(file, number, first)
    if not isinstance(header, Header):
        raise InvalidInput(f"{file} is no record of a drill", problems=[Problem(file, 1, "", "the header is missing")])
    record = Record(header)
    for number, text in told:
        if text.endswith("\n"):
            line = _read(file, number, text)
            if isinstance(line, Header):
                raise InvalidInput(
                    f"{file} is no record of one drill", problems=[Problem(file, number, "", "a header")]
                )
            record.add(line)
    return record


def _read(file: str, number: int, text: str) -> Line:
    try:
        return _LINE.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        why = Problem(file, number, ".".join(map(str, first["loc"])), first["msg"])
        raise InvalidInput(f"{file} is no record of a drill", problems=[why]) from None

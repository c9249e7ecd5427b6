"""One run as the report shows it: the moments that count, one lane for each client, and where the time went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from quorate.core.failure import kept
from quorate.core.fault import MACHINE
from quorate.core.findings import FunctionRow, Result, Span
from quorate.core.history import Operation, Outage
from quorate.core.judging import outages_of
from quorate.core.record import Client, HolderLine, MarkName, PauseLine, PredictionLine, Record
from quorate.report.words import joined, seconds

Kind = Literal["fault", "alarm", "takeover", "heal", "whole", "sign"]
TOGETHER = 1.0
"""Seconds within which addresses that move to one controller are one takeover."""


@dataclass(frozen=True)
class Run:
    """A run that was judged, and the record that it was judged from."""

    result: Result
    record: Record

    @property
    def ended(self) -> float:
        """Where its pictures end: the last thing that was seen."""
        ends = [operation.end for history in self.record.operations.values() for operation in history]
        marks = [mark.at + mark.seconds for mark in self.record.marks]
        looks = [look.at for look in self.record.looks]
        return max([self.result.ended, *ends, *marks, *looks, 1.0])


@dataclass(frozen=True)
class Moment:
    """Something that happened and is marked in the pictures. `detail` says more than the label has room for."""

    at: float
    kind: Kind
    detail: str


def moments(record: Record) -> tuple[Moment, ...]:
    """What happened when, oldest first; what was not seen is left out.

    The alarm is the first look after the fault that was not ok.
    """
    found = []
    fault = record.mark("inject")
    if fault is not None:
        found.append(Moment(fault, "fault", record.header.summary))
        alarm = next((look for look in record.looks if look.at >= fault and look.level != "ok"), None)
        if alarm is not None:
            why = joined((f"{system}: {reason}" for system, reason in alarm.why.items()), "no reason was given")
            found.append(Moment(alarm.at, "alarm", f"status said {alarm.level} ({why})"))
    found += _takeovers(record.holders)
    healed = record.mark("heal")
    if healed is not None:
        found.append(Moment(healed, "heal", "the fault was healed"))
    whole = record.mark("whole")
    if whole is not None:
        found.append(Moment(whole, "whole", "all redundancy was back"))
    return tuple(sorted(found, key=lambda moment: moment.at))


@dataclass(frozen=True)
class Event:
    """A line of the story of a run."""

    at: float
    name: str
    detail: str


def stations(record: Record) -> tuple[Moment, ...]:
    """What an outage is divided by: what happened, and the first sign of each stage in a controller's journal."""
    fault = record.mark("inject")
    first: dict[str, Moment] = {}
    for sign in sorted(record.signs, key=lambda sign: sign.at):
        if fault is not None and sign.at >= fault:
            first.setdefault(sign.name, Moment(sign.at, "sign", f"{sign.name} ({sign.host})"))
    told = [moment for moment in moments(record) if moment.kind in {"takeover", "heal"}]
    return tuple(sorted([*told, *first.values()], key=lambda moment: moment.at))


STEPS: dict[MarkName, str] = {
    "calm": "clients work, and nothing is disturbed yet",
    "injected": "all of the fault is in force",
    "proved": "the fault was seen to have taken",
    "healed": "all that was done is undone",
    "end": "clients were stopped",
}


def story(record: Record) -> tuple[Event, ...]:
    """All that was done and that happened, oldest first."""
    found = [Event(moment.at, moment.kind, moment.detail) for moment in moments(record)]
    found += [Event(mark.at, mark.name, STEPS[mark.name]) for mark in record.marks if mark.name in STEPS]
    return tuple(sorted(found, key=lambda event: event.at))


def _takeovers(lines: Sequence[HolderLine]) -> list[Moment]:
    """Find where an address went to another holder; several that go together are one moment."""
    moved: list[tuple[float, str, str]] = []
    holds: dict[str, str] = {}
    for line in sorted(lines, key=lambda line: line.first):
        if holds.get(line.address, line.holder) != line.holder:
            at = line.first if line.announced is None else line.announced
            moved.append((at, line.holder, line.address))
        holds[line.address] = line.holder
    groups: list[list[tuple[float, str, str]]] = []
    for one in sorted(moved):
        if groups and groups[-1][0][1] == one[1] and one[0] - groups[-1][0][0] <= TOGETHER:
            groups[-1].append(one)
        else:
            groups.append([one])
    return [
        Moment(group[0][0], "takeover", f"{joined(address for _, _, address in group)} went to {group[0][1]}")
        for group in groups
    ]


@dataclass(frozen=True)
class Lane:
    """One client's operations, oldest first, and its outages. `taken`: it uses what the fault itself takes."""

    client: Client
    operations: tuple[Operation, ...]
    outages: tuple[Outage, ...]
    taken: bool

    @property
    def counts(self) -> dict[str, int]:
        """How many operations had each outcome."""
        told = {"ok": 0, "failed": 0, "unknown": 0}
        for operation in self.operations:
            told[operation.outcome] += 1
        return told


def lanes(record: Record) -> tuple[Lane, ...]:
    """Every client, those without a single operation too."""
    machines = {hit.host for hit in record.header.hits if hit.part == MACHINE}
    named = {client.name for client in record.header.workloads}
    strangers = [Client(name=n, function=n, objective="", rate=0) for n in record.operations if n not in named]
    found = []
    for client in (*record.header.workloads, *strangers):
        history = sorted(record.operations.get(client.name, ()), key=lambda operation: operation.start)
        found.append(Lane(client, tuple(history), tuple(outages_of(record, history)), client.at in machines))
    return tuple(found)


def missed(row: FunctionRow) -> str:
    """Say which bounds a function missed; empty: none, or it could not be seen."""
    if row.measured_s is None:
        return ""
    told = []
    if row.objective_s is not None and row.measured_s > row.objective_s:
        told.append(f"the objective is {seconds(row.objective_s)}")
    if row.predicted_s is not None and not kept(row.predicted_s, row.measured_s, row.resolution_s):
        told.append(f"at most {seconds(row.predicted_s)} were predicted")
    return f"out for {seconds(row.measured_s)}; {' and '.join(told)}" if told else ""


@dataclass(frozen=True)
class Phase:
    """A part of an outage, by what ended it."""

    name: str
    seconds: float


def phases(row: FunctionRow, told: Sequence[Moment]) -> tuple[Phase, ...]:
    """Divide the longest outage of a function by what happened within it (`stations`); nothing: it was not out."""
    longest = longest_outage(row)
    if longest is None:
        return ()
    found = []
    since = longest.began
    for moment in told:
        if since < moment.at < longest.ended:
            until = "until the fault was healed" if moment.kind == "heal" else f"until {moment.detail}"
            found.append(Phase(until, moment.at - since))
            since = moment.at
    found.append(Phase("until clients were served again", longest.ended - since))
    return tuple(found)


def longest_outage(row: FunctionRow) -> Span | None:
    """The outage that counts."""
    return max(row.outages, key=lambda outage: outage.seconds, default=None)


def deciding(run: Run, function: str) -> PauseLine | None:
    """The pauses that decide how long a function was predicted to be out, as one; None: none was."""
    return next(
        (whole(line.chain) for line in run.result.predictions if line.function == function and line.chain), None
    )


def whole(chain: Sequence[PauseLine]) -> PauseLine:
    """Make one of pauses that follow each other."""
    return chain[-1].model_copy(
        update={
            "because": ", then ".join(pause.because for pause in chain),
            "stages": tuple(stage for pause in chain for stage in pause.stages),
            "losable": ", ".join(pause.losable for pause in chain if pause.losable),
        }
    )


@dataclass(frozen=True)
class Paused:
    """A pause that was predicted, and the functions that are out as long as it lasts."""

    pause: PauseLine
    functions: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """How long it lasts at most."""
        return sum(stage.seconds for stage in self.pause.stages)


def paused(lines: Sequence[PredictionLine]) -> tuple[Paused, ...]:
    """Each pause once: most functions wait for the same few."""
    found: dict[PauseLine, list[str]] = {}
    for line in lines:
        if line.chain:
            found.setdefault(whole(line.chain), []).append(line.function)
    return tuple(Paused(pause, tuple(dict.fromkeys(names))) for pause, names in found.items())


def notices(run: Run) -> Iterator[str]:
    """What a reader must know before any figure."""
    if not run.record.complete:
        yield "The record of this run was cut off. What it does not show is unknown."
    if run.record.mark("inject") is None:
        yield "The fault was never injected: nothing here says how the cloud bears it."
    pauses = [mark for mark in run.record.marks if mark.name == "pause"]
    if pauses:
        longest = max(pauses, key=lambda mark: mark.seconds)
        yield (
            f"The drill itself stood still for {seconds(longest.seconds)} at {longest.at:.2f} s: "
            f"what clients saw then is the drill's doing, not the cloud's. (The longest of {len(pauses)}.)"
        )
    if not run.result.within:
        yield "This fault takes more than the cloud is built to survive."

"""Judges a drill's record. Each checker is a pure function; one that crashes is `unknown`, never ok.

::

    outage       first failure to first lasting success of each client, against objective and prediction
    lost         what was acknowledged and is not there in the end; what is there twice
    stale        a read that shows less than what was acknowledged before it began
    writers      two servers took writes at once
    vip-holders  two controllers held an address at once, as the wire shows it
    whole        all redundancy is back, and when
    alarm        `status` said that something is wrong, and when
    model        what works while something is gone for good, beside what was said of it
    noise        the drill's own process stood still: what clients saw then is its fault

What must be true of clients' facts (systems/*/client.py): an operation that was served by somebody has `server`; a
write of a numbered row (or message) has `number`, and its client's final look `numbers` (ranges) and `more_than_once`;
a read of rows has `highest`, the highest number that it saw (which nobody judges yet); an operation on a cached key has
`key`, `kind` (set, get, delete) and `version`, which grows with each change of the key and is null for a miss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from quorate.core.fault import MACHINE, Loss
from quorate.core.findings import Finding, LevelWord
from quorate.core.history import Operation
from quorate.core.record import HitLine, Record

LASTING = 3.0
"""Seconds that a success must last."""
SPREAD = 0.6
"""Seconds after which every controller's cache shows what was acknowledged through another (decision 8)."""
FEW = 8


@dataclass(frozen=True)
class Checker:
    """One checker: its name, and what it makes of a record; None: this cloud has nothing of the kind."""

    name: str
    check: Callable[[Record], Finding | None]


def run(checkers: Iterable[Checker], record: Record) -> tuple[Finding, ...]:
    """Let each judge. One that crashes has seen nothing."""
    found = []
    for checker in checkers:
        try:
            one = checker.check(record)
        except Exception as error:  # noqa: BLE001 - a crashed check is `unknown`, never ok
            why = f"the check itself failed: {type(error).__name__}: {error}"
            one = Finding(checker=checker.name, level="unknown", reason=why)
        found += [one] if one is not None else []
    return tuple(found)


def _finding(name: str, level: LevelWord, reason: str, evidence: Sequence[str] = ()) -> Finding:
    shown = tuple(evidence[:FEW])
    more = len(evidence) - len(shown)
    return Finding(
        checker=name, level=level, reason=reason, evidence=(*shown, *([f"and {more} more"] if more > 0 else ()))
    )


# ---- rows that were acknowledged


def numbers(ranges: Iterable[Sequence[int]]) -> set[int]:
    """Spread ranges [first, last] to numbers."""
    return {number for first, last in ranges for number in range(first, last + 1)}


def acknowledged(operations: Iterable[Operation]) -> set[int]:
    """Numbers of rows whose writing was acknowledged."""
    return {int(o.facts["number"]) for o in operations if o.outcome == "ok" and "number" in o.facts}


def lost_rows(record: Record) -> dict[str, set[int]]:
    """For each client that looked in the end: the rows that were acknowledged to it and are not there."""
    return {
        by: acknowledged(record.operations.get(by, ())) - numbers(final["numbers"])
        for by, final in record.finals.items()
        if "numbers" in final
    }


def check_lost(record: Record) -> Finding | None:
    """Every row that was acknowledged must be there, once."""
    writers = [by for by, history in record.operations.items() if any("number" in o.facts for o in history)]
    if not writers:
        return None
    unseen = [by for by in writers if "numbers" not in record.finals.get(by, {})]
    if unseen:
        return _finding("lost", "unknown", f"{', '.join(unseen)}: nobody looked for its rows in the end")
    lost = lost_rows(record)
    twice = {by: final["more_than_once"] for by, final in record.finals.items() if final.get("more_than_once")}
    total = sum(len(rows) for rows in lost.values())
    written = sum(len(acknowledged(record.operations[by])) for by in writers)
    evidence = [f"{by}: row {number} was acknowledged and is not there" for by in lost for number in sorted(lost[by])]
    evidence += [f"{by}: row {row[0]} is there more than once" for by in twice for row in twice[by]]
    if evidence:
        more = sum(map(len, twice.values()))
        return _finding("lost", "failing", f"{total} of {written} acknowledged rows lost, {more} twice", evidence)
    return _finding("lost", "ok", f"none of {written} acknowledged rows lost")


# ---- what a cache shows


@dataclass(frozen=True)
class _Change:
    """An acknowledged change of a key: from when on nothing older may be shown, to its own clients and to others."""

    by: str
    at: float
    version: int


def check_stale(record: Record) -> Finding | None:
    """A read shows nothing older than what was acknowledged before it began; a miss is never stale.

    Through another controller that holds once the change is SPREAD seconds old.
    """
    if not any("key" in operation.facts for history in record.operations.values() for operation in history):
        return None
    changes: dict[str, list[_Change]] = {}
    reads: list[tuple[str, Operation]] = []
    for by, history in record.operations.items():
        for operation in history:
            if operation.outcome != "ok" or "key" not in operation.facts:
                continue
            if operation.facts["kind"] == "get":
                reads.append((by, operation))
            else:
                change = _Change(by, operation.end, int(operation.facts["version"]))
                changes.setdefault(str(operation.facts["key"]), []).append(change)
    if not reads:
        return _finding("stale", "unknown", "no client read cached keys")
    evidence = [line for by, read in reads if (line := _stale(by, read, changes))]
    if evidence:
        return _finding("stale", "failing", f"{len(evidence)} of {len(reads)} reads of the cache were stale", evidence)
    return _finding("stale", "ok", f"none of {len(reads)} reads of the cache was stale")


def _stale(by: str, read: Operation, changes: Mapping[str, Sequence[_Change]]) -> str:
    shown = read.facts.get("version")
    if shown is None:
        return ""
    key = str(read.facts["key"])
    for change in changes.get(key, ()):
        known = change.at + (0.0 if change.by == by else SPREAD)
        if change.version > int(shown) and known <= read.start:
            return (
                f"{by} at {read.start:.2f} s: {key} had version {shown}, though version {change.version} "
                f"was acknowledged to {change.by} at {change.at:.2f} s"
            )
    return ""


# ---- two at once


def check_writers(record: Record) -> Finding | None:
    """Writes go to one server at a time: a server that was left is not written to again while another is.

    A failback is no fault; going to and fro is: three changes of server or more within LASTING seconds.
    """
    if not any(client.shows == "writer" for client in record.header.workloads):
        return None
    served = [
        operation
        for client in record.header.workloads
        if client.shows == "writer"
        for operation in record.operations.get(client.name, ())
        if operation.outcome == "ok" and "server" in operation.facts
    ]
    if not served:
        return _finding("writers", "unknown", "no write says which server took it")
    ordered = sorted(served, key=lambda operation: operation.start)
    changes = [
        (after.start, str(before.facts["server"]), str(after.facts["server"]))
        for before, after in pairwise(ordered)
        if before.facts["server"] != after.facts["server"]
    ]
    told = [f"at {at:.2f} s from {source} to {target}" for at, source, target in changes]
    if any(last[0] - first[0] <= LASTING for first, last in zip(changes, changes[2:], strict=False)):
        return _finding("writers", "failing", "two servers took writes at once", told)
    moved = f"it moved {'; '.join(told)}" if told else f"{ordered[0].facts['server']} took all"
    return _finding("writers", "ok", f"one writer at a time: {moved}")


def check_holders(record: Record) -> Finding | None:
    """No address is ever held by two controllers."""
    if not record.header.vips:
        return None
    two = [watch for watch in record.watches if watch.two_holders]
    if two:
        evidence = [line for watch in two for line in watch.overlaps]
        return _finding("vip-holders", "failing", f"two held {', '.join(w.address for w in two)} at once", evidence)
    seen = {watch.address for watch in record.watches if watch.two_holders is False}
    unseen = [address for address in record.header.vips if address not in seen]
    if unseen or not seen:
        why = f"{', '.join(unseen) or 'no address'} was not watched on the wire, or not all was seen"
        return _finding("vip-holders", "unknown", why)
    return _finding("vip-holders", "ok", f"{', '.join(sorted(seen))}: never two holders on the wire")


# ---- what the cloud says of itself


def whole_after(record: Record) -> float | None:
    """Seconds from the heal until everything was ok for good; None: it was not seen to be."""
    healed = record.mark("healed")
    if healed is None or not record.looks or record.looks[-1].level != "ok":
        return None
    since = record.looks[-1].at
    for look in reversed(record.looks):
        if look.level != "ok" or look.at < healed:
            break
        since = look.at
    return max(0.0, since - healed)


def alarm_after(record: Record) -> float | None:
    """Seconds from the fault until `status` was not ok; None: it never was."""
    injected = record.mark("inject")
    if injected is None:
        return None
    return next((look.at - injected for look in record.looks if look.at >= injected and look.level != "ok"), None)


def check_whole(record: Record) -> Finding:
    """In the end everything is as it was."""
    after = whole_after(record)
    if after is not None:
        return _finding("whole", "ok", f"all redundancy was back {after:.1f} s after the heal")
    if not record.looks or record.mark("healed") is None:
        return _finding("whole", "unknown", "nobody looked after the heal")
    last = record.looks[-1]
    why = [f"{system}: {reason}" for system, reason in last.why.items()]
    return _finding("whole", "failing", f"still {last.level} {last.at - (record.mark('healed') or 0):.0f} s later", why)


def check_alarm(record: Record) -> Finding:
    """Whether `status` noticed. What is over before anybody looks is no failing of the looker: a process that died."""
    after = alarm_after(record)
    if after is not None:
        return _finding("alarm", "ok", f"status told of it {after:.1f} s after the fault")
    hits = [hit for hit in record.header.hits if hit.part == MACHINE or hit.loss != Loss.REFUSED]
    if record.header.hold and not all(_ended_unseen(hit, record) for hit in hits):
        level: LevelWord = "failing" if record.looks else "unknown"
        return _finding("alarm", level, "status never told of it, as long as it lasted")
    return _finding("alarm", "ok", "it was over before anybody looked")


def _ended_unseen(hit: HitLine, record: Record) -> bool:
    """Whether it may have ended by itself, before it was healed, and the first look came only after that."""
    injected = record.mark("inject") or 0.0
    first = next((look.at for look in record.looks if look.at >= injected), None)
    return first is not None and 0 < hit.lasts < record.header.hold and first >= injected + hit.lasts


# ---- what the model says


def check_model(record: Record) -> Finding | None:
    """What was to work while parts are gone works for somebody, without a failure; what was to stop works for nobody.

    It is looked at in the last LASTING seconds before the heal: by then whatever can take over has done so.
    """
    if not record.header.stands:
        return None
    end = record.mark("heal")
    if end is None:
        return _finding("model", "unknown", "the record ends before the heal")
    said = {function: stands for function, stands in record.header.stands.items() if stands is not None}
    seen = {function: _works(record, function, end) for function in said}
    wrong = [
        f"{function}: {_WORD[works]}, though by the model it {'works' if said[function] else 'stops'}"
        for function, works in seen.items()
        if works is not said[function]
    ]
    if wrong:
        return _finding(
            "model", "failing", f"{len(wrong)} of {len(seen)} functions did what the model does not say", wrong
        )
    stopped = [function for function, works in seen.items() if not works]
    return _finding("model", "ok", f"as the model says, {', '.join(stopped) or 'nothing'} stopped")


_WORD = {True: "it works", False: "it works for nobody", None: "it works now and then"}


def _works(record: Record, function: str, end: float) -> bool | None:
    """Whether it works for some client, without a failure; None: only now and then. A miss shows nothing of a cache."""
    some = False
    for client in record.header.workloads:
        if client.function != function:
            continue
        tried = [
            one
            for one in record.operations.get(client.name, ())
            if end - LASTING <= one.start and one.end <= end and one.facts.get("version", 0) is not None
        ]
        done = [one for one in tried if one.outcome == "ok"]
        if done and len(done) == len(tried):
            return True
        some = some or bool(done)
    return None if some else False


def check_noise(record: Record) -> Finding:
    """Times in which the drill itself stood still between the fault and the end: clients' pauses may be its own."""
    began = record.mark("inject") or 0.0
    pauses = [mark for mark in record.marks if mark.name == "pause" and mark.at + mark.seconds >= began]
    longest = max((mark.seconds for mark in pauses), default=0.0)
    told = [f"at {mark.at:.2f} s for {mark.seconds:.2f} s" for mark in pauses]
    if longest > 0.5:
        return _finding("noise", "unknown", f"the drill's own process stood still for up to {longest:.2f} s", told)
    return _finding("noise", "ok", f"the drill's own process never stood still for more than {longest:.2f} s")


CHECKERS = (
    Checker("lost", check_lost),
    Checker("stale", check_stale),
    Checker("writers", check_writers),
    Checker("vip-holders", check_holders),
    Checker("whole", check_whole),
    Checker("alarm", check_alarm),
    Checker("model", check_model),
    Checker("noise", check_noise),
)

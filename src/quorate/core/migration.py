"""From one controller to many: what is taken over, how far a migration has come, and what follows. Pure.

::

    begun ──► cut ──► serving ──► done          --finish forgets it
      ▲        │         │          │
      └────────┘         └──────────┴─────────► --back makes the source writable again
     it failed, or was interrupted

- begun: the new cloud was seen to hold nothing; the source is as it was.
- cut: the source takes no writes, and what the new cloud holds is a copy in the making, which may be dropped.
- serving: the copy was seen to be equal, and services may have been started from it: from here on it is the truth.
- done: clients were seen to be served.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import takewhile
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from quorate.core.act import SetUnit
from quorate.core.keys import numbers
from quorate.core.plan import Wave
from quorate.errors import InvalidInput

if TYPE_CHECKING:
    from quorate.core.system import AnySystem

READ_KEYS = """
import json, os, sys
found = {}
for folder in sys.argv[1:]:
    try:
        names = [name for name in os.listdir(folder) if name.isdecimal()]
    except FileNotFoundError:
        names = []
    found[folder] = {name: open(os.path.join(folder, name)).read().strip() for name in names}
print(json.dumps(found))
"""
"""FOLDER… → the keys in them, by number. What it prints is for nobody's eyes."""
_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")
_SOURCE = re.compile(
    r"(?:([A-Za-z_][A-Za-z0-9_.-]*)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]*)(?::([0-9]{1,5}))?"
)


@dataclass(frozen=True)
class Source:
    """The single controller, as ssh reaches it. None: as the operator's own settings say."""

    user: str | None
    host: str
    port: int | None


@dataclass(frozen=True)
class Sighting:
    """What a system made of its data on the source and in the new cloud.

    `have`: what is there to be taken over. `filled`: what of it the new cloud holds already. `held`: the source takes
    no writes. `refused`: what stands against it, `notes`: what is to be known, in words. `tables`: of what is there, by
    its name. `about`: for people.
    """

    have: tuple[str, ...]
    filled: tuple[str, ...]
    held: bool
    refused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tables: Mapping[str, frozenset[str]] = field(default_factory=dict)
    about: Mapping[str, JsonValue] = field(default_factory=dict)


Sighted = Callable[[str, str], Sighting]


@dataclass(frozen=True)
class Moving:
    """How data that others claim from a system (claims on `kind`) is taken over from a single server.

    Programs, each given names of data as further arguments. `look` prints what there is, as text that `sighted` reads:
    of the source, and of the new cloud (empty: it is not there yet); ValueError where that makes no sense. `sums`
    prints {"proof": …} as core/backup.py's Facts; equal proofs are equal data. `hold` and `free` make the source take
    no writes, and take them again; nothing else is ever changed on it. `dump` prints all of it, `load` reads that, once
    `drop` has removed what was there. The first five run on the source, the others on the first controller.
    """

    kind: str
    sighted: Sighted
    look: tuple[str, ...]
    sums: tuple[str, ...]
    hold: tuple[str, ...]
    free: tuple[str, ...]
    dump: tuple[str, ...]
    look_here: tuple[str, ...]
    sums_here: tuple[str, ...]
    load: tuple[str, ...]
    drop: tuple[str, ...]


class State(BaseModel):
    """How far a migration has come, as `.quorate/migrating.json` says. `held`: since when the source takes no writes.

    `moved`: what is taken over. `pause_s`: seconds from the last write that the source took to the first client here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    stage: Literal["begun", "cut", "serving", "done"]
    held: str = ""
    moved: tuple[str, ...] = ()
    tables: int = 0
    rows: int = 0
    pause_s: float | None = None


class Step(Enum):
    """What comes next."""

    LOAD = "take it over"
    SERVE = "start the services from what was taken over"
    NOTHING = "it is done"


@dataclass(frozen=True)
class Against:
    """What stands against taking anything over, all of it."""

    evidence: tuple[str, ...]


def source_of(text: str) -> Source:
    """Read `[user@]host[:port]`. InvalidInput where it is something else."""
    found = _SOURCE.fullmatch(text)
    if found is None or int(found[3] or 22) not in range(1, 65536):
        hint = "[user@]host[:port], for example root@10.0.0.5; an IPv6 address in brackets"
        raise InvalidInput(f"{text!r} is no ssh destination", hint=hint)
    return Source(found[1], found[2].strip("[]"), int(found[3]) if found[3] else None)


def resting(systems: Sequence[AnySystem], kind: str) -> frozenset[str]:
    """Name the systems that cannot be there before `kind` is: they need it, or what one of them offers."""
    kinds, found = {kind}, frozenset[str]()
    while True:
        more = frozenset(one.name for one in systems if kinds & set(one.needs))
        if more == found:
            return found
        found = more
        kinds |= {offered for one in systems if one.name in found for offered in one.offers}


def decide(state: State | None, seen: Sighting, serving: Collection[str]) -> Step | Against:
    """Say what comes next. `serving`: systems of the new cloud that rest on the data and were seen to serve.

    Invariant: nothing is loaded, and so nothing dropped, where a service was seen to serve from what is there, nor over
    what this migration has not put there itself.
    """
    if state is not None and state.stage in {"serving", "done"}:
        return Step.SERVE if state.stage == "serving" else Step.NOTHING
    against = [*seen.refused]
    if serving:
        against.append(f"{', '.join(sorted(serving))}: serves in the new cloud already, from data of its own")
    if state is None or state.stage == "begun":
        against += [f"{name}: the new cloud holds tables of that name already" for name in seen.filled]
        if seen.held:
            against.append("the source takes no writes (read_only), and not because of this: is it a replica?")
    if not seen.have:
        against.append("the source holds nothing of what the systems of this cloud keep")
    return Against(tuple(against)) if against else Step.LOAD


def before_start(waves: Sequence[Wave], services: Collection[str]) -> tuple[Wave, ...]:
    """The waves up to the first that starts one of these services: up to there nobody has used what was taken over."""
    return tuple(takewhile(lambda wave: not _starts(wave, services), waves))


def _starts(wave: Wave, services: Collection[str]) -> bool:
    acts = (act for step in wave.steps for act in step.acts)
    verbs = {"start", "restart", "reload"}
    return wave.system in services and any(isinstance(act, SetUnit) and act.verb in verbs for act in acts)


@dataclass(frozen=True)
class Inherited:
    """Keys that are taken over: the secrets that are there for them `before` and `after`. `notes`: in words."""

    before: Mapping[str, str] = field(repr=False)
    after: Mapping[str, str] = field(repr=False)
    notes: tuple[str, ...]


def inherited(folders: Mapping[str, str], printed: str, have: Mapping[str, str]) -> Inherited:
    """Say which secrets follow from the keys that READ_KEYS found. `folders`: folder → the stem of its secrets.

    The source's keys keep their numbers, so that whatever they made stays good; of our own only those remain that a
    repository cannot do without (staged, primary) and the source has not. ValueError: something there is no key.
    """
    said = json.loads(printed)
    before, after, notes = dict[str, str](), dict[str, str](), []
    for folder, stem in folders.items():
        found = {int(number): str(key) for number, key in said[folder].items()}
        if strange := sorted(number for number, key in found.items() if not _KEY.fullmatch(key)):
            raise ValueError(f"{folder}/{strange[0]} is no Fernet key (44 characters of base64)")
        if not found:
            notes.append(f"{folder}: no keys there; what was signed or encrypted with keys from elsewhere is void")
            continue
        ours = {number: have[f"{stem}_{number}"] for number in numbers(stem, have)}
        kept = {0, 1} if max(found) == 0 else {0}
        values = {number: ours[number] for number in kept if number in ours} | found
        before |= {name: value for name, value in have.items() if _is_of(stem, name)}
        after |= {f"{stem}_{number}": value for number, value in values.items()}
        notes.append(f"{folder}: {len(found)} keys are taken over")
    return Inherited(before, after, tuple(notes))


def _is_of(stem: str, name: str) -> bool:
    return bool(numbers(stem, [name.removesuffix("_retired")]))


def differing(source: Mapping[str, JsonValue], target: Mapping[str, JsonValue]) -> Iterator[str]:
    """Say how what the new cloud holds (here) differs from what the source holds (there), table by table."""
    there, here = (_tables(proof) for proof in (source, target))
    for name in sorted({*there, *here}):
        if name not in here:
            yield f"{name}: only there, with {there[name][0]} rows"
        elif name not in there:
            yield f"{name}: only here, with {here[name][0]} rows"
        elif here[name][0] != there[name][0]:
            yield f"{name}: {here[name][0]} rows here, {there[name][0]} there"
        elif here[name] != there[name]:
            yield f"{name}: other values in {here[name][0]} rows"
    if (one := source.get("others")) != (other := target.get("others")):
        yield f"beside tables: {other} here, {one} there"


def size_of(proof: Mapping[str, JsonValue]) -> tuple[int, int]:
    """How many tables and rows a proof is of."""
    tables = _tables(proof)
    return len(tables), sum(rows for rows, _ in tables.values())


def _tables(proof: Mapping[str, JsonValue]) -> dict[str, tuple[int, str]]:
    said = proof.get("tables")
    if not isinstance(said, dict):
        raise ValueError("no tables are said")  # noqa: TRY004 - it is about what a program said
    found = {}
    for name, one in said.items():
        if not isinstance(one, list) or len(one) != 2 or not isinstance(one[0], int):
            raise ValueError(f"{name} makes no sense")
        found[name] = (one[0], str(one[1]))
    return found

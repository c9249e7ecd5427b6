"""Keys that are rotated: what a repository is to hold next, from what it is to hold now, what was seen, and the time.

A repository is a folder of numbered files, alike on every controller. Whoever makes something (a token) uses the key of
the highest number, the primary one, and takes what any of them made; 0 is staged: the next primary. One rotation::

    {0: S, 1: P}  →  {0: new, 1: P, 2: S}          later, when all that P made has expired:  {0: …, 2: S, 3: …}

`secrets.yaml` is written first and the controllers after it, each in the order of `order`, so that no key is on a
controller only. What lies between two writes is safe by this rule:

    INVARIANT  Whatever a controller may have made with its primary key, and has not expired, every other controller
               takes, at every moment of every rotation, however it is interrupted, whoever is away and comes back with
               the keys that he had.

It holds because a rotation begins only when every controller was seen to hold exactly the current keys (`decide`). So
whoever is behind is behind by one rotation at most: he makes with P, which nobody drops before all were seen beyond it
and `lifetime` has passed since; and he has S, as his staged one, which is all that the others can make with.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from quorate.core.observed import Unknown

V = TypeVar("V")

MARGIN = timedelta(hours=1)
"""How far the clocks of controllers and operators may be apart, and a request be under way."""
STAGED = 0


@dataclass(frozen=True)
class Repository:
    """A folder of keys. Key 7 is the secret `STEM_7`; `lifetime`: how long what was made with a key is good at most."""

    folder: str
    stem: str
    lifetime: timedelta

    def secret(self, number: int) -> str:
        """The name of the key in `secrets.yaml`."""
        return f"{self.stem}_{number}"

    def note(self, number: int) -> str:
        """The name under which `secrets.yaml` says since when nothing is made with the key any more."""
        return f"{self.stem}_{number}_retired"

    def path(self, number: int) -> str:
        """Where the key lies on a controller."""
        return f"{self.folder}/{number}"


@dataclass(frozen=True)
class Keyring(Generic[V]):
    """What of a system's keys can be rotated. `holds`: path → SHA-256 of every key on a controller, by its view."""

    repositories: tuple[Repository, ...]
    holds: Callable[[V], Mapping[str, str] | Unknown]


@dataclass(frozen=True)
class Keys:
    """What a repository is to hold. `retired`: number → since when no controller was seen to make anything with it."""

    values: Mapping[int, str] = field(repr=False)
    retired: Mapping[int, datetime]

    @property
    def primary(self) -> int:
        """The number of the key that makes things."""
        return max(self.values)

    @property
    def old(self) -> tuple[int, ...]:
        """The keys that were primary, oldest first."""
        return tuple(number for number in sorted(self.values) if STAGED < number < self.primary)

    @property
    def unfinished(self) -> bool:
        """Whether there was no look yet that saw the last rotation's keys everywhere."""
        return any(number not in self.retired for number in self.old)


Held = Mapping[str, Mapping[str, str] | Unknown]
"""By controller: path → SHA-256 of the keys that it was seen to hold."""
Rings = Mapping[Repository, Keys]


@dataclass(frozen=True)
class Next:
    """What all controllers are to hold next. `begins`: a rotation does; otherwise one that was interrupted ends."""

    rings: Rings
    begins: bool


@dataclass(frozen=True)
class Refusal:
    """Why no rotation may begin, with what was seen."""

    evidence: tuple[str, ...]
    remedy: str


def numbers(stem: str, names: Iterable[str]) -> frozenset[int]:
    """The numbers of those of a repository's keys that are among these secrets."""
    found = (re.fullmatch(rf"{re.escape(stem)}_(0|[1-9][0-9]*)", name) for name in names)
    return frozenset(int(one[1]) for one in found if one)


def order(held: Iterable[int]) -> tuple[int, ...]:
    """Write the highest first: the staged key is overwritten when it is there under its new number already."""
    return tuple(sorted(held, reverse=True))


def dropped(held: Iterable[int]) -> tuple[int, ...]:
    """Numbers that were used and are no more. None is used twice, and what is beyond the primary is not ours."""
    have = set(held)
    return tuple(number for number in range(STAGED + 1, max(have)) if number not in have)


def read(repository: Repository, values: Mapping[str, str]) -> Keys:
    """Read what the secrets say of a repository. ValueError: a time that is none."""
    have = {number: values[repository.secret(number)] for number in numbers(repository.stem, values)}
    return Keys(have, {n: _time(values[note]) for n in have if (note := repository.note(n)) in values})


def written(rings: Rings) -> dict[str, str]:
    """Say it as secrets: the reverse of `read`."""
    said: dict[str, str] = {}
    for repository, keys in rings.items():
        for number in order(keys.values):
            said[repository.secret(number)] = keys.values[number]
            if number in keys.retired:
                said[repository.note(number)] = keys.retired[number].isoformat(timespec="seconds")
    return said


def decide(rings: Rings, seen: Held, now: datetime, fresh: Callable[[], str]) -> Next | Refusal:
    """Say what comes next: a rotation, the end of an interrupted one, or nothing and why. `fresh` makes a key."""
    unseen = [f"{host} cannot be seen: {held.why}" for host, held in seen.items() if isinstance(held, Unknown)]
    if unseen:
        return Refusal(tuple(unseen), "Bring it back, then run it again. Until then every token stays good.")
    strange = strangers(rings, seen)
    if strange:
        why = "What was made with them, and where, is not known. Remove them there, or move them to secrets.yaml."
        return Refusal(strange, why)
    behind = astray(rings, seen)
    if any(keys.unfinished for keys in rings.values()):
        return Next(rings, begins=False)
    if behind:
        return Refusal(behind, "`quorate apply` gives all controllers the keys of secrets.yaml; then run it again.")
    return Next({one: _rotated(one, keys, now, fresh()) for one, keys in rings.items()}, begins=True)


def retired(rings: Rings, now: datetime) -> Rings:
    """Note that all controllers were just seen to hold these keys: what was primary before is so nowhere any more."""
    return {one: Keys(keys.values, {**dict.fromkeys(keys.old, now), **keys.retired}) for one, keys in rings.items()}


def goes(repository: Repository, keys: Keys, number: int) -> datetime | None:
    """When a key may go: all that it made has expired by then. None: not known yet, or it is no old one."""
    since = keys.retired.get(number) if number in keys.old else None
    return since + repository.lifetime + MARGIN if since else None


def digest_of(key: str) -> str:
    """The digest by which a key is known where it must not be said: SHA-256 of its file."""
    return hashlib.sha256(key.encode()).hexdigest()


def astray(rings: Rings, seen: Held) -> tuple[str, ...]:
    """Say, for each controller, how what it holds differs from what it should."""
    return tuple(
        f"{host}: {difference}"
        for host, held in seen.items()
        for difference in ([held.why] if isinstance(held, Unknown) else _differences(rings, held))
    )


def strangers(rings: Rings, seen: Held) -> tuple[str, ...]:
    """Name the keys on controllers that are beyond the primary one: somebody else rotated there."""
    return tuple(
        f"{host} holds {path}, of which secrets.yaml does not know"
        for host, held in seen.items()
        if not isinstance(held, Unknown)
        for repository, keys in rings.items()
        for path in sorted(held)
        if _number(repository, path) > keys.primary
    )


def _number(repository: Repository, path: str) -> int:
    folder, _, name = path.rpartition("/")
    return int(name) if folder == repository.folder and re.fullmatch(r"[0-9]+", name) else -1


def _differences(rings: Rings, held: Mapping[str, str]) -> list[str]:
    wanted = {one.path(number): digest_of(key) for one, keys in rings.items() for number, key in keys.values.items()}
    folders = {repository.folder for repository in rings}
    there = {path: digest for path, digest in held.items() if path.rpartition("/")[0] in folders}
    found = [f"{path} is missing" for path in sorted(wanted.keys() - there.keys())]
    found += [f"{path} is another key" for path in sorted(wanted.keys() & there.keys()) if wanted[path] != there[path]]
    return found + [f"{path} should not be there" for path in sorted(there.keys() - wanted.keys())]


def _rotated(repository: Repository, keys: Keys, now: datetime, fresh: str) -> Keys:
    """Promote the staged key, stage a new one, and drop those whose products have all expired."""
    gone = {number for number in keys.old if (when := goes(repository, keys, number)) and now >= when}
    values = {number: key for number, key in keys.values.items() if number not in gone}
    values |= {keys.primary + 1: keys.values[STAGED], STAGED: fresh}
    return Keys(values, {number: since for number, since in keys.retired.items() if number not in gone})


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)

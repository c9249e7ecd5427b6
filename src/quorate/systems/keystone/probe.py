"""Keystone: ask each controller for its unit, API, keys and for what it finds in the database; read the answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quorate.core.observed import Answer, Answers, Unknown
from quorate.core.system import Question, Site
from quorate.systems.keystone.config import CONFIG, KEYS, PORT, UNIT, KeystoneSpec
from quorate.systems.keystone.programs import API, DATABASE

_DIGESTS = f"cd /etc/keystone && sha256sum {' '.join(f'{folder}/*' for folder in KEYS)}"


@dataclass(frozen=True)
class Down:
    """It was asked and does not serve."""

    why: str


@dataclass(frozen=True)
class Api:
    """What the API answers: HTTP status of its health check and of /v3, and the version that it serves."""

    health: int
    status: int
    version: str


@dataclass(frozen=True)
class Stored:
    """What is in the database, and the schema that the installed programs want. Empty: nothing there yet.

    `leftover`: an unfinished schema whose tables hold nothing, as an interrupted first db_sync leaves it.
    `catalog`: (interface, region, URL) of the identity service itself.
    """

    wanted: tuple[str, ...]
    schema: tuple[str, ...]
    leftover: bool
    catalog: tuple[tuple[str, str, str], ...]

    @property
    def is_current(self) -> bool:
        """Whether the schema is the one that the installed programs want."""
        return bool(self.wanted) and self.wanted == self.schema


@dataclass(frozen=True)
class KeystoneView:
    """One controller. `keys`: path below /etc/keystone → SHA-256, so that no key leaves its controller."""

    unit: str | Unknown
    api: Api | Down | Unknown
    stored: Stored | Down | Unknown
    keys: Mapping[str, str] | Unknown


def questions(_spec: KeystoneSpec, site: Site, host: str) -> tuple[Question, ...]:
    """Quick ones: keystone-manage takes seconds to start and is not asked."""
    return (
        Question("unit", ("systemctl", "show", "--property=ActiveState", "--value", UNIT)),
        Question("api", ("python3", "-c", API, site.cloud.address(host), str(PORT))),
        Question("database", ("python3", "-c", DATABASE, CONFIG), timeout=3.0),
        Question("keys", ("sh", "-c", _DIGESTS)),
    )


def read(answers: Answers) -> KeystoneView:
    """Read the four answers, each for itself."""
    return KeystoneView(
        unit=_unit(_answer(answers, "unit")),
        api=_api(_json(_answer(answers, "api"))),
        stored=_stored(_json(_answer(answers, "database"))),
        keys=_keys(_answer(answers, "keys")),
    )


def _answer(answers: Answers, name: str) -> Answer | Unknown:
    return answers.get(name, Unknown(why="not asked"))


def _unit(answer: Answer | Unknown) -> str | Unknown:
    if isinstance(answer, Unknown):
        return answer
    state = answer.out.strip()
    return state or Unknown(why=f"systemctl says nothing: {answer.err.strip()[:200]}")


def _json(answer: Answer | Unknown) -> Mapping[str, Any] | Down | Unknown:
    if isinstance(answer, Unknown):
        return answer
    try:
        seen = json.loads(answer.out)
    except ValueError:
        last = (answer.err.strip().splitlines() or ["it printed nothing"])[-1]
        return Unknown(why=f"the probe failed: {last[:200]}")
    if not isinstance(seen, dict):
        return Unknown(why="the probe's answer makes no sense")
    return Down(str(seen["down"])) if "down" in seen else seen


def _api(seen: Mapping[str, Any] | Down | Unknown) -> Api | Down | Unknown:
    if isinstance(seen, Down | Unknown):
        return seen
    try:
        return Api(health=int(seen["health"]), status=int(seen["status"]), version=str(seen["version"]))
    except (KeyError, TypeError, ValueError):
        return Unknown(why="the probe's answer makes no sense")


def _stored(seen: Mapping[str, Any] | Down | Unknown) -> Stored | Down | Unknown:
    if isinstance(seen, Down | Unknown):
        return seen
    try:
        return Stored(
            wanted=tuple(str(head) for head in seen["wanted"]),
            schema=tuple(str(head) for head in seen["schema"]),
            leftover=bool(seen["leftover"]),
            catalog=tuple((str(interface), str(region), str(url)) for interface, region, url in seen["catalog"]),
        )
    except (KeyError, TypeError, ValueError):
        return Unknown(why="the probe's answer makes no sense")


def _keys(answer: Answer | Unknown) -> Mapping[str, str] | Unknown:
    if isinstance(answer, Unknown):
        return answer
    pairs = [line.split() for line in answer.out.splitlines()]
    if answer.code != 0 or any(len(pair) != 2 for pair in pairs):
        return Unknown(why=f"keys cannot be read: {(answer.err.strip().splitlines() or ['no reason given'])[-1][:200]}")
    return {path: digest for digest, path in pairs}

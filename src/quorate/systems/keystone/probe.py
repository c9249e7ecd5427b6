"""Keystone: ask each controller for its unit, API, keys and for what it finds in the database; read the answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quorate.core.observed import Answer, Answers, Unknown
from quorate.core.system import Question, Site
from quorate.openstack.probe import Down, Stored, parsed, stored, stored_argument
from quorate.openstack.programs import STORED
from quorate.systems.keystone.config import CONFIG, FOLDER, KEYS, PORT, SCHEMA, UNIT, KeystoneSpec
from quorate.systems.keystone.programs import API

CATALOG = "catalog"
"""(type, interface, region, URL) of all that the catalog lists."""
ACCOUNTS = "accounts"
"""(account, role) of the services' accounts in their project."""
_CATALOG = (
    "SELECT s.type, e.interface, e.region_id, e.url FROM endpoint e JOIN service s ON e.service_id = s.id"
    " WHERE e.enabled ORDER BY 1, 2, 3"
)
# By their names: all accounts of a cloud with 30,000 users take 0.2 s, at every look of every controller.
_ACCOUNTS = (
    "SELECT l.name, r.name FROM local_user l JOIN assignment a ON a.actor_id = l.user_id"
    " JOIN role r ON r.id = a.role_id JOIN project p ON p.id = a.target_id WHERE a.type = 'UserProject'"
    " AND p.name = 'service' AND l.domain_id = 'default' AND l.name IN ({names}) ORDER BY 1, 2"
)

_DIGESTS = f"cd {FOLDER} && sha256sum {' '.join(f'{folder}/*' for folder in KEYS)}"


@dataclass(frozen=True)
class Api:
    """What the API answers: HTTP status of its health check and of /v3, and the version that it serves."""

    health: int
    status: int
    version: str


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
        Question("database", ("python3", "-c", STORED, stored_argument(CONFIG, SCHEMA, _queries(site))), timeout=3.0),
        Question("keys", ("sh", "-c", _DIGESTS)),
    )


def _queries(site: Site) -> Mapping[str, str]:
    names = ", ".join(f"'{claim.name}'" for claim in site.claims_on("identity"))
    return {CATALOG: _CATALOG, **({ACCOUNTS: _ACCOUNTS.format(names=names)} if names else {})}


def read(answers: Answers) -> KeystoneView:
    """Read the four answers, each for itself."""
    return KeystoneView(
        unit=_unit(_answer(answers, "unit")),
        api=_api(parsed(answers, "api")),
        stored=stored(parsed(answers, "database")),
        keys=_keys(_answer(answers, "keys")),
    )


def held(view: KeystoneView) -> Mapping[str, str] | Unknown:
    """Say which keys the controller holds, by their paths."""
    if isinstance(view.keys, Unknown):
        return view.keys
    return {f"{FOLDER}/{path}": digest for path, digest in view.keys.items()}


def _answer(answers: Answers, name: str) -> Answer | Unknown:
    return answers.get(name, Unknown(why="not asked"))


def _unit(answer: Answer | Unknown) -> str | Unknown:
    if isinstance(answer, Unknown):
        return answer
    state = answer.out.strip()
    return state or Unknown(why=f"systemctl says nothing: {answer.err.strip()[:200]}")


def _api(seen: Mapping[str, Any] | Down | Unknown) -> Api | Down | Unknown:
    if isinstance(seen, Down | Unknown):
        return seen
    try:
        return Api(health=int(seen["health"]), status=int(seen["status"]), version=str(seen["version"]))
    except (KeyError, TypeError, ValueError):
        return Unknown(why="the probe's answer makes no sense")


def _keys(answer: Answer | Unknown) -> Mapping[str, str] | Unknown:
    if isinstance(answer, Unknown):
        return answer
    pairs = [line.split() for line in answer.out.splitlines()]
    if answer.code != 0 or any(len(pair) != 2 for pair in pairs):
        return Unknown(why=f"keys cannot be read: {(answer.err.strip().splitlines() or ['no reason given'])[-1][:200]}")
    return {path: digest for digest, path in pairs}

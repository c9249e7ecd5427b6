"""Keystone: ask each controller for its unit, API, keys and for what it finds in the database; read the answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quorate.core.observed import Answer, Answers, Unknown
from quorate.core.system import Question, Site
from quorate.systems.keystone.config import CONFIG, KEYS, PORT, UNIT, KeystoneSpec

# The waits in these programs are shorter than the questions', so that what is frozen is seen to be frozen rather than
# unknown. They print JSON: what they saw, or {"down": why}.
_API = """
import http.client, json, sys
def get(path):
    api = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=0.8)
    api.request("GET", path)
    reply = api.getresponse()
    return reply.status, reply.read()
try:
    health, words = get("/healthcheck")
    status, body = get("/v3")
    print(json.dumps({"health": health, "status": status, "version": json.loads(body)["version"]["id"]}))
except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
    print(json.dumps({"down": str(error) or type(error).__name__}))
"""

# As the service itself, through the same address and account: the schema that it finds and the one that its programs
# want (alembic's heads), and where the catalog says that the API is.
_DATABASE = """
import configparser, glob, json, sys, urllib.parse
import pymysql
def rows(cursor, query):
    cursor.execute(query)
    return cursor.fetchall()
versions = "/usr/lib/python3/dist-packages/keystone/common/sql/migrations/versions"
seen = {"wanted": sorted(open(path).read().strip() for path in glob.glob(versions + "/*_HEAD"))}
config = configparser.RawConfigParser(strict=False)
config.read(sys.argv[1])
url = urllib.parse.urlsplit(config["database"]["connection"])
try:
    session = pymysql.connect(host=url.hostname, port=url.port, user=url.username, password=url.password,
        database=url.path.strip("/"), connect_timeout=1, read_timeout=1, write_timeout=1)
    cursor = session.cursor()
    tables = {name for name, in rows(cursor, "SHOW TABLES LIKE 'alembic_version'")}
    seen["schema"] = sorted(v for v, in rows(cursor, "SELECT version_num FROM alembic_version")) if tables else []
    seen["catalog"] = sorted(rows(cursor, "SELECT e.interface, e.region_id, e.url FROM endpoint e JOIN service s"
        " ON e.service_id = s.id WHERE s.type = 'identity' AND e.enabled")) if seen["schema"] else []
except (pymysql.MySQLError, OSError) as error:
    seen = {"down": str(error.args[-1] if error.args else error)}
print(json.dumps(seen))
"""

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

    `catalog`: (interface, region, URL) of the identity service itself.
    """

    wanted: tuple[str, ...]
    schema: tuple[str, ...]
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
        Question("api", ("python3", "-c", _API, site.cloud.address(host), str(PORT))),
        Question("database", ("python3", "-c", _DATABASE, CONFIG), timeout=3.0),
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

"""How to look at a member, and what to make of it: questions → answers → View → Judgement.

A member is well if its unit runs, it is Synced in a Primary component, and its health service tells the proxy so.
The cluster is well if all members are, in one and the same Primary component.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from quorate.core.observed import Answer, Answers, Unknown
from quorate.core.system import Question, Site
from quorate.core.verdict import Judgement, Verdict, failing, merge, ok, unknown
from quorate.systems.galera.config import HEALTH_PORT, MARK, UNIT, Galera
from quorate.systems.galera.position import Position, read_position

NO_UUID = "00000000-0000-0000-0000-000000000000"
SOCKET = "/run/mysqld/mysqld.sock"
CLIENT = (
    "mariadb",
    "--no-defaults",
    f"--socket={SOCKET}",
    "--user=root",
    "--skip-column-names",
    "--batch",
)
"""MariaDB's client as root over the socket: no password, and no file of anybody's that could change what it does."""

LOOK_AT_DATA = f"""[ -e {MARK} ] && echo mark present
cd /var/lib/mysql 2>/dev/null || {{ [ -e /var/lib/mysql ] && exit 1; echo data absent; echo end; exit 0; }}
echo data present
find . -mindepth 1 -maxdepth 1 -type d -printf 'directory %f\\n' || exit 1
[ -e gvwstate.dat ] && echo gvwstate present
[ -e sst_in_progress ] && echo copying present
grep -qsx mariadbd /proc/[0-9]*/comm && echo process present
for file in /run/mysqld/wsrep-new-cluster /run/mariadb-wsrep-new-cluster; do
  [ -e $file ] && echo bootstrap present
done
grep -qs '[-]-wsrep-new-cluster' /proc/[0-9]*/cmdline && echo bootstrap present
[ -e grastate.dat ] || {{ echo end; exit 0; }}
echo grastate present && sed 's/^/grastate: /' grastate.dat && echo && echo end"""
"""Reads file names and Galera's saved state. `end` proves that all was said (its file has no newline at its end)."""

LOOK_AT_CONTENTS = """SELECT 'database', schema_name, '' FROM information_schema.schemata
UNION ALL SELECT 'account', user, host FROM mysql.user
UNION ALL SELECT 'grant', user, db FROM mysql.db
UNION ALL SELECT 'end', '', ''"""

STATUS = "SHOW GLOBAL STATUS LIKE 'wsrep_%'"

# ADDRESS PORT → the status code and the reason, as the proxy is told them; 0 and why there is no answer.
HEALTH = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 1.0) as service:
        service.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        reply = b""
        while data := service.recv(4096):
            reply += data
    head, _, why = reply.decode("ascii", "replace").partition("\\r\\n\\r\\n")
    print(head.split()[1], why.strip())
except (OSError, IndexError) as error:
    print(0, f"{type(error).__name__}: {error}")
"""


def questions(_spec: Galera, site: Site, host: str) -> Sequence[Question]:
    """Ask systemd, the data directory, MariaDB and the health service."""
    return (
        Question("unit", ("systemctl", "show", "--property=LoadState,ActiveState,SubState", "--", UNIT)),
        Question("data", ("sh", "-c", LOOK_AT_DATA)),
        Question("status", (*CLIENT, "--connect-timeout=1", f"--execute={STATUS}")),
        Question("contents", (*CLIENT, "--connect-timeout=1", f"--execute={LOOK_AT_CONTENTS}")),
        Question("health", ("python3", "-c", HEALTH, site.cloud.address(host), str(HEALTH_PORT))),
    )


@dataclass(frozen=True)
class Saved:
    """Galera's grastate.dat. `seqno` is -1 where the member did not stop in order."""

    uuid: str
    seqno: int
    safe_to_bootstrap: bool


@dataclass(frozen=True)
class Data:
    """The data directory. `schemas`: directories of databases that are not MariaDB's own.

    `saved` is Unknown where grastate.dat is there and makes no sense: a power cut, or a start in vain, leaves it empty.

    `in_view`: the member remembers the component that it was in (gvwstate.dat). `process`: a mariadbd runs, whoever
    started it. `bootstrap`: it was, or is being, started as the first of a new cluster. `was_member`: MariaDB has once
    been up here; where its data is missing then, it was lost or its disk is not mounted.
    """

    exists: bool
    schemas: tuple[str, ...] = ()
    saved: Saved | Unknown | None = None
    in_view: bool = False
    process: bool = False
    bootstrap: bool = False
    was_member: bool = False
    copying: bool = False

    @property
    def is_fresh(self) -> bool:
        """Nothing is, or has been, in it that the installation of the package did not put there."""
        return self.is_empty and not self.was_member

    @property
    def is_empty(self) -> bool:
        """No database and no history is in it: nothing is lost when it is overwritten.

        Galera empties grastate.dat as soon as it starts, so that a member that never found a cluster has an empty one.
        """
        return not self.schemas and (not isinstance(self.saved, Saved) or self.saved.uuid == NO_UUID)

    @property
    def history(self) -> str:
        """The UUID of the history that it holds; empty where that is not known."""
        return self.saved.uuid if isinstance(self.saved, Saved) else ""


@dataclass(frozen=True)
class Status:
    """What MariaDB says of its cluster; numbers are -1 where it did not say them."""

    component: str
    state: str
    state_uuid: str
    ready: bool
    connected: bool
    size: int
    view: int
    last_committed: int

    @property
    def is_primary(self) -> bool:
        """Whether it belongs to a component that may write."""
        return self.component == "Primary"


@dataclass(frozen=True)
class Contents:
    """Databases, accounts (name, host) and grants on databases (name, database)."""

    databases: frozenset[str]
    accounts: frozenset[tuple[str, str]]
    grants: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Health:
    """What the health service tells the proxy. Code 0: it did not answer."""

    code: int
    reason: str


_NOT_ASKED = Unknown(why="it was not asked")


@dataclass(frozen=True)
class View:
    """One controller as Galera sees it. `unit` is systemd's active state. `position` is asked only for a recovery."""

    unit: str | Unknown
    data: Data | Unknown
    status: Status | Unknown
    contents: Contents | Unknown = field(repr=False)
    health: Health | Unknown
    position: Position | Unknown = _NOT_ASKED


_SYSTEM_SCHEMAS = {"mysql", "performance_schema", "sys"}


def read(answers: Answers) -> View:
    """Read what a controller answered. What makes no sense is Unknown."""

    def of(name: str) -> Answer | Unknown:
        answer = answers.get(name, _NOT_ASKED)
        if isinstance(answer, Answer) and answer.code != 0:
            return Unknown(why=(answer.err.strip().splitlines() or [f"{name}: exit code {answer.code}"])[-1])
        return answer

    names = ("unit", "data", "status", "contents", "health", "position")
    unit, data, status, contents, health, position = map(of, names)
    return View(
        unit=unit if isinstance(unit, Unknown) else _unit(unit.out),
        data=data if isinstance(data, Unknown) else _data(data.out),
        status=status if isinstance(status, Unknown) else _status(status.out),
        contents=contents if isinstance(contents, Unknown) else _contents(contents.out),
        health=health if isinstance(health, Unknown) else _health(health.out),
        position=position if isinstance(position, Unknown) else read_position(position.out),
    )


def _unit(out: str) -> str | Unknown:
    said = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
    state = said.get("ActiveState")
    return state or Unknown(why="systemctl did not say the state")


def _data(out: str) -> Data | Unknown:
    lines = out.splitlines()
    present = "data present" in lines
    if lines[-1:] != ["end"] or present == ("data absent" in lines):
        return Unknown(why="the data directory was not read to its end")
    directories = {line.removeprefix("directory ") for line in lines if line.startswith("directory ")}
    saved = [line.removeprefix("grastate: ") for line in lines if line.startswith("grastate: ")]
    state = _saved(saved) if "grastate present" in lines else None
    schemas = sorted(name for name in directories - _SYSTEM_SCHEMAS if not name.startswith((".", "#")))
    flags = (f"{name} present" in lines for name in ("gvwstate", "process", "bootstrap", "mark", "copying"))
    return Data(present, tuple(schemas), state, *flags)


def _saved(lines: Sequence[str]) -> Saved | Unknown:
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    uuid, seqno, safe = said.get("uuid", ""), said.get("seqno", ""), said.get("safe_to_bootstrap", "0")
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", uuid) or not re.fullmatch(r"-?\d{1,19}", seqno):
        return Unknown(why="grastate.dat makes no sense")
    return Saved(uuid, int(seqno), safe == "1")


def _status(out: str) -> Status | Unknown:
    said = {key.lower(): value for key, _, value in (line.partition("\t") for line in out.splitlines())}
    if "wsrep_cluster_status" not in said:
        return Unknown(why="MariaDB did not say its cluster status")

    def number(name: str) -> int:
        value = said.get(name, "")
        return int(value) if re.fullmatch(r"[0-9]{1,18}", value) else -1

    return Status(
        component=said["wsrep_cluster_status"],
        state=said.get("wsrep_local_state_comment", "not said"),
        state_uuid=said.get("wsrep_cluster_state_uuid", ""),
        ready=said.get("wsrep_ready") == "ON",
        connected=said.get("wsrep_connected") == "ON",
        size=number("wsrep_cluster_size"),
        view=number("wsrep_cluster_conf_id"),
        last_committed=number("wsrep_last_committed"),
    )


def _contents(out: str) -> Contents | Unknown:
    rows = [line.split("\t") for line in out.splitlines()]
    if not rows or rows[-1] != ["end", "", ""] or any(len(row) != 3 for row in rows):
        return Unknown(why="the list of databases and accounts was not read to its end")
    return Contents(
        databases=frozenset(name for kind, name, _ in rows if kind == "database"),
        accounts=frozenset((name, host) for kind, name, host in rows if kind == "account"),
        grants=frozenset((name, database.replace("\\", "")) for kind, name, database in rows if kind == "grant"),
    )


def _health(out: str) -> Health | Unknown:
    found = re.match(r"([0-9]{1,3}) (.*)", out)
    return Health(int(found[1]), found[2].strip()) if found else Unknown(why="the health service made no sense")


def judge(_spec: Galera, site: Site, views: Mapping[str, View | Unknown]) -> Judgement:
    """Judge every controller, then whether all of them are one cluster."""
    members = {host: _member(views.get(host, _NOT_ASKED)) for host in site.cloud.names}
    return Judgement(_cluster(site, views, members), members)


def _member(view: View | Unknown) -> Verdict:
    if isinstance(view, Unknown):
        return unknown(view.why)
    if isinstance(view.unit, Unknown):
        return unknown(f"state of {UNIT}: {view.unit.why}")
    if view.unit != "active":
        return failing(f"{UNIT} is {view.unit}")
    if isinstance(view.status, Unknown):
        return unknown(f"cluster status: {view.status.why}")
    status = view.status
    if not status.is_primary:
        return failing(f"it is in a component without quorum ({status.component}), its writes are refused")
    if not (status.ready and status.connected):
        return failing(f"wsrep_ready {status.ready}, wsrep_connected {status.connected}")
    if isinstance(view.health, Unknown):
        return unknown(f"health service: {view.health.why}")
    if view.health.code != 200:
        return failing(f"the proxy is told {view.health.code or 'nothing'}: {view.health.reason}")
    return ok(f"{status.state}, {status.size} members seen")


def _cluster(site: Site, views: Mapping[str, View | Unknown], members: Mapping[str, Verdict]) -> Verdict:
    primaries = primaries_in(views)
    split = disagreement(primaries)
    if split:
        return failing(split)
    expected = len(site.cloud.names) + (site.cloud.arbiter is not None)
    well = sum(verdict.is_ok for verdict in members.values())
    others = "; ".join(f"{host}: {verdict.reason}" for host, verdict in members.items() if not verdict.is_ok)
    summary = f"{well} of {len(members)} members synced" + (f"; {others}" if others else "")
    counted = [verdict for host, verdict in members.items() if host not in site.drained]
    if well < len(members) and all(verdict.is_ok for verdict in counted):
        return ok(summary)
    if well == len(members):
        size = min(status.size for status in primaries.values())
        if size != expected:
            return failing(f"{summary}, but the cluster has {size} votes of {expected}")
        return ok(summary)
    return Verdict(merge(counted).level, summary)


def primaries_in(views: Mapping[str, View | Unknown]) -> dict[str, Status]:
    """Controllers that say that they belong to a Primary component."""
    return {
        host: view.status
        for host, view in views.items()
        if isinstance(view, View) and isinstance(view.status, Status) and view.status.is_primary
    }


def disagreement(primaries: Mapping[str, Status]) -> str:
    """Why these members are not of one and the same Primary component, in words; empty if they are.

    Members of one component share the history (UUID) and the number of the view with its size.
    """
    components: dict[tuple[str, int, int], list[str]] = {}
    for host, status in primaries.items():
        components.setdefault((status.state_uuid, status.view, status.size), []).append(host)
    if len(components) < 2:
        return ""
    listed = "; ".join(
        f"{', '.join(hosts)}: history {uuid}, view {view}, {size} members"
        for (uuid, view, size), hosts in components.items()
    )
    if len({uuid for uuid, _, _ in components}) > 1:
        return f"SPLIT BRAIN: {len(components)} Primary components with different histories at once ({listed})"
    return f"members see different Primary components: a split brain, or a cluster that is just changing ({listed})"

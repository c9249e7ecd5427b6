"""How the proxy is looked at: does it answer, is the file on disk one that it would load, and whom does it see up."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from quorate.core.drill import Roles
from quorate.core.observed import Answer, Answers, Unknown
from quorate.core.system import Question, Site
from quorate.core.verdict import Judgement, Verdict, failing, merge, ok, unknown
from quorate.systems.haproxy.config import CONFIGURATION, SOCKET, HaproxySpec, frontends

T = TypeVar("T")

# Each sends one line and prints what comes back; nothing but Python is certain to be on a controller.
_ASK = """
import socket, sys
where, line = sys.argv[1:]
host, _, port = where.rpartition(":")
try:
    with socket.socket(socket.AF_INET if host else socket.AF_UNIX) as s:
        s.settimeout(1)
        s.connect((host, int(port)) if host else where)
        s.sendall(line.replace("+", "\\r\\n").encode())
        while data := s.recv(65536):
            sys.stdout.write(data.decode(errors="replace"))
except OSError as error:
    sys.exit(str(error))
"""

# KIND/SERVER=ADDRESS:PORT …: where nobody takes a connection, and why. All at once: a deaf port takes a second.
_REACH = """
import json, socket, sys, threading
found = {}
def reach(name, address, port):
    try:
        socket.create_connection((address, int(port)), 1).close()
    except OSError as error:
        found[name] = str(error)
asked = [word.split("=") for word in sys.argv[1:]]
threads = [threading.Thread(target=reach, args=(name, *place.rsplit(":", 1))) for name, place in asked]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(found))
"""


@dataclass(frozen=True)
class View:
    """What one controller's proxy says. An error is empty where there is none.

    `servers`: by front end, the state of each of its servers as this proxy checks them. `unreached`: by front end, why
    a server on another controller takes no connections from here, where the proxy's check asks at another port.
    `sessions`: by front end, how many each of its servers has through this proxy now; empty, where nobody could say.
    """

    running: bool | Unknown
    answer_error: str | Unknown
    file_error: str | Unknown
    servers: Mapping[str, Mapping[str, str]] | Unknown
    unreached: Mapping[str, Mapping[str, str]] | Unknown
    sessions: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def questions(spec: HaproxySpec, site: Site, host: str) -> Sequence[Question]:
    """Ask the unit, the proxy itself as a client would, its statistics, and for the validity of the file on disk."""
    ports = [
        f"{endpoint.kind}/{name}={site.cloud.address(name)}:{via.backend_port}"
        for endpoint, via in frontends(site)
        if via.check_port != via.backend_port
        for name in site.cloud.names
        if name != host
    ]
    return (
        Question("active", ("systemctl", "is-active", "haproxy.service")),
        Question("answer", ("python3", "-c", _ASK, f"127.0.0.1:{spec.answer_port}", "GET / HTTP/1.0++")),
        Question("servers", ("python3", "-c", _ASK, SOCKET, "show stat+")),
        Question("file", ("haproxy", "-c", "-q", "-f", CONFIGURATION)),
        Question("ports", ("python3", "-c", _REACH, *ports)),
    )


def read(answers: Answers) -> View:
    """Read what was answered; what cannot be read is Unknown with the reason."""
    return View(
        running=_running(answers.get("active")),
        answer_error=_answer_error(answers.get("answer")),
        file_error=_file_error(answers.get("file")),
        servers=_servers(answers.get("servers")),
        unreached=_unreached(answers.get("ports")),
        sessions=_sessions(answers.get("servers")),
    )


def judge(spec: HaproxySpec, site: Site, views: Mapping[str, View | Unknown]) -> Judgement:
    """A member is well whose proxy answers; the cluster, when each of them has all servers of every front end.

    So a server is told of that is well where it runs, and that others do not reach.
    """
    del spec
    names = site.cloud.names
    members = {name: _member(views.get(name, Unknown(why="it was not asked"))) for name in names}
    well = [name for name in names if members[name].is_ok]
    summary = f"{len(well)} of {len(names)} proxies answer"
    if well:
        proxies = ok(summary)
    elif all(verdict.level == members[names[0]].level for verdict in members.values()):
        proxies = Verdict(members[names[0]].level, summary)
    else:
        proxies = unknown(summary)
    asked = {name: views[name] for name in well if name not in site.drained}
    served = [_served(endpoint.kind, asked, site.drained) for endpoint, _ in frontends(site)]
    return Judgement(merge((proxies, *(verdict for verdicts in served for verdict in verdicts))), members)


def _member(view: View | Unknown) -> Verdict:
    if isinstance(view, Unknown):
        return unknown(view.why)
    if view.running is False:
        return failing("haproxy does not run")
    for evidence, what in (
        (view.answer_error, "the proxy does not answer"),
        (view.file_error, "the file on disk is refused"),
    ):
        if isinstance(evidence, Unknown):
            return unknown(evidence.why)
        if evidence:
            return failing(f"{what}: {evidence}")
    return unknown(view.running.why) if isinstance(view.running, Unknown) else ok("the proxy answers")


def roles(_spec: HaproxySpec, site: Site, views: Mapping[str, View | Unknown]) -> Roles:
    """Say who writes: of a front end with one active server, the one that has the clients, through whichever proxy."""
    seen = [view for view in views.values() if isinstance(view, View)]
    for endpoint, via in frontends(site):
        if via.one_active:
            clients = {name: sum(view.sessions.get(endpoint.kind, {}).get(name, 0) for view in seen) for name in views}
            busiest = max(clients, key=clients.__getitem__, default="")
            if busiest and clients[busiest]:
                return {"writer": busiest}
    return {}


def _served(kind: str, views: Mapping[str, View | Unknown], drained: frozenset[str]) -> tuple[Verdict, ...]:
    """What each proxy has for a front end; what several see alike is said once."""
    seen: dict[Verdict, list[str]] = {}
    for name, view in views.items():
        seen.setdefault(_has(kind, view, drained), []).append(name)
    return tuple(
        verdict if verdict.is_ok else Verdict(verdict.level, f"{verdict.reason}, as seen by {', '.join(names)}")
        for verdict, names in seen.items()
    )


def _has(kind: str, view: View | Unknown, drained: frozenset[str]) -> Verdict:
    if isinstance(view, Unknown):
        return unknown(view.why)
    if isinstance(view.servers, Unknown):
        return unknown(view.servers.why)
    if isinstance(view.unreached, Unknown):
        return unknown(view.unreached.why)
    if kind not in view.servers:
        return failing(f"{kind} is not served")
    states, unreached = view.servers[kind], view.unreached.get(kind, {})
    down = [server for server, state in states.items() if server in unreached or not state.startswith("UP")]
    count = f"{kind}: {len(states) - len(down)} of {len(states)} servers up"
    if still := [server for server, state in states.items() if server in drained and state.startswith("UP")]:
        return failing(f"{kind}: clients are sent to {', '.join(still)}, which is drained")
    lost = [server for server in down if server not in drained]
    told = f"{count}, without {', '.join(lost or down)}{'' if lost else ', which is drained'}"
    return failing(told) if lost else ok(told if down else count)


def _running(answer: Answer | Unknown | None) -> bool | Unknown:
    if not isinstance(answer, Answer):
        return answer or Unknown(why="systemd was not asked")
    return answer.out.strip() == "active"


def _answer_error(answer: Answer | Unknown | None) -> str | Unknown:
    if not isinstance(answer, Answer):
        return answer or Unknown(why="the proxy was not asked")
    status = answer.out.partition("\n")[0].strip()
    if answer.code == 0 and status.endswith(" 200 OK"):
        return ""
    return answer.err.strip() or status or "no reply"


def _file_error(answer: Answer | Unknown | None) -> str | Unknown:
    if not isinstance(answer, Answer):
        return answer or Unknown(why="the file was not checked")
    return "" if answer.code == 0 else next(iter(answer.err.strip().splitlines()), f"haproxy -c gave {answer.code}")


def _servers(answer: Answer | Unknown | None) -> Mapping[str, Mapping[str, str]] | Unknown:
    if not isinstance(answer, Answer):
        return answer or Unknown(why="the statistics were not asked for")
    if answer.code != 0 or not answer.out.startswith("# pxname,svname,"):
        return Unknown(why=f"haproxy's statistics: {answer.err.strip() or 'no table'}")
    return _by_server(answer, lambda row: row.get("status") or "")


def _sessions(answer: Answer | Unknown | None) -> Mapping[str, Mapping[str, int]]:
    if not isinstance(answer, Answer) or answer.code != 0:
        return {}
    return _by_server(answer, lambda row: int(scur) if (scur := row.get("scur") or "").isdecimal() else 0)


def _by_server(answer: Answer, said: Callable[[Mapping[str, str]], T]) -> dict[str, dict[str, T]]:
    """Read something of each server out of the statistics, by front end."""
    found: dict[str, dict[str, T]] = {}
    for row in csv.DictReader(answer.out.removeprefix("# ").splitlines()):
        if row.get("svname") not in ("FRONTEND", "BACKEND"):
            found.setdefault(row.get("pxname") or "", {})[row.get("svname") or ""] = said(row)
    return found


def _unreached(answer: Answer | Unknown | None) -> Mapping[str, Mapping[str, str]] | Unknown:
    if not isinstance(answer, Answer):
        return answer or Unknown(why="the servers' ports were not tried")
    try:
        found: dict[str, dict[str, str]] = {}
        for name, why in json.loads(answer.out).items():
            kind, _, server = str(name).partition("/")
            found.setdefault(kind, {})[server] = str(why)
    except (ValueError, AttributeError, RecursionError):
        return Unknown(why=f"the servers' ports: {(answer.err or answer.out)[:200]!r}")
    return found

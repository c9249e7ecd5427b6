"""The operator's side of `remote/`: requests as argv and stdin, replies as core types.

One `run` of a transport answers one request, whatever it asks::

    request = observe_request(resources, questions)
    seen = read_observed(transport.host, await transport.run(request.argv, request.stdin, timeout=request.timeout))

Secrets are in stdin only: argv is the same for all requests and shows in a controller's process list.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from quorate.core.act import Act
from quorate.core.kept import HostKept
from quorate.core.lasting import MARGIN, WAIT, granted
from quorate.core.observed import HostSeen
from quorate.core.resource import Directory, File, Gone, Package, Resource, Sysctl, Unit
from quorate.core.system import Question
from quorate.errors import Unreachable
from quorate.transport.contract import Completed

REPLY_LIMIT = 64 << 20
BOOT = """import sys
for part in sys.stdin.buffer.readline().decode().split():
    name, size = part.split(":")
    module = sys.modules[name] = type(sys)(name)
    exec(compile(sys.stdin.buffer.read(int(size)), name, "exec"), module.__dict__)
module.main()
"""
ARGV = ("python3", "-I", "-S", "-c", BOOT)
"""The command of every request. -I and -S: nothing that the controller has installed for python takes part."""

_NEEDS = {
    "observe": ("program", "files", "observe", "serve"),
    "act": ("program", "files", "lease", "observe", "install", "ledger", "act", "serve"),
    "kept": ("program", "files", "observe", "ledger", "kept", "serve"),
    "lease": ("files", "lease", "serve"),
    "gather": ("program", "files", "observe", "gather", "serve"),
}

R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True)
class Request:
    """What to run. `timeout`: within it a reachable machine has answered; a shorter one is the caller's choice."""

    argv: tuple[str, ...]
    stdin: bytes
    timeout: float

    def __repr__(self) -> str:
        """Leave out stdin, which may hold secrets."""
        return f"Request({len(self.stdin)} bytes, timeout={self.timeout})"


class _Reply(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Result(_Reply):
    """One act's end. The note may repeat what a program printed: mask it before anybody sees it."""

    ok: bool
    note: str


class Acted(_Reply):
    """The end of a batch: one result for each act that was begun, the last of which may have failed.

    `refused`: nothing was begun, because the lease is lost or another run's act is still at work.
    """

    refused: str
    results: tuple[Result, ...]


class Leased(_Reply):
    """Who holds the lease now, for how many more seconds, and why it is not us."""

    granted: bool
    holder: dict[str, str]
    remaining: float
    why: str


class GatheredFile(_Reply):
    """A file that a machine gave: its permissions, and its text, in which nothing is hidden."""

    path: str
    mode: int
    text: str


class NotGathered(_Reply):
    """A file or folder that could not be read, and why."""

    path: str
    why: str


class Gathered(_Reply):
    """What a machine's configuration is. `packages`: versions of those that are installed, of those asked about."""

    os: str
    packages: dict[str, str]
    files: tuple[GatheredFile, ...]
    unread: tuple[NotGathered, ...]


def observe_request(
    resources: Iterable[Resource], questions: Mapping[str, Sequence[Question]], root: str = "", nice: int = 0
) -> Request:
    """Ask for all resources and all answers, by system, in one round trip. `nice`: as nice(1), of all that is run."""
    asked = {
        system: [{"name": one.name, "argv": one.argv, "timeout": one.timeout} for one in several]
        for system, several in questions.items()
    }
    slowest = sum(question.timeout for several in questions.values() for question in several)
    wanted = [_wanted(resource) for resource in resources]
    body = {"verb": "observe", "root": root, "resources": wanted, "questions": asked, "nice": nice}
    return _request(body, MARGIN + min(slowest, 120.0))


def _wanted(resource: Resource) -> dict[str, str]:
    match resource:
        case File() | Gone() | Directory():
            return {"id": resource.id, "kind": "path", "path": resource.path}
        case Package() | Sysctl() | Unit():
            return {"id": resource.id, "kind": type(resource).__name__.lower(), "name": resource.name}


def act_request(
    run: str,
    lease: str,
    acts: Sequence[Act],
    root: str = "",
    *,
    wait: float = WAIT,
    about: Mapping[str, str] | None = None,
) -> Request:
    """Ask for acts, their secrets resolved. `wait`: for an earlier run's act that is still at work.

    `about`: what the controller is to know of the run (began, verb, operator, undoes; core/kept.py).
    """
    body = {
        "verb": "act",
        "root": root,
        "run": run,
        "lease": lease,
        "wait": wait,
        "about": dict(about or {}),
        "acts": [act.model_dump(mode="json") for act in acts],
    }
    return _request(body, granted(acts, wait))


def lease_request(
    do: Literal["acquire", "renew", "release"],
    token: str,
    *,
    holder: Mapping[str, str] | None = None,
    ttl: float = 30.0,
    steal_from: str = "",
    root: str = "",
) -> Request:
    """Ask for the host's lease, for longer, or give it back.

    `steal_from`: the token of a lease that may be taken although it has time left, its holder being proved dead.
    """
    body = {"verb": "lease", "root": root, "do": do, "token": token, "ttl": ttl, "steal_from": steal_from}
    return _request(body | {"holder": dict(holder or {})}, MARGIN)


def kept_request(since: str | None = None, root: str = "") -> Request:
    """Ask what is kept of runs; of those that began then or later, all of it, and how that lies now."""
    return _request({"verb": "kept", "root": root, "since": since}, 3 * MARGIN)


def gather_request(names: str, packages: Sequence[str], root: str = "") -> Request:
    """Ask for every file whose path `names` (a regular expression) is found in, and for versions of packages."""
    return _request({"verb": "gather", "root": root, "names": names, "packages": list(packages)}, 3 * MARGIN)


def read_observed(host: str, completed: Completed) -> HostSeen:
    """Read the reply to `observe_request`. Unreachable: there is none that makes sense."""
    return _read(host, completed, HostSeen)


def read_acted(host: str, completed: Completed) -> Acted:
    """Read the reply to `act_request`. Unreachable: there is none that makes sense, so what was done is unknown."""
    return _read(host, completed, Acted)


def read_leased(host: str, completed: Completed) -> Leased:
    """Read the reply to `lease_request`. Unreachable: there is none that makes sense."""
    return _read(host, completed, Leased)


def read_kept(host: str, completed: Completed) -> HostKept:
    """Read the reply to `kept_request`. Unreachable: there is none that makes sense."""
    return _read(host, completed, HostKept)


def read_gathered(host: str, completed: Completed) -> Gathered:
    """Read the reply to `gather_request`. Unreachable: there is none that makes sense."""
    return _read(host, completed, Gathered)


@cache
def _scripts(verb: str) -> bytes:
    folder = files("quorate.transport.remote")
    named = [(f"quorate.transport.remote.{name}", (folder / f"{name}.py").read_bytes()) for name in _NEEDS[verb]]
    head = " ".join(f"{name}:{len(script)}" for name, script in named)
    return b"".join([f"{head}\n".encode(), *(script for _, script in named)])


def _request(body: dict[str, Any], timeout: float) -> Request:
    return Request(ARGV, _scripts(body["verb"]) + json.dumps(body).encode(), timeout)


def body_of(stdin: bytes) -> dict[str, Any]:
    """Give back what was asked, as a machine reads it: the fake's side of the wire."""
    head, _, rest = stdin.partition(b"\n")
    body: dict[str, Any] = json.loads(rest[sum(int(part.rpartition(b":")[2]) for part in head.split()) :])
    return body


def _read(host: str, completed: Completed, reply: type[R]) -> R:
    """Read the last line printed: a login shell may print before it."""
    if len(completed.out) > REPLY_LIMIT:
        raise Unreachable(host, f"its reply is longer than {REPLY_LIMIT >> 20} MiB")
    lines = completed.out.splitlines()
    line = lines[-1] if lines else b""
    if completed.code or not line:
        raise _no_reply(host, completed, line)
    try:
        return reply.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "all of it"
        raise Unreachable(host, f"its reply makes no sense: {where}: {first['msg']}") from None


def _no_reply(host: str, completed: Completed, line: bytes) -> Unreachable:
    try:
        said = str(json.loads(line)["error"])
    except (ValueError, TypeError, KeyError):
        words = completed.err.decode(errors="replace").strip().splitlines()
        said = words[-1] if words else "it printed nothing"
    if completed.code == 127:
        return Unreachable(host, said, hint="Quorate needs python3 there: apt-get install python3-minimal")
    if said.startswith("sudo:"):
        return Unreachable(host, said, hint="`ssh.sudo` needs a rule in sudoers with NOPASSWD for this user.")
    return Unreachable(host, f"no reply, exit code {completed.code}: {said}")

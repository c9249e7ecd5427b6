"""The ways that the contract suite holds to the same behaviour, each with its back door for the test's own look."""

from __future__ import annotations

import fcntl
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from quorate.core.act import Act, WriteFile
from quorate.core.kept import HostKept
from quorate.core.observed import HostSeen
from quorate.core.resource import Resource
from quorate.core.system import Question
from quorate.transport.contract import Completed, Streams, Transport
from quorate.transport.fake import FakeHost
from quorate.transport.request import (
    Acted,
    Leased,
    Result,
    act_request,
    kept_request,
    lease_request,
    observe_request,
    read_acted,
    read_kept,
    read_leased,
    read_observed,
)

RUN = "run-1"
TOKEN = "token-1"


class Door(Protocol):
    """How a test looks at the machine without the transport."""

    folder: str
    root: str

    def backup(self, path: str) -> str: ...
    def acting(self) -> Any: ...


class Transports(Transport, Streams, Protocol):
    """What every transport of ours can do."""


@dataclass
class Way:
    """A transport to a machine."""

    kind: Literal["fake", "local", "ssh", "lab"]
    transport: Transports
    door: Door

    @property
    def folder(self) -> str:
        return self.door.folder

    async def run(self, *argv: str, stdin: bytes = b"", timeout: float = 20.0) -> Completed:
        return await self.transport.run(argv, stdin, timeout=timeout)

    async def observe(
        self, *resources: Resource, questions: Mapping[str, Sequence[Question]] | None = None
    ) -> HostSeen:
        request = observe_request(resources, questions or {}, root=self.door.root)
        return read_observed("c1", await self.transport.run(request.argv, request.stdin, timeout=request.timeout))

    async def act(
        self, *acts: Act, token: str = TOKEN, run: str = RUN, wait: float = 0.0, about: Mapping[str, str] | None = None
    ) -> Acted:
        about = {"began": run, "verb": "apply", **(about or {})}  # runs of tests have names in their order
        request = act_request(run, token, acts, root=self.door.root, wait=wait, about=about)
        return read_acted("c1", await self.transport.run(request.argv, request.stdin, timeout=request.timeout))

    async def kept(self, since: str | None = "") -> HostKept:
        request = kept_request(since, root=self.door.root)
        return read_kept("c1", await self.transport.run(request.argv, request.stdin, timeout=request.timeout))

    async def done(self, *acts: Act, **more: Any) -> list[Result]:
        """Act, which must not be refused."""
        acted = await self.act(*acts, **more)
        assert acted.refused == ""
        return list(acted.results)

    async def lease(self, do: Literal["acquire", "renew", "release"], token: str = TOKEN, **more: Any) -> Leased:
        request = lease_request(do, token, root=self.door.root, **{"holder": {"operator": token}, **more})
        return read_leased("c1", await self.transport.run(request.argv, request.stdin, timeout=request.timeout))

    def path(self, name: str) -> str:
        return f"{self.folder}/{name}"

    def file(self, name: str, content: str, **changes: Any) -> WriteFile:
        said = {"mode": 0o640, "owner": "root", "group": "root", **changes}
        return WriteFile(path=self.path(name), content=content, **said)


@dataclass
class InMemory:
    host: FakeHost
    folder: str = "/srv/test"
    root: str = ""

    def backup(self, path: str) -> str:
        return self.host.backups[RUN, path].content or ""

    @contextmanager
    def acting(self) -> Iterator[None]:
        self.host.acting = True
        yield
        self.host.acting = False


@dataclass
class OnDisk:
    folder: str
    root: str

    def backup(self, path: str) -> str:
        return Path(f"{self.root}/var/lib/quorate/backup/{RUN}{path}").read_text()

    @contextmanager
    def acting(self) -> Iterator[None]:
        lock = Path(self.root) / "run/quorate/act.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


@dataclass
class ElsewhereOverSsh:
    """A machine that only its own ssh command reaches: the lab's."""

    ssh: tuple[str, ...]
    folder: str = field(default_factory=lambda: tempfile.mktemp(prefix="quorate-test-", dir="/srv"))  # noqa: S306 - a name only
    root: str = ""

    def shell(self, command: str) -> str:
        return subprocess.run([*self.ssh, command], check=True, capture_output=True, text=True).stdout

    def backup(self, path: str) -> str:
        return self.shell(f"cat {shlex.quote(f'/var/lib/quorate/backup/{RUN}{path}')}")

    @contextmanager
    def acting(self) -> Iterator[None]:
        holding = "mkdir -p /run/quorate; exec flock /run/quorate/act.lock sh -c 'echo held; cat'"
        pipe = subprocess.PIPE
        with subprocess.Popen([*self.ssh, holding], stdin=pipe, stdout=pipe) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            yield

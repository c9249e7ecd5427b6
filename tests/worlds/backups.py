"""The toys with something to back up: toydb's data (c1 writes), and toyd's greetings, which need toyd formed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from quorate.core.backup import Saving
from quorate.core.observed import Unknown
from quorate.core.system import AnySystem
from quorate.transport.contract import Completed
from quorate.transport.fake import FakeHost, FakePath, FakeTransport
from toys import toyd, toydb
from worlds.machines import DATA, Machines, Operator

GREETINGS = "/var/lib/toyd/greetings"
_DATABASE = Saving(
    name="database",
    what="toydb's data",
    take=("toydb-copy",),
    prove=("toydb-try",),
    put_back=("toydb-put-back",),
    spares="writer",
    disturbs=True,
)
_GREETINGS = Saving(
    name="greetings", what="toyd's greetings", take=("toyd-copy",), put_back=("toyd-put-back",), formed=True
)


def _holders(_spec: Any, _site: Any, views: Mapping[str, Any]) -> Mapping[str, str]:
    return {
        host: f"{host}: {view.why if isinstance(view, Unknown) else view.data}"
        for host, view in views.items()
        if isinstance(view, Unknown) or view.data != "-"
    }


SYSTEMS: tuple[AnySystem, ...] = (
    dataclasses.replace(toyd.SYSTEM, backups=lambda _spec, _site: (_GREETINGS,)),
    dataclasses.replace(
        toydb.SYSTEM,
        backups=lambda _spec, _site: (_DATABASE,),
        holders=_holders,
        roles=lambda _spec, _site, _views: {"writer": "c1"},
    ),
)


class Backed(Machines):
    """Machines whose programs take copies and put them back. `failing`: a program that ends with 1; `asked`: all."""

    def __init__(self) -> None:
        super().__init__()
        self.failing = ""
        self.asked: list[str] = []

    def play(self, host: FakeHost, argv: tuple[str, ...], stdin: bytes) -> Completed | None:
        """Play the programs of backups, and leave the others to the toys."""
        if argv[0].partition("-")[2] not in {"copy", "try", "put-back"}:
            return super().play(host, argv, stdin)
        self.asked.append(f"{host.name}: {argv[0]}")
        if argv[0] == self.failing:
            return Completed(1, b"half of i", b"[00] copying\nthe disk is full\n")
        path = DATA if argv[0].startswith("toydb") else GREETINGS
        match argv[0].partition("-")[2]:
            case "copy":
                data = (host.paths[path].content or "").encode()
                return Completed(0, data, f"copying\n{facts(data)}\n".encode())
            case "try":
                return Completed(0, f"{facts(stdin)}\n".encode(), b"")
            case _:
                host.paths[path] = FakePath(stdin.decode())
                return Completed(0, b"", b"")

    def ways(self) -> dict[str, FakeTransport]:
        """Ways for streams."""
        return {name: FakeTransport(host) for name, host in self.hosts.items()}


def facts(data: bytes) -> str:
    """What a program says of these data."""
    proof = {"sum": hashlib.sha256(data).hexdigest()}
    return json.dumps({"about": {"rows": len(data)}, "proof": proof})


async def formed(**what: str) -> Backed:
    """Machines with a formed cloud, and something in it."""
    machines = Backed()
    outcome = await Operator(machines, systems=SYSTEMS).apply()
    assert outcome.verdict.is_ok, outcome.verdict.reason
    machines.settle()
    for host in machines.hosts.values():
        host.paths[DATA] = FakePath(what.get("data", "rows"))
        host.paths[GREETINGS] = FakePath(what.get("greetings", "hello"))
    return machines

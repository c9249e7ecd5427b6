from __future__ import annotations

import itertools
from collections.abc import Sequence

import httpx
import pytest

from quorate.errors import QuorateError
from quorate.lab import redfish
from quorate.lab.redfish import Guard, app

_SYSTEM = "/redfish/v1/Systems/one"
_RESET = f"{_SYSTEM}/Actions/ComputerSystem.Reset"


class FakeRack:
    """Machines that are a set of names."""

    def __init__(self) -> None:
        self.running = {"one", "two"}
        self.broken = False

    def names(self) -> Sequence[str]:
        return ("one", "two")

    def on(self, name: str) -> bool:
        return name in self.running

    def reset(self, name: str, kind: str) -> None:
        if self.broken:
            raise QuorateError("it does not die")
        if "Off" in kind or "Shutdown" in kind:
            self.running.discard(name)
        else:
            self.running.add(name)


@pytest.fixture
def rack() -> FakeRack:
    return FakeRack()


def client(
    rack: FakeRack, auth: tuple[str, str] | None = ("quorate", "right"), guard: Guard | None = None
) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app(rack, guard or Guard("quorate", "right")))
    return httpx.AsyncClient(transport=transport, base_url="https://bmc", auth=auth)


async def test_a_walk_from_the_root_finds_every_machine(rack: FakeRack) -> None:
    async with client(rack) as http:
        root = (await http.get("/redfish/v1")).json()
        systems = (await http.get(root["Systems"]["@odata.id"])).json()
        found = [(await http.get(member["@odata.id"])).json() for member in systems["Members"]]
        assert systems["Members@odata.count"] == 2
        assert [(system["Id"], system["PowerState"]) for system in found] == [("one", "On"), ("two", "On")]
        managers = (await http.get(root["Managers"]["@odata.id"])).json()
        manager = (await http.get(managers["Members"][0]["@odata.id"])).json()
        assert len(manager["Links"]["ManagerForServers"]) == 2
        assert (await http.get("/redfish")).json() == {"v1": "/redfish/v1/"}
        assert (await http.get("/redfish/v1/SessionService")).json()["Sessions"]


@pytest.mark.parametrize(
    ("kind", "state"),
    [("ForceOff", "Off"), ("GracefulShutdown", "Off"), ("On", "On"), ("ForceRestart", "On"), ("PowerCycle", "On")],
)
async def test_every_reset_is_true_once_it_answers(rack: FakeRack, kind: str, state: str) -> None:
    async with client(rack) as http:
        target = (await http.get(_SYSTEM)).json()["Actions"]["#ComputerSystem.Reset"]["target"]
        assert (await http.post(target, json={"ResetType": kind})).status_code == 204
        assert (await http.get(_SYSTEM)).json()["PowerState"] == state


async def test_a_reset_that_failed_says_so(rack: FakeRack) -> None:
    rack.broken = True
    async with client(rack) as http:
        answer = await http.post(_RESET, json={"ResetType": "ForceOff"})
    assert answer.status_code == 500
    assert "does not die" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"ResetType": "Nmi"}',
        b'{"ResetType": ["ForceOff"]}',
        b"\xff\xfe",
        b"[" * 4000,
        b'{"ResetType": "ForceOff", "x": "' + b"y" * redfish.MOST_BYTES + b'"}',
    ],
)
async def test_what_is_no_order_switches_nothing(rack: FakeRack, body: bytes) -> None:
    async with client(rack) as http:
        assert (await http.post(_RESET, content=body)).status_code == 400
    assert rack.running == {"one", "two"}


@pytest.mark.parametrize("path", ["/redfish/v1/Systems/three", "/redfish/v1/Systems/..%2f..%2fetc", "/redfish/v2"])
async def test_what_is_not_there_is_not_found(rack: FakeRack, path: str) -> None:
    async with client(rack) as http:
        assert (await http.get(path)).status_code == 404
        assert (await http.post(f"{path}/Actions/ComputerSystem.Reset", json={"ResetType": "On"})).status_code == 404


@pytest.mark.parametrize("auth", [None, ("quorate", "wrong"), ("root", "right"), ("", "")])
async def test_strangers_stay_out(rack: FakeRack, auth: tuple[str, str] | None) -> None:
    async with client(rack, auth) as http:
        assert (await http.get("/redfish/v1")).status_code == 200
        for path in ("/redfish/v1/Systems", _SYSTEM, "/redfish/v1/Managers", "/redfish/v1/Managers/lab"):
            assert (await http.get(path)).status_code == 401
        assert (await http.post(_RESET, json={"ResetType": "ForceOff"})).status_code == 401
        assert (await http.delete("/redfish/v1/SessionService/Sessions/1")).status_code == 401
    assert rack.running == {"one", "two"}


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic cXVvcmF0ZQ==", "Bearer right", "Basic ÿ"])
async def test_broken_credentials_are_wrong_ones(rack: FakeRack, header: str) -> None:
    async with client(rack, None) as http:
        answer = await http.get(_SYSTEM, headers=[(b"authorization", header.encode("latin-1"))])
    assert answer.status_code == 401


async def test_a_session_lets_in_until_it_ends(rack: FakeRack) -> None:
    clock = itertools.chain([0.0] * 2, itertools.repeat(10.0))
    async with client(rack, None, Guard("quorate", "right", lambda: next(clock))) as http:
        where = "/redfish/v1/SessionService/Sessions"
        assert (await http.post(where, json={"UserName": "quorate", "Password": "wrong"})).status_code == 401
        opened = await http.post(where, json={"UserName": "quorate", "Password": "right"})
        assert opened.status_code == 201
        token = {"X-Auth-Token": opened.headers["x-auth-token"]}
        assert (await http.get(_SYSTEM, headers=token)).status_code == 200
        assert (await http.delete(opened.headers["location"], headers=token)).status_code == 204
        assert (await http.get(_SYSTEM, headers=token)).status_code == 401


async def test_a_session_ends_by_itself(rack: FakeRack) -> None:
    now = 0.0
    async with client(rack, None, Guard("quorate", "right", lambda: now)) as http:
        opened = await http.post(
            "/redfish/v1/SessionService/Sessions", json={"UserName": "quorate", "Password": "right"}
        )
        now = redfish.SESSION_SECONDS + 1
        answer = await http.get(_SYSTEM, headers={"X-Auth-Token": opened.headers["x-auth-token"]})
    assert answer.status_code == 401


def test_sessions_are_bounded() -> None:
    guard = Guard("quorate", "right")
    first = guard.open("quorate", "right")
    assert first is not None
    for _ in range(redfish.MOST_SESSIONS):
        assert guard.open("quorate", "right")
    assert not guard.close(first[0])

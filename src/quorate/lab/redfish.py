"""What the machines' BMCs answer: as much Redfish as Debian's `fence_redfish` and a person with curl need.

Like a good BMC and unlike many, a reset answers only once it is true: after an off, nothing of the machine runs; after
an on or a restart, its systemd does. A fencing agent that believed an earlier answer would fence again, for ever.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from quorate.errors import QuorateError

_ROOT = "/redfish/v1"
_SYSTEMS = f"{_ROOT}/Systems"
_SESSIONS = f"{_ROOT}/SessionService/Sessions"
_MANAGER = f"{_ROOT}/Managers/lab"
_RESET = "Actions/ComputerSystem.Reset"

MOST_BYTES = 4096  # of a request's body
MOST_SESSIONS = 32
SESSION_SECONDS = 1800.0

RESETS = ("On", "ForceOn", "ForceOff", "ForceRestart", "PowerCycle", "GracefulShutdown", "GracefulRestart")

_log = logging.getLogger("quorate.lab.power")


class Rack(Protocol):
    """The machines behind the BMCs."""

    def names(self) -> Sequence[str]:
        """All machines."""
        ...

    def on(self, name: str) -> bool:
        """Say whether the machine has power."""
        ...

    def reset(self, name: str, kind: str) -> None:
        """Do one of RESETS; return once it is true, or raise QuorateError. It may take seconds."""
        ...


class Guard:
    """Knows who may come in: by name and password at each request, or by a session's token."""

    def __init__(self, user: str, password: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._pair = f"{user}:{password}".encode()
        self._clock = clock
        self._sessions: dict[str, tuple[str, float]] = {}

    def admits(self, request: Request) -> bool:
        """Say whether the request carries the password or a token of a live session."""
        token = request.headers.get("x-auth-token")
        if token is not None:
            session = self._sessions.get(token)
            return session is not None and session[1] > self._clock()
        scheme, _, code = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            return secrets.compare_digest(base64.b64decode(code, validate=True), self._pair)
        except (binascii.Error, ValueError):
            return False

    def open(self, user: str, password: str) -> tuple[str, str] | None:
        """Return a new session's number and token, or None when the password is wrong."""
        if not secrets.compare_digest(f"{user}:{password}".encode(), self._pair):
            return None
        now = self._clock()
        self._sessions = {token: session for token, session in self._sessions.items() if session[1] > now}
        while len(self._sessions) >= MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        number, token = secrets.token_hex(4), secrets.token_urlsafe(24)
        self._sessions[token] = (number, now + SESSION_SECONDS)
        return number, token

    def close(self, number: str) -> bool:
        """End a session; say whether there was one."""
        found = [token for token, session in self._sessions.items() if session[0] == number]
        for token in found:
            del self._sessions[token]
        return bool(found)


def app(rack: Rack, guard: Guard) -> Starlette:
    """Return the web application."""
    endpoints = _Endpoints(rack, guard)
    closed = endpoints.closed
    return Starlette(
        routes=[
            Route("/redfish", endpoints.versions),
            Route(_ROOT, endpoints.root),
            Route(_SYSTEMS, closed(endpoints.systems)),
            Route(f"{_SYSTEMS}/{{name}}", closed(endpoints.system)),
            Route(f"{_SYSTEMS}/{{name}}/{_RESET}", closed(endpoints.reset), methods=["POST"]),
            Route(f"{_ROOT}/Managers", closed(endpoints.managers)),
            Route(_MANAGER, closed(endpoints.manager)),
            Route(f"{_ROOT}/SessionService", closed(endpoints.session_service)),
            Route(_SESSIONS, endpoints.new_session, methods=["POST"]),
            Route(f"{_SESSIONS}/{{number}}", closed(endpoints.end_session), methods=["DELETE"]),
        ]
    )


class _Endpoints:
    """One method for each resource."""

    def __init__(self, rack: Rack, guard: Guard) -> None:
        self._rack = rack
        self._guard = guard

    def closed(self, endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Let in only those who are known."""

        async def guarded(request: Request) -> Response:
            if not self._guard.admits(request):
                return _error(401, "give the lab's BMC user and password", {"WWW-Authenticate": 'Basic realm="lab"'})
            return await endpoint(request)

        return guarded

    async def versions(self, _request: Request) -> Response:
        return JSONResponse({"v1": f"{_ROOT}/"})

    async def root(self, _request: Request) -> Response:
        links = {"Systems": _link(_SYSTEMS), "Managers": _link(f"{_ROOT}/Managers")}
        sessions = {"SessionService": _link(f"{_ROOT}/SessionService"), "Links": {"Sessions": _link(_SESSIONS)}}
        return _resource(
            _ROOT, "ServiceRoot.v1_5_0.ServiceRoot", "RootService", RedfishVersion="1.6.0", **links, **sessions
        )

    async def systems(self, _request: Request) -> Response:
        members = [_link(f"{_SYSTEMS}/{name}") for name in self._rack.names()]
        kind = "ComputerSystemCollection.ComputerSystemCollection"
        return _collection(_SYSTEMS, kind, members)

    async def system(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._rack.names():
            return _error(404, f"no machine {name[:64]!r}")
        here = f"{_SYSTEMS}/{name}"
        on = await run_in_threadpool(self._rack.on, name)
        action = {"target": f"{here}/{_RESET}", "ResetType@Redfish.AllowableValues": list(RESETS)}
        return _resource(
            here,
            "ComputerSystem.v1_5_0.ComputerSystem",
            name,
            SystemType="Virtual",
            PowerState="On" if on else "Off",
            Status={"State": "Enabled" if on else "Disabled", "Health": "OK"},
            Links={"ManagedBy": [_link(_MANAGER)]},
            Actions={"#ComputerSystem.Reset": action},
        )

    async def reset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._rack.names():
            return _error(404, f"no machine {name[:64]!r}")
        kind = (await _body(request)).get("ResetType")
        if kind not in RESETS:
            return _error(400, f"ResetType must be one of {', '.join(RESETS)}")
        begun = time.monotonic()
        try:
            await run_in_threadpool(self._rack.reset, name, kind)
        except QuorateError as error:
            _log.error("%s %s: %s", kind, name, error)
            return _error(500, str(error))
        _log.info("%s %s: done in %.2f s", kind, name, time.monotonic() - begun)
        return Response(status_code=204)

    async def managers(self, _request: Request) -> Response:
        return _collection(f"{_ROOT}/Managers", "ManagerCollection.ManagerCollection", [_link(_MANAGER)])

    async def manager(self, _request: Request) -> Response:
        manages = {"ManagerForServers": [_link(f"{_SYSTEMS}/{name}") for name in self._rack.names()]}
        return _resource(_MANAGER, "Manager.v1_3_0.Manager", "lab", ManagerType="Service", Links=manages)

    async def session_service(self, _request: Request) -> Response:
        here = f"{_ROOT}/SessionService"
        kind = "SessionService.v1_1_0.SessionService"
        return _resource(here, kind, "SessionService", Sessions=_link(_SESSIONS), SessionTimeout=int(SESSION_SECONDS))

    async def new_session(self, request: Request) -> Response:
        body = await _body(request)
        session = self._guard.open(str(body.get("UserName", "")), str(body.get("Password", "")))
        if session is None:
            return _error(401, "wrong user or password")
        number, token = session
        here = f"{_SESSIONS}/{number}"
        data = {"@odata.id": here, "@odata.type": "#Session.v1_0_0.Session", "Id": number, "Name": number}
        return JSONResponse(data, status_code=201, headers={"Location": here, "X-Auth-Token": token})

    async def end_session(self, request: Request) -> Response:
        found = self._guard.close(request.path_params["number"])
        return Response(status_code=204) if found else _error(404, "no such session")


async def _body(request: Request) -> dict[str, Any]:
    """Return the request's JSON object; an empty one when it is none, or too long to be one of ours."""
    received = b""
    try:
        async for part in request.stream():
            received += part
            if len(received) > MOST_BYTES:
                return {}
        data = json.loads(received)
    except (ValueError, RecursionError, ClientDisconnect):
        return {}
    return data if isinstance(data, dict) else {}


def _link(where: str) -> dict[str, str]:
    return {"@odata.id": where}


def _resource(where: str, kind: str, name: str, **rest: object) -> Response:
    return JSONResponse({"@odata.id": where, "@odata.type": f"#{kind}", "Id": name, "Name": name, **rest})


def _collection(where: str, kind: str, members: list[dict[str, str]]) -> Response:
    count = {"Members@odata.count": len(members)}
    return JSONResponse({"@odata.id": where, "@odata.type": f"#{kind}", "Name": "All", **count, "Members": members})


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    body = {"error": {"code": "Base.1.0.GeneralError", "message": message}}
    return JSONResponse(body, status_code=status, headers=headers)

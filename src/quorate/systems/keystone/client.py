"""Keystone's clients in a drill: one validates a token, one gets a new one, with OpenStack's own library.

Each operation is a session and a connection of its own, as a service has for a new caller, and nothing of this
machine's environment takes part (proxies, .netrc). An answer of 200 counts only if it says what it should.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from keystoneauth1 import exceptions
from keystoneauth1.access import AccessInfo
from keystoneauth1.identity import v3
from keystoneauth1.identity.v3.base import BaseAuth

from quorate.core.client import Facts, Failed, Surroundings
from quorate.openstack.client import session


class Keystone:
    """What both have in common: who they are, and how they ask."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._in_thread = surroundings.in_thread
        self._settings = surroundings.settings
        self._secrets = surroundings.secrets
        self._bound = surroundings.bound

    async def finish(self) -> Mapping[str, Any]:
        """Tokens leave nothing that could be looked at."""
        return {}

    async def close(self) -> None:
        """Every operation has closed its own."""

    def _by_password(self) -> BaseAuth:
        return v3.Password(
            self._settings["url"],
            username=self._settings["user"],
            password=self._secrets["keystone.admin"],
            user_domain_id=self._settings["domain"],
            **self._scope(),
        )

    def _by_token(self, token: str) -> BaseAuth:
        return v3.Token(self._settings["url"], token, **self._scope())

    def _scope(self) -> dict[str, Any]:
        return {"project_name": self._settings["project"], "project_domain_id": self._settings["domain"]}

    def _issue(self, auth: BaseAuth) -> str:
        """Get a token that is good for something."""
        with session(self._bound) as asking:
            try:
                access: AccessInfo = auth.get_access(asking)
                token = access.auth_token
            except (exceptions.InvalidResponse, LookupError, TypeError, AttributeError) as error:
                raise Failed(f"wrong body: {type(error).__name__}: {error}") from None
        self._check(lambda: (access.username, access.expires))
        if not token:
            raise Failed("wrong body: no token")
        return token

    def _check(self, read: Callable[[], tuple[str | None, datetime | None]]) -> None:
        """Failed, unless the answer is about our user and a time to come."""
        try:
            user, expires = read()
            good = user == self._settings["user"] and expires is not None and expires > datetime.now(UTC)
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise Failed(f"wrong body: {type(error).__name__}: {error}") from None
        if not good:
            raise Failed(f"wrong body: user {user!r}, expires {expires}")


class Issue(Keystone):
    """Gets a new token for an old one, as a dashboard does for another project.

    With a password Keystone would hash for 0.4 s of a processor (bcrypt), which is a load and no measurement.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._token = ""

    async def prepare(self) -> None:
        """Get the first one, and see that it gives others."""
        self._token = await self._in_thread(self._issue, self._by_password())
        await self._in_thread(self._issue, self._by_token(self._token))

    async def operate(self, number: int, facts: Facts) -> None:
        """Get one; nobody uses it."""
        del number, facts
        await self._in_thread(self._issue, self._by_token(self._token))


class Validation(Keystone):
    """Validates the one token that it got at the beginning."""

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._token = ""

    async def prepare(self) -> None:
        """Get the token, and see that it is good."""
        self._token = await self._in_thread(self._issue, self._by_password())
        await self._in_thread(self._validate)

    async def operate(self, number: int, facts: Facts) -> None:
        """Ask whose it is."""
        del number, facts
        await self._in_thread(self._validate)

    def _validate(self) -> None:
        headers = {"x-auth-token": self._token, "x-subject-token": self._token}
        with session(self._bound) as asking:
            reply = asking.get(f"{self._settings['url']}/auth/tokens", headers=headers, authenticated=False)
            if reply.status_code != 200:
                raise Failed(f"HTTP {reply.status_code}")
            self._check(lambda: _told(reply.json()["token"]))


def _told(token: dict[str, Any]) -> tuple[str, datetime]:
    return token["user"]["name"], datetime.fromisoformat(token["expires_at"])

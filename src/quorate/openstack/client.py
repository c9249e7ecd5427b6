"""The client of a drill that asks an API, as a service or a person would: with a token, through the VIP.

Each operation is a session and a connection of its own, and nothing of this machine's environment takes part (proxies,
.netrc). An answer of 200 counts only if it says what it should.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from keystoneauth1.identity import v3
from keystoneauth1.session import Session

from quorate.core.client import Facts, Failed, Surroundings
from quorate.openstack.options import DOMAIN, PROJECT


def session(bound: float) -> contextlib.closing[Session]:
    """Begin a session of which no request waits longer than `bound` seconds."""
    made = Session(timeout=bound, redirect=False)
    made.session.trust_env = False
    return contextlib.closing(made)


class Reading:
    """Reads a list with one token, which it got at the beginning: the API validates it each time."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._in_thread = surroundings.in_thread
        self._settings = surroundings.settings
        self._secrets = surroundings.secrets
        self._bound = surroundings.bound
        self._token = ""
        self._url = ""

    async def prepare(self) -> None:
        """Get the token, and see that it is good for something."""
        self._token = await self._in_thread(self._issue)
        await self._in_thread(self._read)

    async def operate(self, number: int, facts: Facts) -> None:
        """Read the list."""
        del number, facts
        await self._in_thread(self._read)

    async def finish(self) -> Mapping[str, Any]:
        """Reading leaves nothing that could be looked at."""
        return {}

    async def close(self) -> None:
        """Every operation has closed its own."""

    def _issue(self) -> str:
        auth = v3.Password(
            self._settings["auth_url"],
            username=self._settings["user"],
            password=self._secrets[self._settings["secret"]],
            user_domain_id=DOMAIN,
            project_name=PROJECT,
            project_domain_id=DOMAIN,
        )
        with session(self._bound) as asking:
            access = auth.get_access(asking)
        self._url = self._settings["url"].replace("%(project_id)s", access.project_id)
        return str(access.auth_token)

    def _read(self) -> None:
        with session(self._bound) as asking:
            reply = asking.get(self._url, headers={"x-auth-token": self._token}, authenticated=False)
            try:
                good = isinstance(reply.json()[self._settings["key"]], list)
            except (ValueError, LookupError, TypeError):
                good = False
        if reply.status_code != 200 or not good:
            raise Failed(f"HTTP {reply.status_code}, {'' if good else 'not '}with a list of {self._settings['key']}")

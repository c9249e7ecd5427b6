"""Horizon's client in a drill: a browser in small, which logs in once and then reads a page again and again.

Each operation is a connection of its own; what lasts is the cookie of the session, which any controller is to take.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import httpx

from quorate.core.client import Facts, Failed, Surroundings

_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_SESSION = "sessionid"


class Reading:
    """Reads a page that only those get who are logged in."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._settings = surroundings.settings
        self._password = surroundings.secrets[surroundings.settings["secret"]]
        self._bound = surroundings.bound
        self._session = ""

    async def prepare(self) -> None:
        """Log in, and see that the page is there."""
        async with self._browser() as browser:
            form = await browser.get(self._settings["login"])
            token = _TOKEN.search(form.text)
            if form.status_code != 200 or not token:
                raise Failed(f"the form to log in: HTTP {form.status_code}, {'' if token else 'not '}with its token")
            said = {"csrfmiddlewaretoken": token[1], "region": "default"}
            said |= {"username": self._settings["user"], "password": self._password}
            reply = await browser.post(self._settings["login"], data=said, timeout=30.0)
            self._session = browser.cookies.get(_SESSION) or ""
        if reply.status_code != 302 or not self._session:
            raise Failed(f"logging in was answered by HTTP {reply.status_code}: 302 lets in")
        await self.operate(0, {})

    async def operate(self, number: int, facts: Facts) -> None:
        """Read the page."""
        del number, facts
        async with self._browser() as browser:
            browser.cookies.set(_SESSION, self._session)
            reply = await browser.get(self._settings["page"])
        if reply.status_code != 200 or "/auth/logout/" not in reply.text:
            raise Failed(f"HTTP {reply.status_code}, and not a page of somebody who is logged in")

    async def finish(self) -> Mapping[str, Any]:
        """Reading leaves nothing that could be looked at."""
        return {}

    async def close(self) -> None:
        """Every operation has closed its own. The session runs out."""

    def _browser(self) -> httpx.AsyncClient:
        """Nothing of this machine's environment takes part."""
        return httpx.AsyncClient(base_url=self._settings["url"], timeout=self._bound, trust_env=False)

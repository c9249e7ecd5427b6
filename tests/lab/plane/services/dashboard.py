"""Somebody who uses the dashboard: by plain requests, at the virtual IP or at a controller's own server."""

from __future__ import annotations

import re

import requests

from quorate.systems.horizon.config import SERVER_PORT

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
LOGIN = "/auth/login/"
LOGOUT = "/auth/logout/"
PAGES = {"/project/": "Overview", "/project/api_access/": "API Access", "/identity/": "Projects"}
"""Path → what stands in the title. They ask Nova and others, the session, and Keystone."""


def own_server(address: str) -> str:
    """Where a controller's own server is."""
    return f"http://{address}:{SERVER_PORT}"


class Person:
    """Keeps the cookies itself: they go to whoever is asked, as behind one address."""

    def __init__(self) -> None:
        self.cookies: dict[str, str] = {}

    def get(self, place: str, path: str) -> requests.Response:
        """Ask for a page, on a connection of its own; a redirect is an answer."""
        reply = requests.get(f"{place}{path}", cookies=self.cookies, timeout=15, allow_redirects=False)
        self._keep(reply)
        return reply

    def login(self, place: str, password: str) -> None:
        """Fill in the form and send it."""
        form = self.get(place, LOGIN)
        assert form.status_code == 200, form.text
        token = TOKEN.search(form.text)
        assert token
        said = {"csrfmiddlewaretoken": token[1], "region": "default", "username": "admin", "password": password}
        reply = requests.post(f"{place}{LOGIN}", said, cookies=self.cookies, timeout=30, allow_redirects=False)
        assert reply.status_code == 302, reply.text
        self._keep(reply)

    def is_in(self, place: str, path: str, title: str) -> bool:
        """Whether the page is there, and is one of somebody who is logged in."""
        reply = self.get(place, path)
        named = re.search(r"<title>(.*?)</title>", reply.text, re.DOTALL)
        return reply.status_code == 200 and LOGOUT in reply.text and bool(named and title in named[1])

    def _keep(self, reply: requests.Response) -> None:
        self.cookies.update({name: value or "" for name, value in reply.cookies.get_dict().items()})

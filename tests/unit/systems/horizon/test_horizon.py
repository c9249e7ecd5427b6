"""What must hold of the dashboard's settings, and of the client that reads its pages."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pymysql
import pytest
from systems_clouds import build, builtin

from quorate import systems
from quorate.core.client import Failed, Surroundings
from quorate.core.resource import File
from quorate.core.secret import Secrets
from quorate.core.system import site_of
from quorate.systems.horizon import SYSTEM, config
from quorate.systems.horizon.client import Reading
from quorate.systems.horizon.drills import workloads

SYSTEMS = systems.discover()
CLOUD = build(builtin("three", {s.name: {} for s in SYSTEMS} | {"horizon": {"names": ["cloud.example"]}}), SYSTEMS)
SITE = site_of(CLOUD, SYSTEMS)
SPEC = CLOUD.systems["horizon"]
SECRETS = Secrets({"horizon.database": "made up", "horizon.secret_key": "signs"})


def file(path: str, host: str = "controller2") -> str:
    found = (one for one in SYSTEM.resources(SPEC, SITE, host) if isinstance(one, File) and one.path == path)
    return SECRETS.resolve(next(found).content)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Any]]:
    """Read the settings as Django does, from the files as they lie on a controller."""
    monkeypatch.setattr(pymysql, "install_as_MySQLdb", lambda: None)
    (tmp_path / "quorate.conf").write_text(file(config.SERVICE.config))
    source = file(config.SETTINGS).replace(config.SERVICE.config, str(tmp_path / "quorate.conf"))

    def run() -> dict[str, Any]:
        found: dict[str, Any] = {}
        exec(compile(source, config.SETTINGS, "exec"), found)  # noqa: S102
        return found

    return run


def test_the_settings_say_what_the_cloud_says(settings: Callable[[], dict[str, Any]]) -> None:
    said = settings()
    assert said["ALLOWED_HOSTS"] == ["10.77.0.10", "cloud.example", "10.77.0.12"]
    assert said["SECRET_KEY"] == "signs"
    assert said["OPENSTACK_KEYSTONE_URL"] == "http://10.77.0.10:5000/v3"
    database = said["DATABASES"]["default"]
    place = {"HOST": "10.77.0.10", "PORT": 3306, "USER": "horizon", "PASSWORD": "made up", "NAME": "horizon"}
    assert database | place == database
    assert database["OPTIONS"] == {"charset": "utf8mb4", "connect_timeout": 3, "read_timeout": 10}


def test_migrations_get_the_connection_that_waits(
    settings: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "OS_DATABASE__CONNECTION", "mysql+pymysql://horizon:other@10.77.0.10:3306/horizon?charset=utf8mb4"
    )
    assert settings()["DATABASES"]["default"]["OPTIONS"] == {"charset": "utf8mb4"}


def test_the_package_finds_no_line_to_write_into() -> None:
    """Its scripts look for one like this, and put the hosts of its own database of answers there."""
    assert not re.search(r"^[# \t]*ALLOWED_HOSTS[\t ]*=", file(config.SETTINGS), re.MULTILINE)


def test_the_key_is_the_same_everywhere_and_the_application_is_python() -> None:
    assert len({re.findall("secret_key = .*", file(config.SERVICE.config, host))[0] for host in CLOUD.names}) == 1
    ast.parse(file(config.WSGI))


class Dashboard:
    """Plays the server; `status` of pages for those who are logged in."""

    def __init__(self) -> None:
        self.status = 200
        self.lets_in = True

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            assert b"csrfmiddlewaretoken=t0ken&region=default&username=admin&password=secret" in request.content
            headers = {"set-cookie": "sessionid=s1; Path=/"} if self.lets_in else {}
            return httpx.Response(302 if self.lets_in else 200, headers=headers)
        if request.url.path.endswith("/login/"):
            return httpx.Response(200, text='<input type="hidden" name="csrfmiddlewaretoken" value="t0ken">')
        assert request.headers["cookie"] == "sessionid=s1"
        return httpx.Response(self.status, text='<a href="/auth/logout/">Sign Out</a>')


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> tuple[Reading, Dashboard]:
    (workload,) = workloads(SPEC, SITE)
    client = Reading(Surroundings("r1", 3.0, in_thread, workload.settings, dict.fromkeys(workload.secrets, "secret")))
    dashboard = Dashboard()
    transport = httpx.MockTransport(dashboard)
    url = workload.settings["url"]
    monkeypatch.setattr(client, "_browser", lambda: httpx.AsyncClient(base_url=url, transport=transport))
    return client, dashboard


async def in_thread(function: Any, /, *args: object) -> Any:
    return function(*args)


async def test_the_client_logs_in_once_and_reads(played: tuple[Reading, Dashboard]) -> None:
    client, dashboard = played
    await client.prepare()
    await client.operate(1, {})
    dashboard.status = 302  # to the form: the session is not known
    with pytest.raises(Failed, match="HTTP 302"):
        await client.operate(2, {})


async def test_the_client_says_that_it_was_not_let_in(played: tuple[Reading, Dashboard]) -> None:
    client, dashboard = played
    dashboard.lets_in = False
    with pytest.raises(Failed, match="logging in"):
        await client.prepare()

"""What shows that a Keystone that was taken over serves, and what its catalog still names elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from quorate.core.observed import Answer, Unknown
from quorate.core.secret import names_in
from quorate.core.system import Claim, Site
from quorate.model.cloud import Cloud
from quorate.systems.keystone import SYSTEM
from quorate.systems.keystone.programs import ISSUE

CLOUD = Cloud.model_validate(
    {
        "cloud": "lab",
        "networks": {"management": {"subnet": "10.77.0.0/24"}},
        "vips": {"api": {"address": "10.77.0.10"}},
        "controllers": {f"c{n}": {"addresses": {"management": f"10.77.0.1{n}"}} for n in (1, 2, 3)},
    }
)
SPEC = SYSTEM.spec()
SITE = Site(CLOUD, tuple(SYSTEM.endpoints(SPEC, CLOUD)))
CATALOG = [
    ["identity", "public", "RegionOne", "http://10.77.0.10:5000/v3"],
    ["compute", "public", "RegionOne", "http://10.77.0.5:8774/v2.1/%(tenant_id)s"],
    ["image", "admin", "RegionTwo", "http://old.example:9292"],
    ["odd", "admin", "RegionTwo", "http://[broken"],
]


def test_what_the_catalog_lists_elsewhere_is_named_once() -> None:
    stored = {"wanted": ["a"], "schema": ["a"], "leftover": False, "rows": {"catalog": CATALOG}}
    view = SYSTEM.read({"database": Answer(code=0, out=json.dumps(stored))})
    assert SYSTEM.strays(SPEC, SITE, {"c1": Unknown(why="off"), "c2": view, "c3": view}) == (
        "compute (public, RegionOne): http://10.77.0.5:8774/v2.1/%(tenant_id)s",
        "image (admin, RegionTwo): http://old.example:9292",
        "odd (admin, RegionTwo): http://[broken",
    )
    assert SYSTEM.strays(SPEC, SITE, {"c1": Unknown(why="off")}) == ()


def test_a_schema_of_no_known_version_is_refused_before_anything_is_set_up() -> None:
    (why,) = SYSTEM.unusable(SPEC, {"keystone": frozenset({"user", "migrate_version"})})
    assert "keystone: no table of it says the version of its schema" in why
    assert SYSTEM.unusable(SPEC, {"keystone": frozenset({"user", "alembic_version"})}) == ()
    assert SYSTEM.unusable(SPEC, {"glance": frozenset({"images"})}) == ()


def test_the_client_s_password_is_no_argument() -> None:
    (act,) = SYSTEM.answers(SPEC, SITE)
    assert names_in(act.stdin) == ("keystone.admin",)
    assert not any(names_in(word) for word in act.argv)


@contextmanager
def serving(*answers: int) -> Iterator[tuple[str, list[Any]]]:
    """A Keystone that gives these answers, the last one for ever."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(answers[min(len(asked), len(answers) - 1)])
            self.send_header("X-Subject-Token", "gAAAA")
            self.send_header("Content-Length", "0")
            self.end_headers()
            asked.append((self.path, body))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v3", asked
        server.shutdown()


def ask(url: str, patience: float) -> subprocess.CompletedProcess[str]:
    (act,) = SYSTEM.answers(SPEC, SITE)
    about = {**json.loads(act.stdin), "url": url, "patience": patience}
    return subprocess.run(
        [sys.executable, "-c", ISSUE], input=json.dumps(about), capture_output=True, text=True, check=False, timeout=60
    )


def test_it_is_asked_until_it_issues_a_token() -> None:
    with serving(503, 401, 201) as (url, asked):
        done = ask(url, 30.0)
    assert (done.returncode, [path for path, _ in asked]) == (0, ["/v3/auth/tokens"] * 3), done.stderr
    auth = asked[0][1]["auth"]
    assert auth["identity"]["password"]["user"]["name"] == "admin"
    assert auth["scope"] == {"project": {"name": "admin", "domain": {"id": "default"}}}


@pytest.mark.parametrize(("status", "why"), [(401, "HTTP 401"), (503, "HTTP 503")])
def test_one_that_issues_none_is_told_with_its_last_answer(status: int, why: str) -> None:
    with serving(status) as (url, _):
        done = ask(url, 0.1)
    assert (done.returncode, done.stderr.strip()) == (1, f"{url} issues no token to admin: {why}")


def test_only_the_accounts_of_services_are_looked_for_however_many_there_are() -> None:
    def asked(site: Site) -> str:
        return next(q.argv[-1] for q in SYSTEM.questions(SPEC, site, "c1") if q.name == "database")

    claims = tuple(Claim("identity", name, f"{name}.identity") for name in ("nova", "glance"))
    assert "l.name IN ('nova', 'glance')" in asked(Site(CLOUD, SITE.endpoints, claims))
    assert "local_user" not in asked(SITE)

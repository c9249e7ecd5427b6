from __future__ import annotations

import pytest
from systems_clouds import build, builtin, site

from quorate import systems
from quorate.core.observed import Answer, Unknown
from quorate.systems.haproxy.config import HaproxySpec
from quorate.systems.haproxy.probe import View, read, roles

SYSTEMS = systems.discover()
SITE = site(build(builtin("three", {system.name: {} for system in SYSTEMS}), SYSTEMS), SYSTEMS, {})
HEAD = "# pxname,svname,qcur,qmax,scur,status\n"


def proxy(*sessions: int | str) -> View:
    """See a proxy through which each database server has so many sessions, and the API of identity many."""
    rows = [f"database,controller{number},0,0,{count},UP" for number, count in enumerate(sessions, 1)]
    rows += ["database,BACKEND,0,0,99,UP", "identity,controller2,0,0,500,UP"]
    return read({"servers": Answer(code=0, out=HEAD + "\n".join(rows) + "\n", err="")})


@pytest.mark.parametrize(
    ("views", "writer"),
    [
        ((proxy(0, 0, 0), proxy(0, 1, 7), proxy(2, 0, 0)), {"writer": "controller3"}),
        ((proxy(0, 0, 0), proxy(0, 0, 0), proxy(0, 0, 0)), {}),
        ((Unknown(why="off"), proxy(0, 3, 0), Unknown(why="off")), {"writer": "controller2"}),
        ((Unknown(why="off"), Unknown(why="off"), Unknown(why="off")), {}),
        ((proxy("", "?", "1"), read({}), Unknown(why="off")), {"writer": "controller3"}),
    ],
)
def test_the_writer_is_whoever_has_the_database_s_clients(
    views: tuple[View | Unknown, ...], writer: dict[str, str]
) -> None:
    assert roles(HaproxySpec(), SITE, dict(zip(SITE.cloud.names, views, strict=True))) == writer

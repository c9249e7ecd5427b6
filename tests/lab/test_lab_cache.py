"""The cache's engines on machines: how one takes the other's place, and what clients and their values notice of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from ruamel.yaml import YAML

from lab import labs
from lab.plane.machines import Plane
from quorate.cli import files
from quorate.lab.lab import Lab
from quorate.systems import discover

OURS = {"memcached", "cache"}
KEYS = 500
UNITS = ("quorate-balancer", "nutcracker", "quorate-memcached-proxy")

# set|get TAG → how many of the keys were stored, or found.
_KEYS = """
import hashlib, socket, sys
with socket.create_connection(("127.0.0.1", 22122), 3) as cache, cache.makefile("rb") as replies:
    done = 0
    for number in range(int(sys.argv[3])):
        key = hashlib.sha1(f"{sys.argv[2]} {number}".encode()).hexdigest().encode()
        cache.sendall(b"set %s 0 600 1\\r\\n1\\r\\n" % key if sys.argv[1] == "set" else b"get %s\\r\\n" % key)
        line = replies.readline()
        done += line == b"STORED\\r\\n" or line.startswith(b"VALUE ")
        while sys.argv[1] == "get" and line != b"END\\r\\n":
            line = replies.readline()
print(done)
"""

# Over one connection, until nothing more is to be read from stdin: requests, those not answered as they ought to be,
# and the slowest one's seconds.
_CLIENT = """
import json, select, socket, sys, time
with socket.create_connection(("127.0.0.1", 22122), 5) as cache, cache.makefile("rb") as replies:
    count = wrong = 0
    slowest = 0.0
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0.005)[0]:
        began = time.monotonic()
        cache.sendall(b"set held 0 60 1\\r\\n1\\r\\nget held\\r\\n")
        said = [replies.readline() for _ in range(4)]
        count, wrong = count + 1, wrong + (said != [b"STORED\\r\\n", b"VALUE held 0 1\\r\\n", b"1\\r\\n", b"END\\r\\n"])
        slowest = max(slowest, time.monotonic() - began)
print(json.dumps({"count": count, "wrong": wrong, "slowest": slowest}))
"""


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Three machines with the cache and its servers, and nothing else of a cloud."""
    lab, folder = Lab(labs.name("cache"), progress=print), tmp_path_factory.mktemp("cache")
    try:
        lab.up(folder, machines=3, subnet=labs.free_subnet(), packages=("memcached", "nutcracker", "python3"))
        plane = Plane(lab, folder)
        for system in discover():
            if system.name not in OURS:
                plane.set_option(system.name, enabled=False)
        files.ensure_secrets(folder / "cloud.yaml", *files.load_cloud(folder / "cloud.yaml"))
        yield plane
    finally:
        lab.down()


def choose(plane: Plane, **section: Any) -> list[str]:
    """Have another section in the cloud file, apply it, and apply it again; say what the plan noted."""
    path, yaml = plane.folder / "cloud.yaml", YAML()
    cloud = yaml.load(path)
    cloud["systems"]["cache"] = section
    yaml.dump(cloud, path)
    notes = [note["text"] for note in plane.json("plan")["notes"]]
    assert plane.apply()["verdict"] == "ok"
    assert plane.apply()["changes"] == 0
    return notes


def keys(plane: Plane, host: str, do: str, tag: str) -> int:
    done = plane.lab.run(host, f"python3 - {do} {tag} {KEYS}", stdin=_KEYS)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def running(plane: Plane) -> list[list[str]]:
    shown = [plane.lab.run(host, f"systemctl is-active {' '.join(UNITS)}").stdout.split() for host in hosts(plane)]
    return [[unit for unit, state in zip(UNITS, states, strict=True) if state == "active"] for states in shown]


def hosts(plane: Plane) -> list[str]:
    return list(plane.lab.machines())


def test_engines_take_each_other_s_place_and_the_plan_said_what_is_lost(machines: Plane) -> None:
    first, *others = hosts(machines)
    assert choose(machines, engine="twemproxy") == []
    assert running(machines) == [["nutcracker"]] * 3
    assert keys(machines, first, "set", "warm") == KEYS
    (note,) = choose(machines, quorate={"ring": {"kind": "ketama"}})
    assert note.startswith("twemproxy → quorate: kept warm")
    assert running(machines) == [["quorate-balancer"]] * 3
    assert [keys(machines, host, "get", "warm") for host in (first, *others)] == [KEYS] * 3
    (note,) = choose(machines, engine="quorate")
    assert note.startswith("quorate: kept warm")
    assert keys(machines, first, "set", "two") == KEYS
    (note,) = choose(machines, engine="memcached-proxy")
    assert note.startswith("quorate → memcached-proxy: emptied in effect of about 33 %")
    assert running(machines) == [["quorate-memcached-proxy"]] * 3
    found = {keys(machines, host, "get", "two") for host in (first, *others)}
    assert len(found) == 1  # one ring for all
    assert 0.55 * KEYS < found.pop() < 0.78 * KEYS
    choose(machines, engine="direct")
    assert running(machines) == [[]] * 3
    choose(machines)
    assert running(machines) == [["quorate-balancer"]] * 3


@pytest.mark.parametrize(
    ("section", "within"),
    [
        pytest.param({"timing": {"probe": 120}}, 1.0, id="reload"),
        pytest.param({"timing": {"probe": 120}, "memory_mb": 400}, 5.0, id="restart"),
    ],
)
def test_a_change_of_the_balancer_closes_no_connection(machines: Plane, section: dict[str, Any], within: float) -> None:
    choose(machines)
    argv = [*machines.lab.ssh(hosts(machines)[0]), f"python3 -c '{_CLIENT}'"]
    client = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert client.stdout is not None
    assert client.stdout.readline() == "ready\n"
    choose(machines, quorate=section)
    said, complaint = client.communicate(timeout=30)
    assert client.returncode == 0, complaint
    seen = json.loads(said)
    assert seen["count"] > 100
    assert seen["wrong"] == 0
    assert seen["slowest"] < within


def test_a_configuration_that_cannot_be_used_stops_the_run_and_nothing_else(machines: Plane) -> None:
    choose(machines)
    first = hosts(machines)[0]
    before = machines.lab.run(first, "systemctl show -P InvocationID,NRestarts quorate-balancer").stdout
    machines.lab.run(first, "sed -i s/^copies.*/copies=99/ /etc/quorate/balancer.toml")
    reload = machines.lab.run(first, "systemctl reload quorate-balancer")
    assert reload.returncode != 0
    assert keys(machines, first, "set", "still") == KEYS
    assert machines.apply()["verdict"] == "ok"  # the file is mended
    assert machines.lab.run(first, "systemctl show -P InvocationID,NRestarts quorate-balancer").stdout == before


def test_it_runs_as_a_user_of_its_own_and_is_shut_in(machines: Plane) -> None:
    choose(machines)
    first = hosts(machines)[0]
    (uid,) = machines.lab.run(first, "ps -o uid= -C quorate-balance").stdout.split()
    assert 61184 <= int(uid) <= 65519  # systemd's dynamic users
    exposure = machines.lab.run(first, "systemd-analyze security --no-pager quorate-balancer | tail -1").stdout
    assert "OK" in exposure

"""The cache's engines on machines: how one takes the other's place, and what clients and their values notice of it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ruamel.yaml import YAML

from lab import labs
from lab.plane.machines import Plane, drill, finding
from quorate.cli import files
from quorate.lab.lab import Lab
from quorate.systems import discover
from quorate.systems.cache.drills import WATCHDOG

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

# COUNT connections to each of so many workers, until nothing more is to be read from stdin: which worker each had,
# requests, those not answered as they ought to be, whether it was closed, and the slowest one's seconds.
_CLIENTS = """
import json, socket, sys, threading, time
workers, count = map(int, sys.argv[1:])
done = threading.Event()
class Client(threading.Thread):
    def __init__(self):
        super().__init__()
        self.socket = socket.create_connection(("127.0.0.1", 22122), 10)
        self.replies = self.socket.makefile("rb")
        self.socket.sendall(b"stats proxy\\r\\n")
        told = dict(line.split(None, 2)[1:] for line in iter(self.replies.readline, b"END\\r\\n"))
        self.seen = dict(worker=told[b"name"].decode().strip(), count=0, wrong=0, closed=False, slowest=0.0)
    def run(self):
        key = b"held%d" % self.socket.getsockname()[1]
        right = [b"STORED\\r\\n", b"VALUE %s 0 1\\r\\n" % key, b"1\\r\\n", b"END\\r\\n"]
        while not done.wait(0.005) and not self.seen["closed"]:
            began = time.monotonic()
            try:
                self.socket.sendall(b"set %s 0 60 1\\r\\n1\\r\\nget %s\\r\\n" % (key, key))
                said = [self.replies.readline() for _ in right]
                self.seen["closed"] = b"" in said
            except ConnectionError:
                said, self.seen["closed"] = [], True
            self.seen["count"] += 1
            self.seen["wrong"] += said != right
            self.seen["slowest"] = max(self.seen["slowest"], time.monotonic() - began)
found = {}
for _ in range(500):
    client = Client()
    if len(mine := found.setdefault(client.seen["worker"], [])) < count:
        mine.append(client)
    if len(found) == workers and all(len(mine) == count for mine in found.values()):
        break
every = [client for mine in found.values() for client in mine]
for client in every:
    client.start()
print("ready", flush=True)
sys.stdin.read()
done.set()
for client in every:
    client.join()
print(json.dumps([client.seen for client in every]))
"""
A_WORKER = 3
"""Connections to each worker."""

# The processes of the workers, by their number.
_WORKERS = """
main=$(systemctl show -P MainPID quorate-balancer)
for pid in $(cat /proc/$main/task/$main/children); do
    echo $(tr '\\0' '\\n' < /proc/$pid/environ | sed -n 's/^QUORATE_BALANCER_WORKER=\\([0-9]*\\),.*/\\1/p') $pid
done
"""
DEADLINE = 0.3
"""Seconds: no request of the balancer takes longer."""


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Three machines with the cache and its servers, and nothing else of a cloud."""
    lab, folder = Lab(labs.name("cache"), progress=print), tmp_path_factory.mktemp("cache")
    try:
        lab.up(folder, machines=3, subnet=labs.free_subnet(), packages=labs.PACKAGES)
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


def journal(plane: Plane, host: str) -> str:
    return plane.lab.run(host, "journalctl -u quorate-balancer -n 80 -o short-precise").stdout


def running(plane: Plane) -> list[list[str]]:
    shown = [plane.lab.run(host, f"systemctl is-active {' '.join(UNITS)}").stdout.split() for host in hosts(plane)]
    return [[unit for unit, state in zip(UNITS, states, strict=True) if state == "active"] for states in shown]


def hosts(plane: Plane) -> list[str]:
    return list(plane.lab.machines())


@pytest.mark.long
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


@contextlib.contextmanager
def clients(plane: Plane, host: str, workers: int) -> Iterator[list[dict[str, Any]]]:
    """Have clients of every worker meanwhile; what they saw is there afterwards."""
    argv = [*plane.lab.ssh(host), f"python3 -c '{_CLIENTS}' {workers} {A_WORKER}"]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as asking:
        try:
            assert asking.stdout is not None
            assert asking.stdout.readline() == "ready\n"
            seen: list[dict[str, Any]] = []
            yield seen
            said, complaint = asking.communicate(timeout=30)
        finally:
            asking.kill()
    assert asking.returncode == 0, complaint
    seen += json.loads(said)
    assert len(seen) == workers * A_WORKER


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("section", "within"),
    [
        pytest.param({"timing": {"probe": 120}}, 1.0, id="reload"),
        pytest.param({"timing": {"probe": 120}, "memory_mb": 400}, 5.0, id="restart"),
    ],
)
def test_a_change_of_the_balancer_loses_no_request(
    machines: Plane, section: dict[str, Any], within: float, workers: int
) -> None:
    choose(machines, quorate={"workers": workers})
    first = hosts(machines)[0]
    with clients(machines, first, workers) as seen:
        choose(machines, quorate={"workers": workers, **section})
    for client in seen:
        assert client["count"] > 100
        assert (client["wrong"], client["closed"]) == (0, False), journal(machines, first)
        assert client["slowest"] < within


def worker_processes(plane: Plane, host: str) -> dict[int, int]:
    """Return the process of each worker, by its number."""
    told = [line.split() for line in plane.lab.run(host, _WORKERS).stdout.splitlines()]
    return {int(words[0]): int(words[1]) for words in told if len(words) == 2}


def test_a_killed_worker_is_replaced_and_the_other_s_clients_see_nothing(machines: Plane) -> None:
    choose(machines, quorate={"workers": 2})
    first = hosts(machines)[0]
    service = "systemctl show -P MainPID,InvocationID,NRestarts,ActiveState quorate-balancer"
    before, processes = machines.lab.run(first, service).stdout, worker_processes(machines, first)
    with clients(machines, first, workers=2) as seen:
        machines.lab.run(first, f"kill -KILL {processes[1]}")
        with clients(machines, first, workers=2) as later:  # its successor is found by whoever connects now
            now = worker_processes(machines, first)
    assert (now[2], now[1] != processes[1]) == (processes[2], True)
    assert machines.lab.run(first, service).stdout == before  # to the service manager nothing happened
    assert [client["closed"] for client in seen if client["worker"] == first] == [True] * A_WORKER
    for client in [client for client in seen if client["worker"] != first] + later:
        assert client["count"] > 0
        assert (client["wrong"], client["closed"]) == (0, False)
        assert client["slowest"] < DEADLINE


def test_the_service_manager_hears_that_the_supervisor_lives(machines: Plane) -> None:
    choose(machines, quorate={"workers": 2})
    first = hosts(machines)[0]
    show = "systemctl show -P Type,WatchdogUSec,WatchdogTimestampMonotonic quorate-balancer"
    before = machines.lab.run(first, show).stdout.split()
    assert before[:2] == ["notify", f"{WATCHDOG:g}s"]  # what forecasts count with
    deadline = time.monotonic() + 10
    while machines.lab.run(first, show).stdout.split() == before:
        assert time.monotonic() < deadline


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


@pytest.mark.parametrize(
    ("engine", "level"), [pytest.param("twemproxy", "failing", marks=pytest.mark.long), ("quorate", "ok")]
)
def test_a_drill_finds_the_engine_that_serves_what_is_old(machines: Plane, engine: str, level: str) -> None:
    # Only the host of the deaf server reaches it: there it goes on serving what the others change without it.
    choose(machines, engine=engine, twemproxy={"retry_ms": 1000})
    machines.wait_well()
    (result,) = drill(machines, "cache-servers-port-deaf", "--seed", "5", codes=(0, 1, 4))
    assert finding(result, "stale")["level"] == level
    assert finding(result, "alarm")["level"] == "ok"
    assert finding(result, "whole")["level"] == "ok"

"""The clients of `bench/faults.py`: this one file is sent to a lab machine and runs there, on Debian's packages alone.

`python3 faults_clients.py PLAN` where PLAN is a JSON object: `clients` (names), `servers` (host:port), `seconds`,
`gets`, `sets`, `deletes` (a second), `keys`, `seed`. Each client is a process of its own. When all have written their
keys and found them again, "ready" is printed; a line with a time of CLOCK_MONOTONIC, which all machines of the lab
share, starts them.
Each then prints one JSON line: its name, `rows` (see `Op` in faults_judge.py), `closed` (when connections
of its went), `undone` (when those operations were due that it never began), `problem`.

An operation is begun when it is due, or as soon as the client is free again; both times are kept.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any, NamedTuple

MISS, WRONG = -1, -2
PREPARE = 15.0
"""Seconds that a client may take until its keys are there."""
GRACE = 0.5
"""Seconds that the last operations may take longer than the run."""
LOOK = 2.0
"""Seconds that the second client may take to look at every key."""

Row = list[Any]


class Client(NamedTuple):
    """A client library as an application has it. `put` and `delete` return what says whether it was done."""

    get: Callable[[str], Any]
    put: Callable[[str, str], Any]
    delete: Callable[[str], Any]


def pymemcache(servers: list[str]) -> Client:
    """HashClient with its defaults: no time limit, changes without reply."""
    client = importlib.import_module("pymemcache.client.hash").HashClient(servers)
    return Client(client.get, client.set, client.delete)


def python_memcached(servers: list[str]) -> Client:
    """Its defaults: 3 s for each answer, a server that failed is left out for 30 s; errors are misses, or 0."""
    client = importlib.import_module("memcache").Client(servers)
    return Client(client.get, client.set, client.delete)


def oslo_pool(servers: list[str]) -> Client:
    """oslo.cache as services configure it: 1 s for each answer, a server that failed is left out for 300 s."""
    core = importlib.import_module("oslo_cache.core")
    conf = importlib.import_module("oslo_config.cfg").ConfigOpts()
    core.configure(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    options = {"enabled": True, "backend": "oslo_cache.memcache_pool", "memcache_servers": servers}
    for name, value in options.items():
        conf.set_override(name, value, "cache")
    region = core.create_region()
    core.configure_cache_region(conf, region)
    return _region(region)


def dogpile(servers: list[str]) -> Client:
    """dogpile.cache.pymemcache with its defaults: no time limit."""
    region = importlib.import_module("dogpile.cache").make_region()
    return _region(region.configure("dogpile.cache.pymemcache", arguments={"url": servers}))


def pylibmc(servers: list[str]) -> Client:
    """Libmemcached with its defaults: some seconds for each answer, no server is ever left out."""
    client = importlib.import_module("pylibmc").Client(servers)

    def delete(key: str) -> bool:
        client.delete(key)  # False says that there was nothing to delete; all else is raised
        return True

    return Client(client.get, client.set, delete)


def _region(region: Any) -> Client:
    """Dogpile's regions say nothing about a change unless they raise."""
    nothing = importlib.import_module("dogpile.cache.api").NO_VALUE

    def get(key: str) -> Any:
        value = region.get(key)
        return None if value is nothing else value

    def put(key: str, value: str) -> bool:
        region.set(key, value)
        return True

    def delete(key: str) -> bool:
        region.delete(key)
        return True

    return Client(get, put, delete)


CLIENTS: dict[str, Callable[[list[str]], Client]] = {
    "pymemcache": pymemcache,
    "python-memcached": python_memcached,
    "oslo.cache-pool": oslo_pool,
    "dogpile-pymemcache": dogpile,
    "pylibmc": pylibmc,
}


def text(key: str, version: int) -> str:
    """Make a value that says whose it is."""
    return f"{key}:{version}:".ljust(100, ".")


def version_of(key: str, value: Any) -> int:
    """Read a value again."""
    if value is None:
        return MISS
    parts = (value.decode(errors="replace") if isinstance(value, bytes) else str(value)).split(":")
    return int(parts[1]) if len(parts) == 3 and parts[0] == key and parts[1].isdigit() else WRONG


def schedule(plan: dict[str, Any]) -> Iterator[tuple[float, str, int]]:
    """Yield when what is due to which key: evenly spaced, in an order and with keys that the seed decides."""
    dice = random.Random(plan["seed"])  # noqa: S311 - repeatable, not secret
    second = ["get"] * plan["gets"] + ["set"] * plan["sets"] + ["delete"] * plan["deletes"]
    for number in range(plan["seconds"]):
        dice.shuffle(second)
        for place, kind in enumerate(second):
            yield number + place / len(second), kind, dice.randrange(plan["keys"])


def sockets() -> set[int]:
    """Return the inodes of this process's sockets: a new connection has a new one."""
    found = set()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - pathlib takes four times as long
        try:
            seen = os.fstat(int(name))
        except OSError:  # the descriptor of this very folder
            continue
        if stat.S_ISSOCK(seen.st_mode):
            found.add(seen.st_ino)
    return found


class Run:
    """One client's run: its plan, and what has come of it so far."""

    def __init__(self, name: str, plan: dict[str, Any]) -> None:
        self.name = name
        self.plan = plan
        self.rows: list[Row] = []
        self.closed: list[float] = []
        self.version = 0
        self.start = 0.0
        self.due = list(schedule(plan))
        self.over = False

    def open(self) -> Client:
        """Open a client that knows nothing of the past."""
        return CLIENTS[self.name](self.plan["servers"])

    def key(self, number: int) -> str:
        """The key's name: no two clients share one."""
        return f"{self.name}-{number}"

    def do(self, client: Client, kind: str, number: int, due: float) -> Row:
        """Do one operation and keep what came of it."""
        key = self.key(number)
        self.version += kind in {"set", "delete"}
        row: Row = [kind, number, self.version, round(due, 6), round(time.monotonic() - self.start, 6), None, None]
        self.rows.append(row)
        try:
            if kind == "set":
                row[6] = int(bool(client.put(key, text(key, self.version))))
            elif kind == "delete":
                row[6] = int(bool(client.delete(key)))
            else:
                row[6] = version_of(key, client.get(key))
        except Exception as error:  # noqa: BLE001 - whatever the application would see is what is measured
            row[6] = type(error).__name__
        row[5] = round(time.monotonic() - self.start, 6)
        return row

    def prepare(self) -> Client:
        """Open a client and write all keys until all are found."""
        end = time.monotonic() + PREPARE
        while True:
            client = self.open()
            self.rows, self.version, self.start = [], 0, time.monotonic() + 1000
            for number in range(self.plan["keys"]):
                self.do(client, "set", number, -1.0)
            found = [self.do(client, "get", number, -1.0)[6] for number in range(self.plan["keys"])]
            if found == list(range(1, self.plan["keys"] + 1)):
                self.rows = self.rows[: self.plan["keys"]]
                return client
            if time.monotonic() > end:
                odd = [seen for number, seen in enumerate(found) if seen != number + 1]
                raise TimeoutError(f"{self.name}: {len(odd)} of its keys cannot be read: {odd[:3]}")
            time.sleep(0.3)

    def work(self, client: Client) -> None:
        """Do all that is due."""
        connections = sockets()
        for due, kind, number in self.due:
            wait = self.start + due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            if self.over:
                return
            row = self.do(client, kind, number, due)
            now = sockets()
            self.closed += [row[5]] * len(connections - now)
            connections = now

    def look(self, keys: int) -> None:
        """Look at all keys with a client that knows nothing of the past."""
        client = self.open()
        for number in range(keys):
            self.do(client, "look", number, time.monotonic() - self.start)

    def result(self) -> str:
        """Run to the end, even where the client never comes back."""
        client = self.prepare()
        gc.collect()
        gc.disable()
        _say("ready")
        self.start = float(sys.stdin.readline())
        _bounded(self.work, client, until=self.start + self.plan["seconds"] + GRACE)
        self.over = True
        rows, closed = [list(row) for row in self.rows], list(self.closed)
        undone = [round(due, 6) for due, _, _ in self.due[sum(row[3] >= 0 for row in rows) :]]
        self.rows = []
        _bounded(self.look, self.plan["keys"], until=time.monotonic() + LOOK)
        rows += [list(row) for row in self.rows if row[0] == "look"]
        return json.dumps({"client": self.name, "rows": rows, "closed": closed, "undone": undone, "problem": ""})


def _bounded(act: Callable[[Any], None], argument: Any, *, until: float) -> None:
    """Do it in a thread that is left behind when it takes too long."""
    thread = Thread(target=act, args=(argument,), daemon=True)
    thread.start()
    thread.join(max(0.0, until - time.monotonic()))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def one(name: str, plan: dict[str, Any]) -> None:
    """Be one client."""
    try:
        _say(Run(name, plan).result())
    except Exception as error:  # noqa: BLE001 - the bench says what went wrong
        problem = f"{type(error).__name__}: {error}"
        _say(json.dumps({"client": name, "rows": [], "closed": [], "undone": [], "problem": problem}))
    os._exit(0)  # a thread may hang for ever


def everyone(plan: dict[str, Any]) -> None:
    """Start all clients, let them go together, pass on what they say."""
    pipe = subprocess.PIPE
    programs = [
        subprocess.Popen([sys.executable, __file__, json.dumps(plan), name], text=True, stdin=pipe, stdout=pipe)
        for name in plan["clients"]
    ]
    said = [program.stdout.readline() if program.stdout else "" for program in programs]
    failed = [line for line in said if line != "ready\n"]
    if failed:
        sys.stdout.writelines(failed)
        sys.stdout.flush()
    else:
        _say("ready")
        start = sys.stdin.readline()
        for program in programs:
            if program.stdin:
                program.stdin.write(start)
                program.stdin.flush()
        for program in programs:
            _say((program.stdout.readline() if program.stdout else "").strip())
    for program in programs:
        program.kill()


if __name__ == "__main__":
    if len(sys.argv) == 3:
        one(sys.argv[2], json.loads(sys.argv[1]))
    everyone(json.loads(sys.argv[1]))

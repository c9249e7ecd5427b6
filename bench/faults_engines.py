"""What stands between the clients and the memcached servers in `bench/faults.py`, and how it is started.

Every engine listens on 127.0.0.1:22122 and runs as a transient unit; `direct` is none: the clients have all servers'
addresses.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from faults_inject import MEMCACHED_PORT

from quorate.errors import QuorateError
from quorate.lab.lab import Lab

PORT = 22122
PACKAGES = (
    "memcached",
    "nutcracker",
    "python3-dogpile.cache",
    "python3-memcache",
    "python3-oslo.cache",
    "python3-pylibmc",
    "python3-pymemcache",
)
FOLDER = "/usr/lib/quorate-bench"
BALANCER = Path(__file__).resolve().parent.parent / "src/quorate/balancer"
PREFERENCE = "-15"
"""The nice value of all that runs in the lab."""
ENGINE_UNIT, SERVER_UNIT = "bench-engine", "bench-memcached"

Addresses = Mapping[str, str]
"""machine → address"""


@dataclass(frozen=True)
class Engine:
    """One way to reach the servers. `config` is the text of its file on a machine, `command` what is run there."""

    name: str
    summary: str
    config: Callable[[str, Addresses], str] | None = None
    command: str = ""
    everywhere: bool = False

    @property
    def path(self) -> str:
        """Where its file is."""
        return f"{FOLDER}/{self.name}.conf"

    def servers(self, addresses: Addresses) -> list[str]:
        """Return what the clients are told."""
        if self.config:
            return [f"127.0.0.1:{PORT}"]
        return [f"{address}:{MEMCACHED_PORT}" for address in addresses.values()]


def balancer_toml(machine: str, addresses: Addresses) -> str:
    """The balancer's file: nothing but what has no default."""
    names = ", ".join(f'"{name}"' for name in addresses)
    servers = "".join(
        f'[[servers]]\nname = "{name}"\naddress = "{address}:{MEMCACHED_PORT}"\n' for name, address in addresses.items()
    )
    return f'listen = "127.0.0.1:{PORT}"\nname = "{machine}"\nbalancers = [{names}]\n{servers}'


def nutcracker_yml(_machine: str, addresses: Addresses) -> str:
    """The best twemproxy for a cache: it ejects, sooner than the clients' own 1 s, and soon tries again."""
    servers = "".join(f"    - {address}:{MEMCACHED_PORT}:1 {name}\n" for name, address in addresses.items())
    return (
        f"cache:\n  listen: 127.0.0.1:{PORT}\n  hash: fnv1a_64\n  distribution: ketama\n  redis: false\n"
        "  auto_eject_hosts: true\n  timeout: 400\n  server_failure_limit: 2\n  server_retry_timeout: 2000\n"
        f"  preconnect: true\n  servers:\n{servers}"
    )


def _backends(addresses: Addresses, first: int = 0) -> str:
    listed = [f'"{address}:{MEMCACHED_PORT}"' for address in addresses.values()]
    return ", ".join(listed[first:] + listed[:first])


def routes_default(_machine: str, addresses: Addresses) -> str:
    """Memcached's proxy as its quick start has it: one pool, no settings."""
    return (
        f"pools{{ main = {{ backends = {{ {_backends(addresses)} }} }} }}\n"
        'routes{ default = route_direct{ child = "main" } }\n'
    )


def routes_tuned(_machine: str, addresses: Addresses) -> str:
    """Memcached's proxy with short times and two copies: the second pool is the first, moved on by one server."""
    return f"""settings{{
  backend_connect_timeout = 0.2, backend_read_timeout = 0.2, backend_retry_waittime = 1, backend_failure_limit = 1,
}}
pools{{
  first = {{ backends = {{ {_backends(addresses)} }} }},
  second = {{ backends = {{ {_backends(addresses, 1)} }} }},
}}
routes{{
  cmap = {{
    get = route_failover{{ children = {{ "first", "second" }}, miss = true }},
    gets = route_failover{{ children = {{ "first", "second" }}, miss = true }},
  }},
  default = route_allfastest{{ children = {{ "first", "second" }} }},
}}
"""


_PROXY = f"/usr/bin/memcached -u nobody -l 127.0.0.1 -p {PORT} -c 4096 -o proxy_config=routelib,proxy_arg="
ENGINES = {
    engine.name: engine
    for engine in (
        Engine(
            "quorate",
            "our balancer on every machine, two copies, nothing set",
            balancer_toml,
            f"env PYTHONPATH={FOLDER} /usr/bin/python3 -m quorate.balancer -c ",
            everywhere=True,
        ),
        Engine(
            "twemproxy",
            "twemproxy 0.5: ejects after 2 failures of 400 ms, tries again after 2 s",
            nutcracker_yml,
            "/usr/sbin/nutcracker --stats-addr=127.0.0.1 --conf-file=",
        ),
        Engine("memcached-proxy", "memcached 1.6.38's own proxy, nothing set", routes_default, _PROXY),
        Engine("memcached-proxy-tuned", "the same, times of 200 ms, two copies", routes_tuned, _PROXY),
        Engine("direct", "no balancer: the clients have the list of all servers"),
    )
}

_SETUP = """
systemctl kill --signal=CONT {server} 2>/dev/null
systemctl stop {engine} {server} 2>/dev/null
systemctl reset-failed {engine} {server} 2>/dev/null
set -e
systemd-run --quiet --collect --unit={server} {restart} \\
  /usr/bin/memcached -u nobody -l {address} -p {port} -m 64 -c 4096
listening() {{ for try in $(seq 100); do ss -Hlnt "sport = $1" | grep -q . && return; sleep 0.05; done; false; }}
listening {port}
"""
_START = """
sleep {pause}
systemd-run --quiet --collect --unit={engine} --property=LimitNOFILE=65536 {command}
listening {listen} || {{ journalctl --no-pager --unit={engine} --lines=20 --output=cat; exit 1; }}
"""


def install(lab: Lab) -> None:
    """Put the balancer on all machines."""
    for machine in lab.machines():
        folder = lab.machine(machine).root / FOLDER[1:] / "quorate/balancer"
        folder.mkdir(parents=True, exist_ok=True)
        (folder.parent / "__init__.py").touch()
        for source in sorted(BALANCER.glob("*.py")):
            (folder / source.name).write_bytes(source.read_bytes())


def start(lab: Lab, engine: Engine, *, restarts: float = 0.0) -> None:
    """Start empty servers on all machines, then the engine, where it runs."""
    addresses = {machine: lab.address(machine) for machine in lab.machines()}

    def set_up(machine: str) -> None:
        restart = f"--property=Restart=always --property=RestartSec={restarts}" if restarts else ""
        names = {"engine": ENGINE_UNIT, "server": SERVER_UNIT, "port": MEMCACHED_PORT}
        script = _SETUP.format(**names, restart=restart, address=addresses[machine])
        if engine.config and (engine.everywhere or machine == lab.machines()[0]):
            path = lab.machine(machine).root / engine.path[1:]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(engine.config(machine, addresses))
            command = f"{engine.command}{shlex.quote(engine.path)}"
            script += _START.format(engine=ENGINE_UNIT, command=command, listen=PORT, pause=0.2)
        done = lab.run(machine, script)
        if done.returncode:
            raise QuorateError(f"{engine.name} did not start on {machine}: {(done.stdout + done.stderr).strip()}")

    with ThreadPoolExecutor(max_workers=len(addresses)) as pool:
        for result in [pool.submit(set_up, machine) for machine in addresses]:
            result.result()


def prefer(lab: Lab) -> None:
    """Let the machines go before all else on this host, so that only the lab's own work is measured.

    Linux shares processors between sessions (autogroups) first; where it does not, nothing is done.
    """
    for machine in lab.machines():
        for pid in lab.machine(machine).cgroup.pids():
            with contextlib.suppress(OSError):  # it has just ended, or this kernel has no autogroups
                Path(f"/proc/{pid}/autogroup").write_text(PREFERENCE)


def last_words(lab: Lab, machine: str) -> str:
    """Return what the engine said last on the machine."""
    return lab.run(machine, f"journalctl --no-pager --unit={ENGINE_UNIT} --lines=20 --output=cat").stdout

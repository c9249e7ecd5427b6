"""Convergence, side by side with ansible-core: the same files, packages and units, the same machines, in turn.

`make bench`, or `python bench/converge.py --output json` as root. The last line is one JSON object with
`ratio_unchanged` and `ratio_new`: ansible-core's time over ours, medians of `--runs` pairs, whole processes.

What is managed on each of three lab machines is what Quorate's own systems want there (same packages, same files with
the same contents, under /srv/bench instead of /) and six small units that load some of the files. `unchanged`: nothing
is to be done. `new`: every file is gone, all are written and all units started. ansible-core runs with pipelining,
persistent connections, a fork for each machine and without gathering facts, which is its best case; it is installed for
the bench only, into a virtual environment of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from quorate.cli import files
from quorate.cli.session import holder, now
from quorate.core.observed import Answers, Unknown
from quorate.core.resource import Directory, File, Package, Resource, Unit
from quorate.core.secret import Secrets
from quorate.core.system import Site, System, enabled, site_of
from quorate.core.verdict import Judgement, ok
from quorate.engine.apply import Clock, Operation, apply
from quorate.engine.journal import FileJournal
from quorate.engine.lock import held
from quorate.model.cloud import Cloud, Spec
from quorate.transport.ssh import connect

ANSIBLE = "ansible-core==2.19.4"
ROOT = Path(__file__).resolve().parent.parent
QUORATE = Path(sys.executable).with_name("quorate")
UNITS = tuple(f"bench-{number}.service" for number in range(6))
LAB = "bench"


def managed(site: Site, systems: Sequence[System[Spec, object]], host: str) -> list[Resource]:
    """What is managed on the host: the real systems' packages and files, moved aside, and the bench's own units."""
    found: list[Resource] = []
    for system in enabled(site.cloud, systems):
        for resource in system.resources(site.cloud.systems[system.name], site, host):
            match resource:
                case Package():
                    found.append(resource)
                case Directory() | File():
                    found.append(replace(resource, path=f"/srv/bench{resource.path}", owner="root", group="root"))
    paths = [resource.path for resource in found if isinstance(resource, File)]
    for number, unit in enumerate(UNITS):
        text = f"[Unit]\nDescription=bench {number}\n[Service]\nExecStart=/bin/sleep infinity\n"
        text += "[Install]\nWantedBy=multi-user.target\n"
        path = f"/etc/systemd/system/{unit}"
        found += [File(path, text), Unit(unit, inputs=(path, *paths[number :: len(UNITS)]))]
    return found


class BenchSpec(Spec):
    """Nothing to set."""


def bench_system(wanted: Mapping[str, Sequence[Resource]]) -> System[BenchSpec, Answers]:
    """A system that wants just that, and is always well."""

    def judge(_spec: BenchSpec, _site: Site, views: Mapping[str, Answers | Unknown]) -> Judgement:
        return Judgement(ok("bench"), {host: ok("bench") for host in views})

    return System(
        name="bench",
        summary="what the bench manages",
        spec=BenchSpec,
        resources=lambda _spec, _site, host: wanted[host],
        questions=lambda _spec, _site, _host: (),
        read=lambda answers: answers,
        judge=judge,
    )


def everything(folder: Path) -> tuple[Cloud, Secrets, dict[str, list[Resource]]]:
    """Read the lab's cloud file; say what is managed on each machine."""
    cloud, systems = files.load_cloud(folder / "cloud.yaml")
    secrets = files.load_secrets(folder / "cloud.yaml", cloud, systems)
    site = site_of(cloud, systems)
    return cloud, secrets, {host: managed(site, systems, host) for host in cloud.names}


async def ours(folder: Path) -> int:
    """Apply once, as `quorate apply` does; returns how many acts it took."""
    cloud, secrets, wanted = everything(folder)
    system = bench_system(wanted)
    cloud = cloud.model_copy(update={"systems": {"bench": BenchSpec()}})
    run = uuid.uuid4().hex[:12]
    transports = {name: connect(cloud, name, folder) for name in cloud.names}
    clock = Clock(now=lambda: now().isoformat())
    try:
        with FileJournal(folder / ".quorate" / "journal", run, now) as journal:
            op = Operation(site_of(cloud, [system]), [system], secrets, transports, run, journal, clock)
            async with held(transports, run, holder("bench")):
                outcome = await apply(op)
    finally:
        await asyncio.gather(*(way.close() for way in transports.values()))
    if not outcome.verdict.is_ok:
        raise SystemExit(f"bench: not converged: {outcome.verdict.reason}")
    return sum(len(step.acts) for step in outcome.plan.steps)


Task = dict[str, object]


def playbook(folder: Path) -> Path:
    """Write the same for ansible-core: one play, one task for each resource, handlers that restart.

    All machines are in one play, so that it works on them side by side; contents, which differ, are variables.
    """
    cloud, secrets, wanted = everything(folder)
    variables = {
        host: {r.path: secrets.resolve(r.content) for r in resources if isinstance(r, File)}
        for host, resources in wanted.items()
    }
    resources = wanted[cloud.names[0]]
    units = [r for r in resources if isinstance(r, Unit)]
    packages = [r.name for r in resources if isinstance(r, Package)]
    parents = sorted({str(Path(r.path).parent) for r in resources if isinstance(r, File)})
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars_files": ["contents.json"],
        "tasks": [
            {"name": "packages", "ansible.builtin.apt": {"name": packages}},
            *({"name": path, "ansible.builtin.file": {"path": path, "state": "directory"}} for path in parents),
            *(as_task(resource, units) for resource in resources if not isinstance(resource, Package)),
        ],
        "handlers": [
            {"name": f"restart {u.name}", "ansible.builtin.systemd_service": {"name": u.name, "state": "restarted"}}
            for u in units
        ],
    }
    inventory = {"all": {"hosts": {host: hostvars(cloud, host, folder) for host in wanted}}}
    for name, value in (
        ("contents.json", {"contents": variables}),
        ("inventory.yaml", inventory),
        ("bench.yaml", [play]),
    ):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    return folder / "bench.yaml"


def as_task(resource: Resource, units: Sequence[Unit]) -> Task:
    """One resource as ansible-core has it."""
    match resource:
        case Directory(path=path, mode=mode):
            return {"name": path, "ansible.builtin.file": {"path": path, "state": "directory", "mode": f"{mode:04o}"}}
        case File(path=path, mode=mode):
            content = "{{ contents[inventory_hostname]['" + path + "'] }}"
            copy = {"dest": path, "content": content, "mode": f"{mode:04o}"}
            notify = [f"restart {unit.name}" for unit in units if path in unit.inputs]
            return {"name": path, "ansible.builtin.copy": copy, "notify": notify}
        case Unit(name=name):
            state = {"name": name, "state": "started", "enabled": True, "daemon_reload": True}
            return {"name": name, "ansible.builtin.systemd_service": state}
        case _:
            raise ValueError(resource)


def hostvars(cloud: Cloud, host: str, folder: Path) -> dict[str, object]:
    """How ansible-core reaches the machine: the same key, the same known hosts."""
    common = f"-o UserKnownHostsFile={folder / (cloud.ssh.known_hosts or 'known_hosts')} -o ControlMaster=auto"
    return {
        "ansible_host": cloud.address(host),
        "ansible_user": cloud.ssh.user or "root",
        "ansible_ssh_private_key_file": str(folder / (cloud.ssh.identity or "lab_key")),
        "ansible_ssh_common_args": f"{common} -o ControlPersist=60s",
        "ansible_python_interpreter": "/usr/bin/python3",
    }


def timed(command: Sequence[str | Path], folder: Path) -> float:
    """Run a whole process; returns its wall time in seconds."""
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_FORKS": "10",
        "ANSIBLE_NOCOLOR": "1",
    }
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=1200
    )
    seconds = time.monotonic() - began
    if done.returncode:
        raise SystemExit(f"bench: {command[0]} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return seconds


def clear(folder: Path, hosts: Sequence[str]) -> None:
    """Take every file away and stop the units."""
    units = " ".join(UNITS)
    script = f"systemctl disable --now {units} >/dev/null 2>&1; rm -rf /srv/bench /etc/systemd/system/bench-*"
    for host in hosts:
        timed([QUORATE, "lab", "shell", host, "--name", LAB, "--", f"{script}; systemctl daemon-reload"], folder)


def pairs(runs: int, say: Callable[[str], None], folder: Path, hosts: Sequence[str]) -> dict[str, list[float]]:
    """Measure both, in turn."""
    us: list[str | Path] = [sys.executable, __file__, "--ours", str(folder)]
    them: list[str | Path] = [
        ROOT / ".venv-bench/bin/ansible-playbook",
        "-i",
        folder / "inventory.yaml",
        playbook(folder),
    ]
    figures: dict[str, list[float]] = {"new_ours": [], "new_ansible": [], "unchanged_ours": [], "unchanged_ansible": []}
    for number in range(1, runs + 1):
        for case, prepare in (("new", True), ("unchanged", False)):
            for name, command in (("ours", us), ("ansible", them)):
                if prepare:
                    clear(folder, hosts)
                elif name == "ours":
                    timed(us, folder)
                figures[f"{case}_{name}"].append(timed(command, folder))
                say(f"{number}/{runs} {case:9} {name:7} {figures[f'{case}_{name}'][-1]:7.2f} s")
    return figures


def main() -> int:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--output", choices=["text", "json"], default="text")
    parser.add_argument("--keep", action="store_true", help="leave the lab up")
    parser.add_argument("--ours", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.ours:
        asyncio.run(ours(asked.ours))
        return 0

    def say(text: str) -> None:
        sys.stderr.write(f"{text}\n")

    folder = ROOT / "lab" / LAB
    subprocess.run([sys.executable, "-m", "venv", ROOT / ".venv-bench"], check=True)
    subprocess.run([ROOT / ".venv-bench/bin/pip", "install", "--quiet", ANSIBLE], check=True)
    subprocess.run([QUORATE, "lab", "down", "--name", LAB], check=False, stdout=2)  # what a killed run left
    subprocess.run([QUORATE, "lab", "up", folder, "--name", LAB, "--subnet", "10.81.0.0/24"], check=True, stdout=2)
    try:
        hosts = files.load_cloud(folder / "cloud.yaml")[0].names
        for host in hosts:  # what ansible-core's apt module needs; it would install it in its first run
            timed([QUORATE, "lab", "shell", host, "--name", LAB, "--", "apt-get -q -y install python3-apt"], folder)
        figures = pairs(asked.runs, say, folder, hosts)
    finally:
        if not asked.keep:
            subprocess.run([QUORATE, "lab", "down", "--name", LAB], check=False, stdout=2)
    medians = {name: statistics.median(values) for name, values in figures.items()}
    result = {
        "ratio_unchanged": round(medians["unchanged_ansible"] / medians["unchanged_ours"], 1),
        "ratio_new": round(medians["new_ansible"] / medians["new_ours"], 1),
        **{f"{name}_seconds": round(value, 2) for name, value in medians.items()},
        "machines": len(hosts),
        "runs": asked.runs,
    }
    if asked.output == "text":
        say(f"nothing to do: {result['ratio_unchanged']} times faster; all files new: {result['ratio_new']} times")
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

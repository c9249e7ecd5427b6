"""A formed cloud on lab machines, and the operator who runs it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from lab import labs
from quorate.cli.lab import OPTIONAL
from quorate.lab.lab import Lab
from quorate.model import secrets_file

QUORATE = Path(sys.executable).with_name("quorate")


@dataclass
class Plane:
    """The machines, the operator's folder, and the program as its user runs it."""

    lab: Lab
    folder: Path
    seen_in_argv: set[str] = field(default_factory=set)

    def quorate(self, *words: str, timeout: float = 600.0) -> subprocess.CompletedProcess[str]:
        """Run a verb; the caller judges its exit code."""
        return subprocess.run(
            [QUORATE, *words], cwd=self.folder, check=False, capture_output=True, text=True, timeout=timeout
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begin a verb and go on."""
        return subprocess.Popen(
            [QUORATE, *words], cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def json(self, *words: str) -> Any:
        """Run a verb for programs."""
        return json.loads(self.quorate(*words, "--output", "json").stdout)

    def apply(self, *words: str) -> Any:
        """Apply, which must converge."""
        done = self.quorate("apply", "--yes", "--output", "json", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def wait_well(self, limit: float = 240.0) -> None:
        """Wait until `status` says ok."""
        deadline = time.monotonic() + limit
        while (looked := self.quorate("status", "--output", "json")).returncode:
            assert time.monotonic() < deadline, looked.stdout + looked.stderr
            time.sleep(1.0)  # looks cost the machines what they need to become well

    def wait_said(self, *texts: str, limit: float = 20.0) -> float:
        """Wait until `status` says all of it at once, which must be within so many seconds; give how many it took."""
        begun = time.monotonic()
        while True:
            said = " ".join(self.quorate("status").stdout.split())
            took = time.monotonic() - begun
            assert took < limit, f"not all of {texts} within {limit:g} s: {said}"
            if all(text in said for text in texts):
                return took
            time.sleep(0.5)

    def wait_settled(self, limit: float = 120.0) -> None:
        """Wait until no cache is being filled any more: a fault before that is the second one."""
        deadline = time.monotonic() + limit
        while "is being filled" in self.quorate("status", "--output", "json").stdout:
            assert time.monotonic() < deadline
            time.sleep(2.0)

    def secrets(self) -> dict[str, str]:
        """Every secret, by dotted name."""
        return dict(secrets_file.parse((self.folder / "secrets.yaml").read_text(), "secrets.yaml"))

    @property
    def vip(self) -> str:
        """The address at which clients find every API."""
        vip = YAML(typ="safe").load(self.lab.cloud_yaml())["vips"]["api"]
        return str(vip["address"] if isinstance(vip, dict) else vip)

    def set_option(self, system: str, **options: object) -> None:
        """Edit a system's section of the cloud file."""
        yaml = YAML()
        path = self.folder / "cloud.yaml"
        cloud = yaml.load(path)
        cloud.setdefault("systems", {}).setdefault(system, {}).update(options)
        yaml.dump(cloud, path)

    def inside(self, machine: str, *argv: str, stdin: str = "") -> str:
        """Run a machine's own program from the host: an ssh session would cost more than what is measured."""
        enter = ["nsenter", "--target", str(self._memcached(machine)), "--net", "--mount", *argv]
        return subprocess.run(enter, input=stdin, check=True, capture_output=True, text=True, timeout=10).stdout

    def _memcached(self, machine: str) -> int:
        """One of the machine's processes that lasts, as this host numbers it."""
        for pid in self.lab.machine(machine).cgroup.pids():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text() == "memcached\n":
                    return pid
        raise AssertionError(f"no memcached runs on {machine}")

    def journals(self) -> list[Path]:
        """The journals of all runs, oldest first."""
        return sorted((self.folder / ".quorate" / "journal").glob("*.jsonl"))


@contextlib.contextmanager
def watching_argv(secrets: list[str], seen: set[str]) -> Iterator[None]:
    """Look at every process list of the machines (they are processes of this host) until the end."""
    script = (
        "import glob,sys\n"
        "secrets=[s.encode() for s in sys.stdin.readline().split()]\n"
        "print('ready',flush=True)\n"
        "while True:\n"
        " for path in glob.glob('/proc/[0-9]*/cmdline'):\n"
        "  try: line=open(path,'rb').read()\n"
        "  except OSError: continue\n"
        "  if any(s in line for s in secrets): print(line.replace(b'\\0',b' ')[:300],flush=True)\n"
    )
    command = ["nice", "-n", "5", sys.executable, "-c", script]
    watcher = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert watcher.stdin is not None
    assert watcher.stdout is not None
    watcher.stdin.write(" ".join(secrets) + "\n")
    watcher.stdin.flush()
    watcher.stdout.readline()
    try:
        yield
    finally:
        watcher.kill()
        seen.update(watcher.communicate()[0].splitlines())


@contextlib.contextmanager
def lab_up(what_for: str, folder: Path, *words: str) -> Iterator[Plane]:
    """Fresh machines with a cloud file, as `lab up` makes them with these words; taken down at the end."""
    name = labs.name(what_for)
    up = subprocess.run(
        [QUORATE, "lab", "up", folder, "--name", name, "--subnet", labs.free_subnet(), *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert up.returncode == 0, up.stdout + up.stderr
    try:
        yield Plane(Lab(name), folder)
    finally:
        subprocess.run([QUORATE, "lab", "down", "--name", name], check=False, capture_output=True, timeout=120)


@contextlib.contextmanager
def machines_up(what_for: str, folder: Path) -> Iterator[Plane]:
    """Three of them. Optional systems are named in the cloud file, switched off."""
    with lab_up(what_for, folder, *(word for optional in OPTIONAL for word in ("--with", optional))) as plane:
        for optional in OPTIONAL:
            plane.set_option(optional, enabled=False)
        yield plane


def drill(plane: Plane, *words: str, codes: tuple[int, ...] = (0,)) -> list[dict[str, Any]]:
    """Run drills and return their results; `codes` are the exit codes that are right."""
    done = plane.quorate("drill", *words, "--output", "json", timeout=800)
    assert done.returncode in codes, done.stdout + done.stderr
    results = json.loads(done.stdout)["runs"]
    print("\n".join(f"{r['drill']}: {r['level']}: {r['reason']}" for r in results))
    return list(results)


def finding(result: dict[str, Any], checker: str) -> dict[str, Any]:
    """What that checker found."""
    (found,) = [one for one in result["findings"] if one["checker"] == checker]
    return dict(found)

"""Apply interrupted at random points on real machines, from nothing to a formed cloud and through changes.

The seed is printed and may be given as QUORATE_SEED. Every interruption hits a run at a wave and a moment chosen at
random: Ctrl-C, SIGKILL, or all ssh sessions of one controller cut. The next run must go on from there.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lab.plane.machines import Plane, machines_up

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

POINTS = int(os.environ.get("QUORATE_INTERRUPTIONS", "2"))


def begun(plane: Plane, before: list[Path], wave: int) -> bool:
    """Whether the present run has journalled the first act of this wave."""
    return any(f'"wave": {wave},' in path.read_text() for path in plane.journals() if path not in before)


def interrupted(plane: Plane, how: str, wave: int, delay: float, host: str) -> bool:
    """Apply, interrupted so many seconds into a wave; False when the run converged before."""
    before = plane.journals()
    run = plane.start("apply", "--yes")
    try:
        while run.poll() is None and not begun(plane, before, wave):
            time.sleep(0.005)
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(delay)
        if run.poll() is None:
            strike(plane, run, how, host)
        out, _ = run.communicate(timeout=300)
    finally:
        run.kill()
        run.communicate()
    assert "Traceback" not in out
    assert "bug in Quorate" not in out
    if run.returncode == 0:
        return False
    allowed = {"ctrl-c": {130}, "kill": {-signal.SIGKILL}, "cut": {4, 1}}[how]
    assert run.returncode in allowed, f"{how} in wave {wave}: exit code {run.returncode}: {out}"
    return True


def strike(plane: Plane, run: subprocess.Popen[str], how: str, host: str) -> None:
    """Interrupt the run."""
    match how:
        case "ctrl-c":
            run.send_signal(signal.SIGINT)
        case "kill":
            run.kill()
        case _:
            plane.lab.run(host, "pkill -KILL -f '^sshd(-session)?: root'")


def test_interruptions_end_in_the_same_cloud(tmp_path: Path) -> None:
    seed = int(os.environ.get("QUORATE_SEED", random.SystemRandom().randrange(10**6)))
    print(f"seed {seed}")
    dice = random.Random(seed)
    with machines_up("interrupt", tmp_path) as plane:
        hit = 0
        memory = 64
        while hit < POINTS:
            how, host = dice.choice(["ctrl-c", "kill", "cut"]), dice.choice(plane.lab.machines())
            if interrupted(plane, how, dice.randint(1, 5), dice.uniform(0, 2), host):
                hit += 1
            else:
                memory += 1
                plane.set_option("memcached", memory_mb=memory)
                plane.set_option("galera", max_connections=500 + memory)
        plane.apply()
        plane.wait_well()
        assert plane.apply()["changes"] == 0
        uuids = {
            plane.lab.run(name, "mariadb -NBe \"show status like 'wsrep_cluster_state_uuid'\"").stdout
            for name in plane.lab.machines()
        }
        assert len(uuids) == 1

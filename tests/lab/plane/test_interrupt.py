"""Apply interrupted at ten random points on real machines, from nothing to a formed cloud and through changes.

The seed is printed and may be given as QUORATE_SEED. Every interruption hits a run at a journal line chosen at random:
Ctrl-C, SIGKILL, or all ssh sessions of one controller cut. The next run must go on from there.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from lab.plane.machines import Plane, machines_up

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

POINTS = 10


def lines_of_new_journal(plane: Plane, before: list[Path]) -> int:
    """How many lines the journal of the present run has."""
    return sum(path.read_text().count("\n") for path in plane.journals() if path not in before)


def interrupted(plane: Plane, how: str, line: int, host: str) -> bool:
    """Apply, interrupted once the journal has so many lines; False when the run ended before."""
    before = plane.journals()
    run = plane.start("apply", "--yes")
    try:
        while run.poll() is None and lines_of_new_journal(plane, before) < line:
            time.sleep(0.005)
        if run.poll() is not None:
            assert run.returncode == 0, run.communicate()[0]
            return False
        match how:
            case "ctrl-c":
                run.send_signal(signal.SIGINT)
            case "kill":
                run.kill()
            case _:
                plane.lab.run(host, "pkill -KILL -f '^sshd(-session)?: root'")
        out, _ = run.communicate(timeout=300)
    finally:
        if run.poll() is None:
            run.kill()
            run.communicate()
    allowed = {"ctrl-c": {130, 0}, "kill": {-signal.SIGKILL}, "cut": {4, 1, 0}}[how]
    assert run.returncode in allowed, f"{how} at line {line}: exit code {run.returncode}: {out}"
    assert "Traceback" not in out
    assert "bug in Quorate" not in out
    return True


def settled(plane: Plane) -> None:
    """Wait until what the interrupted run had begun on the machines has ended, as an operator would see it."""
    deadline = time.monotonic() + 180
    while True:
        done = plane.quorate("apply", "--yes")
        if done.returncode == 0:
            return
        assert time.monotonic() < deadline, done.stdout + done.stderr
        assert done.returncode == 3, done.stdout + done.stderr
        time.sleep(1)


def test_ten_interruptions_end_in_the_same_cloud(tmp_path: Path) -> None:
    seed = int(os.environ.get("QUORATE_SEED", random.SystemRandom().randrange(10**6)))
    print(f"seed {seed}")
    dice = random.Random(seed)
    with machines_up("interrupt", "10.86.0.0/24", tmp_path) as plane:
        hit = 0
        memory = 64
        while hit < POINTS:
            how = dice.choice(["ctrl-c", "kill", "cut"])
            if interrupted(plane, how, dice.randint(1, 60), dice.choice(plane.lab.machines())):
                hit += 1
            else:
                memory += 1
                plane.set_option("memcached", memory_mb=memory)
                plane.set_option("galera", max_connections=500 + memory)
        settled(plane)
        plane.wait_well()
        assert plane.apply()["changes"] == 0
        uuids = {
            plane.lab.run(name, "mariadb -NBe \"show status like 'wsrep_cluster_state_uuid'\"").stdout
            for name in plane.lab.machines()
        }
        assert len(uuids) == 1

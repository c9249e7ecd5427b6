"""etcd on three machines: locks are everybody's, and a member that lost its disk is taken back."""

from __future__ import annotations

import pytest

from lab.plane.machines import Plane
from quorate.systems.etcd.config import DATA

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

# SECONDS → tries to get the lock, says whether it did, and holds it for so long.
LOCK = """
import sys, time
from tooz import coordination
own = coordination.get_coordinator("etcd3+http://127.0.0.1:2379?timeout=5&lock_timeout=5", b"test")
own.start(start_heart=True)
print(own.get_lock(b"one").acquire(blocking=False), flush=True)
time.sleep(float(sys.argv[1]))
"""


@pytest.fixture(autouse=True)
def program(etcd: Plane) -> None:
    """Bring the program to every machine."""
    for machine in etcd.lab.machines():
        etcd.lab.run(machine, "cat > /run/lock.py", stdin=LOCK)


def said(etcd: Plane, machine: str) -> str:
    """What a service on that machine is told that asks for the lock."""
    done = etcd.lab.run(machine, "python3 /run/lock.py 0")
    return done.stdout.strip() or done.stderr


def test_a_lock_is_everybody_s_and_does_not_outlive_its_holder(etcd: Plane) -> None:
    etcd.lab.run("controller1", "systemd-run --quiet --unit=holder python3 /run/lock.py 600")
    holds = "until journalctl --unit=holder --output=cat | grep -q True; do sleep 0.1; done"
    assert etcd.lab.run("controller1", f"timeout 20 sh -c '{holds}'").returncode == 0
    assert said(etcd, "controller2") == "False"
    etcd.lab.run("controller1", "systemctl kill --signal=KILL holder")
    free = "until python3 /run/lock.py 0 | grep -q True; do sleep 0.2; done"
    assert etcd.lab.run("controller3", f"timeout 20 sh -c '{free}'").returncode == 0


def test_a_member_that_lost_its_disk_is_taken_back(etcd: Plane) -> None:
    etcd.lab.run("controller2", f"systemctl stop etcd && rm -rf {DATA}")
    etcd.wait_said("2 of 3 members answer", "etcd.service is inactive")
    etcd.apply()
    etcd.wait_well()
    known = etcd.lab.run("controller2", "python3 /run/lock.py 0")
    assert known.returncode == 0, known.stderr

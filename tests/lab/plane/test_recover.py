"""From a dark room to a whole cloud, on real machines: outages that were built, what `quorate recover` makes of each.

A few of them here; all: QUORATE_SITUATIONS=all, a quarter of an hour. Losses of power under load: bench/cold_start.py.
Whatever happens, the rows that were there are there in the end: each situation begins with one more.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from lab.plane.machines import Plane

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

HOSTS = ("controller1", "controller2", "controller3")
CLIENT = "mariadb --no-defaults --socket=/run/mysqld/mysqld.sock --user=root --skip-column-names --batch"
UNFIT = "mariadbd --user=mysql --skip-networking --skip-grant-tables --wsrep-on=OFF"


TABLE = "CREATE TABLE IF NOT EXISTS dark.rows (n INT PRIMARY KEY AUTO_INCREMENT)"
COUNT = "SELECT COUNT(*) FROM dark.rows"
written: list[str] = []
"""Who acknowledged a row, one for each."""


@pytest.fixture(autouse=True)
def rows(plane: Plane) -> Iterator[None]:
    """One more row than before; in the end all of them are on every controller, and all is well."""
    plane.wait_well()
    sql(plane, "controller1", f"CREATE DATABASE IF NOT EXISTS dark; {TABLE}")
    write(plane, "controller1")
    yield
    plane.wait_well()
    assert {int(sql(plane, host, COUNT)) for host in HOSTS} == {len(written)}


def sql(plane: Plane, host: str, statements: str) -> str:
    return plane.lab.run(host, CLIENT, stdin=statements).stdout


def write(plane: Plane, host: str) -> None:
    sql(plane, host, "INSERT INTO dark.rows VALUES ()")
    written.append(host)


def everywhere(plane: Plane, script: str, *hosts: str) -> None:
    """Run it on these machines, or on all, at the same time."""
    running = [
        subprocess.Popen([*plane.lab.ssh(host), script], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for host in hosts or HOSTS
    ]
    assert [one.wait(120) for one in running] == [0] * len(running)


def stop(plane: Plane, *hosts: str) -> None:
    """In order, one after the other."""
    for host in hosts or HOSTS:
        plane.lab.run(host, "systemctl stop mariadb", timeout=120)


def crash(plane: Plane, *hosts: str) -> None:
    """All at once, and they do not come back by themselves."""
    everywhere(plane, "systemctl kill --signal=KILL mariadb; systemctl stop mariadb", *hosts)


# ---- situations: each breaks something, and says who must be given up for it (nobody: it comes back as it is)


def crashed(plane: Plane) -> None:
    crash(plane)


def state_files_empty(plane: Plane) -> None:
    crash(plane)
    everywhere(plane, ": >/var/lib/mysql/grastate.dat; : >/var/lib/mysql/gvwstate.dat")


def stopped_in_order(plane: Plane) -> None:
    stop(plane)


def the_last_is_ahead(plane: Plane) -> None:
    stop(plane, "controller1", "controller2")
    write(plane, "controller3")
    stop(plane, "controller3")


def the_last_crashed(plane: Plane) -> None:
    stop(plane, "controller1", "controller2")
    write(plane, "controller3")
    crash(plane, "controller3")


def one_is_left_without_quorum(plane: Plane) -> None:
    crash(plane, "controller2", "controller3")


def power_lost(plane: Plane) -> None:
    plane.lab.kill()
    plane.lab.start()


def state_files_garbled(plane: Plane) -> None:
    crash(plane)
    everywhere(plane, "head -c 200 /dev/urandom | tee /var/lib/mysql/grastate.dat >/var/lib/mysql/gvwstate.dat")


def no_state_files(plane: Plane) -> None:
    crash(plane)
    everywhere(plane, "rm -f /var/lib/mysql/grastate.dat /var/lib/mysql/gvwstate.dat")


def killed_and_restarting(plane: Plane) -> None:
    everywhere(plane, "systemctl kill --signal=KILL mariadb")


def waiting_without_memory(plane: Plane) -> None:
    crash(plane)
    everywhere(plane, ": >/var/lib/mysql/gvwstate.dat; systemctl start --no-block mariadb")


def one_waits(plane: Plane) -> None:
    stop(plane)
    plane.lab.run("controller1", "systemctl start --no-block mariadb")


CUT = "cd /var/lib/mysql && : >grastate.dat && touch sst_in_progress && rm -rf keystone ib_logfile0"


def a_copy_was_cut_off(plane: Plane) -> None:
    stop(plane, "controller3", "controller1", "controller2")
    plane.lab.run("controller3", CUT)


def two_copies_were_cut_off(plane: Plane) -> None:
    stop(plane, "controller3", "controller1", "controller2")
    everywhere(plane, CUT, "controller1", "controller3")


def claims_to_be_the_last(plane: Plane) -> None:
    """controller1 says that it is safe to begin with, and is behind."""
    the_last_is_ahead(plane)
    lie = "sed -i 's/safe_to_bootstrap: 0/safe_to_bootstrap: 1/' /var/lib/mysql/grastate.dat"
    plane.lab.run("controller1", lie)


def disk_lost(plane: Plane) -> None:
    stop(plane)
    plane.lab.run("controller2", "find /var/lib/mysql -mindepth 1 -delete")


def unreadable(plane: Plane) -> None:
    stop(plane)
    spoil = "dd if=/dev/urandom of=/var/lib/mysql/ibdata1 bs=16k count=8 conv=notrunc status=none"
    plane.lab.run("controller3", spoil)


def another_history(plane: Plane) -> None:
    stop(plane, "controller2")
    begin = f"galera_new_cluster; {CLIENT} -e 'CREATE DATABASE elsewhere'; systemctl stop mariadb"
    empty = "find /var/lib/mysql -mindepth 1 -delete; mariadb-install-db --user=mysql --skip-test-db >/dev/null"
    plane.lab.run("controller2", f"{empty}; {begin}", timeout=180)
    stop(plane, "controller1", "controller3")


def prepared(plane: Plane) -> None:
    stop(plane)
    answers = f"for i in $(seq 60); do {CLIENT} -e 'SELECT 1' >/dev/null 2>&1 && break; sleep 0.2; done"
    plane.lab.run("controller1", f"({UNFIT} >/dev/null 2>&1 &); {answers}")
    sql(plane, "controller1", "XA START 'u'; INSERT INTO dark.rows VALUES (); XA END 'u'; XA PREPARE 'u'")
    plane.lab.run("controller1", "pkill -KILL mariadbd; while pgrep mariadbd; do sleep 0.1; done")


def one_is_gone_for_ever(plane: Plane) -> None:
    plane.lab.run("controller1", "crm_attribute --name stonith-action --update off")  # else fencing powers it on again
    crash(plane)
    plane.lab.kill("controller3")


COMPLETE: tuple[Callable[[Plane], None], ...] = (
    state_files_empty,
    a_copy_was_cut_off,
    the_last_is_ahead,
    crashed,
    stopped_in_order,
    no_state_files,
    killed_and_restarting,
    waiting_without_memory,
    one_waits,
    claims_to_be_the_last,
    the_last_crashed,
    one_is_left_without_quorum,
    power_lost,
    state_files_garbled,
    two_copies_were_cut_off,
)
REFUSED: tuple[tuple[Callable[[Plane], None], str], ...] = (
    (disk_lost, "controller2"),
    (another_history, "controller2"),
    (unreadable, "controller3"),
    (prepared, "controller1"),
    (one_is_gone_for_ever, "controller3"),
)
ALL = os.environ.get("QUORATE_SITUATIONS") == "all"


@pytest.mark.parametrize("situation", COMPLETE if ALL else COMPLETE[:2], ids=lambda one: one.__name__)
def test_with_all_evidence_it_comes_back_without_a_question(plane: Plane, situation: Callable[[Plane], None]) -> None:
    situation(plane)
    done = plane.quorate("recover")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("situation", "ill"), REFUSED if ALL else REFUSED[:1], ids=lambda one: getattr(one, "__name__", one)
)
def test_without_evidence_nothing_is_started_until_it_is_given_up(
    plane: Plane, situation: Callable[[Plane], None], ill: str
) -> None:
    situation(plane)
    refused = plane.quorate("recover")
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert ill in refused.stderr
    on = [host for host in HOSTS if plane.lab.machine(host).on()]
    active = [plane.lab.run(host, "systemctl is-active mariadb || true").stdout.strip() for host in on]
    assert set(active) <= {"inactive", "failed"}
    done = plane.quorate("recover", "--accept-loss", ill, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    if ill not in on:
        plane.lab.start(ill)
        plane.lab.wait_for_ssh(ill)
        plane.lab.run("controller1", "crm_attribute --name stonith-action --delete")
    plane.quorate("recover")


def test_killed_after_each_step_and_run_again_it_ends_the_same(plane: Plane) -> None:
    for after in range(1, 5 if ALL else 2):
        state_files_empty(plane)
        with plane.start("recover") as running:
            assert running.stdout is not None
            steps = 0
            for line in running.stdout:
                steps += line.startswith("galera:")
                if steps == after:
                    break
            running.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 120
        while (done := plane.quorate("recover")).returncode == 3 and "lease" in done.stderr:
            assert time.monotonic() < deadline
            time.sleep(2)
        assert done.returncode == 0, done.stdout + done.stderr
        plane.wait_well()

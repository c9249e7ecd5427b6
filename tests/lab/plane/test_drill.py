"""Drills on a formed cloud: what they say, what they find, and that nothing is left however they end."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.plane.machines import Plane, drill, finding

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

KILLS = int(os.environ.get("QUORATE_KILLS", "1"))
"""Moments at which a drill is killed."""
LEFT = """
nft list tables | grep -F quorate_drill
find /run/quorate/drill -mindepth 1 2>/dev/null
find /var/lib/quorate -name 'drill-*' 2>/dev/null
systemctl list-units --all --plain --no-legend 'quorate-drill-*'
ps -eo stat,comm | grep '^T'
mariadb --skip-column-names --batch -e "SHOW DATABASES LIKE 'quorate_drill'"
mariadb --skip-column-names --batch -e "SELECT user FROM mysql.user WHERE user = 'quorate_drill'"
"""


@pytest.fixture(autouse=True)
def well(plane: Plane) -> Iterator[None]:
    """Each test finds a cloud that is well, and leaves one."""
    plane.wait_well(180)
    yield
    plane.lab.heal()
    plane.lab.start()
    plane.lab.wait_for_ssh()
    plane.wait_well(240)


def drills(plane: Plane) -> Path:
    return plane.folder / ".quorate" / "drills"


def nothing_is_left(plane: Plane) -> None:
    assert not list(drills(plane).glob("*/armed.json"))
    for machine in plane.lab.machines():
        assert plane.lab.run(machine, LEFT).stdout == "", machine
    for status in plane.lab.status():
        assert (status.power, status.cable) == ("on", "plugged"), status


def test_status_tells_of_a_port_that_only_its_own_host_reaches(plane: Plane) -> None:
    (result,) = drill(plane, "database-port-deaf", codes=(0, 1))
    assert finding(result, "alarm")["level"] == "ok"


def test_a_power_cut_is_predicted_measured_and_healed(plane: Plane) -> None:
    began = time.monotonic()
    (result,) = drill(plane, "power-cut", "--seed", "7", codes=(0, 1, 4))
    assert result["lost"] == 0
    assert finding(result, "vip-holders")["level"] == "ok"
    assert finding(result, "writers")["level"] == "ok"
    assert finding(result, "stale")["level"] == "ok"
    assert finding(result, "whole")["level"] == "ok"
    rows = {row["function"]: row for row in result["rows"]}
    assert set(rows) == {
        *("database_write", "database_read", "virtual_ip"),
        *("cache", "token_validation", "token_issue"),
    }
    assert all(row["measured_s"] is not None and row["operations"] > 0 for row in rows.values())
    assert 0.5 < rows["virtual_ip"]["measured_s"] < time.monotonic() - began
    assert rows["virtual_ip"]["predicted_s"] > 0
    nothing_is_left(plane)

    again = plane.quorate("drill", "judge", "last", "--output", "json")
    assert json.loads(again.stdout) == result
    assert "the same as that of then" in again.stderr.replace("is the same", "the same")

    page = plane.folder / "page.html"
    shown = plane.quorate("drill", "report", "last", "-o", str(page))
    assert shown.returncode == 0
    assert "virtual_ip" in shown.stdout
    assert page.read_text().startswith("<!")


def test_a_process_that_hangs_is_noticed_and_goes_on(plane: Plane) -> None:
    (result,) = drill(plane, "identity-frozen", "--on", plane.lab.machines()[1], codes=(0, 1, 4))
    assert finding(result, "alarm")["level"] == "ok"
    assert finding(result, "whole")["level"] == "ok"
    nothing_is_left(plane)


def test_a_drill_that_is_killed_leaves_nothing(plane: Plane) -> None:
    dice = random.Random(os.environ.get("QUORATE_SEED", "kills"))
    for number in range(KILLS):
        plane.wait_well(240)
        name = dice.choice(["silent-cut", "database-frozen", "partition-minority", "machine-frozen", "power-cut"])
        after = dice.uniform(1.0, 22.0)
        print(f"{number}: {name} is killed after {after:.1f} s")
        with plane.start("drill", name) as process:
            assert process.stdout is not None
            begun = any("clients get ready" in line for line in process.stdout)  # it may wait for caches first
            assert begun
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(after)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        wait_for_guardians()
        plane.lab.wait_for_ssh()
        plane.wait_well(240)
        nothing_is_left(plane)


def wait_for_guardians() -> None:
    """Whoever heals in place of the dead drill has ended; it says in its folder what it did."""
    deadline = time.monotonic() + 180
    while subprocess.run(["pgrep", "-f", "drill heal --guardian|armed.json"], check=False, capture_output=True).stdout:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_cloud_that_is_not_well_is_not_broken_further(plane: Plane) -> None:
    victim = plane.lab.machines()[2]
    plane.lab.kill(victim)
    done = plane.quorate("drill", "proxy-killed")
    assert done.returncode == 3
    assert "the cloud is not well" in done.stderr
    assert victim in done.stderr
    plane.lab.start(victim)


def test_what_is_wrong_is_said_before_anything_is_broken(plane: Plane) -> None:
    for words, code, said in (
        (("no-such-drill",), 2, "no such drill: no-such-drill"),
        (("power-cut", "--on", "nobody"), 2, "'nobody' is no controller"),
        (("all-at-once",), 3, "built to lose 1"),
        (("--fault", "power-cut:hold=soon"), 2, "'hold=soon' is no setting"),
    ):
        done = plane.quorate("drill", *words)
        assert (done.returncode, said in done.stderr) == (code, True), (words, done.stderr)
    nothing_is_left(plane)


@pytest.fixture
def full_disk(plane: Plane) -> Iterator[None]:
    """Where runs are kept there is no room."""
    folder = drills(plane)
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    yield
    subprocess.run(["umount", folder], check=True)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_found_out_before_anything_is_broken(plane: Plane) -> None:
    done = plane.quorate("drill", "proxy-killed")
    assert done.returncode == 1
    assert "no room for the record" in done.stderr

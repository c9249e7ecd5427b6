"""What `apply`, `plan` and `status` promise, on a formed cloud."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from lab.plane.machines import QUORATE, Plane
from lab.plane.working import chosen, working
from quorate.core.history import Operation
from quorate.systems.galera.workloads import workloads

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

GALERA_FILE = "/etc/mysql/mariadb.conf.d/99-quorate.cnf"


def invocations(plane: Plane) -> list[str]:
    """Which run of each unit is running, on every machine."""
    units = "corosync pacemaker haproxy mariadb memcached quorate-balancer keystone"
    return [
        plane.lab.run(name, f"systemctl show --property=Id,InvocationID {units}").stdout
        for name in plane.lab.machines()
    ]


def test_everything_is_well(plane: Plane) -> None:
    looked = plane.quorate("status", "--output", "json")
    assert looked.returncode == 0, looked.stdout
    data = json.loads(looked.stdout)
    assert {"corosync", "pacemaker", "haproxy", "galera", "memcached", "cache", "keystone"} <= set(data["systems"])


def test_a_second_apply_changes_nothing_and_restarts_nothing(plane: Plane) -> None:
    before = invocations(plane)
    assert plane.apply()["changes"] == 0
    assert invocations(plane) == before


def test_a_hand_edit_is_seen_shown_and_mended_alone(plane: Plane) -> None:
    before = invocations(plane)
    plane.lab.run("controller2", f"echo '# edited by hand' >> {GALERA_FILE}")
    looked = plane.quorate("status", "--output", "json")
    assert looked.returncode == 1
    assert GALERA_FILE in json.loads(looked.stdout)["systems"]["galera"]["members"]["controller2"]["reason"]
    steps = [step for wave in plane.json("plan")["waves"] for step in wave["steps"]]
    assert [step["host"] for step in steps] == ["controller2"]
    assert "-# edited by hand" in steps[0]["diff"]
    assert plane.apply()["changes"] == 1
    assert invocations(plane) == before
    backups = plane.lab.run("controller2", f"grep -rl 'edited by hand' /var/lib/quorate/backup/*{GALERA_FILE}").stdout
    assert backups.count(GALERA_FILE) == 1


def issue(plane: Plane, name: str) -> str:
    """A token that this controller's own Keystone makes."""
    user = {"name": "admin", "domain": {"id": "default"}, "password": plane.secrets()["keystone.admin"]}
    body: Any = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
    said = requests.post(f"http://{plane.lab.address(name)}:5000/v3/auth/tokens", json=body, timeout=30)
    assert said.status_code == 201, said.text
    return said.headers["X-Subject-Token"]


def takes(plane: Plane, name: str, token: str) -> bool:
    """Whether this controller's Keystone takes it."""
    url = f"http://{plane.lab.address(name)}:5000/v3/auth/tokens"
    said = requests.get(url, headers={"X-Auth-Token": token, "X-Subject-Token": token}, timeout=30)
    assert said.status_code in {200, 401}
    return said.status_code == 200


def test_a_controller_with_an_expired_set_of_keys_is_named_and_gets_the_current_one(plane: Plane) -> None:
    """As one that slept through two rotations, and comes back."""
    expired = base64.urlsafe_b64encode(bytes(32)).decode()
    plane.lab.run("controller2", f"for key in /etc/keystone/fernet-keys/*; do echo {expired} > $key; done")
    plane.wait_said("the controllers hold different keys (controller1, controller3 ≠ controller2)")
    assert plane.apply()["interruptions"] == 0
    plane.wait_well()
    token = issue(plane, "controller2")
    assert all(takes(plane, name, token) for name in plane.lab.machines())


def test_a_changed_option_is_one_line_and_three_restarts_and_loses_no_row(plane: Plane) -> None:
    plane.set_option("galera", max_connections=612)
    plan = plane.json("plan")
    restarts = [(wave, wave["steps"]) for wave in plan["waves"] if any(step["disturbs"] for step in wave["steps"])]
    order = [step["host"] for _, steps in restarts for step in steps]
    assert sorted(order) == sorted(plane.lab.machines())
    assert [bool(wave["impact"]["plays"]) for wave, _ in restarts] == [False, False, True], "the writer comes last"
    for _, (step,) in restarts:
        changed = [line for line in step["diff"] if re.match(r"[+-]\w", line)]
        assert [line[0] for line in changed] == ["-", "+"], step["diff"]
        assert "max_connections" in changed[1]
        assert "612" in changed[1]
        assert "! restart mariadb.service" in step["diff"]
    written, found = asyncio.run(_while_writing(plane, plane.apply))
    acknowledged = {operation.facts["number"] for operation in written if operation.outcome == "ok"}
    there = {number for first, last in found["numbers"] for number in range(first, last + 1)}
    assert len(acknowledged) > 200
    assert acknowledged - there == set()
    assert found["more_than_once"] == []
    shown = [plane.lab.run(n, "mariadb -NBe 'select @@max_connections'").stdout.strip() for n in plane.lab.machines()]
    assert shown == ["612"] * 3


async def _while_writing(plane: Plane, act: Callable[[], object]) -> tuple[list[Operation], Mapping[str, Any]]:
    writer = chosen(plane, "galera", workloads, "database_write")
    finals: dict[str, Mapping[str, Any]] = {}
    async with working(plane, [replace(writer, bound=5.0)], finals) as history:
        await asyncio.to_thread(act)
    return history["database_write"], finals["database_write"]


def test_a_stored_plan_is_refused_when_the_world_has_changed(plane: Plane) -> None:
    plane.lab.run("controller1", f"echo '# one' >> {GALERA_FILE}")
    assert plane.quorate("plan", "-o", "plan.json").returncode == 0
    plane.lab.run("controller3", f"echo '# two' >> {GALERA_FILE}")
    refused = plane.quorate("apply", "plan.json")
    assert refused.returncode == 3
    assert "controller3" in refused.stderr
    assert "# two" in plane.lab.run("controller3", f"tail -1 {GALERA_FILE}").stdout
    assert plane.quorate("plan", "-o", "plan.json").returncode == 0
    assert plane.quorate("apply", "plan.json").returncode == 0


def test_the_second_of_two_operators_is_refused_and_told_who_is_at_work(plane: Plane) -> None:
    plane.set_option("memcached", memory_mb=96)
    first = plane.start("apply", "--yes")
    wait_for_act(plane, plane.journals())
    second = plane.quorate("apply", "--yes")
    out, _ = first.communicate(timeout=300)
    assert first.returncode == 0, out
    assert second.returncode == 3, second.stdout + second.stderr
    assert f"pid {first.pid}" in second.stderr


def wait_for_act(plane: Plane, before: list[Path]) -> None:
    """Wait until a new journal has its first act."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        new = [path for path in plane.journals() if path not in before]
        if any('"event": "act"' in path.read_text() for path in new):
            return
        time.sleep(0.02)
    raise AssertionError("no act was journalled")


def test_a_controller_that_is_off_is_named_and_left_out_only_by_name(plane: Plane) -> None:
    """It is shut down cleanly, so that nobody fences it back on."""
    plane.lab.run("controller2", "systemctl stop pacemaker corosync; systemctl --no-block poweroff")
    wait_off(plane, "controller2")
    try:
        plan = plane.json("plan")
        assert [missing["host"] for missing in plan["missing"]] == ["controller2"]
        plane.set_option("memcached", memory_mb=80)
        refused = plane.quorate("apply", "--yes")
        assert refused.returncode == 3
        assert "--without controller2" in refused.stderr
        assert plane.quorate("status").returncode in {1, 4}
        plane.apply("--without", "controller2")
        shown = [
            plane.lab.run(name, "grep -c '^-m 80' /etc/memcached.conf").stdout
            for name in ("controller1", "controller3")
        ]
        assert shown == ["1\n", "1\n"]
    finally:
        plane.lab.start("controller2")
        plane.lab.wait_for_ssh("controller2")
    plane.lab.run("controller2", "systemctl is-active --wait multi-user.target")
    time_of_rejoin(plane)
    assert plane.apply()["changes"] > 0
    plane.wait_well()


def time_of_rejoin(plane: Plane) -> None:
    """Wait until the database counts three again: an apply before would be refused, rightly."""
    deadline = time.monotonic() + 120
    query = "mariadb -NBe \"show status like 'wsrep_cluster_size'\""
    while "3" not in plane.lab.run("controller2", query).stdout:
        assert time.monotonic() < deadline
        time.sleep(0.3)


def wait_off(plane: Plane, name: str) -> None:
    """Wait until the machine's power is off."""
    deadline = time.monotonic() + 60
    while plane.lab.machine(name).on():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_frozen_controller_is_unknown_within_five_seconds(plane: Plane) -> None:
    plane.lab.freeze("controller3")
    try:
        began = time.monotonic()
        looked = plane.quorate("status", "--output", "json")
        took = time.monotonic() - began
    finally:
        plane.lab.heal("controller3")
        plane.lab.wait_for_ssh("controller3")
        plane.wait_well(180)
    data = json.loads(looked.stdout)
    assert took < 5.0
    assert looked.returncode in {1, 4}
    assert data["verdict"]["level"] != "ok"
    for name, system in data["systems"].items():
        assert system["members"]["controller3"]["level"] == "unknown", name
        assert system["members"]["controller3"]["reason"], name


SCAN = r"""
import os, stat, sys
secrets = [line.encode() for line in sys.stdin.read().split()]
for top in ("/etc", "/var", "/run", "/tmp", "/root", "/home", "/srv", "/opt", "/usr/local", "/usr/lib/ocf"):
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            try:
                info = os.lstat(path)
                if not stat.S_ISREG(info.st_mode) or info.st_size > 300 << 20:
                    continue
                open_to_all = info.st_mode & 0o004
                while open_to_all and folder != "/":
                    open_to_all = os.stat(folder).st_mode & 0o001 or os.stat(folder).st_mode & 0o005
                    folder = os.path.dirname(folder)
                log = "/log/" in path or path.startswith("/run/log")
                if not (open_to_all or log):
                    continue
                text = open(path, "rb").read()
            except OSError:
                continue
            if any(secret in text for secret in secrets):
                print(path)
"""


def test_no_secret_is_where_others_can_read(plane: Plane) -> None:
    """Runs behind the tests above, so that their restarts and refusals are in the logs too."""
    secrets = [value for value in plane.secrets().values() if value]
    assert len(secrets) > 10
    assert plane.seen_in_argv == set()
    for name in plane.lab.machines():
        given = "\n".join(secrets)
        found = subprocess.run(
            [
                *plane.lab.ssh(name),
                f"cat >/root/secrets.scan; python3 -c '{SCAN}' </root/secrets.scan; rm /root/secrets.scan",
            ],
            input=given,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        assert found.stdout == "", name
        journal = plane.lab.run(name, "journalctl --no-pager -o cat", timeout=60).stdout
        assert not [value for value in secrets if value in journal], name
    plane.quorate("plan", "-o", "plan.json")
    for path in [*plane.journals(), plane.folder / "plan.json"]:
        text = path.read_text()
        assert not [value for value in secrets if value in text], path


def test_a_plan_that_cannot_be_written_is_the_users_mistake(plane: Plane) -> None:
    done = plane.quorate("plan", "-o", "no/such/folder/plan.json")
    assert done.returncode == 2
    assert "no/such/folder/plan.json cannot be written" in done.stderr


def test_ctrl_c_at_the_question_ends_it_and_changes_nothing(plane: Plane) -> None:
    plane.set_option("memcached", memory_mb=72)
    operator, terminal = pty.openpty()
    try:
        run = subprocess.Popen([QUORATE, "apply"], cwd=plane.folder, stdin=terminal, stdout=terminal, stderr=terminal)
        seen = b""
        while b"Do this?" not in seen:
            seen += os.read(operator, 4096)
        run.send_signal(signal.SIGINT)
        assert run.wait(10) == 130
    finally:
        os.close(terminal)
        os.close(operator)
    assert plane.quorate("plan", "--output", "json").stdout.count("memcached: controller") == 3
    plane.apply()

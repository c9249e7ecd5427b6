from __future__ import annotations

import subprocess
import time

from quorate.lab.cgroups import Cgroup, host_layout
from quorate.lab.folder import BMC_USER
from quorate.lab.lab import Lab
from quorate.lab.machine import FIRMWARE_SECONDS
from quorate.lab.spec import POWER_PORT


def fence(lab: Lab, action: str, target: str = "controller2") -> subprocess.CompletedProcess[str]:
    """Fence from inside another machine, with the options on standard input as Pacemaker gives them."""
    options = {
        "ip": lab.spec.gateway,
        "ipport": POWER_PORT,
        "username": BMC_USER,
        "password": lab.bmc_password,
        "ssl_insecure": 1,
        "systems_uri": f"/redfish/v1/Systems/{target}",
        "action": action,
    }
    text = "".join(f"{key}={value}\n" for key, value in options.items())
    return lab.run("controller1", "fence_redfish", stdin=text, timeout=60)


def test_every_action_of_debians_agent(healed: Lab) -> None:
    machine = healed.machine("controller2")
    for action, code, on in [
        ("monitor", 0, True),
        ("status", 0, True),
        ("list", 0, True),
        ("off", 0, False),
        ("status", 2, False),
        ("off", 0, False),
        ("on", 0, True),
        ("status", 0, True),
        ("on", 0, True),
        ("reboot", 0, True),
        ("status", 0, True),
    ]:
        done = fence(healed, action)
        assert (done.returncode, machine.on()) == (code, on), f"{action}: {done.stdout} {done.stderr}"
    healed.wait_for_ssh("controller2")


def test_the_password_may_come_from_a_script(healed: Lab) -> None:
    script = "install -m 700 /dev/stdin /root/secret"
    assert healed.run("controller1", script, stdin=f"#!/bin/sh\necho '{healed.bmc_password}'\n").returncode == 0
    where = f"-a {healed.spec.gateway} -u {POWER_PORT} --ssl-insecure --systems-uri /redfish/v1/Systems/controller3"
    done = healed.run("controller1", f"fence_redfish {where} -l {BMC_USER} -S /root/secret -o status")
    assert done.stdout.strip() == "Status: ON"


def test_a_wrong_password_fences_nobody(healed: Lab) -> None:
    where = f"-a {healed.spec.gateway} -u {POWER_PORT} --ssl-insecure --systems-uri /redfish/v1/Systems/controller3"
    done = healed.run("controller1", f"fence_redfish {where} -l {BMC_USER} -p wrong -o off")
    assert done.returncode != 0
    assert healed.machine("controller3").on()


def test_a_frozen_machine_is_fenced(healed: Lab) -> None:
    healed.freeze("controller2")
    assert fence(healed, "reboot").returncode == 0
    healed.wait_for_ssh("controller2")


def test_a_fenced_machine_is_on_and_silent_until_its_firmware_is_done(healed: Lab) -> None:
    assert fence(healed, "reboot").returncode == 0
    fenced = time.monotonic()
    machine = healed.machine("controller2")
    assert machine.on()
    assert healed.run("controller1", f"ping -c 1 -W 1 {machine.slot.address}").returncode
    while not machine.booted():
        assert machine.on()
        assert time.monotonic() - fenced < FIRMWARE_SECONDS + 5
        time.sleep(0.05)
    assert time.monotonic() - fenced > FIRMWARE_SECONDS - 2  # the agent's own time, and what it took to ask
    healed.wait_for_ssh("controller2")


def test_start_leaves_out_what_is_left_of_the_firmware(healed: Lab) -> None:
    assert fence(healed, "reboot").returncode == 0
    began = time.monotonic()
    healed.start("controller2")
    healed.wait_for_ssh("controller2")
    assert time.monotonic() - began < FIRMWARE_SECONDS - 2


def test_an_orderly_shutdown_runs_the_guests_units_to_their_end(healed: Lab) -> None:
    assert healed.run("controller2", "touch /root/here; systemctl is-active ssh").returncode == 0
    where = f"https://{healed.spec.gateway}:{POWER_PORT}/redfish/v1/Systems/controller2/Actions/ComputerSystem.Reset"
    login = f"user = {BMC_USER}:{healed.bmc_password}\n"
    body = '\'{"ResetType": "GracefulShutdown"}\''
    command = f"curl -sk -K - -o /dev/null -w '%{{http_code}}' -d {body} {where}"
    assert healed.run("controller1", command, stdin=login).stdout == "204"
    assert not healed.machine("controller2").on()
    console = healed.machine("controller2").console.read_text(errors="replace")
    assert "Stopped ssh.service" in console


def test_a_dead_power_daemon_is_started_again_by_up(healed: Lab) -> None:
    Cgroup(host_layout(), healed.names.power_cgroup).kill()
    assert not healed.power_runs()
    assert fence(healed, "status").returncode not in (0, 2)
    healed.up(healed.cloud_yaml().parent)
    assert healed.power_runs()
    assert fence(healed, "status").returncode == 0

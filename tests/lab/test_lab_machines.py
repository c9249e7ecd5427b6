from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from quorate.errors import InvalidInput, QuorateError, Unreachable
from quorate.lab.lab import Lab


def said(lab: Lab, machine: str, command: str) -> str:
    done = lab.run(machine, command, timeout=20)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def wait_until(condition: Callable[[], bool], limit: float = 20.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_machines_are_different_machines(lab: Lab) -> None:
    names = lab.machines()
    for command in (
        "hostname",
        "cat /etc/machine-id",
        "cat /etc/ssh/ssh_host_ed25519_key.pub",
        "cat /sys/class/net/eth0/address",
        "sha256sum /etc/pacemaker/authkey",
    ):
        assert len({said(lab, name, command) for name in names}) == len(names), command


def test_systemd_is_well_and_nothing_of_the_packages_runs(lab: Lab) -> None:
    done = lab.run("controller1", "systemctl is-system-running --wait", timeout=20)
    assert done.stdout.strip() == "running"
    listening = said(lab, "controller1", "ss -Hlnt | awk '{print $4}'").split()
    assert {address.rsplit(":", 1)[1] for address in listening} == {"22"}


def test_machines_know_and_reach_each_other_by_name(lab: Lab) -> None:
    for name in lab.machines():
        assert said(lab, "controller1", f"getent hosts {name} | cut -d' ' -f1") == lab.address(name)
        said(lab, "controller1", f"ping -c1 -W2 {name}")


def test_no_way_out_and_packages_install_all_the_same(lab: Lab) -> None:
    assert lab.run("controller1", "ping -c1 -W1 192.0.2.1").returncode != 0
    assert "W:" not in said(lab, "controller1", "apt-get -q update 2>&1")
    said(lab, "controller1", "DEBIAN_FRONTEND=noninteractive apt-get -q -y install hello sl && hello")


def test_network_settings_can_be_written_inside(lab: Lab) -> None:
    assert said(lab, "controller1", "sysctl -n net.ipv4.ip_nonlocal_bind") == "1"
    said(lab, "controller1", "sysctl -qw net.ipv4.tcp_retries2=6")
    assert said(lab, "controller2", "sysctl -n net.ipv4.tcp_retries2") != "6"


def test_a_machine_keeps_its_disk_and_its_key_over_a_power_cut(healed: Lab) -> None:
    said(healed, "controller2", "echo here > /root/kept; sync")
    healed.kill("controller2")
    assert not healed.machine("controller2").on()
    assert {machine.name: machine.power for machine in healed.status()}["controller2"] == "off"
    healed.start("controller2")
    healed.wait_for_ssh("controller2")
    assert said(healed, "controller2", "cat /root/kept") == "here"


def test_a_power_cut_takes_the_machines_addresses_with_it(healed: Lab) -> None:
    vip = healed.spec.vip
    said(healed, "controller2", f"ip addr add {vip}/24 dev eth0")
    said(healed, "controller1", f"ping -c1 -W2 {vip}")
    healed.kill("controller2")
    healed.start("controller2")
    healed.wait_for_ssh("controller2")
    assert healed.run("controller1", f"ping -c1 -W1 {vip}").returncode != 0


def test_a_guest_that_reboots_comes_back_and_one_that_powers_off_stays_off(healed: Lab) -> None:
    vip = healed.spec.vip
    said(healed, "controller3", f"ip addr add {vip}/24 dev eth0 && touch /run/before")
    healed.run("controller3", "systemctl reboot")
    wait_until(lambda: healed.run("controller3", "test ! -e /run/before").returncode == 0)
    assert vip not in said(healed, "controller3", "ip -4 addr show eth0")
    healed.run("controller3", "systemctl poweroff")
    wait_until(lambda: not healed.machine("controller3").on())
    time.sleep(1)
    assert not healed.machine("controller3").on()


def test_a_frozen_machine_accepts_and_says_nothing_until_it_thaws(healed: Lab) -> None:
    healed.freeze("controller1")
    assert healed.status()[0].power == "frozen"
    with socket.create_connection((healed.address("controller1"), 22), timeout=2) as connection:
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    with pytest.raises(Unreachable, match="frozen"):
        healed.wait_for_ssh("controller1", limit=0.5)
    healed.thaw("controller1")
    healed.wait_for_ssh("controller1", limit=5)


def test_a_frozen_machine_can_be_killed(healed: Lab) -> None:
    healed.freeze("controller1")
    healed.kill("controller1")
    assert healed.status()[0].power == "off"
    with pytest.raises(QuorateError, match="is off"):
        healed.freeze("controller1")


@pytest.mark.parametrize(("silent", "carrier", "word"), [(False, "0", "pulled"), (True, "1", "silent")])
def test_a_cut_cable_passes_nothing_until_it_heals(healed: Lab, silent: bool, carrier: str, word: str) -> None:
    said(
        healed,
        "controller2",
        "nohup sh -c 'sleep 1; cat /sys/class/net/eth0/carrier > /root/carrier' >/dev/null 2>&1 &",
    )
    healed.cut("controller2", silent=silent)
    assert healed.status()[1].cable == word
    assert healed.run("controller1", "ping -c1 -W1 controller2").returncode != 0
    time.sleep(1.2)
    healed.heal("controller2")
    wait_until(lambda: healed.run("controller1", "ping -c1 -W1 controller2").returncode == 0)
    assert said(healed, "controller2", "cat /root/carrier") == carrier


def test_a_cut_cable_stays_cut_over_a_power_cycle(healed: Lab) -> None:
    healed.cut("controller2", silent=True)
    healed.kill("controller2")
    healed.start("controller2")
    assert healed.status()[1].cable == "silent"
    healed.heal()
    healed.wait_for_ssh("controller2")


def test_a_reset_gives_new_disks_in_seconds(healed: Lab) -> None:
    said(healed, "controller3", "touch /root/gone")
    begun = time.monotonic()
    healed.reset("controller3")
    assert time.monotonic() - begun < 15
    assert healed.run("controller3", "test -e /root/gone").returncode == 1


def test_starting_what_is_on_and_killing_what_is_off_changes_nothing(healed: Lab) -> None:
    said(healed, "controller1", "touch /run/mark")
    healed.start("controller1")
    said(healed, "controller1", "test -e /run/mark")
    healed.kill("controller1")
    healed.kill("controller1")


def test_unknown_machines_are_refused_before_anything_happens(lab: Lab) -> None:
    with pytest.raises(InvalidInput, match="no machine 'controller9'"):
        lab.kill("controller1", "controller9")
    assert lab.machine("controller1").on()


def test_no_zombies_are_ours(healed: Lab) -> None:
    healed.kill("controller1")
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    states = [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] for pid in children]
    assert "Z" not in states

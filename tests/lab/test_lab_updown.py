from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lab.conftest import OwnLab
from quorate.errors import Refused
from quorate.lab import cgroups
from quorate.lab.folder import BMC_USER
from quorate.lab.lab import Lab
from quorate.lab.spec import POWER_PORT, Places

_UP = """\
import sys
from pathlib import Path
from quorate.lab.lab import Lab
from quorate.lab.spec import Places
name, folder, subnet, cache = sys.argv[1:]
Lab(name, places=Places(cache=Path(cache))).up(Path(folder), machines=2, subnet=subnet, packages=())
"""


def traces(name: str) -> list[str]:
    """All on this host that carries the lab's name: mounts, links, namespaces, cgroups, processes, files."""
    names = Lab(name).names
    found = [line for line in Path("/proc/self/mounts").read_text().splitlines() if f"/{name}/" in line]
    found += [link.name for link in Path("/sys/class/net").iterdir() if names.tag in link.name]
    for folder in ("/run/netns", "/run/quorate", "/run/systemd/nspawn"):
        found += [entry for _, *entries in os.walk(folder) for entry in (*entries[0], *entries[1]) if name in entry]
    if (Places().state / name).exists():
        found.append(str(Places().state / name))
    found += [group.name for group in cgroups.groups_named(cgroups.host_layout(), names.prefix)]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes() + (process / "cgroup").read_bytes()
            dead = ") Z 1 " in (process / "stat").read_text()  # has ended; PID 1 takes note of it when it likes
        except OSError:
            continue
        if name.encode() in words and not dead and int(process.name) != os.getpid():
            found.append(f"process {process.name}: {words!r}")
    return found


def begin_up(own: OwnLab, cache: Path | None = None) -> subprocess.Popen[bytes]:
    where = (own.lab.name, str(own.folder), own.subnet, str(cache or Places().cache))
    return subprocess.Popen([sys.executable, "-c", _UP, *where], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill_after(process: subprocess.Popen[bytes], seconds: float) -> None:
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)


def test_up_writes_what_the_other_verbs_need_and_down_leaves_nothing(own: OwnLab) -> None:
    own.folder.mkdir()
    (own.folder / "secrets.yaml").write_text("# mine\nkeystone: {admin: kept}\n")
    own.lab.up(own.folder, machines=("left", "right"), subnet=own.subnet, packages=())
    cloud = YAML(typ="safe").load(own.lab.cloud_yaml().read_text())
    assert list(cloud["controllers"]) == ["left", "right"]
    assert cloud["controllers"]["right"]["fencing"]["port"] == POWER_PORT
    assert cloud["controllers"]["right"]["fencing"]["username"] == BMC_USER
    secrets = (own.folder / "secrets.yaml").read_text()
    assert YAML(typ="safe").load(secrets)["fencing"] == dict.fromkeys(("left", "right"), own.lab.bmc_password)
    assert "# mine" in secrets
    assert "kept" in secrets
    for private in ("secrets.yaml", "lab_key"):
        assert stat.S_IMODE((own.folder / private).stat().st_mode) == 0o600
    assert own.lab.run("left", "hostname").stdout == "left\n"
    assert traces(own.lab.name)
    assert own.lab.down()
    assert traces(own.lab.name) == []
    assert own.lab.down() == []


def test_up_again_leaves_running_machines_alone_and_starts_the_others(own: OwnLab) -> None:
    own.lab.up(own.folder, machines=2, subnet=own.subnet, packages=())
    own.lab.run("controller1", "touch /run/mark")
    own.lab.kill("controller2")
    own.lab.up(own.folder)
    assert own.lab.run("controller1", "test -e /run/mark").returncode == 0
    assert own.lab.run("controller2", "hostname").stdout == "controller2\n"
    with pytest.raises(Refused, match="exists with other machines"):
        own.lab.up(own.folder, machines=3)
    (own.folder / "cloud.yaml").write_text("cloud: mine\n")
    with pytest.raises(Refused, match="differs"):
        own.lab.up(own.folder)
    own.lab.up(own.folder, force=True)


def test_a_subnet_in_use_is_refused(own: OwnLab, session_lab: Lab) -> None:
    with pytest.raises(Refused, match="in use on this host"):
        own.lab.up(own.folder, machines=1, subnet=session_lab.spec.subnet, packages=())
    assert not own.lab.state.exists()


@pytest.mark.parametrize("seconds", [0.25, 0.35, 0.45, 0.55, 0.7, 0.9, 1.2])
def test_down_after_up_was_killed_midway_leaves_nothing(own: OwnLab, seconds: float) -> None:
    kill_after(begin_up(own), seconds)
    own.lab.down()
    assert traces(own.lab.name) == []


def test_up_goes_on_where_a_killed_one_stopped(own: OwnLab) -> None:
    for seconds in (0.3, 0.5, 0.7):
        kill_after(begin_up(own), seconds)
    own.lab.up(own.folder, machines=2, subnet=own.subnet, packages=())
    assert own.lab.run("controller2", "hostname").stdout == "controller2\n"


def test_down_after_a_build_was_killed_leaves_nothing(own: OwnLab, tmp_path: Path) -> None:
    cache = tmp_path / "images"
    kill_after(begin_up(own, cache), 4)
    assert list(cache.glob("*.building"))
    Lab(own.lab.name, places=Places(cache=cache)).down()
    assert traces(own.lab.name) == []
    assert not list(cache.glob("*.building"))
    assert str(cache) not in Path("/proc/self/mounts").read_text()


def test_down_with_only_the_leftovers_or_only_the_record(own: OwnLab) -> None:
    own.lab.up(own.folder, machines=1, subnet=own.subnet, packages=())
    (own.lab.state / "lab.json").unlink()
    own.lab.down()
    assert traces(own.lab.name) == []
    own.lab.state.mkdir(parents=True)
    (own.lab.state / "lab.json").write_text("{")
    assert own.lab.down() == [str(own.lab.state)]


def test_down_after_the_power_daemon_and_a_machine_were_killed(own: OwnLab) -> None:
    own.lab.up(own.folder, machines=2, subnet=own.subnet, packages=())
    os.kill(int((own.lab.state / "power.pid").read_text()), signal.SIGKILL)
    own.lab.machine("controller1").cgroup.kill()
    own.lab.freeze("controller2")
    own.lab.down()
    assert traces(own.lab.name) == []


def test_machines_and_daemon_outlive_whoever_started_them(own: OwnLab) -> None:
    process = begin_up(own)
    assert process.wait(timeout=600) == 0
    assert [machine.power for machine in own.lab.status()] == ["on", "on"]
    assert own.lab.power_runs()


def test_bookworm_boots_and_fences_too(own: OwnLab) -> None:
    own.lab.up(own.folder, machines=2, release="bookworm", subnet=own.subnet, packages=("fence-agents",))
    assert own.lab.run("controller1", "cat /etc/debian_version").stdout.startswith("12.")
    assert own.lab.run("controller1", "systemctl is-system-running --wait").stdout == "running\n"
    assert own.lab.run("controller1", "apt-get -q update && apt-get -q -y install hello").returncode == 0
    where = f"ip={own.lab.spec.gateway}\nipport={POWER_PORT}\nusername={BMC_USER}\npassword={own.lab.bmc_password}\n"
    for action, code in (("status", 0), ("off", 0), ("status", 2), ("on", 0), ("reboot", 0), ("monitor", 0)):
        options = f"{where}ssl_insecure=1\nsystems_uri=/redfish/v1/Systems/controller2\naction={action}\n"
        done = own.lab.run("controller1", "fence_redfish", stdin=options)
        assert done.returncode == code, f"{action}: {done.stdout} {done.stderr}"

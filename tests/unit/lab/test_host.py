"""What the lab reads of its host: cgroups, what is missing, the mirror, mounts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from quorate.lab import cgroups
from quorate.lab.cgroups import Cgroup, Layout, detect
from quorate.lab.needs import Host, filesystem, missing
from quorate.lab.network import taken
from quorate.lab.sources import Mirror, acquire_options, mirror
from quorate.lab.spec import Spec
from quorate.lab.sweep import mounts_under

_HYBRID = """\
tmpfs /sys/fs/cgroup tmpfs rw,relatime,mode=755 0 0
cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,name=systemd 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
"""
_PURE = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime,nsdelegate 0 0\n"
_LEGACY = "cgroup /sys/fs/cgroup/systemd cgroup rw,xattr,name=systemd 0 0\n"


@pytest.mark.parametrize(
    ("mounts", "booted", "layout"),
    [
        (_HYBRID, False, Layout(Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup/systemd"), managed=False)),
        (_HYBRID, True, Layout(Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup/systemd"), managed=True)),
        (_PURE, True, Layout(Path("/sys/fs/cgroup"), None, managed=True)),
        (_PURE, False, Layout(Path("/sys/fs/cgroup"), None, managed=False)),
        (_LEGACY, True, None),
        ("", False, None),
        ("short line\n", False, None),
    ],
)
def test_the_layout_of_cgroups_is_read_from_the_mounts(mounts: str, booted: bool, layout: Layout | None) -> None:
    assert detect(mounts, booted) == layout


def test_without_systemd_a_group_is_a_directory_in_each_hierarchy_and_is_joined_by_writing() -> None:
    group = Cgroup(Layout(Path("/u"), Path("/s"), managed=False), "quorate.lab.one")
    assert group.paths == (Path("/u/quorate.lab.one"), Path("/s/quorate.lab.one"))
    command = group.launcher(["nspawn", "-b"])
    assert command[:2] == ["/bin/sh", "-c"]
    assert command[-5:] == ["/u/quorate.lab.one", "/s/quorate.lab.one", "--", "nspawn", "-b"]


def test_under_systemd_a_group_is_a_delegated_scope() -> None:
    group = Cgroup(Layout(Path("/sys/fs/cgroup"), None, managed=True), "quorate.lab.one")
    assert group.paths == (Path("/sys/fs/cgroup/machine.slice/quorate.lab.one.scope"),)
    command = group.launcher(["nspawn", "-b"])
    assert command[:3] == ["setsid", "--fork", "systemd-run"]
    assert "--unit=quorate.lab.one.scope" in command
    assert "--property=Delegate=yes" in command
    assert command[-3:] == ["--", "nspawn", "-b"]


def test_a_group_that_does_not_exist_is_empty_and_takes_every_order(tmp_path: Path) -> None:
    group = Cgroup(Layout(tmp_path, None, managed=False), "quorate.lab.one")
    assert not group.populated()
    assert not group.frozen()
    assert group.pids() == []
    group.freeze(True)
    group.kill()
    group.remove()


_GOOD = Host(
    system="Linux",
    kernel="6.1.0-28-amd64",
    root=True,
    programs=frozenset(
        {"systemd-nspawn", "debootstrap", "ip", "mount", "umount", "setsid", "setpriv", "unshare", "chroot"}
    ),
    overlay=True,
    disk="ext4",
    cgroup2=True,
    keyring=True,
)


def test_a_good_host_lacks_nothing() -> None:
    assert missing(_GOOD) is None


def test_one_error_lists_all_that_is_missing_and_how_to_get_it() -> None:
    host = replace(
        _GOOD,
        root=False,
        kernel="5.10.0-9",
        programs=_GOOD.programs - {"systemd-nspawn", "debootstrap"},
        overlay=False,
        disk="overlay",
        cgroup2=False,
        keyring=False,
    )
    error = missing(host)
    assert error is not None
    for lack in (
        "root",
        "5.14",
        "systemd-nspawn",
        "debootstrap",
        "overlayfs",
        "not itself an overlay",
        "cgroup v2",
        "archive keys",
    ):
        assert lack in error.message
    assert "apt install debian-archive-keyring debootstrap systemd-container" in error.hint
    assert "without the lab all else works" in error.hint
    assert error.exit_code == 5


def test_no_command_is_offered_where_none_helps() -> None:
    error = missing(replace(_GOOD, root=False))
    assert error is not None
    assert "apt install" not in error.hint


def test_another_system_is_told_so() -> None:
    error = missing(replace(_GOOD, system="Darwin"))
    assert error is not None
    assert "Darwin" in error.message


def test_the_mirror_is_read_from_both_formats() -> None:
    deb822 = "Types: deb\nURIs: http://mirror.example/debian/\nSuites: bookworm\nSigned-By: /usr/share/x.gpg\n"
    security = "deb [signed-by=/x.gpg] https://mirror.example/debian-security bookworm-security main\n"
    other = "deb https://packages.example/apt stable main\n# deb http://commented.example/debian x main\n"
    found = mirror([other, deb822, security])
    assert found == Mirror("http://mirror.example/debian", "https://mirror.example/debian-security")
    assert "deb http://mirror.example/debian trixie main\n" in found.sources("trixie")
    assert "deb https://mirror.example/debian-security trixie-security main\n" in found.sources("trixie")


@pytest.mark.parametrize("text", ["", "deb cdrom:[Debian]/ bookworm main\n", "URIs: mirror+file:/etc/mirrors\n"])
def test_without_a_mirror_it_is_debians_own(text: str) -> None:
    assert mirror([text]) == Mirror()


def test_proxies_and_checks_are_carried_over_and_nothing_else() -> None:
    dump = (
        'APT::Architecture "amd64";\nAcquire::http::Proxy "http://proxy.example:3128";\nAcquire::Check-Date "false";\n'
        'Acquire::Languages "none";\nDPkg::Post-Invoke:: "rm -rf /";\nAcquire::https::CAInfo "/etc/ca.crt";\n'
    )
    assert acquire_options(dump).splitlines() == [
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::Check-Date "false";',
        'Acquire::https::CAInfo "/etc/ca.crt";',
    ]


def test_mounts_are_found_innermost_first_and_only_below_the_folder() -> None:
    points = ("/lab/one", "/lab/one/x", "/lab/one/x/y\\040z", "/lab/one2/x")
    mounts = "".join(f"source {point} overlay rw 0 0\n" for point in points)
    assert mounts_under(mounts, Path("/lab/one")) == ["/lab/one/x/y z", "/lab/one/x"]


def test_a_scope_is_stopped_before_its_name_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = Cgroup(Layout(tmp_path, None, managed=True), "quorate.lab.one")
    (group.paths[0] / "payload").mkdir(parents=True)
    asked: list[list[str]] = []
    monkeypatch.setattr(cgroups, "attempt", lambda argv, **_: asked.append(argv))
    group.remove()
    group.remove()
    assert asked == [["systemctl", "stop", "quorate.lab.one.scope"]]
    assert not group.paths[0].exists()


def test_groups_are_found_by_name_in_every_hierarchy(tmp_path: Path) -> None:
    for name in ("u/quorate.lab.one", "s/quorate.lab.two", "u/quorate.lab2.one", "u/other", "s/quorate.lab.one"):
        (tmp_path / name).mkdir(parents=True)
    plain = Layout(tmp_path / "u", tmp_path / "s", managed=False)
    assert [group.name for group in cgroups.groups_named(plain, "quorate.lab.")] == [
        "quorate.lab.one",
        "quorate.lab.two",
    ]
    (tmp_path / "u/machine.slice/quorate.lab.one.scope").mkdir(parents=True)
    managed = Layout(tmp_path / "u", None, managed=True)
    assert [group.name for group in cgroups.groups_named(managed, "quorate.lab.")] == ["quorate.lab.one"]


def test_only_routes_to_the_subnet_take_it() -> None:
    lab = Spec("lab", ("one",), "10.77.0.0/24", "trixie", (), "abc", "/x", "00")
    routes = [
        {"dst": "default", "dev": "eth0"},
        {"dst": "0.0.0.0/1", "dev": "tun0"},
        {"dst": "10.77.0.0/24", "dev": lab.names.bridge},
        {"type": "broadcast", "dst": "10.77.0.255", "dev": "eth0"},
        {"dst": "10.78.0.0/24", "dev": "eth1"},
        {"dst": "10.0.0.0/8", "dev": "vpn"},
        {"type": "local", "dst": "10.77.0.9"},
    ]
    assert taken(routes, lab) == [("10.0.0.0/8", "vpn"), ("10.77.0.9", "?")]


def test_a_path_lies_on_the_innermost_mount() -> None:
    mounts = "a / overlay rw 0 0\nb /var ext4 rw 0 0\nc /var/lib2 tmpfs rw 0 0\nd /var xfs rw 0 0\n"
    assert filesystem(mounts, Path("/var/lib/quorate")) == "xfs"
    assert filesystem(mounts, Path("/home")) == "overlay"

"""What an audit reads of folders and archives, which machine a file is taken to be from, and what is named instead."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from quorate.engine import archives
from quorate.engine.audit import Collected, Host, collect, sources
from quorate.errors import InvalidInput
from quorate.transport.remote import gather

CFG = "listen a\n  server x 10.0.0.1:80\n"
Packer = Callable[[Path], Path]


def plant(root: Path, *paths: str, text: str = CFG) -> None:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def read(*targets: Path, kolla: Iterable[Path] = (), osa: Iterable[Path] = ()) -> Collected:
    found, hosts = sources([str(target) for target in targets], list(kolla), list(osa))
    assert not hosts
    return collect(found, [], lambda _text: None)


def below(root: Path, came: Collected) -> dict[str, str]:
    """The machine of each file that was read."""
    return {str(Path(one.path).relative_to(root)): one.host for one in came.texts}


def packed_tar(folder: Path) -> Path:
    archive = folder.with_suffix(".tar.gz")
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, arcname=".")
    return archive


def packed_zip(folder: Path) -> Path:
    archive = folder.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            if path.is_symlink():
                info = zipfile.ZipInfo(name)
                info.create_system, info.external_attr = 3, 0o120777 << 16
                packed.writestr(info, str(path.readlink()))
            elif path.is_file():
                packed.write(path, name)
    return archive


def unpacked(folder: Path) -> Path:
    return folder


ANY_FORM = pytest.mark.parametrize("form", [unpacked, packed_tar, packed_zip])


@ANY_FORM
def test_known_files_are_read_and_others_are_not(tmp_path: Path, form: Packer) -> None:
    folder = tmp_path / "cloud"
    plant(folder, "c1/etc/haproxy/haproxy.cfg", "c2/etc/haproxy/haproxy.cfg", "c2/etc/shadow", "c2/etc/not-nova.conf")
    root = form(folder)
    came = read(root)
    assert below(root, came) == {"c1/etc/haproxy/haproxy.cfg": "c1", "c2/etc/haproxy/haproxy.cfg": "c2"}
    assert {one.body for one in came.texts} == {CFG}
    assert came.unread == ()


@ANY_FORM
def test_links_are_followed_inside_and_named_where_they_lead_outside(tmp_path: Path, form: Packer) -> None:
    plant(tmp_path, "secret.cfg", text="listen outside\n")
    folder = tmp_path / "cloud"
    plant(folder, "c1/etc/haproxy/live.d/current", "c1/etc/haproxy/haproxy-own.cfg")
    links = {
        "haproxy.cfg": "live.d/../live.d/current",  # of a file whose own name is none that is known
        "haproxy-same.cfg": "/etc/haproxy/haproxy-own.cfg",  # as that machine sees it: read already
        "haproxy-out.cfg": "../../../../secret.cfg",
        "haproxy-gone.cfg": "nowhere",
        "haproxy-ring.cfg": "haproxy-ring.cfg",
        "haproxy-host.cfg": "/etc/passwd",
    }
    for name, target in links.items():
        (folder / "c1/etc/haproxy" / name).symlink_to(target)
    root = form(folder)
    came = read(root)
    assert sorted(below(root, came)) == ["c1/etc/haproxy/haproxy-own.cfg", "c1/etc/haproxy/haproxy.cfg"]
    why = {Path(one.place.path).name: one.why for one in came.unread}
    assert sorted(why) == ["haproxy-gone.cfg", "haproxy-host.cfg", "haproxy-out.cfg", "haproxy-ring.cfg"]
    assert "outside" in why["haproxy-out.cfg"]
    assert not any("outside" in one.body for one in came.texts)


@ANY_FORM
def test_a_folder_that_is_a_link_is_looked_into_where_it_leads(tmp_path: Path, form: Packer) -> None:
    folder = tmp_path / "cloud"
    plant(folder, "c1/openstack/venvs/nova-31/etc/nova/nova.conf", "c1/etc/hosts", "c1/usr/x", text="[DEFAULT]\n")
    (folder / "c1/etc/nova").symlink_to("/openstack/venvs/nova-31/etc/nova")
    (folder / "c1/etc/glance").symlink_to("/somewhere/else")
    root = form(folder)
    came = read(root)
    assert [Path(one.path).name for one in came.texts] == ["nova.conf"]
    assert [(Path(one.place.path).name, "not given" in one.why) for one in came.unread] == [("glance", True)]


@ANY_FORM
def test_links_that_enable_or_mask_a_unit_are_no_files(tmp_path: Path, form: Packer) -> None:
    folder = tmp_path / "cloud"
    plant(folder, "c1/etc/systemd/system/own.service", "c1/etc/haproxy/haproxy.cfg", text="[Service]\n")
    (folder / "c1/etc/systemd/system/masked.service").symlink_to("/dev/null")
    (folder / "c1/etc/systemd/system/other.service").symlink_to("/usr/lib/systemd/system/other.service")
    assert read(form(folder)).unread == ()


def test_the_same_file_is_read_once(tmp_path: Path) -> None:
    plant(tmp_path, "c1/etc/haproxy/haproxy.cfg")
    came = read(tmp_path, tmp_path / "c1", tmp_path / "c1/etc/haproxy/haproxy.cfg")
    assert len(came.texts) == 1


def test_of_a_whole_machine_only_the_configuration_is_looked_at(tmp_path: Path) -> None:
    plant(tmp_path, "c1/etc/haproxy/haproxy.cfg", "c1/usr/share/doc/haproxy/haproxy.cfg", "c1/var/lib/rabbitmq/x")
    assert below(tmp_path, read(tmp_path)) == {"c1/etc/haproxy/haproxy.cfg": "c1"}


@pytest.mark.parametrize(
    ("path", "machine"),
    [
        ("c1/etc/haproxy/haproxy.cfg", "c1"),
        ("c1/rootfs/etc/haproxy/haproxy.cfg", "c1"),
        ("c1/haproxy.cfg", "c1"),
        ("haproxy/haproxy.cfg", "cloud"),
        ("etc/haproxy/haproxy.cfg", "cloud"),
        ("haproxy.cfg", "cloud"),
        ("site/c1/etc/kolla/haproxy/haproxy.cfg", "c1"),
    ],
)
def test_which_machine_a_file_is_from(tmp_path: Path, path: str, machine: str) -> None:
    plant(tmp_path / "cloud", path)
    assert set(below(tmp_path / "cloud", read(tmp_path / "cloud")).values()) == {machine}


def test_files_and_folders_below_etc_are_of_the_machine_above(tmp_path: Path) -> None:
    plant(tmp_path, "c1/etc/haproxy/haproxy.cfg", "c2/etc/haproxy/haproxy.cfg")
    came = read(tmp_path / "c1/etc/haproxy/haproxy.cfg", tmp_path / "c2/etc")
    assert sorted(one.host for one in came.texts) == ["c1", "c2"]


def test_kolla_has_a_folder_for_each_container_of_one_machine(tmp_path: Path) -> None:
    plant(tmp_path, "kolla/haproxy/haproxy.cfg", "kolla/neutron-haproxy/haproxy.cfg")
    assert set(below(tmp_path, read(kolla=[tmp_path / "kolla"])).values()) == {"kolla"}
    plant(tmp_path, "several/c1/etc/kolla/haproxy/haproxy.cfg", "several/c2/etc/kolla/haproxy/haproxy.cfg")
    assert set(below(tmp_path, read(kolla=[tmp_path / "several"])).values()) == {"c1", "c2"}


@pytest.mark.parametrize(
    ("container", "machine"),
    [
        ("infra1_galera_container-1a2b3c4d", "infra1"),
        ("infra-1-rabbit-mq-container-1a2b3c4d", "infra-1"),
        ("rack_a_infra1_nova_api_container-1a2b3c4d", "rack_a_infra1"),
        ("infra1", "infra1"),
    ],
)
def test_a_container_of_openstack_ansible_is_on_its_machine(tmp_path: Path, container: str, machine: str) -> None:
    plant(tmp_path, f"{container}/rootfs/etc/haproxy/haproxy.cfg")
    assert set(below(tmp_path, read(osa=[tmp_path])).values()) == {machine}


def test_permissions_of_copies_say_nothing(tmp_path: Path) -> None:
    plant(tmp_path, "c1/etc/haproxy/haproxy.cfg")
    assert [one.mode for one in read(tmp_path).texts] == [None]
    archive = tmp_path / "c.tar"
    with tarfile.open(archive, "w") as tar:
        for owner in (0, 1000):
            info = tarfile.TarInfo(f"c{owner}/etc/haproxy/haproxy.cfg")
            info.uid, info.mode, info.size = owner, 0o640, len(CFG)
            tar.addfile(info, io.BytesIO(CFG.encode()))
    assert {one.host: one.mode for one in read(archive).texts} == {"c0": 0o640, "c1000": None}


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, "c1/etc/haproxy/haproxy.cfg", "c1/etc/haproxy/haproxy-big.cfg", "notes.txt")
    (tmp_path / "c1/etc/haproxy/haproxy-big.cfg").write_text("#" * 200)
    os.mkfifo(tmp_path / "c1/etc/haproxy/haproxy-pipe.cfg")
    monkeypatch.setattr(gather, "LARGEST", 100)
    came = read(tmp_path, tmp_path / "notes.txt")
    why = {Path(one.place.path).name: one.why for one in came.unread}
    assert sorted(why) == ["haproxy-big.cfg", "haproxy-pipe.cfg", "notes.txt"]
    assert "of no kind that an audit knows" in why["notes.txt"]
    assert [Path(one.path).name for one in came.texts] == ["haproxy.cfg"]


def test_targets_that_are_nothing_are_named_all_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        sources([str(tmp_path / "nix"), "controller1", "root@h:22", "ssh://h:0"], [tmp_path / "kolla"])
    assert [one.file for one in caught.value.problems] == [
        str(tmp_path / "kolla"),
        str(tmp_path / "nix"),
        "controller1",
        "root@h:22",
        "ssh://h:0",
    ]


def test_hosts_are_told_by_their_form() -> None:
    _, hosts = sources(["root@c1", "ssh://c2", "ssh://ann@c3:2222", "ssh://[fd00::1]:22", "root@c1"], sudo=True)
    assert hosts == [
        Host("c1", "root", None, sudo=True),
        Host("c2", None, None, sudo=True),
        Host("c3", "ann", 2222, sudo=True),
        Host("fd00::1", None, 22, sudo=True),
    ]


def test_nothing_that_is_known_is_a_mistake(tmp_path: Path) -> None:
    plant(tmp_path, "readme.md")
    with pytest.raises(InvalidInput, match="nothing was found"):
        read(tmp_path)


def archive_of(path: Path, names: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in names.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_a_member_that_leads_outside_is_named(tmp_path: Path) -> None:
    names = {"../../haproxy.cfg": CFG.encode(), "/c1/etc/haproxy/haproxy.cfg": CFG.encode()}
    archive = archive_of(tmp_path / "a.tar", names)
    came = read(archive)
    assert [one.path for one in came.texts] == [f"{archive}/c1/etc/haproxy/haproxy.cfg"]
    assert ["outside" in one.why for one in came.unread] == [True]


def test_of_a_name_twice_the_last_counts(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        for text in ("old", "new"):
            info = tarfile.TarInfo("haproxy.cfg")
            info.size = 3
            tar.addfile(info, io.BytesIO(text.encode()))
    assert [one.body for one in read(archive).texts] == ["new"]


def test_a_hard_link_is_the_file_that_it_names(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        info = tarfile.TarInfo("c1/etc/haproxy/kept")
        info.size = len(CFG)
        tar.addfile(info, io.BytesIO(CFG.encode()))
        info = tarfile.TarInfo("c1/etc/haproxy/haproxy.cfg")
        info.type, info.linkname = tarfile.LNKTYPE, "c1/etc/haproxy/kept"
        tar.addfile(info)
    assert [one.body for one in read(archive).texts] == [CFG]


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "UNPACKED", 1 << 20)
    monkeypatch.setattr(archives, "AT_ONCE", 1 << 16)
    bomb = tmp_path / "bomb.tar.gz"
    info = tarfile.TarInfo("zeros")
    info.size = 4 << 20
    with gzip.open(bomb, "wb") as file:
        file.write(info.tobuf())
        file.write(b"\0" * info.size)
        late = tarfile.TarInfo("haproxy.cfg")
        file.write(late.tobuf())
    came = read(bomb)
    assert came.texts == ()
    assert ["once it is unpacked" in one.why for one in came.unread] == [True]


def test_a_zip_that_lies_about_a_size_is_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "LARGEST", 1000)
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("haproxy.cfg", "#" * 100_000)
    came = read(archive)
    assert came.texts == ()
    assert ["longer than" in one.why for one in came.unread] == [True]


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
def test_a_broken_archive_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"this is none" * 100)
    came = read(tmp_path / name)
    assert came.texts == ()
    assert [one.place.path for one in came.unread] == [str(tmp_path / name)]

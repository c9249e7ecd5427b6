from __future__ import annotations

import dataclasses
import stat
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from quorate.errors import InvalidInput, Refused
from quorate.lab import folder
from quorate.lab.identity import keypair_at, machine_id, self_signed, write_private
from quorate.lab.spec import Spec

LAB = Spec("lab", ("controller1", "controller2"), "10.77.0.0/24", "trixie", (), "abc", "/x", "00" * 16)


def test_the_cloud_file_is_the_one_that_is_documented() -> None:
    assert folder.cloud_yaml(LAB) == (
        "cloud: lab\n"
        "os: debian-13\n"
        "networks:\n"
        "  management: {subnet: 10.77.0.0/24, interface: eth0}\n"
        "vips:\n"
        "  api: {address: 10.77.0.100, network: management}\n"
        "controllers:\n"
        "  controller1:\n"
        "    addresses: {management: 10.77.0.11}\n"
        "    fencing: {agent: redfish, address: 10.77.0.1, port: 8443, system: controller1, username: quorate,"
        " tls_verify: false}\n"
        "  controller2:\n"
        "    addresses: {management: 10.77.0.12}\n"
        "    fencing: {agent: redfish, address: 10.77.0.1, port: 8443, system: controller2, username: quorate,"
        " tls_verify: false}\n"
        "ssh: {user: root, identity: ./lab_key, known_hosts: ./known_hosts}\n"
    )


def test_optional_systems_are_named_in_it() -> None:
    wanted = dataclasses.replace(LAB, systems=("rabbitmq: {}",))
    assert folder.cloud_yaml(wanted) == folder.cloud_yaml(LAB) + "systems:\n  rabbitmq: {}\n"


def test_another_cloud_file_is_not_overwritten(tmp_path: Path) -> None:
    folder.refuse_overwrite(tmp_path, LAB)
    (tmp_path / "cloud.yaml").write_text(folder.cloud_yaml(LAB))
    folder.refuse_overwrite(tmp_path, LAB)
    other = dataclasses.replace(LAB, subnet="10.78.0.0/24")
    with pytest.raises(Refused) as caught:
        folder.refuse_overwrite(tmp_path, other)
    assert "--force" in caught.value.hint


def test_writing_twice_keeps_other_secrets_and_modes(tmp_path: Path) -> None:
    key = tmp_path / "state_key"
    public = keypair_at(key).public
    directory = tmp_path / "cloud"
    directory.mkdir()
    (directory / "secrets.yaml").write_text("# by hand\nfencing: {other: kept}\ndatabase: {root: kept}\n")
    for password in ("first", "second"):
        folder.write(directory, LAB, key=key, hosts="hosts\n", password=password)
    secrets = YAML(typ="safe").load((directory / "secrets.yaml").read_text())
    assert secrets == {
        "fencing": {"other": "kept", "controller1": "second", "controller2": "second"},
        "database": {"root": "kept"},
    }
    assert (directory / "secrets.yaml").read_text().startswith("# by hand")
    for name in ("secrets.yaml", "lab_key"):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600
    assert keypair_at(directory / "lab_key").public == public
    assert not list(directory.glob(".*"))


@pytest.mark.parametrize("text", ["a: [", "- list\n", "fencing: 3\n", "just words\n"])
def test_secrets_that_are_none_are_not_overwritten(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"secrets\.yaml"):
        folder.merged_secrets(text, LAB, "x", "secrets.yaml")


def test_known_hosts_names_address_and_host() -> None:
    text = folder.known_hosts(LAB, {"controller1": "ssh-ed25519 A", "controller2": "ssh-ed25519 B"})
    assert text == "10.77.0.11,controller1 ssh-ed25519 A\n10.77.0.12,controller2 ssh-ed25519 B\n"


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_machine_ids_are_version_4_and_differ_by_lab_and_machine() -> None:
    ids = {machine_id(lab, name) for lab in ("a", "b") for name in ("x", "y")}
    assert len(ids) == 4
    for one in ids:
        assert len(one) == 32
        assert one[12] == "4"
        assert one[16] == "8"
    assert machine_id("a", "x") == machine_id("a", "x")


def test_a_certificate_is_for_its_address() -> None:
    key, certificate = self_signed("10.77.0.1")
    assert b"PRIVATE KEY" in key
    assert b"BEGIN CERTIFICATE" in certificate

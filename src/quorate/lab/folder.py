"""What `lab up` writes for the user: a cloud.yaml that describes the lab, its secrets, and the way in."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from quorate.errors import InvalidInput, Refused
from quorate.lab.identity import write_private
from quorate.lab.spec import POWER_PORT, Spec

BMC_USER = "quorate"

_OS = {"trixie": "debian-13", "bookworm": "debian-12"}
_CLOUD = """\
cloud: lab
os: {os}
networks:
  management: {{subnet: {spec.subnet}, interface: eth0}}
vips:
  api: {{address: {spec.vip}, network: management}}
controllers:
{controllers}ssh: {{user: root, identity: ./lab_key, known_hosts: ./known_hosts}}
"""
_CONTROLLER = """\
  {slot.name}:
    addresses: {{management: {slot.address}}}
    fencing: {{agent: redfish, address: {spec.gateway}, port: {port}, system: {slot.name}, username: {user}, \
tls_verify: false}}
"""


def cloud_yaml(spec: Spec) -> str:
    """Return the text of the lab's cloud.yaml. Pure."""
    controllers = "".join(
        _CONTROLLER.format(spec=spec, slot=slot, port=POWER_PORT, user=BMC_USER) for slot in spec.slots
    )
    wanted = "".join(f"  {line}\n" for line in spec.systems)
    systems = f"systems:\n{wanted}" if wanted else ""
    return _CLOUD.format(spec=spec, os=_OS[spec.release], controllers=controllers) + systems


def known_hosts(spec: Spec, host_keys: dict[str, str]) -> str:
    """Return the text of known_hosts. Pure."""
    return "".join(f"{slot.address},{slot.name} {host_keys[slot.name]}\n" for slot in spec.slots)


def refuse_overwrite(folder: Path, spec: Spec) -> None:
    """Raise Refused when the folder describes another cloud."""
    path = folder / "cloud.yaml"
    if path.exists() and path.read_text() != cloud_yaml(spec):
        raise Refused(
            f"{path} exists and differs from what the lab would write",
            hint="choose another folder, or overwrite it with --force",
        )


def write(folder: Path, spec: Spec, *, key: Path, hosts: str, password: str) -> None:
    """Write cloud.yaml, secrets.yaml, lab_key and known_hosts. Other secrets in secrets.yaml stay."""
    folder.mkdir(parents=True, exist_ok=True)
    write_private(folder / "lab_key", key.read_bytes())
    (folder / "known_hosts").write_text(hosts)
    path = folder / "secrets.yaml"
    before = path.read_text() if path.exists() else ""
    write_private(path, merged_secrets(before, spec, password, str(path)).encode())
    (folder / "cloud.yaml").write_text(cloud_yaml(spec))
    _give_to_caller(folder, [folder / name for name in ("cloud.yaml", "secrets.yaml", "lab_key", "known_hosts")])


def _give_to_caller(folder: Path, files: Sequence[Path]) -> None:
    """Let whoever called sudo own what was written: the other verbs need no root."""
    user, group = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() != 0 or not user.isdecimal() or not group.isdecimal():
        return
    for path in files:
        os.chown(path, int(user), int(group))
    if folder.stat().st_uid == 0 and not set(folder.iterdir()) - set(files):
        os.chown(folder, int(user), int(group))


def merged_secrets(before: str, spec: Spec, password: str, where: str) -> str:
    """Return secrets.yaml with the BMC password of each machine set and all else as it was. Pure."""
    yaml = YAML()
    try:
        data = yaml.load(before) if before.strip() else {}
    except YAMLError as error:
        line = error.problem_mark.line + 1 if isinstance(error, MarkedYAMLError) and error.problem_mark else 1
        # The parser's own words may quote a secret.
        raise InvalidInput(f"{where}:{line}: this is not YAML") from None
    if not isinstance(data, dict) or not isinstance(data.setdefault("fencing", {}), dict):
        raise InvalidInput(f"{where} does not hold secrets by name", hint="move it away and run `quorate lab up` again")
    for machine in spec.machines:
        data["fencing"][machine] = password
    text = io.StringIO()
    yaml.dump(data, text)
    return text.getvalue()


def ssh_command(address: str, key: Path, hosts: Path) -> list[str]:
    """Return the ssh command line that enters a machine as root."""
    options = {
        "UserKnownHostsFile": str(hosts),
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
        "ConnectTimeout": "5",
        "LogLevel": "ERROR",
    }
    program = shutil.which("ssh") or "ssh"
    return [
        program,
        "-F",
        "none",
        "-i",
        str(key),
        *(f"-o{key}={value}" for key, value in options.items()),
        f"root@{address}",
    ]

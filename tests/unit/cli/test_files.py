from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from quorate.cli import files
from quorate.core.secret import reference
from quorate.errors import InvalidInput, QuorateError, Refused

MINIMAL = Path(__file__).parents[3] / "examples" / "minimal.yaml"


@pytest.fixture
def cloud_file(tmp_path: Path) -> Path:
    path = tmp_path / "cloud.yaml"
    path.write_text(MINIMAL.read_text(encoding="utf-8"), encoding="utf-8")
    return path


def filled(cloud_file: Path) -> list[str]:
    """Make all secrets, and say those that only the operator knows."""
    cloud, systems = files.load_cloud(cloud_file)
    wanted = [spec for spec in files.secret_specs(cloud, systems) if spec.kind == "given"]
    assert files.ensure_secrets(cloud_file, cloud, systems, {spec.name: "said" for spec in wanted}) == ()
    return [spec.name for spec in files.secret_specs(cloud, systems)]


def test_secrets_are_made_once_and_read_again(cloud_file: Path) -> None:
    names = filled(cloud_file)
    path = files.secrets_path(cloud_file)
    before = path.read_bytes()
    filled(cloud_file)
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secrets = files.load_secrets(cloud_file, *files.load_cloud(cloud_file))
    assert all(secrets.resolve(reference(name)) for name in names)
    assert sorted(one.name for one in cloud_file.parent.iterdir()) == ["cloud.yaml", "secrets.yaml"]


def test_missing_secrets_are_named_and_not_made_in_passing(cloud_file: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        files.load_secrets(cloud_file, *files.load_cloud(cloud_file))
    assert {problem.path for problem in caught.value.problems} >= {"corosync.authkey"}
    assert "quorate init" in caught.value.hint
    assert not files.secrets_path(cloud_file).exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_secrets_that_others_can_read_are_refused(cloud_file: Path, mode: int) -> None:
    filled(cloud_file)
    path = files.secrets_path(cloud_file)
    path.chmod(mode)
    with pytest.raises(InvalidInput) as caught:
        files.load_secrets(cloud_file, *files.load_cloud(cloud_file))
    assert caught.value.hint == f"chmod 600 {path}"


def test_a_crash_leaves_the_old_file(cloud_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = files.secrets_path(cloud_file)
    files.write_private(path, "a: b\n")

    def crash(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(QuorateError, match="No space left"):
        files.write_private(path, "a: c\n")
    assert path.read_text(encoding="utf-8") == "a: b\n"
    assert sorted(one.name for one in path.parent.iterdir()) == ["cloud.yaml", "secrets.yaml"]


def test_a_link_to_the_secrets_stays_a_link(cloud_file: Path, tmp_path: Path) -> None:
    safe = tmp_path / "safe"
    safe.mkdir()
    link = files.secrets_path(cloud_file)
    link.symlink_to(safe / "secrets.yaml")
    files.write_private(link, "a: b\n")
    assert link.is_symlink()
    assert (safe / "secrets.yaml").read_text(encoding="utf-8") == "a: b\n"


def test_a_new_file_never_replaces_one(tmp_path: Path) -> None:
    path = tmp_path / "x"
    files.write_new(path, "one")
    with pytest.raises(Refused):
        files.write_new(path, "two")
    assert path.read_text(encoding="utf-8") == "one"
    assert list(tmp_path.iterdir()) == [path]

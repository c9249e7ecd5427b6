from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from quorate.cli.main import quorate
from quorate.cli.status import backup_data, backup_words
from quorate.core.backup import Manifest, PartSaid
from quorate.core.observed import Unknown
from quorate.engine.backup import Sealing
from quorate.engine.proofs import Known
from quorate.engine.sealed import key_of
from quorate.engine.store import Folder

MINIMAL = Path(__file__).parents[3] / "examples" / "minimal.yaml"
AT = datetime(2026, 2, 1, 12, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("nobody_is_contacted")


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An operator's folder: cloud file, secrets and key."""
    monkeypatch.chdir(tmp_path)
    Path("cloud.yaml").write_text(MINIMAL.read_text())
    private(Path("secrets.yaml"), "galera: {health: hEaLtH}\n")
    assert run("backup", "key").exit_code == 0
    return tmp_path


def private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def run(*words: str) -> Result:
    return CliRunner().invoke(quorate, list(words))


def stored(folder: Path, secrets: str) -> str:
    """A backup of nothing but the operator's files."""

    key = key_of(Path("backup.key").read_text())

    async def write() -> None:
        sealing = Sealing(Folder(folder), "b1", key, bytes(16))
        parts = {}
        for name, text in (("cloud.yaml", MINIMAL.read_text()), ("secrets.yaml", secrets)):
            async with sealing.part(name) as (put, tally):
                await put(text.encode())
            parts[name] = tally.said()
        manifest = Manifest(id=bytes(16).hex(), cloud="example", taken="2026", quorate="1", parts=parts)
        async with sealing.part("manifest") as (put, _):
            await put(manifest.model_dump_json().encode())

    asyncio.run(write())
    return str(folder / "b1")


def test_the_key_is_made_once_and_is_nobody_else_s(base: Path) -> None:
    key = base / "backup.key"
    assert key.stat().st_mode & 0o777 == 0o600
    before = key.read_text()
    again = run("backup", "key")
    assert (again.exit_code, key.read_text()) == (3, before)
    assert "is not overwritten" in again.stderr


def test_no_backup_without_a_key_that_is_one(base: Path) -> None:
    key = base / "backup.key"
    key.chmod(0o644)
    assert "can be read by others" in run("backup", "there").stderr
    key.chmod(0o600)
    key.write_text("secret\n")
    assert "is no key of backups" in run("backup", "there").stderr
    key.unlink()
    done = run("backup", "there")
    assert (done.exit_code, "quorate backup key" in done.stderr) == (2, True)
    assert not (base / "there").exists()


@pytest.mark.parametrize("file", ["secrets.yaml", "cloud.yaml"])
def test_a_key_that_would_be_in_its_own_backup_is_refused(base: Path, file: str) -> None:
    path = base / file
    path.write_text(f"{path.read_text()}\n# {(base / 'backup.key').read_text()}")
    done = run("backup", "there")
    assert (done.exit_code, f"it stands in {file}" in done.stderr) == (3, True)


def test_a_key_that_lies_with_the_backups_is_refused(base: Path) -> None:
    done = run("backup", str(base))
    assert (done.exit_code, "lies with the backups" in done.stderr) == (3, True)


@pytest.mark.parametrize("place", ["s3://bucket/prod", "ssh://host"])
def test_what_is_no_destination_is_told(base: Path, place: str) -> None:
    assert base.is_dir()
    assert run("backup", place).exit_code == 2


@pytest.mark.parametrize("words", [("there", "--keep", "0"), ("--keep", "2"), ()])
def test_wrong_arguments(base: Path, words: tuple[str, ...]) -> None:
    assert base.is_dir()
    assert run("backup", *words).exit_code == 2


def test_other_secrets_than_those_of_the_backup_are_refused_by_name(base: Path) -> None:
    done = run("restore", stored(base / "there", "galera: {health: another}\nkeystone: {admin: x}\n"), "--yes")
    assert done.exit_code == 3
    assert "galera.health, keystone.admin" in done.stderr
    assert "another" not in done.stderr
    assert "hEaLtH" not in done.stderr


def test_missing_files_come_out_of_the_backup(base: Path) -> None:
    backup = stored(base / "there", "galera: {health: another}\n")
    (base / "secrets.yaml").unlink()
    (base / "cloud.yaml").unlink()
    done = run("restore", backup, "--yes")
    assert done.exit_code == 2  # other secrets are missing: nothing was contacted
    assert (base / "secrets.yaml").read_text() == "galera: {health: another}\n"
    assert (base / "secrets.yaml").stat().st_mode & 0o777 == 0o600
    assert (base / "cloud.yaml").read_text() == MINIMAL.read_text()


def test_one_that_is_damaged_is_told_before_anything_is_contacted(base: Path) -> None:
    backup = stored(base / "there", "a: b\n")
    (Path(backup) / "cloud.yaml.sealed").unlink()
    for verb in (("restore", backup, "--yes"), ("backup", "verify", backup)):
        done = run(*verb)
        assert (done.exit_code, "cloud.yaml is missing" in done.stderr) == (1, True)


def known() -> Known:
    proved = {"id": "0" * 32, "taken": "2026-02-01T09:00:00+00:00", "proved": "2026-02-01T11:30:00+00:00", "host": "c3"}
    return Known.model_validate({"name": "b1", "where": "/srv", "proved": proved})


def test_status_tells_the_age_of_the_last_one_that_was_restored() -> None:
    assert backup_words(known(), AT).endswith("successfully: 3 hours old (/srv/b1; proved 30 minutes ago)")
    assert backup_data(known(), AT)["age"] == 3 * 3600


def test_status_tells_that_there_is_none_or_that_it_is_not_known() -> None:
    assert "none from here" in backup_words(None, AT)
    assert backup_data(None, AT)["age"] is None
    unknown = Unknown(why="it makes no sense")
    assert "unknown: it makes no sense" in backup_words(unknown, AT)
    assert backup_data(unknown, AT) == {"age": None, "why": "it makes no sense"}


def test_parts_need_a_digest() -> None:
    with pytest.raises(ValueError, match="sha256"):
        PartSaid(size=0, sha256="x")

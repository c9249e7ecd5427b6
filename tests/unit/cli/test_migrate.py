from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from quorate.cli import migrate, render
from quorate.cli.main import quorate
from quorate.core.migration import Against, Inherited, Sighting, State, Step
from quorate.engine.migrate import Looked, Migrated
from quorate.engine.migrating import Begun
from quorate.errors import QuorateError

MINIMAL = Path(__file__).parents[3] / "examples" / "minimal.yaml"
SOURCE = "root@192.0.2.5"
SEEN = Sighting(("keystone",), (), held=False, notes=("no gold",), about={"version": "10.11.6", "tables": 40})
KEYS = Inherited({}, {"keystone.fernet_0": "Secr3t"}, ("3 keys are taken over",))

pytestmark = pytest.mark.usefixtures("nobody_is_contacted")


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An operator's folder with a cloud file and secrets."""
    monkeypatch.chdir(tmp_path)
    Path("cloud.yaml").write_text(re.sub(r", fencing: [0-9.]+", "", MINIMAL.read_text()))
    assert run("init").exit_code == 0
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(quorate, list(words))


def begun(base: Path, stage: str) -> Begun:
    known = Begun(base)
    known.keep(State.model_validate({"source": SOURCE, "stage": stage, "held": "2026-01-31T12:00:00+00:00"}))
    return known


def test_a_source_that_is_none_and_options_that_contradict_each_other_are_refused(base: Path) -> None:
    assert run("migrate", "ssh://old").exit_code == 2
    assert run("migrate", SOURCE, "--back", "--finish").exit_code == 2
    assert not (base / ".quorate" / "migrating.json").exists()


@pytest.mark.usefixtures("base")
@pytest.mark.parametrize("words", [["--back", "--yes"], ["--finish"]])
def test_what_was_never_begun_cannot_be_ended(words: list[str]) -> None:
    done = run("migrate", SOURCE, *words)
    assert done.exit_code == 3
    assert "no migration from root@192.0.2.5 is known here" in done.stderr


def test_the_way_back_is_closed_only_when_it_is_done(base: Path) -> None:
    known = begun(base, "serving")
    assert run("migrate", SOURCE, "--finish").exit_code == 3
    assert known.state() is not None
    known = begun(base, "done")
    assert run("migrate", "root@192.0.2.6", "--finish").exit_code == 3
    assert known.state() is not None
    assert run("migrate", SOURCE, "--finish").exit_code == 0
    assert known.state() is None


def test_a_state_that_cannot_be_read_is_no_state(base: Path) -> None:
    (base / ".quorate").mkdir(exist_ok=True)
    (base / ".quorate" / "migrating.json").write_text("{")
    done = run("migrate", SOURCE, "--finish")
    assert (done.exit_code, "cannot be read" in done.stderr) == (1, True)


@pytest.mark.usefixtures("base")
def test_a_controller_of_the_new_cloud_is_no_source() -> None:
    for source in ("controller1", "10.0.0.12", "10.0.0.10"):
        done = run("migrate", f"root@{source}", "--yes")
        assert (done.exit_code, "is a controller of the new cloud" in done.stderr) == (3, True), done.stderr


@pytest.mark.parametrize(
    ("follows", "code"), [(Step.LOAD, 0), (Against(("keystone.odd is MyISAM",)), 3)], ids=["free", "refused"]
)
def test_a_dry_run_says_what_is_there_and_no_secret(
    base: Path, monkeypatch: pytest.MonkeyPatch, follows: Step | Against, code: int
) -> None:
    async def looked(_file: Path, _source: str) -> Looked:
        return Looked(None, SEEN, KEYS, follows)

    monkeypatch.setattr(migrate, "_look", looked)
    done = run("migrate", SOURCE, "--dry-run")
    assert done.exit_code == code
    assert {"no gold", "3 keys are taken over"} <= {line.strip() for line in done.stdout.splitlines()}
    assert ("MyISAM" in done.stderr) is bool(code)
    assert "Secr3t" not in done.output
    assert not (base / ".quorate" / "migrating.json").exists()


@pytest.mark.usefixtures("base")
def test_the_pause_and_what_was_compared_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    state = State(source=SOURCE, stage="done", moved=("keystone",), tables=47, rows=100_123, pause_s=21.4)

    async def migrated(_file: Path, _source: str) -> Migrated:
        return Migrated(
            state, {"load": 7.0}, ("compute (public, RegionOne): http://192.0.2.5:8774",), ("root may write",)
        )

    monkeypatch.setattr(migrate, "_migrate", migrated)
    done = run("migrate", SOURCE, "--yes")
    assert "47 tables with 100123 rows, alike" in done.stdout
    assert "pause 21.4 s" in done.stdout
    assert "root may write" in done.stdout
    assert "the catalog still lists compute" in done.stdout
    facts = json.loads(run("migrate", SOURCE, "--yes", "--output", "json").stdout)
    assert (facts["pause_s"], facts["rows"], facts["phases"]) == (21.4, 100_123, {"load": 7.0})


def test_going_back_tells_what_is_only_here(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(base, "done")

    async def back(_file: Path, _source: str, _state: State) -> tuple[str, ...]:
        return ("keystone.user: 5 rows here, 4 there",)

    monkeypatch.setattr(migrate, "_going_back", back)
    done = run("migrate", SOURCE, "--back", "--yes")
    assert done.exit_code == 0
    assert "keystone.user: 5 rows here, 4 there" in done.stdout
    assert "Stop the services of the new cloud" in done.stdout
    assert "will not be brought there" in done.stderr


@pytest.mark.parametrize("verb", ["apply", "recover", "keys rotate", "node undrain controller1"])
def test_nothing_is_started_from_half_a_copy(base: Path, verb: str) -> None:
    begun(base, "cut")
    done = run(*verb.split(), "--yes")
    assert (done.exit_code, "was cut off while it copied" in done.stderr) == (3, True), done.stderr


@pytest.mark.usefixtures("base")
def test_a_no_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def looked(_file: Path, _source: str) -> Looked:
        return Looked(None, SEEN, KEYS, Step.LOAD)

    async def migrated(_file: Path, _source: str) -> Migrated:
        raise QuorateError("it was done")

    monkeypatch.setattr(migrate, "_look", looked)
    monkeypatch.setattr(migrate, "_migrate", migrated)
    monkeypatch.setattr(render, "can_ask", lambda: True)
    monkeypatch.setattr(render, "ask", lambda *_, **__: "n")
    done = run("migrate", SOURCE)
    assert (done.exit_code, "nothing was changed" in done.stderr) == (1, True)

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from quorate.cli import render
from quorate.cli.main import quorate
from quorate.model.secrets_file import parse

SAID = [
    *("--name", "west", "--subnet", "10.0.0.0/24", "--vip", "10.0.0.10"),
    *("--controller", "10.0.0.11", "--controller", "10.0.0.12", "--controller", "10.0.0.13"),
]
BMCS = ["--bmc", "10.1.0.11", "--bmc", "10.1.0.12", "--bmc", "10.1.0.13"]


def init(folder: Path, *args: str, typed: str = "") -> Result:
    return CliRunner().invoke(quorate, ["init", str(folder), *args], input=typed)


@pytest.fixture
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "can_ask", lambda: True)


def test_writes_both_files_and_checks_well(tmp_path: Path) -> None:
    result = init(tmp_path / "west", *SAID, *BMCS)
    assert result.exit_code == 0, result.stderr
    secrets = tmp_path / "west" / "secrets.yaml"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert "fencing.controller1" in result.stdout
    made = parse(secrets.read_text(encoding="utf-8"), "s")
    assert made
    assert not any(value in result.output for value in made.values())
    assert CliRunner().invoke(quorate, ["check", "-c", str(tmp_path / "west/cloud.yaml")]).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "west").iterdir()) == ["cloud.yaml", "secrets.yaml"]


def test_again_changes_nothing(tmp_path: Path) -> None:
    init(tmp_path, *SAID, *BMCS)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for args in ([*SAID, *BMCS], []):
        result = init(tmp_path, *args, "--output", "json")
        assert (result.exit_code, json.loads(result.stdout)["written"]) == (0, False)
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_refuses_to_overwrite(tmp_path: Path) -> None:
    (tmp_path / "cloud.yaml").write_text("mine: 1\n", encoding="utf-8")
    assert init(tmp_path, *SAID, *BMCS).exit_code == 3
    assert [path.name for path in tmp_path.iterdir()] == ["cloud.yaml"]
    assert (tmp_path / "cloud.yaml").read_text(encoding="utf-8") == "mine: 1\n"


def test_secrets_that_are_there_stay(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.yaml"
    secrets.touch(mode=0o600)
    secrets.write_text("# mine\nfencing: {controller1: kept}\nown: thing\n", encoding="utf-8")
    assert init(tmp_path, *SAID, *BMCS).exit_code == 0
    text = secrets.read_text(encoding="utf-8")
    assert text.startswith("# mine\n")
    assert parse(text, "s")["fencing.controller1"] == "kept"
    assert parse(text, "s")["own"] == "thing"


def test_all_missing_options_are_named_without_a_terminal(tmp_path: Path) -> None:
    result = init(tmp_path, "--vip", "10.0.0.10")
    assert result.exit_code == 2
    assert "--name, --subnet, --controller, --bmc" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([*SAID, "--bmc", "10.1.0.11"], "3 controllers and 1 BMCs"),
        ([*SAID, *BMCS, "--no-fencing"], "contradict"),
        ([*SAID, "--no-fencing", "--arbiter", "10.0.0.13"], "10.0.0.13 is already controller3's address"),
        ([*SAID, "--no-fencing", "--vip", "10.9.0.1"], "vips.api: 10.9.0.1 lies outside management"),
        ([*SAID, "--no-fencing", "--name", "x: y\n"], "'x: y\\n' has not the right form"),
        ([*SAID, "--no-fencing", "--interface", "{}"], "'{}' has not the right form"),
    ],
)
def test_wrong_answers_write_nothing(tmp_path: Path, args: list[str], said: str) -> None:
    result = init(tmp_path, *args)
    assert result.exit_code == 2
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_terminal")
def test_asks_with_proposals(tmp_path: Path) -> None:
    typed = "east\nnonsense\n10.5.0.0/24\n\n\n10.6.0.1 10.6.0.2, 10.6.0.3\nhunter2\n\n\n"
    result = init(tmp_path, typed=typed)
    assert result.exit_code == 0, result.stderr
    text = (tmp_path / "cloud.yaml").read_text(encoding="utf-8")
    assert "cloud: east" in text
    assert "api: 10.5.0.10" in text
    assert "controller3: {addresses: 10.5.0.13, fencing: 10.6.0.3}" in text
    assert "hunter2" not in result.output
    assert parse((tmp_path / "secrets.yaml").read_text(encoding="utf-8"), "s")["fencing.controller1"] == "hunter2"
    assert result.stdout.splitlines()[1].endswith("fencing.controller2, fencing.controller3")


@pytest.mark.usefixtures("_terminal")
def test_two_controllers_are_asked_for_an_arbiter(tmp_path: Path) -> None:
    result = init(tmp_path, "--no-fencing", typed="\n\n\n10.0.0.11 10.0.0.12\n10.2.0.1\n")
    assert result.exit_code == 0, result.stderr
    assert "arbiter: 10.2.0.1" in (tmp_path / "cloud.yaml").read_text(encoding="utf-8")


@pytest.mark.usefixtures("_terminal")
def test_an_interrupt_writes_nothing(tmp_path: Path) -> None:
    result = init(tmp_path, typed="east\n")
    assert result.exit_code == 130
    assert list(tmp_path.iterdir()) == []

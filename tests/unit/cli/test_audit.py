from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from quorate.audit.judge import rules
from quorate.cli.main import quorate

WRONG = "listen a\n  server x 10.0.0.2.42:80 check\n"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(quorate, ["audit", *map(str, arguments)])


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    (tmp_path / "haproxy.cfg").write_text(WRONG)
    return tmp_path / "haproxy.cfg"


def test_a_finding_is_told_with_place_reason_and_remedy(wrong: Path) -> None:
    done = run(wrong)
    assert done.exit_code == 1
    assert "error HAP001: a server's address is none" in done.stdout
    assert f"  {wrong}:2: a: x 10.0.0.2.42:80" in done.stdout
    assert "  why: HAProxy takes it for a host name" in done.stdout
    assert "  remedy: Write the controller's address" in done.stdout


@pytest.mark.parametrize(("level", "code"), [("error", 1), ("warning", 1), ("note", 1), ("never", 0)])
def test_how_bad_a_finding_fails_is_the_users_choice(wrong: Path, level: str, code: int) -> None:
    assert run(wrong, "--fail-on", level).exit_code == code


def test_json_has_everything(wrong: Path) -> None:
    told = json.loads(run(wrong, "--output", "json", "--os", "debian-13", "--release", "haproxy=3.2.1").stdout)
    assert [(one["id"], one["file"], one["line"]) for one in told["findings"] if one["id"] == "HAP001"] == [
        ("HAP001", str(wrong), 2)
    ]
    assert told["versions"]["haproxy"] == "3.2.1"
    assert told["versions"]["nova"] == "31.0.0"
    assert [one["kind"] for one in told["read"]] == ["haproxy"]


def test_sarif_is_one_run(wrong: Path) -> None:
    told = json.loads(run(wrong, "--output", "sarif").stdout)
    assert "HAP001" in {one["ruleId"] for one in told["runs"][0]["results"]}


def test_a_reason_in_the_file_silences(tmp_path: Path) -> None:
    (tmp_path / "haproxy.cfg").write_text("listen a\n  server x 10.0.0.2.42:80 # quorate: ignore=HAP001 it resolves\n")
    done = run(tmp_path / "haproxy.cfg")
    assert "ignored" in done.stdout
    assert "it resolves" in done.stdout
    assert "error HAP001" not in done.stdout


def test_what_was_not_read_ends_with_code_4_where_the_rest_is_well(tmp_path: Path) -> None:
    (tmp_path / "haproxy.cfg").write_text("no section\n\nlisten a\n")
    done = run(tmp_path)
    assert done.exit_code == 4
    assert f"not read: {tmp_path}/haproxy.cfg:1: " in done.stdout
    assert run(tmp_path, "--fail-on", "never").exit_code == 4


def test_every_rule_is_listed_and_explained() -> None:
    listed = run("--rules").stdout
    assert [line.split()[0] for line in listed.splitlines()] == [rule.name for rule in rules()]
    assert [one["id"] for one in json.loads(run("--rules", "--output", "json").stdout)] == [
        rule.name for rule in rules()
    ]
    explained = run("--explain", "hap001")
    assert explained.exit_code == 0
    assert "source: https://docs.haproxy.org" in explained.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say what to read"),
        (["--explain", "HAP00"], "Did you mean HAP0"),
        (["nowhere"], "no such file or folder"),
        ([".", "--release", "nova"], "KIND=VERSION"),
        (["--kolla", "nowhere"], "no such folder"),
    ],
)
def test_wrong_arguments_are_explained(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr

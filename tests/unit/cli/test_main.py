from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from quorate.cli import main as program
from quorate.cli.main import quorate
from quorate.errors import InvalidInput, Problem, QuorateError, Refused, Unreachable, Unsupported


def run(monkeypatch: pytest.MonkeyPatch, error: BaseException | None, *args: str) -> Result:
    @click.command()
    @click.option("--output", default="text")
    def verb(output: str) -> None:  # noqa: ARG001 - read from the arguments by the program
        if error:
            raise error

    monkeypatch.setattr(program.Verbs, "get_command", lambda *_: verb)
    return CliRunner().invoke(quorate, ["verb", *args])


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (None, 0, ""),
        (QuorateError("not so"), 1, "error: not so\n"),
        (
            InvalidInput("wrong", "do it right", [Problem("f", 3, "a.b", "bad", "good")]),
            2,
            "  f:3: a.b: bad (allowed: ",
        ),
        (Refused("harm", "do not"), 3, "error: harm\nhint: do not\n"),
        (Unreachable("c1", "silent"), 4, "error: c1: silent\n"),
        (Unsupported("no root"), 5, "error: no root\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (click.Abort(), 130, "interrupted\n"),
        (click.UsageError("no such option"), 2, "Error: no such option\n"),
        (SystemExit(4), 4, ""),
        (SystemExit(None), 0, ""),
        (ExceptionGroup("tasks", [ExceptionGroup("deeper", [Unreachable("c1", "silent")])]), 4, "c1: silent"),
        (ExceptionGroup("tasks", [Refused("harm"), ValueError("x")]), 1, "this is a bug in Quorate (ValueError)"),
    ],
)
def test_exit_codes(monkeypatch: pytest.MonkeyPatch, error: BaseException | None, code: int, said: str) -> None:
    result = run(monkeypatch, error)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr


def test_a_bug_is_one_line_and_a_private_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = run(monkeypatch, ZeroDivisionError("boom"))
    assert result.exit_code == 1
    assert "Traceback" not in result.stderr
    (kept,) = tmp_path.iterdir()
    assert str(kept) in result.stderr
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "ZeroDivisionError: boom" in kept.read_text(encoding="utf-8")


def test_a_bug_where_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    result = run(monkeypatch, ZeroDivisionError("boom"))
    assert (result.exit_code, "could not be kept" in result.stderr) == (1, True)


@pytest.mark.parametrize("args", [("--output", "json"), ("--output=json",)])
def test_programs_get_errors_as_json(monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]) -> None:
    result = run(monkeypatch, InvalidInput("wrong", "do it right", [Problem("f", 3, "a.b", "bad")]), *args)
    error = json.loads(result.stdout)["error"]
    assert (error["message"], error["hint"], error["exit_code"]) == ("wrong", "do it right", 2)
    assert error["problems"] == [{"file": "f", "line": 3, "path": "a.b", "message": "bad", "allowed": ""}]
    assert "error: wrong" in result.stderr


def test_a_reader_that_left_is_no_bug() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    argv = [sys.executable, "-m", "quorate.cli.main", "check", "--schema"]
    done = subprocess.run(argv, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_verbs_are_found_and_teach() -> None:
    runner = CliRunner()
    text = runner.invoke(quorate, ["--help"]).stdout
    for verb in ("init", "check"):
        assert re.search(rf"^  {verb} ", text, re.MULTILINE)
        assert f"quorate {verb}" in runner.invoke(quorate, [verb, "--help"]).stdout
    assert runner.invoke(quorate, ["render"]).exit_code == 2
    assert runner.invoke(quorate, ["no-such-verb"]).exit_code == 2
    assert runner.invoke(quorate, ["--version"]).stdout.startswith("quorate, version ")

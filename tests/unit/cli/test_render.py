from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from io import StringIO

import pytest
from rich.table import Table

from quorate.cli import render
from quorate.errors import InvalidInput, Problem, QuorateError, Refused


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    render.finish()


def test_a_result_is_text_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    render.result({"a": 1}, "text", lambda: "a is [1]")
    assert capsys.readouterr() == ("a is [1]\n", "")
    render.result({"a": "\x1bü"}, "json", lambda: pytest.fail("not asked for"))
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": "\x1bü"}
    assert "\x1b" not in out


def test_long_lines_are_not_wrapped_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    render.result({}, "text", lambda: "x" * 500)
    render.error(QuorateError("y" * 500))
    out, err = capsys.readouterr()
    assert out == "x" * 500 + "\n"
    assert err == "error: " + "y" * 500 + "\n"


def test_a_table_has_no_colour_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("system", "is")
    table.add_row("galera", "[red]failing[/]")
    render.result({}, "text", lambda: table)
    out = capsys.readouterr().out
    assert "failing" in out
    assert "\x1b" not in out


def test_progress_off_a_terminal_is_a_line_each_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("looking", "looking", "waiting for [c1]"):
        render.progress(text)
    assert capsys.readouterr() == ("", "looking\nwaiting for [c1]\n")


def test_progress_on_a_terminal_is_one_line_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, out = Terminal(), StringIO()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr("sys.stdout", out)
    render.progress("looking")
    render.progress("looking")
    render.progress("writing [c1]")
    render.result({}, "text", lambda: "done")
    shown = screen.getvalue()
    assert "looking" in shown
    assert "writing [c1]" in shown
    assert "0:00:00" in shown
    assert out.getvalue() == "done\n"


@pytest.mark.parametrize("no_color", [False, True])
def test_colours_on_a_terminal_unless_no_color(monkeypatch: pytest.MonkeyPatch, no_color: bool) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    render.error(Refused("harm"))
    assert ("\x1b[1;31m" in screen.getvalue()) is not no_color


def test_an_error_shows_each_problem_then_the_hint(capsys: pytest.CaptureFixture[str]) -> None:
    problems = [Problem("f", 1, "a", "is [bold]"), Problem("f", 2, "b", "bad", "x, y")]
    render.error(InvalidInput("wrong", "look", problems))
    assert capsys.readouterr().err == ("error: wrong\n  f:1: a: is [bold]\n  f:2: b: bad (allowed: x, y)\nhint: look\n")


def test_what_others_say_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    render.error(QuorateError("a\x1b[31mb\x9b\ud800"))
    render.progress("c\rd")
    assert capsys.readouterr().err == "error: a\\x1b[31mb\\x9b\\ud800\nc\\rd\n"


ASKS = """
import sys
from quorate.cli import render
while True:
    try:
        render.ask("Do this? [y/N]", default="n")
    except KeyboardInterrupt:
        print("ended", file=sys.stderr)
"""


def test_ctrl_c_ends_a_question_however_soon_it_comes() -> None:
    """One that came between the question and read(2) was lost: 3 of 100, on a busy machine."""
    operator, terminal = pty.openpty()
    run = subprocess.Popen([sys.executable, "-c", ASKS], stdin=terminal, stdout=terminal, stderr=terminal)
    try:
        for _ in range(300):
            read_until(operator, b"Do this? [y/N] [n]: ")
            run.send_signal(signal.SIGINT)
            read_until(operator, b"ended")
    finally:
        run.kill()
        run.wait()
        os.close(terminal)
        os.close(operator)


def read_until(terminal: int, words: bytes) -> None:
    """Read what a program says, to these words and no further."""
    said = b""
    while not said.endswith(words):
        assert select.select([terminal], [], [], 10.0)[0], f"nothing more came behind {said!r}"
        said += os.read(terminal, 1)

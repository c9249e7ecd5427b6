"""What a line of the log looks like."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import quorate.balancer
from quorate.balancer import logs


def test_a_line_says_the_same_to_people_and_to_programs() -> None:
    said = logs.line("server c2 is out: late", "server_out", {"server": "c2", "reason": 'it said "no" = late'})
    assert said == r'server c2 is out: late [event=server_out server=c2 reason="it said \"no\" = late"]'


def test_the_journal_hears_the_level(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    logs.say("paused", "paused")
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    logs.say("paused", "paused")
    assert capsys.readouterr().err == "paused [event=paused]\n<4>paused [event=paused]\n"


def test_no_line_breaks_into_two(capsys: pytest.CaptureFixture[str]) -> None:
    logs.say("a\nb", "server_out", reason="c\nd")
    assert capsys.readouterr().err.count("\n") == 1


def test_every_event_that_is_logged_has_a_level() -> None:
    folder = Path(quorate.balancer.__file__).parent
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    used = set(re.findall(r'(?:log|say)\((?:[^()]|\([^()]*\))*?,\s*"([a-z_]+)"', text, re.DOTALL))
    assert used == set(logs.EVENTS)

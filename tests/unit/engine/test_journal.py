from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from quorate.engine.journal import FileJournal, cloud_file_of


def noon() -> datetime:
    return datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)


def test_each_line_is_on_disk_before_the_call_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def sync(descriptor: int) -> None:
        real(descriptor)
        synced.append(journal.path.read_text())

    with FileJournal(tmp_path / "a" / "journal", "run1", noon) as journal:
        monkeypatch.setattr(os, "fsync", sync)
        journal.write("start", plan="f00", steps=2)
        journal.write("act", host="c1", act="write /etc/ä.conf")
    first, second = journal.path.read_text().splitlines()
    assert json.loads(first) == {
        "at": "2026-01-31T12:00:00.123+00:00",
        "run": "run1",
        "event": "start",
        "plan": "f00",
        "steps": 2,
    }
    assert json.loads(second)["act"] == "write /etc/ä.conf"
    assert [text.count("\n") for text in synced] == [1, 2]


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    with FileJournal(tmp_path / "journal", "run1", noon) as journal:
        assert journal.path.name == "20260131T120000-run1.jsonl"
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.path.parent.stat().st_mode) == 0o700


def test_nothing_that_was_written_is_lost_to_a_later_run(tmp_path: Path) -> None:
    for event in ("start", "end"):
        with FileJournal(tmp_path, "run1", noon) as journal:
            journal.write(event)
    assert [json.loads(line)["event"] for line in journal.path.read_text().splitlines()] == ["start", "end"]


def test_a_closed_journal_says_so(tmp_path: Path) -> None:
    with FileJournal(tmp_path, "run1", noon) as journal:
        pass
    with pytest.raises(OSError, match="Bad file descriptor"):
        journal.write("act")


def test_the_cloud_file_lies_beside_the_first_line_for_its_owner_only(tmp_path: Path) -> None:
    with FileJournal(tmp_path, "run1", noon, cloud="cloud: ä\n") as journal:
        assert cloud_file_of(tmp_path, "run1") is None, "nothing was changed yet"
        journal.write("start")
        journal.write("end")
    assert cloud_file_of(tmp_path, "run1") == "cloud: ä\n"
    (copy,) = tmp_path.glob("*.cloud.yaml")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert cloud_file_of(tmp_path, "run2") is None
    assert cloud_file_of(tmp_path, "*") is None

"""The programs of a backup as they are shipped, with a made-up MariaDB: whatever happens, the member serves again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from quorate.core.observed import Unknown
from quorate.core.system import site_of
from quorate.systems import galera
from quorate.systems.galera.backup import backups, holders
from quorate.systems.galera.probe import NO_UUID, Data, Saved, View
from worlds.clouds import cloud

PYMYSQL = """
import json, os, time
UUID = "6d9ff1a7-0000-11ee-a8a5-3b8b4c5b1f0e"
class Cursor:
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def execute(self, sql):
        with open(os.environ["SAID"], "a") as log: log.write(sql.split("\\n")[0] + "\\n")
        held = json.loads(os.environ["ANSWERS"])
        self.rows = next((rows for part, rows in held.items() if part in sql), [])
        if "wsrep_last_committed" in sql and os.environ.get("GOES_ON"):
            self.rows = [["wsrep_last_committed", str(time.monotonic_ns())]]
    def fetchall(self): return tuple(tuple(row) for row in self.rows)
class Connection:
    def cursor(self): return Cursor()
    def close(self):
        with open(os.environ["SAID"], "a") as log: log.write("close\\n")
def connect(**_): return Connection()
"""
ANSWERS: dict[str, Any] = {
    "@@wsrep_desync": [[0]],
    "information_schema.tables": [["keystone", "user"], ["odd`one", "t"]],
    "COUNT(*)": [[7]],
    "CHECKSUM": [["x", 99]],
    "VERSION()": [["11.8.9-MariaDB"]],
    "wsrep_cluster_state_uuid": [["wsrep_cluster_state_uuid", "6d9ff1a7"]],
    "wsrep_last_committed": [["wsrep_last_committed", "41"]],
    "wsrep_local_recv_queue": [["wsrep_local_recv_queue", "0"]],
}
COPIES = "#!/bin/sh\nprintf 'the copy'\n"
FAILS = "#!/bin/sh\necho 'no space left' >&2\nexit 1\n"
HANGS = "#!/bin/sh\nprintf x\nexec sleep 60\n"
OFF = "SET GLOBAL wsrep_desync = OFF"


@dataclass
class Member:
    """A member's programs."""

    folder: Path

    def start(self, copies: str, **more: str) -> subprocess.Popen[bytes]:
        """Begin to take a copy."""
        tool = self.folder / "mariadb-backup"
        tool.write_text(copies)
        tool.chmod(0o755)
        (self.folder / "pymysql.py").write_text(PYMYSQL)
        environment = {
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder),
            "SAID": str(self.folder / "said"),
            "ANSWERS": json.dumps({**ANSWERS, **json.loads(more.pop("answers", "{}"))}),
            **more,
        }
        (saving,) = backups(galera.SYSTEM.spec(), site_of(cloud(3), ()))
        argv = [sys.executable, "-c", saving.take[-1]]
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe)

    @property
    def said(self) -> list[str]:
        """What MariaDB was told, in order."""
        return (self.folder / "said").read_text().splitlines()


@pytest.fixture
def member(tmp_path: Path) -> Member:
    return Member(tmp_path)


def test_copy_and_sums_are_taken_while_it_stands_still(member: Member) -> None:
    taking = member.start(COPIES)
    out, err = taking.communicate(timeout=20)
    assert (taking.returncode, out) == (0, b"the copy"), err
    said = json.loads(err.splitlines()[-1])
    tables = {"keystone.user": [7, 99], "odd`one.t": [7, 99]}
    assert said["proof"] == {"uuid": "6d9ff1a7", "seqno": 41, "tables": tables}
    assert said["about"]["version"] == "11.8.9-MariaDB"
    told = member.said
    inside = told[told.index("BACKUP STAGE BLOCK_COMMIT") : told.index("BACKUP STAGE END")]
    assert [line for line in told if "COUNT" in line or "CHECKSUM" in line] == [
        line for line in inside if "COUNT" in line or "CHECKSUM" in line
    ]
    assert "CHECKSUM TABLE `odd``one`.`t` EXTENDED" in inside
    assert told.index("SET GLOBAL wsrep_desync = ON") < told.index("BACKUP STAGE START")
    assert told[-1] == OFF


@pytest.mark.parametrize(
    ("copies", "more", "why"),
    [
        (FAILS, {}, b"mariadb-backup ended with 1: no space left"),
        (COPIES, {"GOES_ON": "1"}, b"the member went on while it was copied"),
    ],
)
def test_what_fails_leaves_it_serving(member: Member, copies: str, more: dict[str, str], why: bytes) -> None:
    taking = member.start(copies, **more)
    _, err = taking.communicate(timeout=20)
    assert (taking.returncode, why in err) == (1, True), err
    assert member.said[-1] == OFF
    assert "close" in member.said  # which ends the stage


def test_told_to_end_it_leaves_it_serving(member: Member) -> None:
    taking = member.start(HANGS)
    assert taking.stdout is not None
    assert taking.stdout.read(1) == b"x"
    taking.send_signal(signal.SIGTERM)
    taking.communicate(timeout=20)
    assert taking.returncode == 1
    assert member.said[-1] == OFF


def test_a_member_that_stands_back_already_is_left_alone(member: Member) -> None:
    taking = member.start(COPIES, answers='{"@@wsrep_desync": [[1]]}')
    out, err = taking.communicate(timeout=20)
    assert (out, b"it stands back already" in err) == (b"", True)
    assert not any(line.startswith(("SET", "BACKUP")) for line in member.said)


def test_every_program_is_one() -> None:
    (saving,) = backups(galera.SYSTEM.spec(), site_of(cloud(3), ()))
    for argv in (saving.take, saving.prove, saving.put_back):
        assert argv[:3] == ("python3", "-I", "-c")
        compile(argv[-1], "<program>", "exec")


def view(data: Data | Unknown, unit: str = "inactive") -> View:
    silent = Unknown(why="no answer")
    return View(unit=unit, data=data, status=silent, contents=silent, health=silent)


HISTORY = "6d9ff1a7-0000-11ee-a8a5-3b8b4c5b1f0e"
FRESH = view(Data(exists=True, saved=Saved(NO_UUID, -1, safe_to_bootstrap=False)))


@pytest.mark.parametrize(
    ("found", "free"),
    [
        (view(Data(exists=False)), True),
        (FRESH, True),
        (view(Data(exists=True, schemas=("keystone",))), False),
        (view(Data(exists=True, saved=Saved(HISTORY, 7, safe_to_bootstrap=True))), False),
        (view(Data(exists=True, was_member=True)), False),
        (view(Data(exists=True, process=True)), False),
        (view(Unknown(why="not read")), False),
        (Unknown(why="no route"), False),
        (view(Data(exists=True), unit="active"), False),
    ],
)
def test_only_who_is_known_to_hold_nothing_is_free(found: View | Unknown, free: bool) -> None:
    taken = holders(galera.SYSTEM.spec(), site_of(cloud(3), ()), {"c1": FRESH, "c2": found, "c3": FRESH})
    assert list(taken) == ([] if free else ["c2"])

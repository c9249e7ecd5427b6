"""What is made of the two servers, and the program that asks them, with a made-up client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from quorate.core.migration import Moving
from quorate.core.system import Claim, Site, site_of
from quorate.systems import galera
from quorate.systems.galera.migration import moves, sighted
from worlds.clouds import cloud

CLAIMED = ("keystone", "glance")
TABLE = {"kind": "BASE TABLE", "engine": "InnoDB", "rows": 7, "bytes": 100, "key": True}
SERVER: dict[str, Any] = {
    "version": "10.11.6-MariaDB-0+deb12u1",
    "read_only": False,
    "log_bin": True,
    "gtid": "0-1-22",
    "galera": False,
    "replica": False,
    "exempt": ["'root'@'localhost'"],
    "databases": {"keystone": {"user": TABLE, "role": TABLE}},
}
HERE = {**SERVER, "version": "11.8.3-MariaDB-0+deb13u1", "galera": True, "databases": {"keystone": {}, "glance": {}}}


def seen(target: dict[str, Any] | None = HERE, **changes: Any) -> Any:
    there = json.dumps({**SERVER, **changes})
    return sighted(CLAIMED, there, json.dumps(target) if target else "")


def with_table(**changes: Any) -> dict[str, Any]:
    return {"keystone": {"user": TABLE, "odd": {**TABLE, **changes}}}


def test_what_is_there_is_taken_over_and_what_is_not_is_said() -> None:
    found = seen()
    assert (found.have, found.filled, found.held, found.refused) == (("keystone",), (), False, ())
    assert found.about["rows_about"] == 14
    assert found.tables == {"keystone": {"user", "role"}}
    assert "glance: not on the source; `apply` makes it from nothing" in found.notes
    assert any("does not bind accounts" in note and "'root'@'localhost'" in note for note in found.notes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"databases": with_table(engine="MyISAM")},
            "keystone.odd is MyISAM, which Galera does not replicate; ALTER TABLE `keystone`.`odd` ENGINE=InnoDB",
        ),
        ({"databases": with_table(kind="SYSTEM VERSIONED")}, "keystone.odd is a SYSTEM VERSIONED"),
        ({"galera": True}, "member of a Galera cluster"),
        ({"replica": True}, "is a replica"),
        ({"version": "12.1.2-MariaDB"}, "newer than the new cloud's 11.8.3"),
        ({"version": "8.4.3"}, "known to be read by MariaDB is up to 8.0"),
    ],
)
def test_what_galera_cannot_hold_is_refused(changes: dict[str, Any], why: str) -> None:
    (against,) = seen(**changes).refused
    assert why in against


@pytest.mark.parametrize("version", ["11.8.3-MariaDB", "11.8.9-MariaDB", "5.5.68-MariaDB", "8.0.40-0ubuntu0", "5.7.1"])
def test_older_ones_and_the_same_are_not(version: str) -> None:
    assert seen(version=version).refused == ()


def test_everything_that_is_wrong_is_said_at_once() -> None:
    tables = {name: {**TABLE, "engine": "Aria"} for name in ("a", "b")}
    assert len(seen(databases={"keystone": tables}, replica=True).refused) == 3


def test_a_cloud_that_is_not_formed_yet_cannot_be_compared() -> None:
    found = seen(None, version="12.1.2-MariaDB", databases=with_table(key=False))
    assert (found.filled, found.refused) == ((), ())
    assert any("is not there yet" in note for note in found.notes)
    assert any("without a primary key" in note and "keystone.odd" in note for note in found.notes)


def test_tables_of_the_new_cloud_are_seen() -> None:
    assert seen({**HERE, "databases": {"keystone": {"user": TABLE}, "glance": {}}}).filled == ("keystone",)


@pytest.mark.parametrize("text", ["", "{}", "[]", "no json"])
def test_what_makes_no_sense_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="validation error"):
        sighted(CLAIMED, text, "")


def site() -> Site:
    made = site_of(cloud(3), ())
    return Site(made.cloud, claims=tuple(Claim("database", name, f"{name}.database") for name in CLAIMED))


def moving() -> Moving:
    found = moves(galera.SYSTEM.spec(), site())
    assert found is not None
    return found


CLIENT = """#!{python}
import json, os, sys
script = sys.stdin.read()
with open(os.environ["SAID"], "a") as log:
    log.write(json.dumps([sys.argv[1:], script]) + chr(10))
for part, rows in json.loads(os.environ["ANSWERS"]).items():
    if part in script:
        if rows == "fails":
            sys.exit("ERROR 1045 (28000): Access denied for user 'root'@'localhost'")
        print(*(chr(9).join(map(str, row)) for row in rows), sep=chr(10), end=chr(10) if rows else "")
        break
"""


def hexed(*words: str) -> list[str]:
    return [word.encode().hex().upper() for word in words]


def ask(folder: Path, argv: tuple[str, ...], answers: dict[str, Any]) -> tuple[Any, list[Any]]:
    """Run a program; gives what it printed (or its complaint), and what the client was told."""
    client = folder / "mysql"
    client.write_text(CLIENT.replace("{python}", sys.executable))
    client.chmod(0o755)
    environment = {"PATH": str(folder), "SAID": str(folder / "said"), "ANSWERS": json.dumps(answers)}
    done = subprocess.run(
        [sys.executable, *argv[1:], *CLAIMED], env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    said = [json.loads(line) for line in (folder / "said").read_text().splitlines()]
    return (json.loads(done.stdout) if done.returncode == 0 else done.stderr.strip()), said


LOOK: dict[str, Any] = {
    "SHOW GLOBAL VARIABLES": [
        ["version", "10.11.6-MariaDB"],
        ["read_only", "OFF"],
        ["log_bin", "ON"],
        ["wsrep_on", "OFF"],
        ["gtid_binlog_pos", "0-1-22"],
    ],
    "user_privileges": [hexed("'root'@'localhost'")],
    "processlist": [[0]],
    "HEX(schema_name)": [hexed("keystone")],
    "t.table_type": [
        [*hexed("keystone", "odd\tone"), "BASE TABLE", "MyISAM", 3, 16384, 0],
        [*hexed("keystone", "seen"), "VIEW", "", 0, 0, 0],
    ],
}


def test_the_look_says_what_the_judge_reads(tmp_path: Path) -> None:
    printed, said = ask(tmp_path, moving().look, LOOK)
    found = sighted(CLAIMED, json.dumps(printed), "")
    assert found.refused[0].startswith("keystone.odd\tone is MyISAM")
    assert all("SET" not in script for _, script in said)
    assert all("'keystone', 'glance'" in script for _, script in said if "schema_name IN" in script)
    assert "--no-defaults" not in said[0][0]
    assert ask(tmp_path, moving().look_here, LOOK)[1][-1][0][0] == "--no-defaults"


def test_what_the_client_says_is_handed_on(tmp_path: Path) -> None:
    printed, _ = ask(tmp_path, moving().look, {"SHOW": "fails"})
    assert printed == "its database: ERROR 1045 (28000): Access denied for user 'root'@'localhost'"


def test_every_table_is_counted_and_every_column_is_in_its_sum(tmp_path: Path) -> None:
    answers = {
        "information_schema.columns": [
            hexed("keystone", "user", "id"),
            hexed("keystone", "user", "odd`name"),
            hexed("keystone", "role", "id"),
        ],
        "COUNT(*), IFNULL": [[0, 2, 99], [1, 0, 0]],
        "information_schema.triggers": [[*hexed("keystone"), 1]],
        "information_schema": [],
    }
    printed, said = ask(tmp_path, moving().sums, answers)
    assert printed["proof"] == {
        "tables": {"keystone.user": [2, "99"], "keystone.role": [0, "0"]},
        "others": {"triggers of keystone": 1},
    }
    script = said[1][1]
    assert "IFNULL(MD5(`id`), '-'), IFNULL(MD5(`odd``name`), '-')" in script
    assert script.index("CONSISTENT SNAPSHOT") < script.index("COUNT(*)")
    answers["COUNT(*), IFNULL"] = [[0, 2, 99]]
    assert ask(tmp_path, moving().sums, answers)[0] == "not every table was counted"


@pytest.mark.parametrize(
    ("program", "wanted"),
    [
        ("hold", "SET GLOBAL read_only = ON;"),
        ("free", "SET GLOBAL read_only = OFF;"),
        ("drop", "DROP DATABASE IF EXISTS `keystone`;\nDROP DATABASE IF EXISTS `glance`;\n"),
    ],
)
def test_nothing_else_is_changed(tmp_path: Path, program: str, wanted: str) -> None:
    assert ask(tmp_path, getattr(moving(), program), {})[1][-1][1] == f"SET SESSION lock_wait_timeout = 60;\n{wanted}"


def test_a_dump_is_one_snapshot_of_what_is_named_by_either_tool(tmp_path: Path) -> None:
    tool = tmp_path / "mysqldump"
    tool.write_text('#!/bin/sh\necho "$@"\n')
    tool.chmod(0o755)
    argv = [*moving().dump, "keystone"]
    path = f"{tmp_path}:{os.environ['PATH']}"
    said = subprocess.run(
        argv, env={"PATH": path}, capture_output=True, text=True, check=True, timeout=30
    ).stdout.split()
    assert said[-2:] == ["--databases", "keystone"]
    assert {"--single-transaction", "--routines", "--triggers", "--hex-blob", "--quick"} <= set(said)
    assert not any("password" in word for word in said)
    tool.unlink()
    done = subprocess.run(argv, env={"PATH": path}, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (127, "neither mariadb-dump nor mysqldump is installed\n")

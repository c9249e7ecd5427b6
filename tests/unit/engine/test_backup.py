"""Taking, proving and restoring backups, on machines in memory and a folder on disk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from quorate.engine.apply import Operation
from quorate.engine.backup import Taken, take
from quorate.engine.lock import held
from quorate.engine.opened import Opened, open_backup
from quorate.engine.proofs import Known, last, note
from quorate.engine.proving import prove
from quorate.engine.restore import Begun, restore
from quorate.engine.sealed import Damaged
from quorate.engine.store import Folder
from quorate.errors import QuorateError, Refused, Unreachable
from quorate.transport.fake import FakePath, FakeTransport
from worlds.backups import GREETINGS, SYSTEMS, Backed, formed
from worlds.machines import DATA, HOLDER, Operator

KEY = bytes(range(32))
FILES = {"cloud.yaml": b"cloud: prod\n", "secrets.yaml": b"a: b\n"}
BEGAN = datetime(2026, 1, 31, 12, tzinfo=UTC)


def there(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def operation(machines: Backed) -> Operation:
    return Operator(machines, systems=SYSTEMS).operation()


async def taken(machines: Backed, folder: Path, hour: int = 0, keep: int = 0) -> Taken:
    op = operation(machines)
    backup, now = bytes([hour] * 16), BEGAN + timedelta(hours=hour)
    return await take(op, machines.ways(), Folder(folder), KEY, FILES, backup=backup, now=now, keep=keep)


async def opened(folder: Path, name: str) -> Opened:
    return await open_backup(Folder(folder), name, KEY)


async def restored(machines: Backed, backup: Opened, base: Path) -> bool:
    op = operation(machines)
    clock = machines.time
    async with held(op.transports, op.token, HOLDER, sleep=clock.wait, patience=clock.pass_by):
        return (await restore(op, machines.ways(), backup, Begun(base, backup.manifest.id))).verdict.is_ok


async def test_everything_is_in_it_and_the_writer_was_left_in_peace(tmp_path: Path) -> None:
    machines = await formed()
    done = await taken(machines, tmp_path)
    backup = await opened(tmp_path, done.name)
    assert {name: await backup.whole(name) for name in backup.manifest.parts} == {
        "database": b"rows",
        "greetings": b"hello",
        **FILES,
    }
    assert machines.asked == ["c3: toydb-copy", "c3: toyd-copy"]
    assert (backup.manifest.parts["database"].host, backup.manifest.parts["database"].about) == ("c3", {"rows": 4})
    assert there(tmp_path) == [done.name]


async def test_members_that_cannot_be_spared_are_not_disturbed(tmp_path: Path) -> None:
    machines = await formed()
    machines.hosts["c2"].down = "no route"
    machines.sick = {"c1"}
    with pytest.raises(Refused, match="toydb's data: interrupting c3 would leave 0 healthy members, 1 needed"):
        await taken(machines, tmp_path)
    assert (machines.asked, there(tmp_path)) == ([], [])


async def test_one_that_is_down_is_no_reason_to_go_without_a_backup(tmp_path: Path) -> None:
    machines = await formed()
    machines.hosts["c2"].down = "no route"
    assert (await taken(machines, tmp_path)).manifest.parts["database"].host == "c3"


@pytest.mark.parametrize("program", ["toydb-copy", "toyd-copy"])
async def test_what_fails_on_the_way_leaves_nothing_behind(tmp_path: Path, program: str) -> None:
    machines = await formed()
    machines.failing = program
    with pytest.raises(QuorateError, match="could not be copied on c3: the disk is full"):
        await taken(machines, tmp_path)
    assert there(tmp_path) == []


async def test_a_controller_that_falls_silent_leaves_nothing_behind(tmp_path: Path) -> None:
    machines = await formed()
    ways = machines.ways()

    class Gone(FakeTransport):
        async def stream(self, *_: object, **__: object) -> NoReturn:
            raise Unreachable("c3", "the connection was cut")

    ways["c3"] = Gone(machines.hosts["c3"])
    with pytest.raises(Unreachable):
        await take(operation(machines), ways, Folder(tmp_path), KEY, FILES, backup=bytes(16), now=BEGAN, keep=0)
    assert there(tmp_path) == []


async def test_older_ones_go_and_the_last_proved_one_stays(tmp_path: Path) -> None:
    machines = await formed()
    first = await taken(machines, tmp_path)
    await prove(operation(machines), machines.ways(), await opened(tmp_path, first.name))
    second, third = [await taken(machines, tmp_path, hour, keep=1) for hour in (1, 2)]
    assert (second.pruned, third.pruned) == ((), (second.name,))
    assert there(tmp_path) == [first.name, third.name]


async def test_a_proof_restores_on_a_controller_that_is_not_the_writer(tmp_path: Path) -> None:
    machines = await formed()
    backup = await opened(tmp_path, (await taken(machines, tmp_path)).name)
    proved, found = await prove(operation(machines), machines.ways(), backup)
    assert machines.asked[-1] == "c3: toydb-try"
    assert (proved.id, proved.taken, proved.host) == (backup.manifest.id, "2026-01-31T12:00:00+00:00", "c3")
    assert next((one.what, one.how) for one in found) == ("database", "restored for trial, and alike: 4 rows")
    assert await Folder(tmp_path).backups() == {backup.name: True}


async def test_a_restore_that_is_not_alike_is_red(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machines = await formed()
    backup = await opened(tmp_path, (await taken(machines, tmp_path)).name)
    monkeypatch.setattr("worlds.backups.facts", lambda _data: '{"proof": {"sum": "another"}}')
    with pytest.raises(Damaged, match=r"sum is another, and was .* when the backup was taken"):
        await prove(operation(machines), machines.ways(), backup)
    assert await Folder(tmp_path).backups() == {backup.name: False}


async def test_a_trial_that_fails_proves_nothing(tmp_path: Path) -> None:
    machines = await formed()
    backup = await opened(tmp_path, (await taken(machines, tmp_path)).name)
    machines.failing = "toydb-try"
    with pytest.raises(QuorateError, match="for trial on c3: the disk is full"):
        await prove(operation(machines), machines.ways(), backup)
    assert await Folder(tmp_path).backups() == {backup.name: False}


async def test_a_restore_onto_fresh_machines_brings_everything_back(tmp_path: Path) -> None:
    backup = await opened(tmp_path, (await taken(await formed(data="therows"), tmp_path)).name)
    fresh = Backed()
    assert await restored(fresh, backup, tmp_path)
    assert {host.paths[DATA].content for host in fresh.hosts.values()} == {"therows"}
    assert fresh.bootstraps == []
    assert fresh.asked == ["c1: toydb-put-back", "c3: toyd-put-back"]
    assert fresh.hosts["c3"].paths[GREETINGS].content == "hello"
    assert not (tmp_path / ".quorate" / "restoring.json").exists()


@pytest.mark.parametrize("holder", ["c1", "c3"])
async def test_nothing_is_restored_where_anybody_holds_data(tmp_path: Path, holder: str) -> None:
    backup = await opened(tmp_path, (await taken(await formed(), tmp_path)).name)
    fresh = Backed()
    fresh.hosts[holder].packages["toydb"] = "1"
    fresh.hosts[holder].paths[DATA] = FakePath("precious")
    with pytest.raises(Refused, match=f"toydb: {holder}: precious"):
        await restored(fresh, backup, tmp_path)
    assert (fresh.acts, fresh.asked) == ([], [])
    assert fresh.hosts[holder].paths[DATA].content == "precious"


async def test_nothing_is_restored_where_somebody_was_not_seen(tmp_path: Path) -> None:
    backup = await opened(tmp_path, (await taken(await formed(), tmp_path)).name)
    fresh = Backed()
    fresh.hosts["c2"].down = "no route"
    with pytest.raises(Refused, match="c2: no route"):
        await restored(fresh, backup, tmp_path)
    assert (fresh.acts, fresh.asked) == ([], [])


async def test_a_damaged_one_changes_nothing(tmp_path: Path) -> None:
    name = (await taken(await formed(), tmp_path)).name
    file = tmp_path / name / "database.sealed"
    file.write_bytes(file.read_bytes()[:-1])
    fresh = Backed()
    with pytest.raises(Damaged, match="database"):
        await restored(fresh, await opened(tmp_path, name), tmp_path)
    assert (fresh.acts, fresh.asked) == ([], [])


@pytest.mark.parametrize("broken", ["toydb-put-back", "toyd-put-back", "apply"])
async def test_interrupted_it_goes_on_when_it_is_run_again(tmp_path: Path, broken: str) -> None:
    backup = await opened(tmp_path, (await taken(await formed(), tmp_path)).name)
    fresh = Backed()
    fresh.failing = broken
    if broken == "apply":
        fresh.sick = {"c2"}
    with pytest.raises(QuorateError):
        await restored(fresh, backup, tmp_path)
    fresh.failing, fresh.sick = "", set()
    fresh.settle()
    assert await restored(fresh, backup, tmp_path)
    assert {host.paths[DATA].content for host in fresh.hosts.values()} == {"rows"}
    assert fresh.hosts["c3"].paths[GREETINGS].content == "hello"


async def test_that_another_restore_was_begun_excuses_nothing(tmp_path: Path) -> None:
    machines = await formed()
    backup = await opened(tmp_path, (await taken(machines, tmp_path)).name)
    Begun(tmp_path, "another").begin()
    with pytest.raises(Refused, match="hold, or may hold, data"):
        await restored(machines, backup, tmp_path)


def known(taken: str) -> Known:
    proved = {"id": "0" * 32, "taken": taken, "proved": "2026-02-01T12:00:00+00:00", "host": "c3"}
    return Known.model_validate({"name": "b", "where": "/srv", "proved": proved})


def test_the_newest_that_was_proved_is_remembered(tmp_path: Path) -> None:
    assert last(tmp_path) is None
    for taken_at in ("2026-01-31T12:00:00+00:00", "2026-01-30T12:00:00+00:00"):
        note(tmp_path, known(taken_at))
    found = last(tmp_path)
    assert isinstance(found, Known)
    assert found.proved.taken == "2026-01-31T12:00:00+00:00"


def test_a_note_that_makes_no_sense_is_unknown_and_not_none(tmp_path: Path) -> None:
    note(tmp_path, known("2026"))
    (tmp_path / ".quorate" / "proved.json").write_text("{")
    assert "cannot be read" in str(last(tmp_path))
    note(tmp_path, known("2026"))
    assert isinstance(last(tmp_path), Known)

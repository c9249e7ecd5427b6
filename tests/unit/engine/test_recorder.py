from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from quorate.core.drill import Workload
from quorate.core.history import Operation
from quorate.core.record import Header, LookLine, Record, parse
from quorate.core.secret import Secrets
from quorate.engine import recorder as module
from quorate.engine.recorder import Recorder, room_for
from quorate.errors import QuorateError

HEADER = Header(
    run="r1",
    cloud="lab",
    began="2026-01-31T12:00:00+00:00",
    drill="power-cut",
    summary="controller1 loses its power",
    seed=1,
    hits=(),
    roles={},
    within=True,
    hold=20.0,
    workloads=(),
    objectives={},
    predictions=(),
)
SECRETS = Secrets({"keystone.admin": "geheim"})


def recorder(folder: Path, room: int = 1 << 16) -> Recorder:
    made = Recorder(folder / "drills" / "r1", room=room, mask=SECRETS.mask)
    made.open(HEADER)
    return made


def read(path: Path) -> Record:
    with path.open(encoding="utf-8") as file:
        return parse(file, str(path))


def test_the_header_goes_first_whenever_it_is_known(tmp_path: Path) -> None:
    with Recorder(tmp_path / "r1", room=1 << 16, mask=SECRETS.mask) as made:
        made.mark("pause", 1.0, 0.4)
        made.open(HEADER)
        made.mark("inject", 5.0)
        made.close(done=True)
    assert [mark.name for mark in read(made.path).marks] == ["pause", "inject"]


def test_what_was_recorded_is_read_again(tmp_path: Path) -> None:
    operation = Operation(1.0, 1.5, "failed", "wrong body", {"number": 7, "highest": None})
    with recorder(tmp_path) as made:
        made.operation("database_write", operation)
        made.mark("inject", 5.0)
        made.mark("pause", 6.0, 0.4)
        made.add(LookLine(at=7.0, level="failing", why={"galera": "2 of 3"}))
        made.final("database_write", {"rows": 3})
        made.close(done=True)
    record = read(made.path)
    assert record.header == HEADER
    assert record.operations == {"database_write": [operation]}
    assert [(mark.name, mark.at, mark.seconds) for mark in record.marks] == [("inject", 5.0, 0.0), ("pause", 6.0, 0.4)]
    assert record.looks[0].why == {"galera": "2 of 3"}
    assert record.finals == {"database_write": {"rows": 3}}
    assert record.complete


def test_only_its_owner_can_read_it_and_unused_room_is_given_back(tmp_path: Path) -> None:
    with recorder(tmp_path, room=1 << 20) as made:
        assert made.path.stat().st_size == 1 << 20
        made.close(done=True)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.path.parent.stat().st_mode) == 0o700
    assert made.path.stat().st_size == len(made.path.read_text().rstrip("\0"))


def test_secrets_are_masked_in_notes_and_reasons(tmp_path: Path) -> None:
    with recorder(tmp_path) as made:
        made.operation("token_issue", Operation(1.0, 1.5, "failed", "password geheim refused"))
        made.add(LookLine(at=7.0, level="failing", why={"keystone": "geheim"}))
    text = made.path.read_text()
    assert "geheim" not in text
    assert text.count("@@secret:keystone.admin@@") == 2


def test_a_record_whose_writer_died_is_read_up_to_there(tmp_path: Path) -> None:
    made = recorder(tmp_path)
    made.operation("a", Operation(1.0, 1.5, "ok"))
    made.mark("inject", 5.0)
    torn = made.path.with_name("torn.jsonl")
    made.close(done=True)
    whole = made.path.read_bytes().removesuffix(b'{"what":"done"}\n')
    torn.write_bytes(whole + b'{"what":"mark","na' + bytes(4096))
    record = read(torn)
    assert record.mark("inject") == 5.0
    assert not record.complete


def test_a_mark_is_on_disk_soon_though_nothing_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = threading.Event()
    real = os.fdatasync

    def fdatasync(fd: int) -> None:
        real(fd)
        if b'"inject"' in made.path.read_bytes():
            synced.set()

    monkeypatch.setattr(module, "EVERY", 1000.0)
    monkeypatch.setattr(os, "fdatasync", fdatasync)
    with recorder(tmp_path) as made:
        made.mark("inject", 5.0)
        assert synced.wait(10)


def test_lines_of_many_threads_are_whole(tmp_path: Path) -> None:
    def write(name: str) -> None:
        for number in range(200):
            made.operation(name, Operation(float(number), number + 0.5, "ok", facts={"number": number}))

    with recorder(tmp_path) as made:
        threads = [threading.Thread(target=write, args=(f"w{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        made.close(done=True)
    record = read(made.path)
    assert {name: [o.facts["number"] for o in told] for name, told in record.operations.items()} == {
        f"w{n}": list(range(200)) for n in range(4)
    }


def test_a_full_disk_is_told_before_anything_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_fd: int, _offset: int, _room: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(QuorateError, match=r"no room for the record of this drill at .*: No space left") as caught:
        recorder(tmp_path, room=5 << 20)
    assert caught.value.hint == "It may need 5 MiB. Nothing was broken."
    assert not (tmp_path / "drills" / "r1").exists()


def test_a_record_is_never_written_over(tmp_path: Path) -> None:
    recorder(tmp_path).close(done=True)
    with pytest.raises(QuorateError, match="cannot be made: File exists"):
        recorder(tmp_path)


async def test_a_disk_that_fails_later_ends_the_drill_and_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_fd: int, _data: bytes, _offset: int) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    made = recorder(tmp_path)
    made.mark("calm", 1.0)
    while b'"calm"' not in made.path.read_bytes():  # noqa: ASYNC110 - another thread writes it
        await asyncio.sleep(0)
    made.check()
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", fails)
        made.mark("inject", 5.0)
        await asyncio.wait_for(made.broken(), 10)
    made.mark("heal", 9.0)
    with pytest.raises(QuorateError, match="cannot be written: Input/output error"):
        made.check()
    with pytest.raises(QuorateError, match="cannot be written"):
        made.close(done=True)
    record = read(made.path)
    assert [mark.name for mark in record.marks] == ["calm"]
    assert not record.complete


def test_the_room_grows_with_the_load_and_the_time() -> None:
    one = Workload("a", "a", "a", "a:A", rate=20.0)
    assert room_for([], 60) == 1 << 20
    assert room_for([one, one], 60) - room_for([one], 60) == 20 * 60 * 320

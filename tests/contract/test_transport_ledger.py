"""What every transport keeps of a run, and how it is undone: the same ways as in `test_transport.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from test_transport import make_way, sshd
from transport_ways import RUN, Way

from quorate.core.act import MakeDirectory, Restore
from quorate.core.kept import HostKept, Lies, PathKept
from quorate.core.observed import Absent, PathSeen
from quorate.core.resource import File
from quorate.transport.remote.ledger import KEEPS
from quorate.transport.remote.program import ENVIRONMENT

__all__ = ["sshd"]


@pytest.fixture(params=["fake", "local", "ssh"])
async def leased(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Way]:
    """Nobody's machine but the test's own: a ledger tells of all that was ever done there."""
    monkeypatch.setenv("PATH", ENVIRONMENT["PATH"])
    way = make_way(request, tmp_path)
    assert (await way.lease("acquire")).granted
    yield way
    await way.transport.close()


def restore(kept: HostKept, number: int = 0, **changes: Any) -> Restore:
    """Undo all that was done to the path which the first run wrote first."""
    run = kept.runs[0]
    record = [one for one in run.records if isinstance(one, PathKept)][number]
    return Restore(path=record.path, run=run.run, found=kept.now[record.path], before=record.before, **changes)


async def test_a_run_tells_what_it_changed_and_what_was_there_before(leased: Way) -> None:
    await leased.done(leased.file("here", "old\n"), run="run-0")
    await leased.done(leased.file("here", "new\n", mode=0o644), leased.file("there", "x"))
    kept = await leased.kept(RUN)
    assert [(run.run, run.verb, run.changes, len(run.records)) for run in kept.runs] == [
        ("run-0", "apply", kept.runs[0].changes, 0),
        (RUN, "apply", 2, 2),
    ]
    here, there = (one for one in kept.runs[1].records if isinstance(one, PathKept))
    assert (here.before.kind, here.before.mode, here.after.mode) == ("file", 0o640, 0o644)
    assert there.before == Lies(kind="absent")
    assert kept.now == {here.path: here.after, there.path: there.after}
    assert (kept.were, kept.texts) == ({here.path: "old\n"}, {here.path: "new\n", there.path: "x"})
    assert not kept.damaged
    assert (await leased.kept(None)).now == {}


async def test_what_a_run_did_can_be_undone_and_that_again(leased: Way) -> None:
    await leased.done(leased.file("here", "old\n"), run="run-0")
    await leased.done(leased.file("here", "new\n", mode=0o600), leased.file("there", "x"))
    kept = await leased.kept(RUN)
    undone = replace_runs(kept, RUN)
    await leased.done(restore(undone), restore(undone, 1), run="run-2", about={"verb": "rollback", "undoes": RUN})
    seen = await leased.observe(File(leased.path("here"), ""), File(leased.path("there"), ""))
    here = seen.resources[f"file:{leased.path('here')}"]
    assert isinstance(here, PathSeen)
    assert (here.text, here.mode) == ("old\n", 0o640)
    assert seen.resources[f"file:{leased.path('there')}"] == Absent()
    again = replace_runs(await leased.kept("run-2"), "run-2")
    await leased.done(restore(again), restore(again, 1), run="run-3")
    assert (await leased.kept("run-3")).texts == {leased.path("here"): "new\n", leased.path("there"): "x"}


def replace_runs(kept: HostKept, first: str) -> HostKept:
    """Leave out the runs before this one."""
    return kept.model_copy(update={"runs": tuple(run for run in kept.runs if run.began >= first)})


async def test_what_somebody_changed_meanwhile_is_left_alone(leased: Way) -> None:
    await leased.done(leased.file("here", "x"))
    act = restore(replace_runs(await leased.kept(RUN), RUN), -1)
    await leased.done(leased.file("here", "somebody's"), run="run-2")
    (result,) = await leased.done(act, run="run-3")
    assert not result.ok
    assert "is not as it was when this was planned" in result.note
    assert (await leased.kept("run-2")).texts[leased.path("here")] == "somebody's"


async def test_a_directory_is_taken_back_too(leased: Way) -> None:
    made = MakeDirectory(path=leased.path("made"), mode=0o700, owner="root", group="root")
    await leased.done(made)
    kept = replace_runs(await leased.kept(RUN), RUN)
    assert kept.holds[made.path] == ()
    await leased.done(restore(kept, -1), run="run-2")
    assert (await leased.kept(RUN)).now[made.path] == Lies(kind="absent")


async def test_the_oldest_runs_are_forgotten(leased: Way) -> None:
    for number in range(KEEPS + 2):
        await leased.done(leased.file("here", f"{number}"), run=f"run-{number:02}")
    kept = await leased.kept(None)
    assert len(kept.runs) == KEEPS
    assert (kept.forgotten, kept.runs[0].run) == ("run-01", "run-02")

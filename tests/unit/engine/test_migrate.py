"""A migration on machines in memory, cut off wherever it can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from quorate.errors import QuorateError, Refused, Unreachable
from worlds.machines import VALUES, Operator
from worlds.migrating import KEYS, NEVER, SYSTEMS, Old


def stage(old: Old) -> str | None:
    state = old.begun.state()
    return state.stage if state else None


async def test_everything_that_needs_no_data_comes_before_the_source_is_held(tmp_path: Path) -> None:
    old = Old(tmp_path)
    done = await old.migrate()
    assert (old.data, old.copy, old.held, stage(old)) == ("rows", "rows", True, "done")
    said = old.said
    order = ("install toydb", "enable and start toydb.service", "install toyd", "hold", "drop", "dump", "load")
    places = [said.index(one) for one in (*order, "sums", "sums_here", "start toyd.service")]
    assert places == sorted(places)
    assert (done.state.tables, done.state.rows, done.state.moved) == (1, 4, ("toyd",))
    assert done.state.pause_s is not None
    assert set(done.phases) == {"prepare", "load", "compare", "schemas", "services"}
    assert done.strays == ("3 controllers were seen",)
    assert old.sent == VALUES["toyd.database"]


async def test_keys_are_taken_over_before_anything_is_written(tmp_path: Path) -> None:
    old = Old(tmp_path)
    await old.migrate()
    assert old.kept == {f"toyd.key_{number}": key for number, key in KEYS.items()}


async def test_a_second_run_says_that_it_is_done_and_touches_nothing(tmp_path: Path) -> None:
    old = Old(tmp_path)
    first = await old.migrate()
    old.said.clear()
    again = await old.migrate()
    assert again.state == first.state
    assert not {"hold", "free", "drop", "dump", "load"} & set(old.said)
    assert (await Operator(old.machines, systems=SYSTEMS).apply()).plan.is_empty


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({"data": "wrong"}, "toyd.t is of the wrong kind"),
        ({"data": "old"}, "toyd is too old"),
        ({"data": None}, "the source holds nothing"),
        ({"held": True}, "is it a replica"),
    ],
)
async def test_what_stands_against_it_is_said_and_nothing_changed(
    tmp_path: Path, what: dict[str, object], why: str
) -> None:
    old = Old(tmp_path, **what)  # type: ignore[arg-type]
    with pytest.raises(Refused, match=why):
        await old.migrate()
    assert (old.machines.acts, stage(old), old.held) == ([], None, what.get("held", False))


async def test_a_cloud_that_serves_already_is_left_alone(tmp_path: Path) -> None:
    old = Old(tmp_path)
    assert (await Operator(old.machines, systems=SYSTEMS).apply()).verdict.is_ok
    old.machines.settle()
    with pytest.raises(Refused, match="toyd: serves in the new cloud already"):
        await old.migrate()
    assert "drop" not in old.said


async def test_data_of_the_new_cloud_is_seen_once_it_is_formed_and_left_alone(tmp_path: Path) -> None:
    old = Old(tmp_path, copy="somebody's")
    with pytest.raises(Refused, match="toyd: the new cloud holds tables of that name already"):
        await old.migrate()
    assert (old.copy, old.held, stage(old)) == ("somebody's", False, "begun")


async def test_another_source_is_refused(tmp_path: Path) -> None:
    old = Old(tmp_path)
    await old.migrate()
    state = old.begun.state()
    assert state is not None
    old.begun.keep(state.model_copy(update={"source": "other"}))
    with pytest.raises(Refused, match="a migration from other has begun"):
        await old.migrate()


async def test_a_copy_that_differs_is_dropped_and_the_source_writable(tmp_path: Path) -> None:
    old = Old(tmp_path, spoils=True)
    with pytest.raises(QuorateError, match=r"toyd\.t: 5 rows here, 4 there"):
        await old.migrate()
    assert (old.data, old.copy, old.held, stage(old), old.started) == ("rows", None, False, "begun", False)


@pytest.mark.parametrize("program", ["hold", "dump", "load", "sums", "sums_here"])
async def test_what_fails_before_the_start_leaves_the_source_as_it_was(tmp_path: Path, program: str) -> None:
    old = Old(tmp_path, failing=program)
    with pytest.raises(QuorateError, match="the disk is full"):
        await old.migrate()
    assert (old.copy, old.held, stage(old), old.started) == (None, False, "begun", False)
    old.failing = ""
    await old.migrate()
    assert (old.copy, old.held, stage(old)) == ("rows", True, "done")


@pytest.mark.parametrize("how", ["before", "after", "for good"])
async def test_cut_off_anywhere_and_run_again_it_ends_the_same(tmp_path: Path, how: str) -> None:
    whole = Old(tmp_path / "whole")
    await whole.migrate()
    for call in range(1, whole.calls + 1):
        old = Old(tmp_path / str(call), cut_at=call, how=how)
        with pytest.raises(Unreachable):
            await old.migrate()
        if how != "for good" and not old.started:
            seen = (old.held, stage(old) in {None, "begun"})
            assert seen == (False, True) or old.said[-1].endswith("--back"), (call, old.said[-3:])
        old.cut_at = NEVER
        old.machines.settle()
        await old.migrate()
        assert (old.data, old.copy, old.held, stage(old)) == ("rows", "rows", True, "done"), call
        assert {name: host.units["toyd.service"].active for name, host in old.machines.hosts.items()} == dict.fromkeys(
            old.machines.hosts, "active"
        )


async def test_going_back_says_what_is_only_here(tmp_path: Path) -> None:
    old = Old(tmp_path)
    await old.migrate()
    old.copy = "rows and more"
    assert await old.back() == ("toyd.t: 13 rows here, 4 there",)
    assert (old.held, stage(old), old.copy) == (False, None, "rows and more")


async def test_going_back_from_a_copy_in_the_making_drops_it(tmp_path: Path) -> None:
    old = Old(tmp_path, failing="load")
    old.cut_at, old.how = 10, "for good"
    with pytest.raises(QuorateError):
        await old.migrate()
    assert (stage(old), old.held) == ("cut", True), old.said
    old.cut_at, old.copy = NEVER, "half"
    old.machines.settle()
    assert await old.back() == ()
    assert (old.held, stage(old)) == (False, None)
    assert old.copy is None


async def test_a_source_that_was_started_anew_is_held_again(tmp_path: Path) -> None:
    old = Old(tmp_path)
    await old.migrate()
    state = old.begun.state()
    assert state is not None
    old.begun.keep(state.model_copy(update={"stage": "serving", "held": "2026-01-31T11:59:30+00:00"}))
    old.held = False
    done = await old.migrate()
    assert old.held
    assert done.state.pause_s is not None
    assert done.state.pause_s >= 30.0

from __future__ import annotations

import hashlib
from typing import Any

from quorate.cli.plan import as_text
from quorate.core.act import Restore
from quorate.core.kept import HostKept, Lasting, Lies, PastRun, PathKept, RunKept, UnitKept, aim, standing_before
from quorate.core.observed import HostSeen, Unknown
from quorate.core.plan import Plan
from quorate.core.rollback import Past, make_rollback
from worlds.clouds import NO_SECRETS, file_seen, hosts, site
from worlds.systems import made, settled, wanted

PLAIN = made("plain")
OTHER = made("other", needs=("plain",))
CONF = "/etc/plain.conf"
ABSENT = Lies(kind="absent")


def lies(text: str, mode: int = 0o644) -> Lies:
    return Lies(kind="file", sha256=hashlib.sha256(text.encode()).hexdigest(), mode=mode, owner="root", group="root")


CALM, CHANGED = lies("word = calm\n"), lies("word = changed\n")
UNIT = UnitKept(name="plain.service", verb="restart", active="active", enabled="enabled")


def kept(*records: Any, run: str = "r2", **more: Any) -> HostKept:
    """One run that wrote plain.conf and restarted its unit, or with these records."""
    said = records or (PathKept(path=CONF, before=CALM, after=CHANGED), UNIT)
    now = {one.path: one.after for one in said if isinstance(one, PathKept)}
    common: dict[str, Any] = {"now": now, "texts": {CONF: "word = changed\n"}, "were": {CONF: "word = calm\n"}}
    return HostKept(runs=(RunKept(run=run, began=run, records=said),), **{**common, **more})


def changed_world() -> dict[str, HostSeen | Unknown]:
    """See plain.conf as the run left it."""
    world = settled(PLAIN, OTHER)
    (conf,) = [one for one in wanted("plain") if one.id == f"file:{CONF}"]
    for seen in world.values():
        assert isinstance(seen, HostSeen)
        seen.resources[conf.id] = file_seen(conf, text="word = changed\n")  # type: ignore[arg-type]  # it is the file
    return world


def plan(one: HostKept | None = None, world: Any = None, **more: Any) -> Plan:
    """Go back to before r2 on controllers that all keep the same."""
    past = Past("r2", "r2", dict.fromkeys(hosts(3), one or kept()), more.pop("overwrite", ()))
    where = site(PLAIN, OTHER)
    return make_rollback(where, (PLAIN, OTHER), NO_SECRETS, world or changed_world(), past, made="now", **more)


def reasons(found: Plan) -> list[str]:
    return [refusal.reason for refusal in found.refusals]


def test_files_go_back_and_what_ran_with_them_is_restarted_one_by_one() -> None:
    found = plan()
    assert [wave.title for wave in found.waves] == [f"plain: {host}" for host in hosts(3)]
    assert [wave.gate.members for wave in found.waves if wave.gate] == [(host,) for host in hosts(3)]
    assert [str(act) for act in found.steps[0].acts] == [f"put back {CONF}", "restart plain.service"]
    assert found.steps[0].acts[0] == Restore(path=CONF, run="r2", found=CHANGED, before=CALM)
    assert all(step.disturbs for step in found.steps)
    assert (found.only, found.undoes, found.refusals) == (("plain",), "r2", ())
    text = as_text(found)
    assert "toys, back to before run r2: 3 waves" in text
    assert "-word = changed" in text
    assert "+word = calm" in text


def test_a_member_that_may_not_be_spared_refuses_it() -> None:
    world = changed_world()
    world["c2"] = world["c3"] = Unknown(why="gone")
    (reason,) = reasons(plan(world=world, without=("c2", "c3")))
    assert reason.startswith("interrupting c1 would leave 0 healthy members, 1 needed")


def test_where_all_lies_as_before_nothing_is_done() -> None:
    found = plan(kept(now={CONF: CALM}), settled(PLAIN, OTHER))
    assert found.is_empty
    assert not found.refusals


def test_what_was_put_back_and_not_yet_loaded_is_restarted_all_the_same() -> None:
    world = settled(PLAIN, OTHER)
    for seen in world.values():
        assert isinstance(seen, HostSeen)
        seen.resources[f"file:{CONF}"] = seen.resources[f"file:{CONF}"].model_copy(update={"mtime": 300.0})
    found = plan(kept(now={CONF: CALM}), world)
    assert [[str(act) for act in step.acts] for step in found.steps] == [["restart plain.service"]] * 3


def test_what_somebody_changed_is_named_with_the_remedy_and_may_be_given_up() -> None:
    found = plan(kept(now={CONF: lies("mine\n")}))
    assert len(found.refusals) == 3
    assert found.refusals[0].reason.startswith(f"c1: somebody changed {CONF} since run r2 wrote it")
    assert f"--overwrite c1:{CONF}" in found.refusals[0].evidence[0]
    assert not plan(kept(now={CONF: lies("mine\n")}), overwrite=[f"{host}:{CONF}" for host in hosts(3)]).refusals


def test_another_mode_is_a_change_too() -> None:
    assert len(reasons(plan(kept(now={CONF: lies("word = changed\n", 0o600)})))) == 3


def test_a_copy_that_is_damaged_and_a_run_that_is_forgotten_refuse() -> None:
    assert reasons(plan(kept(damaged=(f"r2:{CONF}",))))[0] == f"c1: the copy of {CONF} that run r2 kept is damaged"
    assert "no longer keeps what it had before run r2" in reasons(plan(kept(forgotten="r2")))[0]
    assert not plan(kept(forgotten="r1")).refusals


def test_nothing_that_runs_is_ended() -> None:
    new = PathKept(path=CONF, before=ABSENT, after=CHANGED)
    assert reasons(plan(kept(new)))[0] == (
        f"c1: plain.service runs, and needs {CONF}, which was not there before: a rollback ends nothing that runs"
    )
    begun = UnitKept(name="new.service", verb="start", active="inactive", enabled="disabled")
    found = plan(kept(begun, units={"new.service": "active"}))
    assert reasons(found)[0] == "c1: new.service runs, and did not before: a rollback ends nothing that runs"
    assert not plan(kept(begun, units={"new.service": "inactive"})).refusals


def test_what_nobody_can_take_back_is_named() -> None:
    found = plan(kept(Lasting(what="package plain"), PathKept(path=CONF, before=CALM, after=CHANGED), UNIT))
    assert [note.text for note in found.notes] == ["stays as it is on c1, c2, c3: package plain"]


def test_folders_go_last_and_only_when_they_are_empty() -> None:
    folder = Lies(kind="directory", mode=0o755, owner="root", group="root")
    records = [PathKept(path=p, before=ABSENT, after=a) for p, a in (("/etc/x", folder), ("/etc/x/a", CHANGED))]
    found = plan(kept(*records, holds={"/etc/x": ("a",)}), settled(PLAIN, OTHER))
    assert [(wave.title, [str(act) for act in wave.steps[0].acts]) for wave in found.waves] == [
        ("put back", ["remove /etc/x/a"]),
        ("remove what is empty", ["remove /etc/x"]),
    ]
    found = plan(kept(*records, holds={"/etc/x": ("a", "theirs")}), settled(PLAIN, OTHER))
    assert [wave.title for wave in found.waves] == ["put back"]
    assert "/etc/x/, which holds what is not ours" in found.notes[-1].text


def test_several_runs_go_back_to_the_first_of_them() -> None:
    first = RunKept(run="r2", began="r2", records=(PathKept(path=CONF, before=CALM, after=CHANGED), UNIT))
    last = lies("word = third\n")
    second = RunKept(run="r3", began="r3", records=(PathKept(path=CONF, before=CHANGED, after=last), UNIT))
    older = RunKept(run="r1", began="r1", records=(PathKept(path=CONF, before=ABSENT, after=CALM),))
    one = kept(now={CONF: last}).model_copy(update={"runs": (older, first, second)})
    assert plan(one).steps[0].acts[0] == Restore(path=CONF, run="r2", found=last, before=CALM)


def test_the_print_tells_whether_anything_lies_differently() -> None:
    assert plan().fingerprint == plan().fingerprint
    assert plan().fingerprint != plan(kept(now={CONF: CALM})).fingerprint


def runs(*undoing: str) -> tuple[PastRun, ...]:
    """Runs r1, r2, …: each empty word is an apply, any other a rollback to before that run."""
    return tuple(
        PastRun(run=f"r{n}", began=f"r{n}", verb="", operator="", undoes=word, hosts={})
        for n, word in enumerate(undoing, start=1)
    )


def test_what_stands_follows_from_what_was_undone() -> None:
    assert standing_before(runs("", "", ""))[""] == ("r1", "r2", "r3")
    assert standing_before(runs("", "", "", "r2"))[""] == ("r1",)
    assert standing_before(runs("", "", "", "r2", "r4"))[""] == ("r1", "r2", "r3"), "the rollback was rolled back"
    assert standing_before(runs("", "", "r2", ""))["r4"] == ("r1",)


def test_without_a_name_it_is_the_last_that_stands_or_what_was_begun() -> None:
    def name(*undoing: str, named: str = "") -> str | None:
        found = aim(runs(*undoing), named)
        return found.run if found else None

    assert name("", "") == "r2"
    assert name("", "", "r2") == "r2", "it may have been interrupted"
    assert name("", "", "r2", "") == "r4"
    assert name("", "", named="r1") == "r1"
    assert name("", "", named="r9") is None
    assert name() is None

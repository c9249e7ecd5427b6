"""Galera's recovery over generated outages, judged by the truth that the decision cannot see, and cut off anywhere.

The truth: one history, of which every member holds the beginning up to some transaction, and one acknowledged end that
at least one of them has on its disk. What became of each is drawn; what is seen of it follows from that.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.core.act import Run, SetUnit
from quorate.core.observed import Unknown
from quorate.core.plan import Wave
from quorate.core.system import Blocked, Formation, Site, Terms
from quorate.model.cloud import Cloud
from quorate.systems.galera import SYSTEM
from quorate.systems.galera.config import Galera
from quorate.systems.galera.position import Position
from quorate.systems.galera.probe import Contents, Data, Health, Saved, Status, View
from quorate.systems.galera.recover import RETURN, recover

ALPHA = "aaaaaaaa-0000-11f1-8000-000000000001"
BETA = "bbbbbbbb-0000-11f1-8000-000000000002"
NOBODY = "00000000-0000-0000-0000-000000000000"
DEAD = Unknown(why="Can't connect to local server through socket (2)")
SILENT = Unknown(why="no answer within 2 s")

GOOD = ("stopped", "crashed", "state file empty", "waiting", "without quorum", "never a member")
"""What leaves its evidence. A copy that was cut off has no say, and needs none."""
BAD = ("unseen", "disk gone", "unreadable", "another history", "prepared", "stopping")


@dataclass
class Member:
    """A controller, as it truly is."""

    fate: str
    uuid: str = ALPHA
    seqno: int = 0
    primary: bool = False
    aside: list[tuple[str, int]] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return self.fate not in {"disk gone", "never a member", "copy cut off"} and self.uuid != NOBODY


def seen(member: Member) -> View | Unknown:
    """What a look shows of it."""
    fate = member.fate
    if member.primary:
        status = Status("Primary", "Synced", member.uuid, True, True, 3, 7, member.seqno)
        saved = Saved(member.uuid, -1, safe_to_bootstrap=False)
        data = Data(exists=True, schemas=("nova",), saved=saved, process=True, was_member=True)
        contents = Contents(frozenset({"nova"}), frozenset({("quorate_health", "localhost")}), frozenset())
        return View("active", data, status, contents, Health(200, "Synced"))
    if fate == "unseen":
        return SILENT
    if fate == "without quorum":
        status = Status("non-Primary", "Initialized", member.uuid, False, True, 1, -1, member.seqno)
        saved = Saved(member.uuid, -1, safe_to_bootstrap=False)
        data = Data(exists=True, schemas=("nova",), saved=saved, process=True, was_member=True)
        return View("active", data, status, DEAD, Health(503, "no quorum"))
    where = Position(member.uuid, member.seqno, prepared=1 if fate == "prepared" else 0)
    position: Position | Unknown = where
    saved_state: Saved | Unknown | None = Saved(member.uuid, -1, safe_to_bootstrap=False)
    schemas: tuple[str, ...] = ("nova",)
    unit, process, copying = "inactive", False, False
    match fate:
        case "stopped":
            saved_state = Saved(member.uuid, member.seqno, safe_to_bootstrap=False)
        case "state file empty":
            saved_state = Unknown(why="grastate.dat makes no sense")
        case "waiting":
            unit, process = "activating", True
        case "disk gone" | "never a member":
            saved_state, schemas, position = None, (), Unknown(why="MariaDB did not say how far its data goes")
        case "unreadable":
            position = Unknown(why="[ERROR] InnoDB: Inconsistent tablespace ID in ./ibdata1")
        case "copy cut off":
            saved_state, position, copying = Unknown(why="grastate.dat makes no sense"), Unknown(why="a copy"), True
        case "stopping":
            unit = "deactivating"
    was_member = fate != "never a member"
    data = Data(True, schemas, saved_state, False, process, False, was_member, copying)
    return View(unit, data, DEAD, DEAD, Health(503, "MariaDB does not answer"), position)


def site(size: int) -> Site:
    return Site(
        Cloud.model_validate(
            {
                "cloud": "lab",
                "networks": {"management": {"subnet": "10.77.0.0/24"}},
                "vips": {"api": {"address": "10.77.0.10"}},
                "controllers": {
                    f"c{n}": {"addresses": {"management": f"10.77.0.{10 + n}"}} for n in range(1, size + 1)
                },
                "systems": {"galera": Galera()},
            }
        )
    )


@dataclass
class World:
    """Everything that is true. Acts change it by the rules of the real one, and complain where it would be harmed."""

    members: dict[str, Member]
    given: frozenset[str]

    def decide(self) -> Formation:
        views = {name: seen(member) for name, member in self.members.items()}
        return recover(Galera(), site(len(self.members)), views, Terms(self.given, waited=RETURN))

    def do(self, host: str, act: object) -> None:
        member = self.members[host]
        primary = next((one for one in self.members.values() if one.primary), None)
        if isinstance(act, Run) and act.title.startswith("stop "):
            if member.fate in {"waiting", "without quorum", "stopping"}:
                member.fate = "stopped"
        elif isinstance(act, SetUnit) and act.verb == "start" and not member.primary:
            assert primary is not None, "started where nobody is to be joined"
            ahead = member.holds and (member.uuid != primary.uuid or member.seqno > primary.seqno)
            assert not ahead, f"what {host} holds is overwritten"
            assert member.fate != "copy cut off", "MariaDB does not start on half a copy"
            member.uuid, member.seqno, member.primary = primary.uuid, primary.seqno, True
        elif isinstance(act, Run) and "mariadb-install-db" in " ".join(act.argv):
            assert not member.primary
            member.aside.append((member.uuid, member.seqno))
            member.fate, member.uuid, member.seqno = "disk gone", NOBODY, 0
        elif isinstance(act, Run) and "galera_new_cluster" in " ".join(act.argv) and not member.primary:
            assert primary is None, "bootstrapped beside a Primary"
            running = [one.fate for one in self.members.values() if one.fate in {"waiting", "without quorum"}]
            assert not running, "bootstrapped beside members that wait"
            member.primary = True


def acts(waves: Formation) -> Iterator[tuple[str, object]]:
    assert not isinstance(waves, Blocked), waves
    for wave in waves:
        assert isinstance(wave, Wave)
        for step in wave.steps:
            for act in step.acts:
                yield step.host, act


def bootstrapped(formation: Formation) -> list[str]:
    if isinstance(formation, Blocked):
        return []
    return [host for host, act in acts(formation) if isinstance(act, Run) and "galera_new_cluster" in act.argv[2]]


@st.composite
def outages(draw: st.DrawFn, fates: tuple[str, ...] = (*GOOD, *GOOD, "copy cut off", *BAD)) -> World:
    members: dict[str, Member] = {}
    for name in (f"c{n}" for n in range(1, draw(st.sampled_from([2, 3, 3, 3, 5])) + 1)):
        fate = draw(st.sampled_from(fates))
        uuid = BETA if fate == "another history" else ALPHA
        if fate == "unseen":
            uuid = draw(st.sampled_from([ALPHA, ALPHA, BETA]))
        members[name] = Member(fate, uuid, draw(st.integers(1, 6)))
    return World(members, frozenset(draw(st.sets(st.sampled_from(sorted(members)), max_size=2))))


@settings(max_examples=1000, deadline=None)
@given(outages())
def test_nobody_is_started_who_may_be_behind(world: World) -> None:
    formation = world.decide()
    first = bootstrapped(formation)
    if not first:
        return
    (chosen,) = (world.members[host] for host in first)
    asked = {name: one for name, one in world.members.items() if name not in world.given}
    held = [one for one in asked.values() if one.holds]
    assert chosen in held or not held
    assert all(one.uuid == chosen.uuid and one.seqno <= chosen.seqno for one in held)
    assert not {"unseen", "disk gone", "unreadable", "prepared", "stopping"} & {one.fate for one in asked.values()}
    before = {name: (one.uuid, one.seqno) for name, one in world.members.items() if one.holds}
    for host, act in acts(formation):
        world.do(host, act)
    for name, (uuid, seqno) in before.items():
        member = world.members[name]
        kept = member.uuid == uuid and member.seqno >= seqno
        assert kept or (name in world.given and ((uuid, seqno) in member.aside or not member.primary))


@settings(max_examples=1000, deadline=None)
@given(outages())
def test_what_is_refused_names_what_is_missing(world: World) -> None:
    formation = world.decide()
    if not isinstance(formation, Blocked) or formation.passing:
        return
    told = " ".join((formation.reason, *formation.evidence))
    ill = [name for name, one in world.members.items() if name not in world.given and one.fate in BAD]
    held = [one for name, one in world.members.items() if one.holds and name not in world.given]
    assert ill or not held
    assert all(name in told for name in ill)


@settings(max_examples=300, deadline=None)
@given(outages(fates=(*GOOD, "copy cut off")))
def test_with_all_evidence_it_goes_on_and_nothing_is_lost(world: World) -> None:
    world.given = frozenset()
    held = [one.seqno for one in world.members.values() if one.holds]
    formation = world.decide()
    if not held:
        return
    total = len(list(acts(formation)))
    for cut in range(total + 1):
        again = World({name: Member(m.fate, m.uuid, m.seqno) for name, m in world.members.items()}, frozenset())
        for host, act in itertools.islice(acts(again.decide()), cut):
            again.do(host, act)
        for host, act in acts(again.decide()):
            again.do(host, act)
            again.do(host, act)  # an act that was cut off is done again
        assert all(one.primary for one in again.members.values())
        assert {(one.uuid, one.seqno) for one in again.members.values()} == {(ALPHA, max(held))}
        assert list(acts(again.decide())) == []


def _remembering(count: int, *, together: int) -> Mapping[str, View | Unknown]:
    group = frozenset(f"id{n}" for n in range(1, together + 1))
    views: dict[str, View | Unknown] = {}
    for n in range(1, count + 1):
        view = seen(Member("waiting", seqno=n))
        assert isinstance(view, View)
        where = Position(ALPHA, n, own=f"id{n}", together=group)
        views[f"c{n}"] = View(view.unit, view.data, view.status, view.contents, view.health, where)
    return views


def test_members_that_remember_each_other_are_left_alone_for_a_while() -> None:
    left = recover(Galera(), site(3), _remembering(3, together=3), Terms(waited=RETURN - 1))
    assert isinstance(left, Blocked)
    assert left.passing
    assert bootstrapped(recover(Galera(), site(3), _remembering(3, together=3), Terms(waited=RETURN))) == ["c3"]


def test_members_that_wait_for_somebody_else_are_not_waited_for() -> None:
    assert bootstrapped(recover(Galera(), site(3), _remembering(3, together=4), Terms())) == ["c3"]


def test_what_is_ahead_and_given_up_is_counted_and_put_aside() -> None:
    world = World({"c1": Member("stopped", seqno=5), "c2": Member("prepared", seqno=9)}, frozenset({"c2"}))
    formation = world.decide()
    assert not isinstance(formation, Blocked)
    said = [step.irreversible for wave in formation for step in wave.steps if step.irreversible]
    assert any("4 transactions" in one for one in said)


def test_who_does_not_stop_is_killed_and_asked_then() -> None:
    world = World({"c1": Member("stopped", seqno=5), "c2": Member("stopping", seqno=6)}, frozenset())
    views = {name: seen(member) for name, member in world.members.items()}
    assert isinstance(recover(Galera(), site(2), views, Terms()), Blocked)
    for host, act in acts(world.decide()):
        world.do(host, act)
    assert bootstrapped(world.decide()) == ["c2"]


@pytest.mark.parametrize("fate", [fate for fate in BAD if fate != "stopping"])
def test_each_missing_evidence_is_enough_to_refuse(fate: str) -> None:
    uuid = BETA if fate == "another history" else ALPHA
    world = World({"c1": Member("stopped", seqno=5), "c2": Member(fate, uuid, 5)}, frozenset())
    assert isinstance(world.decide(), Blocked)


def test_it_is_the_system_that_is_tested() -> None:
    assert SYSTEM.recover is recover

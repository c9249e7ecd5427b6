"""Galera's forming, over every combination of what controllers can be, and cut off after every act.

The world here is a tiny model of the real one: members with a data directory and a process, started by the acts that
form() plans. Its rules are those that were seen on real machines: a member that starts finds a Primary and copies it,
or waits; a bootstrapped one is a Primary of its own; the data of who receives a copy is replaced.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import pytest

from quorate.core.act import Run, SetUnit
from quorate.core.observed import Unknown
from quorate.core.plan import Wave
from quorate.core.system import Blocked, Claim, Formation, Site
from quorate.model.cloud import Cloud
from quorate.systems.galera import SYSTEM
from quorate.systems.galera.config import Galera
from quorate.systems.galera.form import Stand, form, stand
from quorate.systems.galera.probe import Contents, Data, Health, Saved, Status, View

ALPHA = "aaaaaaaa-0000-11f1-8000-000000000001"
BETA = "bbbbbbbb-0000-11f1-8000-000000000002"
NOBODY = "00000000-0000-0000-0000-000000000000"
DEAD = Unknown(why="Can't connect to local server through socket (2)")
SILENT = Unknown(why="no answer within 2 s")


def _contents(*databases: str) -> Contents:
    everything = frozenset({"mysql", "sys", "nova"} | set(databases))
    return Contents(everything, frozenset({("quorate_health", "localhost")}), frozenset())


def _primary(uuid: str = ALPHA) -> View:
    saved = Saved(uuid, -1, safe_to_bootstrap=False)
    status = Status("Primary", "Synced", uuid, ready=True, connected=True, size=3, view=7, last_committed=100)
    data = Data(exists=True, schemas=("nova",), saved=saved, process=True, was_member=True)
    return View("active", data, status, _contents(), Health(200, "Synced"))


def _stopped(data: Data, unit: str = "inactive") -> View:
    return View(unit, data, DEAD, DEAD, Health(503, "MariaDB does not answer"))


def _held(uuid: str, seqno: int, *, safe: bool = False, schemas: tuple[str, ...] = ("nova",)) -> Data:
    return Data(exists=True, schemas=schemas, saved=Saved(uuid, seqno, safe), was_member=True)


TORN = Unknown(why="grastate.dat makes no sense")
FRESH = Data(exists=True)
LOST = replace(
    _primary(),
    status=Status("non-Primary", "Initialized", ALPHA, ready=False, connected=True, size=1, view=-1, last_committed=90),
)
KINDS: Mapping[str, View | Unknown] = {
    "unseen": SILENT,
    "unit unknown": replace(_stopped(FRESH), unit=SILENT),
    "data unknown": replace(_stopped(FRESH), data=SILENT),
    "frozen": replace(_primary(), status=SILENT, contents=SILENT),
    "stopping": _stopped(_held(ALPHA, -1), "deactivating"),
    "started by hand": _stopped(replace(FRESH, process=True)),
    "being bootstrapped": _stopped(replace(FRESH, bootstrap=True), "activating"),
    "primary": _primary(),
    "primary of another history": _primary(BETA),
    "without quorum": LOST,
    "not installed": _stopped(Data(exists=False)),
    "fresh": _stopped(FRESH),
    "fresh, failed": _stopped(Data(exists=True, saved=Saved(NOBODY, -1, safe_to_bootstrap=False)), "failed"),
    "fresh, restarting": _stopped(replace(FRESH, process=True, saved=TORN), "activating"),
    "history torn": _stopped(Data(exists=True, saved=TORN, was_member=True)),
    "sole": _stopped(_held(ALPHA, 90, safe=True)),
    "sole, crashed": _stopped(_held(ALPHA, -1, safe=True)),
    "holder": _stopped(_held(ALPHA, 90)),
    "holder of more": _stopped(_held(ALPHA, 120)),
    "crashed": _stopped(_held(ALPHA, -1)),
    "holder of another history": _stopped(_held(BETA, 5)),
    "copy cut off": _stopped(Data(exists=True, schemas=("nova",), saved=TORN)),
    "databases of its own": _stopped(Data(exists=True, schemas=("wiki",))),
    "disk gone": _stopped(Data(exists=True, was_member=True)),
    "waiting": _stopped(replace(_held(ALPHA, -1), process=True), "activating"),
}
NEVER_A_PRIMARY = {"not installed", "fresh", "fresh, failed", "fresh, restarting", "sole", "sole, crashed"}
"""Of these it is known that no Primary lives there; all others forbid a bootstrap."""
FRESH_KINDS = {"not installed", "fresh", "fresh, failed", "fresh, restarting"}


def _site(size: int, claims: tuple[Claim, ...] = ()) -> Site:
    cloud = Cloud.model_validate(
        {
            "cloud": "lab",
            "networks": {"management": {"subnet": "10.77.0.0/24"}},
            "vips": {"api": {"address": "10.77.0.10"}},
            "controllers": {f"c{n}": {"addresses": {"management": f"10.77.0.{10 + n}"}} for n in range(1, size + 1)},
            "systems": {"galera": Galera()},
        }
    )
    return Site(cloud, claims=claims)


def _bootstraps(formation: Formation) -> list[str]:
    if isinstance(formation, Blocked):
        return []
    acts = [(step.host, act) for wave in formation for step in wave.steps for act in step.acts]
    return [host for host, act in acts if isinstance(act, Run) and "galera_new_cluster" in " ".join(act.argv)]


def _starts(formation: Formation) -> list[str]:
    if isinstance(formation, Blocked):
        return []
    acts = [(step.host, act) for wave in formation for step in wave.steps for act in step.acts]
    return [host for host, act in acts if isinstance(act, SetUnit) and act.verb == "start"]


def _holds_what_is_missing(view: View | Unknown, uuid: str) -> bool:
    """Whether a copy from the Primary of this history would destroy something."""
    assert isinstance(view, View)
    data = view.data
    assert isinstance(data, Data)
    saved = data.saved
    if isinstance(saved, Saved) and saved.uuid != NOBODY:
        return saved.uuid != uuid or saved.seqno > 100
    return bool(set(data.schemas) - {"nova"})


def _check(kinds: tuple[str, ...]) -> None:
    site = _site(len(kinds))
    views = {f"c{n}": KINDS[kind] for n, kind in enumerate(kinds, 1)}
    formation = form(Galera(), site, views)
    bootstraps = _bootstraps(formation)
    if bootstraps:
        assert len(bootstraps) == 1, kinds
        assert set(kinds) <= NEVER_A_PRIMARY, kinds
        others = [kind for host, kind in zip(views, kinds, strict=True) if host != bootstraps[0]]
        assert set(others) <= FRESH_KINDS, kinds
    primaries = {kind for kind in kinds if kind.startswith("primary")}
    if len(primaries) == 2:
        assert isinstance(formation, Blocked), kinds
    if not primaries and not set(kinds) <= NEVER_A_PRIMARY:
        assert isinstance(formation, Blocked), kinds
        assert len(formation.evidence) == len(kinds), kinds
    if not primaries and set(kinds) <= FRESH_KINDS:
        assert bootstraps == ["c1"], kinds
    for host in _starts(formation):
        assert stand(views[host]) is not Stand.UNKNOWN, kinds
        if primaries:
            assert not _holds_what_is_missing(views[host], BETA if "primary" not in primaries else ALPHA), (host, kinds)


@pytest.mark.parametrize("first", KINDS)
def test_every_combination_of_three(first: str) -> None:
    for second, third in itertools.product(KINDS, repeat=2):
        _check((first, second, third))


def test_every_combination_of_one_and_two() -> None:
    for size in (1, 2):
        for kinds in itertools.product(KINDS, repeat=size):
            _check(kinds)


def test_many_combinations_of_five() -> None:
    chosen = random.Random(20261120)
    likely = [*KINDS, *FRESH_KINDS, *FRESH_KINDS, *FRESH_KINDS]
    for _ in range(20_000):
        _check(tuple(chosen.choice(likely) for _ in range(5)))


@dataclass
class Member:
    """A controller of the model: its data directory and whether it is in the cluster."""

    uuid: str = NOBODY
    safe: bool = False
    running: bool = False
    was_member: bool = False
    contents: set[str] = field(default_factory=set)


class World:
    """The model: what the acts of a plan do, and what is seen of it afterwards."""

    def __init__(self, size: int) -> None:
        self.members = {f"c{n}": Member() for n in range(1, size + 1)}
        self.histories = 0

    def do(self, host: str, act: object) -> None:
        member = self.members[host]
        primary = next((m for m in self.members.values() if m.running), None)
        if isinstance(act, Run) and "galera_new_cluster" in " ".join(act.argv):
            if not member.running:
                assert primary is None, "bootstrapped beside a Primary"
                if member.uuid == NOBODY:
                    self.histories += 1
                    member.uuid = f"{self.histories:08d}-0000-11f1-8000-000000000000"
                member.running = member.was_member = True
        elif isinstance(act, Run):
            assert primary is not None
            for other in self.members.values():
                if other.running:
                    other.contents |= set(act.stdin.splitlines())
        elif isinstance(act, SetUnit) and act.verb == "start" and not member.running:
            assert primary is not None, "started where nobody is to be joined"
            member.uuid, member.contents = primary.uuid, set(primary.contents)
            member.running = member.was_member = True
        alone = [m for m in self.members.values() if m.running]
        for other in alone:
            other.safe = len(alone) == 1

    def views(self) -> dict[str, View | Unknown]:
        return {host: self._view(member) for host, member in self.members.items()}

    def _view(self, member: Member) -> View:
        saved = None if member.uuid == NOBODY else Saved(member.uuid, -1, member.safe)
        schemas = ("keystone",) if any("DATABASE" in line for line in member.contents) else ()
        data = Data(exists=True, schemas=schemas, saved=saved, process=member.running, was_member=member.was_member)
        if not member.running:
            return _stopped(data)
        size = sum(m.running for m in self.members.values())
        status = Status(
            "Primary", "Synced", member.uuid, ready=True, connected=True, size=size, view=size, last_committed=9
        )
        made = "\n".join(member.contents)
        contents = Contents(
            databases=frozenset({"keystone"} if "CREATE DATABASE" in made else ()),
            accounts=frozenset({("quorate_health", "localhost")} if "quorate_health" in made else ())
            | frozenset({("keystone", "10.77.0.0/255.255.255.0")} if "`keystone`@" in made else ()),
            grants=frozenset({("keystone", "keystone")} if "GRANT" in made else ()),
        )
        return View("active", data, status, contents, Health(200, "Synced"))


CLAIMS = (Claim("database", "keystone", "keystone.database"),)


def _acts(waves: Formation) -> Iterator[tuple[str, object]]:
    assert not isinstance(waves, Blocked), waves
    for wave in waves:
        assert isinstance(wave, Wave)
        for step in wave.steps:
            for act in step.acts:
                yield step.host, act


def _all_formed(world: World) -> None:
    assert world.histories == 1
    assert len({member.uuid for member in world.members.values()}) == 1
    assert all(member.running for member in world.members.values())
    assert all(member.contents == world.members["c1"].contents for member in world.members.values())


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_forming_ends_formed_and_then_does_nothing(size: int) -> None:
    world, site = World(size), _site(size, CLAIMS)
    for host, act in _acts(form(Galera(), site, world.views())):
        world.do(host, act)
    _all_formed(world)
    assert list(form(Galera(), site, world.views())) == []  # type: ignore[arg-type]  # a sequence: nothing to do


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("after", ["carries on", "the first is stopped"])
def test_cut_off_after_every_act_it_ends_the_same(size: int, after: str) -> None:
    site = _site(size, CLAIMS)
    total = len(list(_acts(form(Galera(), site, World(size).views()))))
    for cut in range(total + 1):
        world = World(size)
        for host, act in itertools.islice(_acts(form(Galera(), site, world.views())), cut):
            world.do(host, act)
        if after == "the first is stopped" and sum(m.running for m in world.members.values()) == 1:
            world.members["c1"].running = False
        for host, act in _acts(form(Galera(), site, world.views())):
            world.do(host, act)
            world.do(host, act)  # an act that was cut off is done again
        _all_formed(world)
        assert not form(Galera(), site, world.views())


def test_it_is_the_system_that_is_tested() -> None:
    assert SYSTEM.form is form

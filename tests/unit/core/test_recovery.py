"""What a recovery does next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quorate.core.observed import Absent, HostSeen, Unknown
from quorate.core.planner import make_plan
from quorate.core.recovery import Do, Done, Next, Stop, Wait, following
from quorate.core.review import judge, views_of
from quorate.core.system import AnySystem, Blocked, Terms, enabled
from worlds.clouds import NO_SECRETS, site
from worlds.systems import made, settled, start_one_by_one

World = dict[str, HostSeen | Unknown]


def then(systems: Sequence[AnySystem], world: World, terms: Terms | None = None) -> Next:
    """What follows from this look."""
    terms = terms or Terms()
    where = site(*systems, count=len(world))
    plan = make_plan(where, systems, NO_SECRETS, world, made="now", without=sorted(terms.given), terms=terms)
    judgements = {one.name: judge(one, where, views_of(one, where, world)) for one in systems}
    return following(plan, where, enabled(where.cloud, systems), judgements, terms.given)


def base(**more: Any) -> AnySystem:
    return made("base", unit={"state": "formed"}, form=start_one_by_one("base"), offers=("base",), **more)


def ill(*systems: str, world: World, hosts: Sequence[str] = ("c1", "c2", "c3")) -> World:
    """The same world, in which these systems say something else than that they are well."""
    changed = dict(world)
    for host in hosts:
        seen = changed[host]
        assert isinstance(seen, HostSeen)
        answers = {name: dict(said) for name, said in seen.answers.items()}
        for name in systems:
            answers[name]["state"] = answers[name]["state"].model_copy(update={"out": "dark"})
        changed[host] = seen.model_copy(update={"answers": answers})
    return changed


def test_on_a_cloud_that_is_well_nothing_follows() -> None:
    systems = (base(), made("top", needs=("base",)))
    assert then(systems, settled(*systems)) == Done()


def test_whoever_is_needed_comes_first() -> None:
    systems = (base(), made("top", needs=("base",), form=start_one_by_one("top")))
    step = then(systems, ill("base", "top", world=settled(*systems)))
    assert isinstance(step, Do)
    assert step.system == "base"
    assert {wave.system for wave in step.waves} == {"base"}


def test_nothing_is_done_before_those_that_it_needs_serve() -> None:
    systems = (made("base", offers=("base",), settle=7.0), made("top", needs=("base",), form=start_one_by_one("top")))
    step = then(systems, ill("base", "top", world=settled(*systems)))
    assert isinstance(step, Wait)
    assert (step.system, step.limit) == ("base", 7.0)
    assert "top needs base" in step.why


def test_what_is_only_not_well_is_waited_for() -> None:
    systems = (base(), made("top", needs=("base",)))
    step = then(systems, ill("top", world=settled(*systems)))
    assert isinstance(step, Wait)
    assert (step.system, "dark" in step.why) == ("top", True)


def test_a_controller_that_is_not_seen_is_waited_for_and_named() -> None:
    systems = (base(),)
    step = then(systems, {**settled(*systems), "c2": Unknown(why="no route")})
    assert isinstance(step, Wait)
    assert step.evidence == ("c2: no route",)


def test_a_controller_that_is_given_up_is_not_waited_for() -> None:
    systems = (made("base"),)
    world: World = {**settled(*systems), "c2": Unknown(why="no route")}
    assert then(systems, world, Terms(frozenset({"c2"}))) == Done()


def test_evidence_that_forbids_it_stops_it() -> None:
    against = Blocked("two histories", ("c1: a", "c2: b"))
    systems = (base(recover=lambda *_: against), made("top", needs=("base",), form=start_one_by_one("top")))
    step = then(systems, ill("base", "top", world=settled(*systems)))
    assert step == Stop("base", "two histories", ("c1: a", "c2: b"))


def test_evidence_that_may_change_by_itself_is_waited_for() -> None:
    systems = (base(recover=lambda *_: Blocked("they look for each other", passing=True)),)
    step = then(systems, ill("base", world=settled(*systems)))
    assert isinstance(step, Wait)
    assert step.why == "they look for each other"


def test_a_system_is_told_the_terms() -> None:
    told: list[Terms] = []

    def recover(_spec: object, _site: object, _views: object, terms: Terms) -> Blocked:
        told.append(terms)
        return Blocked("no")

    terms = Terms(frozenset({"c3"}), waited=3.0)
    then((base(recover=recover),), settled(base()), terms)
    assert told == [terms]


def test_missing_files_come_first() -> None:
    systems = (base(), made("top", needs=("base",)))
    world = settled(*systems)
    seen = world["c2"]
    assert isinstance(seen, HostSeen)
    lost = {name: Absent() if name.startswith("file:") else value for name, value in seen.resources.items()}
    step = then(systems, {**world, "c2": seen.model_copy(update={"resources": lost})})
    assert isinstance(step, Do)
    assert step.system in {"", "base"}

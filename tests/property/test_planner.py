"""What holds of every plan, whatever the cloud, its systems and the state in which its controllers are found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.core.act import Install, Run, SetUnit, WriteFile
from quorate.core.delta import inputs_digest
from quorate.core.observed import Absent, Answer, HostSeen, PackageSeen, Seen, UnitSeen, Unknown, World
from quorate.core.order import needed
from quorate.core.plan import Plan, Step, Wave
from quorate.core.planner import make_plan
from quorate.core.resource import File, Unit
from quorate.core.review import judge, views_of
from quorate.core.system import AnySystem, Site
from quorate.core.verdict import Level, Verdict
from worlds.clouds import NO_SECRETS, file_seen, host_seen, hosts, site, stamp, unit_seen
from worlds.systems import made, start_one_by_one, wanted

Seens = dict[str, HostSeen | Unknown]
few = settings(max_examples=60, deadline=None)
STATES = ("fresh", "prepared", "behind", "edited", "well", "well", "well")


@dataclass(frozen=True)
class Case:
    """A cloud, its systems, and what was seen of it."""

    site: Site
    systems: tuple[AnySystem, ...]
    world: Seens

    def plan(self, world: World, **more: Any) -> Plan:
        return make_plan(self.site, self.systems, NO_SECRETS, world, made="now", **more)


def _resources(name: str, state: str, started: float) -> tuple[dict[str, Seen], str]:
    """Say what lies on a controller in this state, and what the system says of itself."""
    package, conf, unit = wanted(name)
    assert isinstance(conf, File)
    assert isinstance(unit, Unit)
    old = stamp(inputs_digest(unit, {conf.path: File(conf.path, "word = old\n")}, NO_SECRETS))
    good = stamp(inputs_digest(unit, {conf.path: conf}, NO_SECRETS))
    running = unit_seen(started=started)
    found: dict[str, tuple[Seen, Seen, Seen]] = {
        "fresh": (Absent(), Absent(), Absent()),
        "prepared": (PackageSeen(version="1"), file_seen(conf), unit_seen("inactive")),
        "behind": (
            PackageSeen(version="1"),
            file_seen(conf, text="word = old\n"),
            running.model_copy(update={"stamp": old}),
        ),
        "edited": (PackageSeen(version="1"), file_seen(conf, mode=0o600), running.model_copy(update={"stamp": good})),
        "well": (PackageSeen(version="1"), file_seen(conf), running.model_copy(update={"stamp": good})),
    }
    ids = (package.id, conf.id, unit.id)
    return dict(zip(ids, found[state], strict=True)), "blank" if state in {"fresh", "prepared"} else "well"


@st.composite
def cases(draw: st.DrawFn) -> Case:
    count = draw(st.integers(1, 5))
    rule = draw(st.sampled_from(["majority", "one"]))
    form = {"unit": {"state": "formed"}, "form": start_one_by_one("base"), "quorum": rule, "offers": ("base",)}
    systems = (made("base", **(form if draw(st.booleans()) else {"quorum": rule})), made("top", needs=("base",)))
    where = site(*systems, count=count, arbiter=draw(st.booleans()))
    world: Seens = {}
    for host in hosts(count):
        resources: dict[str, Seen] = {}
        said: dict[str, str] = {}
        for system in systems:
            lies, says = _resources(system.name, draw(st.sampled_from(STATES)), draw(st.sampled_from([50.0, 200.0])))
            said[system.name] = draw(st.sampled_from([says, says, says, "ill"]))
            resources |= lies
        if draw(st.integers(0, 9)) == 0:
            resources[draw(st.sampled_from(sorted(resources)))] = Unknown(why="permission denied")
        seen = host_seen(resources, **said)
        world[host] = Unknown(why="no route to host") if draw(st.integers(0, 9)) == 0 else seen
    return Case(where, systems, world)


@few
@given(cases(), st.randoms(use_true_random=False))
def test_the_same_world_gives_the_same_plan_in_any_order(case: Case, random: Any) -> None:
    found = case.plan(case.world)
    shuffled = sorted(case.world, key=lambda _: random.random())
    assert case.plan({host: case.world[host] for host in shuffled}) == found
    assert Plan.model_validate_json(found.model_dump_json()).printed() == found


@few
@given(cases())
def test_members_are_interrupted_alone_behind_a_gate_and_only_while_enough_are_well(case: Case) -> None:
    found = case.plan(case.world)
    for wave in found.waves:
        assert len({step.host for step in wave.steps}) == len(wave.steps)
        for step in wave.steps:
            interrupts = [a for a in step.acts if isinstance(a, SetUnit) and a.verb in {"restart", "reload", "stop"}]
            assert step.disturbs == bool(interrupts)
            if step.disturbs:
                assert wave.steps == (step,)
                well = _gated(case, wave.system, found.waves[: found.waves.index(wave)])
                assert found.refusals or _allowed(case, wave.system, step.host, well)
                if wave.gate is None:
                    assert not _members(case, wave.system)[step.host].is_ok
                    assert any(later.system == wave.system and later.gate for later in found.waves)
                else:
                    assert wave.gate.members == (step.host,)


def _gated(case: Case, name: str, before: Sequence[Wave]) -> set[str]:
    """Who was well in the first place, or is behind a gate by then."""
    gates = [wave.gate.members for wave in before if wave.system == name and wave.gate]
    return {host for host, verdict in _members(case, name).items() if verdict.is_ok}.union(*gates)


def _members(case: Case, name: str) -> Mapping[str, Verdict]:
    system = next(s for s in case.systems if s.name == name)
    return judge(system, case.site, views_of(system, case.site, case.world)).members


def _allowed(case: Case, name: str, host: str, well: set[str]) -> bool:
    found = _members(case, name)[host]
    rule = next(s for s in case.systems if s.name == name).quorum
    least = needed(rule, len(case.world), arbiter=case.site.cloud.arbiter is not None)
    return found.level is Level.FAILING or len(well - {host}) >= least


@few
@given(cases(), st.data())
def test_nobody_is_touched_who_was_not_seen_or_is_left_out(case: Case, data: st.DataObject) -> None:
    without = tuple(data.draw(st.sets(st.sampled_from(sorted(case.world)))))
    found = case.plan(case.world, without=without)
    unseen = {host for host, seen in case.world.items() if isinstance(seen, Unknown)}
    assert not {step.host for step in found.steps} & (unseen | set(without))
    assert {one.host for one in found.missing} == unseen - set(without)


@few
@given(cases())
def test_what_could_not_be_compared_is_always_told(case: Case) -> None:
    reasons = "\n".join(refusal.reason for refusal in case.plan(case.world).refusals)
    for host, seen in case.world.items():
        if isinstance(seen, HostSeen):
            for name, value in seen.resources.items():
                assert not isinstance(value, Unknown) or f"{host} could not be compared: {name}" in reasons


@few
@given(cases())
def test_packages_come_before_everything_else(case: Case) -> None:
    for step in case.plan(case.world).steps:
        assert not any(isinstance(act, Install) for act in step.acts[1:])


@few
@given(cases())
def test_a_plan_that_is_not_refused_leaves_nothing_to_do(case: Case) -> None:
    found = case.plan(case.world)
    if found.refusals or found.missing:
        return
    world = case.world
    bootstraps = 0
    for step in found.steps:
        world = {**world, step.host: _done(step, world[step.host])}
        bootstraps += sum(isinstance(act, Run) for act in step.acts)
    left = case.plan({host: _cured(seen) for host, seen in world.items()})
    assert (left.waves, left.refusals) == ((), ())
    assert bootstraps <= 1


def _done(step: Step, seen: HostSeen | Unknown) -> HostSeen:
    """Do the acts as a controller would."""
    assert isinstance(seen, HostSeen)
    resources: dict[str, Seen] = dict(seen.resources)
    states = dict(seen.answers)
    for act in step.acts:
        match act:
            case Install():
                resources |= {f"package:{name}": PackageSeen(version="1") for name in act.packages}
            case WriteFile():
                resources[f"file:{act.path}"] = file_seen(File(act.path, act.content), mtime=500.0)
            case SetUnit():
                resources[f"unit:{act.name}"] = _set(act, resources[f"unit:{act.name}"])
                states |= _says(act)
            case _:
                assert isinstance(act, Run)
    return seen.model_copy(update={"resources": resources, "answers": states})


def _set(act: SetUnit, was: Seen) -> UnitSeen:
    unit = was if isinstance(was, UnitSeen) else unit_seen("inactive", "disabled")
    enabled = unit.enabled if act.enabled is None else "enabled"
    if act.verb == "none":
        return unit.model_copy(update={"enabled": enabled})
    return unit_seen("active", enabled, invocation="i2", started=600.0, stamp=stamp(act.inputs, "i2"))


def _says(act: SetUnit) -> Mapping[str, Any]:
    well = {"state": Answer(code=0, out="well")}
    return {} if act.verb == "none" else {act.name.removesuffix(".service"): well}


def _cured(seen: HostSeen | Unknown) -> HostSeen | Unknown:
    """What was ill for a reason of its own is not the plan's business."""
    assert isinstance(seen, HostSeen)
    well = {name: {"state": Answer(code=0, out="well")} for name in seen.answers}
    return seen.model_copy(update={"answers": well})

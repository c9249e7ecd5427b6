"""Systems made in a line each, for tests of the planner: one question, `state`, and a view that is what it printed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from quorate.core.act import Run, SetUnit
from quorate.core.observed import Answer, Answers, HostSeen, Unknown
from quorate.core.plan import Gate, Step, Wave
from quorate.core.resource import File, Package, Resource, Unit
from quorate.core.system import AnySystem, Blocked, Formation, Question, Site, System
from quorate.core.verdict import Judgement, Verdict, failing, merge, ok, unknown
from quorate.model.cloud import Spec
from worlds.clouds import host_seen, hosts, in_place, nothing_there


class Word(Spec):
    """A section with one word, which lands in the configuration file."""

    word: str = "calm"


def wanted(name: str, word: str = "calm", **unit: Any) -> tuple[Resource, ...]:
    """Say what a made system wants on every controller."""
    conf = File(f"/etc/{name}.conf", f"word = {word}\n")
    return Package(name), conf, Unit(f"{name}.service", inputs=(conf.path,), **unit)


def read(answers: Answers) -> str | Unknown:
    """Read the state: what was printed."""
    answer = answers.get("state", Unknown(why="not asked"))
    return answer.out if isinstance(answer, Answer) else answer


def verdict(view: str | Unknown) -> Verdict:
    """`well` is ok; everything else that was said is ill."""
    if isinstance(view, Unknown):
        return unknown(view.why)
    return ok(view) if view == "well" else failing(view)


def judge(_spec: Word, _site: Site, views: Mapping[str, str | Unknown]) -> Judgement:
    """Judge each by its state, and the whole by its worst member."""
    members = {host: verdict(view) for host, view in views.items()}
    return Judgement(merge(members.values()), members)


def start_one_by_one(name: str) -> Callable[[Word, Site, Mapping[str, str | Unknown]], Formation]:
    """Form like a cluster: refuse unseen members, bootstrap on the first, then let the others join."""

    def form(_spec: Word, site: Site, views: Mapping[str, str | Unknown]) -> Formation:
        unseen = [f"{host}: {view.why}" for host, view in views.items() if isinstance(view, Unknown)]
        if unseen:
            return Blocked(f"{name} may hold data where nobody looked", tuple(unseen))
        down = [host for host in site.cloud.names if views[host] != "well"]
        return [_first_start(name, host, first=len(down) == len(views) and host == down[0]) for host in down]

    return form


def _first_start(name: str, host: str, *, first: bool) -> Wave:
    bootstrap = (Run(title=f"bootstrap {name}", argv=(f"{name}-bootstrap",)),) if first else ()
    acts = (*bootstrap, SetUnit(name=f"{name}.service", verb="start"))
    step = Step(host=host, title=f"form {name}", acts=acts)
    return Wave(title=f"form {name}: {host}", steps=(step,), gate=Gate(system=name, members=(host,), timeout=30.0))


def made(name: str = "made", *, unit: Mapping[str, Any] | None = None, **more: Any) -> AnySystem:
    """Make a system. `unit`: how its unit differs from one that simply runs."""

    def resources(spec: Word, _site: Site, _host: str) -> Sequence[Resource]:
        return wanted(name, spec.word, **(unit or {}))

    functions: dict[str, Any] = {
        "resources": resources,
        "questions": lambda _spec, _site, _host: (Question("state", (f"{name}-state",)),),
        "read": read,
        "judge": judge,
    }
    return System(name=name, summary="made for a test", spec=Word, **(functions | more))


def seen_as(found: Mapping[str, Any], *systems: AnySystem, **states: str) -> HostSeen:
    """See these resources on a controller, and each system well where its state is not given."""
    return host_seen(found, **{system.name: states.get(system.name, "well") for system in systems})


def settled(*systems: AnySystem, count: int = 3) -> dict[str, HostSeen | Unknown]:
    """See every controller as these systems want it by default, and well."""
    resources = [r for s in systems for r in wanted(s.name)]
    return {host: seen_as(in_place(resources), *systems) for host in hosts(count)}


def fresh(*systems: AnySystem, count: int = 3) -> dict[str, HostSeen | Unknown]:
    """See controllers on which there is nothing yet."""
    resources = [r for s in systems for r in wanted(s.name)]
    states = {system.name: "blank" for system in systems}
    return {host: seen_as(nothing_there(resources), *systems, **states) for host in hosts(count)}

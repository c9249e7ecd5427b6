"""What every system is held to, found by scanning: dropping a folder into systems/ is enough to be held to all of it.

Its data cases are described in `systems_cases.py`, the clouds in `systems_clouds.py`.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages

import systems_cases
import systems_clouds

from quorate import systems as systems_package
from quorate.core.client import with_passwords
from quorate.core.drill import Workload
from quorate.core.lasting import DEADLINE
from quorate.core.observed import Answer, Unknown
from quorate.core.resource import File, Unit
from quorate.core.secret import names_in
from quorate.core.system import AnySystem, Blocked, Site, enabled, site_of
from quorate.core.verdict import Judgement
from quorate.model.cloud import Cloud, Spec

SYSTEMS = systems_package.discover()
CLOUDS = tuple(systems_clouds.every_cloud(SYSTEMS))
FORBIDDEN = {"asyncio", "socket", "subprocess", "os", "time", "random", "requests", "httpx", "asyncssh"} | {
    "threading",
    "keystoneauth1",
    "pymemcache",
    "pymysql",
}
ALLOWED_OF_OURS = (
    "quorate.openstack",
    "quorate.core",
    "quorate.model",
    "quorate.errors",
    "quorate.balancer.config",
    "quorate.balancer.registers",
    "quorate.balancer.ring",
)


def folder_of(system: AnySystem) -> Path:
    """The system's own folder."""
    for module in sys.modules.copy().values():
        if getattr(module, "SYSTEM", None) is system and module.__name__.startswith(f"{systems_package.__name__}."):
            package = module.__name__.split(".")[:3]
            return Path(str(importlib.import_module(".".join(package)).__file__)).parent
    raise LookupError(system.name)


CASES = tuple(case for system in SYSTEMS for case in systems_cases.load(system, folder_of(system)))

each_system = pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
each_cloud = pytest.mark.parametrize("cloud", [cloud for _, cloud in CLOUDS], ids=[name for name, _ in CLOUDS])


PAIRS = [
    pytest.param(system, cloud, id=f"{system.name}-{name}")
    for name, cloud in CLOUDS
    for system in enabled(cloud, SYSTEMS)
]
each_pair = pytest.mark.parametrize(("system", "cloud"), PAIRS)


def _here(system: AnySystem, cloud: Cloud) -> tuple[Any, Site]:
    """The system's section and the site."""
    return cloud.systems[system.name], systems_clouds.site(cloud, SYSTEMS, {})


def _resources(system: AnySystem, cloud: Cloud, host: str) -> list[Any]:
    spec, site = _here(system, cloud)
    return list(system.resources(spec, site, host))


@each_system
def test_the_spec_has_defaults_and_is_documented(system: AnySystem) -> None:
    assert issubclass(system.spec, Spec)
    system.spec()
    undocumented = [
        name for name, field in system.spec.model_fields.items() if not field.description and not system.spec.__doc__
    ]
    assert not undocumented


@each_pair
def test_every_controller_renders(system: AnySystem, cloud: Cloud) -> None:
    for host in cloud.names:
        for resource in _resources(system, cloud, host):
            if isinstance(resource, File):
                assert resource.path.startswith("/")
                sole_secret = len(names_in(resource.content)) == 1 and len(resource.content.split()) == 1
                assert resource.content.endswith("\n") or sole_secret, f"{resource.path} has no newline at its end"
                assert "Undefined" not in resource.content


@each_pair
def test_rendering_twice_gives_the_same(system: AnySystem, cloud: Cloud) -> None:
    for host in cloud.names:
        assert _resources(system, cloud, host) == _resources(system, cloud, host)


@each_pair
def test_secrets_are_declared_and_files_that_hold_them_are_private(system: AnySystem, cloud: Cloud) -> None:
    declared = {s.name for other in enabled(cloud, SYSTEMS) for s in other.secrets(cloud.systems[other.name], cloud)}
    for host in cloud.names:
        for resource in _resources(system, cloud, host):
            if isinstance(resource, File):
                used = set(names_in(resource.content))
                assert used <= declared, f"{resource.path} uses {used - declared}, which no system declares"
                assert not used or not resource.mode & 0o007, f"{resource.path} holds secrets and anyone may read it"


@each_cloud
def test_claims_name_secrets_that_are_declared(cloud: Cloud) -> None:
    chosen = enabled(cloud, SYSTEMS)
    declared = {spec.name for system in chosen for spec in system.secrets(cloud.systems[system.name], cloud)}
    assert {claim.secret for claim in site_of(cloud, SYSTEMS).claims} <= declared


@each_cloud
def test_no_resource_is_described_twice_on_a_controller(cloud: Cloud) -> None:
    """Two systems may want the same package, directory or kernel setting; files and units are one system's own."""
    for host in cloud.names:
        described = [
            (resource.id, system.name if isinstance(resource, File | Unit) else "", repr(resource))
            for system in enabled(cloud, SYSTEMS)
            for resource in _resources(system, cloud, host)
        ]
        count = Counter(identity for identity, _, _ in set(described))
        assert [identity for identity, times in count.items() if times > 1] == []


@each_pair
def test_resource_ids_are_unique_within_a_system(system: AnySystem, cloud: Cloud) -> None:
    for host in cloud.names:
        count = Counter(resource.id for resource in _resources(system, cloud, host))
        assert [identity for identity, times in count.items() if times > 1] == []


@each_pair
def test_units_load_files_of_their_own_system(system: AnySystem, cloud: Cloud) -> None:
    for host in cloud.names:
        resources = _resources(system, cloud, host)
        paths = {resource.path for resource in resources if isinstance(resource, File)}
        for unit in (resource for resource in resources if isinstance(resource, Unit)):
            assert set(unit.inputs) <= paths, f"{unit.name} loads {set(unit.inputs) - paths}"
            assert "." in unit.name, f"{unit.name}: say its suffix"


@each_pair
def test_it_offers_what_it_says(system: AnySystem, cloud: Cloud) -> None:
    kinds = {endpoint.kind for endpoint in system.endpoints(cloud.systems[system.name], cloud)}
    assert kinds <= set(system.offers)


@each_pair
def test_questions_are_quick_commands(system: AnySystem, cloud: Cloud) -> None:
    spec, site = _here(system, cloud)
    for host in cloud.names:
        questions = system.questions(spec, site, host)
        assert len({question.name for question in questions}) == len(questions)
        for question in questions:
            assert question.argv, question.name
            assert all(word and not names_in(word) for word in question.argv), question
            assert 0 < question.timeout < DEADLINE - 1, question


def _reads(system: AnySystem) -> Any:
    """Read and then judge and form whatever was said: nothing may raise."""

    def check(answers: dict[str, Answer | Unknown]) -> Judgement:
        _, cloud = next((name, cloud) for name, cloud in CLOUDS if name.startswith("three"))
        spec, site = _here(system, cloud)
        views = dict.fromkeys(cloud.names, system.read(answers))
        system.form(spec, site, views)
        return system.judge(spec, site, views)

    return check


def _names(system: AnySystem) -> list[str]:
    cloud = next(cloud for name, cloud in CLOUDS if name.startswith("three"))
    spec, site = _here(system, cloud)
    return [question.name for question in system.questions(spec, site, cloud.names[0])]


@each_system
def test_silence_is_not_ok(system: AnySystem) -> None:
    check = _reads(system)
    for answers in ({}, {name: Unknown(why="no answer within 2 s") for name in _names(system)}):
        judgement = check(dict(answers))
        assert not judgement.cluster.is_ok
        assert not any(verdict.is_ok for verdict in judgement.members.values())


@each_system
def test_commands_that_fail_are_not_ok(system: AnySystem) -> None:
    judgement = _reads(system)({name: Answer(code=127, out="", err="not found") for name in _names(system)})
    assert not judgement.verdict.is_ok


@each_system
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_strange_output_never_raises(system: AnySystem, data: st.DataObject) -> None:
    said = st.text() | st.sampled_from(_fragments(system))
    answer = st.builds(Answer, code=st.integers(-64, 255), out=said, err=st.text(max_size=20))
    unknown = st.builds(Unknown, why=st.text(max_size=20))
    _reads(system)(data.draw(st.dictionaries(st.sampled_from(_names(system) or ["?"]), answer | unknown)))


def _fragments(system: AnySystem) -> list[str]:
    """Real output from the system's recordings, whole and broken off: near misses are the strangest answers."""
    whole = [
        answer.out
        for case in CASES
        if case.system is system
        for recording in case.recordings
        for answer in systems_cases.answers(case, recording).values()
        if isinstance(answer, Answer)
    ][:200]
    return [
        "",
        "\n",
        "\x00",
        "{}",
        "[]",
        "null",
        *dict.fromkeys(whole),
        *dict.fromkeys(o[: len(o) // 2] for o in whole),
    ]


@each_pair
def test_nothing_seen_is_judged_unknown_for_every_controller(system: AnySystem, cloud: Cloud) -> None:
    spec, site = _here(system, cloud)
    views = {host: Unknown(why="no route to host") for host in cloud.names}
    judgement = system.judge(spec, site, views)
    assert not judgement.cluster.is_ok
    assert judgement.cluster.reason
    assert set(judgement.members) == set(cloud.names)
    for host, verdict in judgement.members.items():
        assert not verdict.is_ok, host
        assert "no route to host" in verdict.reason, f"{host}: say why it is unknown, not {verdict.reason!r}"


@each_pair
def test_nothing_seen_forms_nothing(system: AnySystem, cloud: Cloud) -> None:
    spec, site = _here(system, cloud)
    formation = system.form(spec, site, {host: Unknown(why="no route to host") for host in cloud.names})
    assert isinstance(formation, Blocked) or not formation, f"{system.name} acts on what it has not seen: {formation}"


def _workloads(cloud: Cloud) -> list[tuple[AnySystem, Workload]]:
    chosen = [(system, system.drills) for system in enabled(cloud, SYSTEMS) if system.drills is not None]
    return [(system, workload) for system, drills in chosen for workload in drills.workloads(*_here(system, cloud))]


@each_cloud
def test_clients_of_drills_are_told_apart_and_bounded_by_an_objective(cloud: Cloud) -> None:
    found = [workload for _, workload in _workloads(cloud)]
    assert len({workload.name for workload in found}) == len(found)
    assert {workload.objective for workload in found} <= set(type(cloud.objectives).model_fields)
    assert all(workload.rate > 0 and workload.bound > 0 for workload in found)
    assert {workload.at for workload in found} - {""} <= set(cloud.names)


@each_cloud
def test_clients_of_drills_lie_in_their_system_and_get_secrets_that_are_declared(cloud: Cloud) -> None:
    declared = {s.name for system in enabled(cloud, SYSTEMS) for s in system.secrets(cloud.systems[system.name], cloud)}
    for system, workload in _workloads(cloud):
        module, _, name = workload.client.partition(":")
        assert module in {f"{systems_package.__name__}.{folder_of(system).name}.client", "quorate.openstack.client"}
        assert hasattr(importlib.import_module(module), name)
        assert set(workload.secrets) <= declared


@each_cloud
def test_steps_of_clients_hold_their_passwords_in_stdin_only(cloud: Cloud) -> None:
    for _, workload in _workloads(cloud):
        stand_ins = dict.fromkeys(workload.passwords, "made up")
        for step in (*workload.prepare, *workload.clean_up):
            assert step.host in cloud.names
            with_passwords(step.stdin, stand_ins)  # KeyError: a password that nobody makes up
            assert all(with_passwords(word, {}) == word and not names_in(word) for word in step.argv)


@each_system
def test_it_stays_in_its_room(system: AnySystem) -> None:
    package = f"{systems_package.__name__}."
    for path in sorted(folder_of(system).rglob("*.py")):
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), f"{path.name} has no docstring"
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        may_do_io = path == folder_of(system) / "client.py"  # docs/decisions/0011-drill-clients.md
        assert may_do_io or not {name.split(".")[0] for name in imported} & FORBIDDEN, path
        own = f"{package}{folder_of(system).name}"
        strangers = [
            name
            for name in imported
            if name.split(".")[0] == "quorate"
            and not name.startswith(ALLOWED_OF_OURS)
            and name != own
            and not name.startswith(f"{own}.")
        ]
        assert not strangers, f"{path.name} imports {strangers}"


@each_system
def test_it_says_what_it_is(system: AnySystem) -> None:
    assert system.summary
    assert system.name == folder_of(system).name
    for function in (system.resources, system.questions, system.read, system.judge, system.form):
        assert function.__doc__ or function.__name__ == "<lambda>", f"{function} has no docstring"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: systems_cases.Case) -> None:
    systems_cases.run(case, SYSTEMS)

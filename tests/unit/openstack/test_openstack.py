"""What must hold of every OpenStack service: no secret where it can be read, programs that are programs."""

from __future__ import annotations

import ast
import configparser
import json
from pathlib import Path
from typing import Any

import pytest
from systems_clouds import build, builtin, site

from quorate import systems
from quorate.core.act import Run
from quorate.core.client import Surroundings
from quorate.core.observed import Answer, Unknown
from quorate.core.resource import File, Unit
from quorate.core.secret import names_in
from quorate.core.system import AnySystem, Blocked, Site, in_order
from quorate.engine.clients import load
from quorate.openstack import accounts, programs
from quorate.openstack.options import common, ini, merged
from quorate.openstack.probe import read
from quorate.openstack.service import ServiceSpec
from quorate.systems.heat import SERVICE as HEAT

SYSTEMS = systems.discover()
SERVICES = [system for system in SYSTEMS if issubclass(system.spec, ServiceSpec)]
CLOUD = build(builtin("three", {system.name: {} for system in SYSTEMS}), SYSTEMS)
SITE = site(CLOUD, SYSTEMS, {})
HOST = CLOUD.names[1]

each_service = pytest.mark.parametrize("service", SERVICES, ids=lambda system: system.name)


def files(service: AnySystem) -> list[File]:
    return [one for one in service.resources(CLOUD.systems[service.name], SITE, HOST) if isinstance(one, File)]


@each_service
def test_files_with_secrets_are_for_their_service_alone(service: AnySystem) -> None:
    secret = [file for file in files(service) if names_in(file.content)]
    assert secret
    assert all(file.mode == 0o640 and file.group == service.name for file in secret)


@each_service
def test_every_configuration_is_one_that_parsers_read(service: AnySystem) -> None:
    for file in files(service):
        if file.path.endswith(".conf"):
            configparser.RawConfigParser().read_string(file.content)


@each_service
def test_every_secret_that_is_used_is_declared(service: AnySystem) -> None:
    declared = {secret.name for system in SYSTEMS for secret in system.secrets(CLOUD.systems[system.name], CLOUD)}
    assert {name for file in files(service) for name in names_in(file.content)} <= declared


@each_service
def test_a_changed_configuration_restarts_every_unit(service: AnySystem) -> None:
    units = [one for one in service.resources(CLOUD.systems[service.name], SITE, HOST) if isinstance(one, Unit)]
    units = [unit for unit in units if unit.state != "stopped"]
    assert units
    configuration = next(file.path for file in files(service) if file.path.endswith(".conf"))
    assert all(configuration in unit.inputs for unit in units)


@each_service
def test_no_secret_is_an_argument(service: AnySystem) -> None:
    bare = service.read({"look": Answer(code=0, out='{"units": {"none": "inactive"}}')})
    waves = service.form(CLOUD.systems[service.name], SITE, dict.fromkeys(CLOUD.names, bare))
    assert not isinstance(waves, Blocked)
    runs = [act for wave in waves for step in wave.steps for act in step.acts if isinstance(act, Run)]
    assert runs or not any(claim.kind == "database" for claim in service.claims(CLOUD.systems[service.name], CLOUD))
    assert not [word for act in runs for word in act.argv if names_in(word)]


@each_service
def test_its_client_can_be_made(service: AnySystem) -> None:
    assert service.drills is not None
    for workload in service.drills.workloads(CLOUD.systems[service.name], SITE):
        secrets = dict.fromkeys(workload.secrets, "secret")
        load(workload, Surroundings("r1", workload.bound, in_thread, workload.settings, secrets, {}))


async def in_thread(function: Any, /, *args: object) -> Any:
    return function(*args)


def test_notifications_are_sent_where_somebody_listens() -> None:
    deaf = Site(CLOUD, tuple(endpoint for endpoint in SITE.endpoints if endpoint.kind != "telemetry"))
    for site_, driver in ((SITE, "messagingv2"), (deaf, "noop")):
        section = common(HEAT, CLOUD.systems["heat"], site_, HOST)["oslo_messaging_notifications"]
        assert section["driver"] == driver


def test_accounts_come_by_standard_input() -> None:
    act = accounts.accounts(SITE, HOST)
    assert not [word for word in act.argv if names_in(word)]
    about = json.loads(act.stdin)
    assert about["url"] == f"http://{CLOUD.address(HOST)}:5000/v3"
    assert {user["name"] for user in about["users"]} == {
        service.name for service in SERVICES if service.name != "horizon"
    }
    assert len(json.loads(accounts.accounts(SITE, HOST, only="glance").stdin)["users"]) == 1


@pytest.mark.parametrize(
    "program",
    [
        programs.LOOK,
        programs.STORED,
        programs.CLEAR,
        programs.NAME_IT,
        accounts.ACCOUNTS,
    ],
)
def test_programs_are_python(program: str) -> None:
    ast.parse(program)


def test_clearing_asks_again_before_it_drops() -> None:
    assert programs.CLEAR.index("if held:") < programs.CLEAR.index("DROP TABLE")


def test_of_an_option_that_is_said_twice_the_last_one_counts() -> None:
    both = merged({"a": {"x": "1", "y": "2"}}, {"a": {"x": "3"}, "b": {}})
    assert ini(both) == "# Written by quorate: change cloud.yaml instead.\n\n[a]\nx = 3\ny = 2\n\n[b]\n"


@each_service
@pytest.mark.parametrize(
    "out", ["", "null", "7", '{"units": 7, "apis": [], "schemas": {"nova": {"wanted": 7}}}', '{"down": null}']
)
def test_reading_never_raises(service: AnySystem, out: str) -> None:
    spec = CLOUD.systems[service.name]
    names = [question.name for question in service.questions(spec, SITE, HOST)]
    for code in (0, 1):
        view = service.read(dict.fromkeys(names, Answer(code=code, out=out)))
        service.judge(spec, SITE, dict.fromkeys(CLOUD.names, view))
        service.form(spec, SITE, dict.fromkeys(CLOUD.names, view))


def test_keystone_comes_first_then_neutron_then_all_else() -> None:
    names = [system.name for system in in_order(SYSTEMS)]
    services = {"keystone", *(system.name for system in SERVICES)}
    assert [name for name in names if name in services][:2] == ["keystone", "neutron"]


def test_an_api_whose_account_keystone_has_not_judged_yet_was_not_seen_in_time() -> None:
    view = read(HEAT, {"look": Answer(code=0, out='{"apis": {"heat-api": {"health": 200}}}')})
    assert view.apis["heat-api"] == Unknown(why="it was not seen in time")


def test_of_djangos_applications_the_last_migration_of_each_counts(tmp_path: Path) -> None:
    for name in ("auth/migrations/0001_initial.py", "auth/migrations/0012_longer.py", "auth/migrations/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    program: dict[str, Any] = {}
    exec(programs._SCHEMA, program)  # noqa: S102
    program["PACKAGES"] = f"{tmp_path}/"
    about: dict[str, Any] = {"migrations": ["auth/migrations", "sessions/migrations"], "brings": {}}
    assert program["heads"](about) == ["auth.0012_longer"]
    (tmp_path / "sessions/migrations").mkdir(parents=True)
    (tmp_path / "sessions/migrations/0001_initial.py").touch()
    wanted = program["heads"](about)
    assert wanted == ["auth.0012_longer", "sessions.0001_initial"]
    applied = [["auth", "0012_longer"], ["plugin", "0007_its_own"], ["sessions", "0001_initial"]]
    answers = {
        "SHOW TABLES": [["django_migrations"], ["django_session"]],
        "SELECT app, MAX(name) FROM django_migrations GROUP BY app": applied,
        "SELECT EXISTS(SELECT 1 FROM `django_migrations` WHERE FALSE)": [[0]],
        "SELECT EXISTS(SELECT 1 FROM `django_session` WHERE TRUE)": [[0]],
    }
    tables = ["django_migrations", "django_session"]
    assert program["look"](about, answers.get, wanted) == (wanted, tables, tables)
    applied.pop()
    assert program["look"](about, answers.get, wanted) == (["auth.0012_longer"], tables, [])
    answers["SELECT EXISTS(SELECT 1 FROM `django_session` WHERE TRUE)"] = [[1]]
    assert program["look"](about, answers.get, wanted) == (["auth.0012_longer"], tables, ["django_session"])

"""OpenStack's services on three machines: used through the VIP with OpenStack's own library, and broken."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from demo.services import TEMPLATE, boot
from keystoneauth1.exceptions import ClientException
from openstack.connection import Connection
from openstack.exceptions import SDKException

from lab.plane.machines import Plane
from lab.plane.services.dashboard import Person, own_server
from quorate import systems
from quorate.openstack.options import trials
from quorate.openstack.service import Api
from quorate.systems.cinder import SERVICE as CINDER
from quorate.systems.glance import SERVICE as GLANCE
from quorate.systems.heat import SERVICE as HEAT
from quorate.systems.neutron import SERVICE as NEUTRON
from quorate.systems.nova import SERVICE as NOVA
from quorate.systems.placement import SERVICE as PLACEMENT

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]

VICTIM = "controller1"
CHECKED = 3.5
"""Seconds until the proxy has seen that a server is lost: two checks that wait a second each, the first within one."""
UNDO = """\
DROP TABLE cached_images;
DROP TABLE node_reference;
UPDATE alembic_version SET version_num = '2023_1_contract01';
"""
"""What Glance's last migration made, undone (db/sqlalchemy/alembic_migrations/versions, 2024_1_expand01)."""
SERVICES = (CINDER, GLANCE, HEAT, NEUTRON, NOVA, PLACEMENT)
SPECS = {system.name: system.spec() for system in systems.discover()}
DAEMONS = tuple(daemon.name for service in SERVICES for daemon in service.daemons_of(SPECS[service.name]))
"""Those of controllers: no compute node's."""


def make_network(cloud: Connection) -> None:
    """Make a network, see it, and remove it."""
    network = cloud.network.create_network(name="one")
    try:
        assert cloud.network.get_network(network.id).status == "ACTIVE"
    finally:
        cloud.network.delete_network(network)


def make_stack(cloud: Connection) -> None:
    """Make a stack that holds a network, and remove it."""
    stack = cloud.orchestration.create_stack(name=f"s{secrets.token_hex(4)}", template=TEMPLATE)
    try:
        assert cloud.orchestration.wait_for_status(stack, "CREATE_COMPLETE", ["CREATE_FAILED"], 1, 60)
    finally:
        cloud.orchestration.delete_stack(stack)


def make_volumes(cloud: Connection, count: int) -> None:
    """Make volumes, and remove them."""
    volumes = [cloud.block_storage.create_volume(name=f"v{n}", size=1) for n in range(count)]
    try:
        for volume in volumes:
            assert cloud.block_storage.wait_for_status(volume, "available", ["error"], 1, 60)
    finally:
        for volume in volumes:
            cloud.block_storage.delete_volume(volume.id)
            cloud.block_storage.wait_for_delete(volume, 1, 60)


def make_all(cloud: Connection, image: str) -> float:
    """Have all made that the APIs leave to others; any error is the caller's. Give how many seconds it took."""
    begun = time.monotonic()
    boot(cloud, image, 60)
    make_volumes(cloud, 1)
    make_network(cloud)
    make_stack(cloud)
    return time.monotonic() - begun


def booted(cloud: Connection, image: str) -> bool:
    """Try to boot a server."""
    with contextlib.suppress(SDKException, ClientException):
        boot(cloud, image, 20)
        return True
    return False


def goes_on(person: Person, vip: str) -> bool:
    """Whether who is logged in gets his page."""
    with contextlib.suppress(requests.RequestException):
        return person.is_in(f"http://{vip}", "/project/api_access/", "API Access")
    return False


@pytest.fixture
def image(cloud: Connection) -> Iterator[str]:
    """The identifier of one that a server can boot from."""
    made = cloud.image.create_image("two", data=b"none", disk_format="raw", container_format="bare", wait=True)
    yield str(made.id)
    cloud.image.delete_image(made.id)


@pytest.fixture
def no_compute(cloud: Connection) -> Iterator[None]:
    """The machine that is hit is no compute node meanwhile: what runs on one is lost with it, whoever controls it."""
    (compute,) = [one for one in cloud.compute.services(binary="nova-compute") if one.host == VICTIM]
    cloud.compute.disable_service(compute)
    yield
    cloud.compute.enable_service(compute)


def test_everything_is_well_and_a_second_run_changes_nothing(services: Plane) -> None:
    services.wait_well()
    assert services.apply()["changes"] == 0


def test_the_packages_know_every_option_that_is_set(services: Plane) -> None:
    said = services.quorate("check", "--hosts")
    assert said.returncode == 0, said.stderr
    assert "held to no installed release" not in said.stdout
    (trial,) = trials(GLANCE)
    command = " ".join(trial.argv).replace("{file}", "/tmp/wrong.conf")
    wrong = f"umask 077; sed 's/^debug =/debug_everything =/' {trial.path} > /tmp/wrong.conf"
    refused = services.lab.run("controller2", f"{wrong}; {command}")
    assert refused.returncode == 1
    assert f"{trial.marks}DEFAULT/debug_everything is not part" in refused.stderr


def test_images_are_stored_once_and_found_everywhere(cloud: Connection) -> None:
    data = secrets.token_bytes(3 << 20)
    image = cloud.image.create_image("one", data=data, disk_format="raw", container_format="bare", wait=True)
    try:
        assert cloud.image.get_image(image.id).size == len(data)
        for _ in range(6):  # the proxy asks one controller after the other
            assert cloud.image.download_image(image.id).content == data
    finally:
        cloud.image.delete_image(image.id)


def test_a_server_boots_through_the_whole_control_plane(cloud: Connection, image: str) -> None:
    deadline = time.monotonic() + 60
    while not list(cloud.compute.hypervisors()):
        assert time.monotonic() < deadline, "no compute service was found"
        time.sleep(1)
    boot(cloud, image, 120)


def test_a_network_and_a_stack_are_made(cloud: Connection) -> None:
    make_network(cloud)
    make_stack(cloud)


def test_a_volume_is_made_by_whichever_volume_service_takes_it(cloud: Connection) -> None:
    make_volumes(cloud, 3)


def test_a_wrong_password_is_named_and_mended(services: Plane, cloud: Connection) -> None:
    user = cloud.identity.find_user("glance")
    assert user is not None
    cloud.identity.update_user(user.id, password="another one")
    services.wait_said("Keystone does not take the password of its own account", limit=40)
    services.apply()
    services.wait_well()


def sql(services: Plane, statement: str) -> str:
    done = services.lab.run(VICTIM, "mariadb --batch --skip-column-names glance", stdin=statement)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_rows_without_a_version_of_their_schema_are_named_and_left_alone(services: Plane) -> None:
    rows = "SELECT COUNT(*) FROM metadef_namespaces"
    before = sql(services, rows)
    assert int(before)
    sql(services, "RENAME TABLE alembic_version TO lost")
    try:
        services.wait_said("database glance holds rows (", "metadef_namespaces", "and no version of its schema")
        refused = services.quorate("apply", "--yes")
        assert refused.returncode == 3, refused.stdout + refused.stderr
        assert "restore the database, or write down its version (alembic_version)" in refused.stderr
        assert sql(services, rows) == before
    finally:
        sql(services, "RENAME TABLE lost TO alembic_version")
    services.wait_well()


def test_a_migration_half_done_is_named_and_finished(services: Plane, cloud: Connection) -> None:
    """The database of an older release, as one finds it whose upgrade was broken off between two migrations."""
    sql(services, UNDO)
    services.wait_said("database glance has schema 2023_1_contract01; the programs on controller1 want")
    services.apply()
    services.wait_well()
    made = cloud.image.create_image("mended", data=b"none", disk_format="raw", container_format="bare", wait=True)
    cloud.image.delete_image(made.id)


def test_a_store_that_is_another_one_is_named(services: Plane) -> None:
    folder = "/var/lib/glance/images"
    other = "mkdir /tmp/other && echo other > /tmp/other/.quorate-store"
    services.lab.run("controller2", f"{other} && mount --bind /tmp/other {folder}")
    try:
        services.wait_said("is not the same everywhere (controller1, controller3 ≠ controller2)")
    finally:
        services.lab.run("controller2", f"umount {folder}")
    services.wait_well()


@pytest.mark.parametrize(
    ("break_it", "mend_it"),
    [
        ("systemctl kill --signal=STOP --kill-whom=all", "systemctl kill --signal=CONT --kill-whom=all"),
        pytest.param("systemctl stop", "systemctl start", marks=pytest.mark.long),
        ("systemctl kill --signal=KILL --kill-whom=all", ""),  # back before anybody looks
    ],
    ids=["frozen", "stopped", "killed"],
)
@pytest.mark.usefixtures("no_compute")
def test_processes_that_are_lost_on_one_controller_are_missed_by_nobody_for_long(
    services: Plane, cloud: Connection, image: str, break_it: str, mend_it: str
) -> None:
    """All at once, APIs and daemons: whoever asks is served by the others, and what is to be made is made."""
    services.wait_well()
    token, project = str(cloud.auth_token), str(cloud.current_project_id)
    apis = [api for service in SERVICES for api in service.apis if api.private]
    paths = [f"http://{services.vip}:{api.port}{api.private.replace('{project}', project)}" for api in apis]
    names = [*(api.name for api in apis), *DAEMONS]
    with ThreadPoolExecutor(40) as pool:
        try:
            services.lab.run(VICTIM, f"{break_it} {' '.join(names)}")
            begun = time.monotonic()
            naming = pool.submit(services.wait_said, *(f"{name} is" for name in names)) if mend_it else None
            making: Future[float] | None = None
            asked: list[tuple[float, Api, Future[int | str]]] = []
            while time.monotonic() - begun < 10:
                at, turn = time.monotonic() - begun, len(asked) % len(apis)
                asked.append((at, apis[turn], pool.submit(answer, paths[turn], token)))
                if at > CHECKED and not making:
                    making = pool.submit(make_all, cloud, image)
                time.sleep(0.2)
            answers = [(at, api, one.result()) for at, api, one in asked]
            wrong = [(at, api.name, said) for at, api, said in answers if said != api.granted and at > CHECKED]
            assert making
            print(f"server, volume, network and stack were made in {making.result():.1f} s")
            if naming:
                print(f"`status` named them {naming.result():.1f} s after the fault")
        finally:
            services.lab.run(VICTIM, f"{mend_it or 'true'} {' '.join(names)}")
    assert not wrong, "requests failed that began later after the fault than the proxy needs to see it"
    services.wait_well()


def answer(url: str, token: str) -> int | str:
    """What the API says to a request, or why there was no answer."""
    try:
        return requests.get(url, headers={"x-auth-token": token}, timeout=5).status_code
    except requests.RequestException as error:
        return repr(error)


def test_every_service_of_the_folder_is_tested_here() -> None:
    optional = {system.name for system in systems.discover() if system.spec.optional}
    here = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    of_all = {"impact", "messaging", "replace", "services"}
    assert optional == (here - of_all) | {"rabbitmq"} | {service.name for service in SERVICES}


@pytest.mark.usefixtures("no_compute")
def test_servers_boot_before_and_after_the_power_of_a_controller_is_cut_and_when_it_is_back(
    services: Plane, cloud: Connection, image: str
) -> None:
    """And a session at the dashboard goes on.

    The client does as the command line does: whatever failed is asked for again.
    """
    services.wait_well()
    boot(cloud, image, 120)
    person = Person()
    person.login(own_server(services.lab.spec.slot(VICTIM).address), services.secrets()["keystone.admin"])
    services.lab.kill(VICTIM)
    begun = time.monotonic()
    while not goes_on(person, services.vip):
        assert time.monotonic() - begun < 120
        time.sleep(0.5)
    print(f"a session begun at the lost controller went on {time.monotonic() - begun:.1f} s after the power cut")
    while not booted(cloud, image):
        assert time.monotonic() - begun < 240
        time.sleep(1)
    print(f"a server booted {time.monotonic() - begun:.1f} s after the power cut")
    services.lab.start(VICTIM)
    services.lab.wait_for_ssh(VICTIM)
    begun = time.monotonic()
    services.wait_well()
    print(f"everything was well again {time.monotonic() - begun:.1f} s after the controller was")
    boot(cloud, image, 120)

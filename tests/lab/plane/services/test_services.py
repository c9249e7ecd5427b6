"""OpenStack's services on three machines: used through the VIP with OpenStack's own library, and broken."""

from __future__ import annotations

import contextlib
import secrets
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
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
SERVICES = (CINDER, GLANCE, HEAT, NEUTRON, NOVA, PLACEMENT)


def boot(cloud: Connection, image: str, wait: int = 120) -> Any:
    """Boot a server, wait until it runs, and remove it."""
    server = cloud.compute.create_server(name="one", image_id=image, flavor_id=flavour(cloud), networks="none")
    try:
        return cloud.compute.wait_for_server(server, wait=wait)
    finally:
        cloud.compute.delete_server(server)


def booted(cloud: Connection, image: str) -> bool:
    """Try to boot a server."""
    with contextlib.suppress(SDKException, ClientException):
        return bool(boot(cloud, image, wait=20).status == "ACTIVE")
    return False


def goes_on(person: Person, vip: str) -> bool:
    """Whether who is logged in gets his page."""
    with contextlib.suppress(requests.RequestException):
        return person.is_in(f"http://{vip}", "/project/api_access/", "API Access")
    return False


def flavour(cloud: Connection) -> str:
    """The smallest one, made where there is none."""
    found = cloud.compute.find_flavor("tiny") or cloud.compute.create_flavor(name="tiny", ram=64, vcpus=1, disk=1)
    return str(found.id)


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


def test_a_server_boots_through_the_whole_control_plane(cloud: Connection) -> None:
    deadline = time.monotonic() + 60
    while not list(cloud.compute.hypervisors()):
        assert time.monotonic() < deadline, "no compute service was found"
        time.sleep(1)
    image = cloud.image.create_image("two", data=b"none", disk_format="raw", container_format="bare", wait=True)
    try:
        assert boot(cloud, image.id).status == "ACTIVE"
    finally:
        cloud.image.delete_image(image.id)


def test_a_network_and_a_stack_are_made(cloud: Connection) -> None:
    network = cloud.network.create_network(name="one")
    try:
        assert cloud.network.get_network(network.id).status == "ACTIVE"
    finally:
        cloud.network.delete_network(network)
    template = {
        "heat_template_version": "2018-08-31",
        "resources": {"word": {"type": "OS::Heat::RandomString"}, "net": {"type": "OS::Neutron::Net"}},
    }
    stack = cloud.orchestration.create_stack(name="one", template=template)
    try:
        assert cloud.orchestration.wait_for_status(stack, "CREATE_COMPLETE", ["CREATE_FAILED"], 1, 60)
    finally:
        cloud.orchestration.delete_stack(stack)


def test_a_volume_is_made_by_whichever_volume_service_takes_it(cloud: Connection) -> None:
    volumes = [cloud.block_storage.create_volume(name=f"v{n}", size=1) for n in range(3)]
    try:
        for volume in volumes:
            assert cloud.block_storage.wait_for_status(volume, "available", ["error"], 1, 60)
    finally:
        for volume in volumes:
            cloud.block_storage.delete_volume(volume.id)
            cloud.block_storage.wait_for_delete(volume, 1, 60)


def test_a_wrong_password_is_named_and_mended(services: Plane, cloud: Connection) -> None:
    user = cloud.identity.find_user("glance")
    assert user is not None
    cloud.identity.update_user(user.id, password="another one")
    services.wait_said("Keystone does not take the password of its own account", limit=40)
    services.apply()
    services.wait_well()


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
    ("break_it", "mend_it", "named"),
    [
        ("systemctl kill --signal=STOP --kill-whom=all", "systemctl kill --signal=CONT --kill-whom=all", True),
        ("systemctl stop", "systemctl start", True),
        ("systemctl kill --signal=KILL --kill-whom=all", "true", False),  # back before anybody looks
    ],
    ids=["frozen", "stopped", "killed"],
)
def test_apis_that_are_lost_on_one_controller_are_missed_by_nobody_for_long(
    services: Plane, cloud: Connection, break_it: str, mend_it: str, named: bool
) -> None:
    """All at once: whoever asks any of them is served by the other controllers."""
    services.wait_well()
    token, project = str(cloud.auth_token), str(cloud.current_project_id)
    apis = [api for service in SERVICES for api in service.apis if api.private]
    paths = [f"http://{services.vip}:{api.port}{api.private.replace('{project}', project)}" for api in apis]
    units = " ".join(api.name for api in apis)
    with ThreadPoolExecutor(40) as pool:
        try:
            services.lab.run(VICTIM, f"{break_it} {units}")
            begun = time.monotonic()
            naming = pool.submit(services.wait_said, *(f"{api.name} is" for api in apis)) if named else None
            asked: list[tuple[float, Api, Future[int | str]]] = []
            while time.monotonic() - begun < 10:
                turn = len(asked) % len(apis)
                asked.append((time.monotonic() - begun, apis[turn], pool.submit(answer, paths[turn], token)))
                time.sleep(0.2)
            answers = [(at, api, one.result()) for at, api, one in asked]
            wrong = [(at, api.name, said) for at, api, said in answers if said != api.granted and at > CHECKED]
            if naming:
                print(f"`status` named them {naming.result():.1f} s after the fault")
        finally:
            services.lab.run(VICTIM, f"{mend_it} {units}")
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
    assert optional == (here - {"messaging", "services"}) | {"rabbitmq"} | {service.name for service in SERVICES}


def test_servers_boot_before_and_after_the_power_of_a_controller_is_cut(services: Plane, cloud: Connection) -> None:
    """And a session at the dashboard goes on. The last of all: it ends broken.

    The client does as the command line does: whatever failed is asked for again.
    """
    services.wait_well()
    compute = next(one for one in cloud.compute.services(binary="nova-compute") if one.host == VICTIM)
    cloud.compute.disable_service(compute)  # the machine that is lost is no compute node
    image = cloud.image.create_image("three", data=b"none", disk_format="raw", container_format="bare", wait=True)
    assert boot(cloud, image.id).status == "ACTIVE"
    person = Person()
    person.login(own_server(services.lab.spec.slot(VICTIM).address), services.secrets()["keystone.admin"])
    services.lab.kill(VICTIM)
    begun = time.monotonic()
    while not goes_on(person, services.vip):
        assert time.monotonic() - begun < 120
        time.sleep(0.5)
    print(f"a session begun at the lost controller went on {time.monotonic() - begun:.1f} s after the power cut")
    while not booted(cloud, image.id):
        assert time.monotonic() - begun < 240
        time.sleep(1)
    print(f"a server booted {time.monotonic() - begun:.1f} s after the power cut")

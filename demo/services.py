"""What a tenant does, through the virtual IP, with OpenStack's own library and Horizon's own form."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator

import openstack
import requests
from keystoneauth1.exceptions import ClientException
from openstack.connection import Connection
from openstack.exceptions import SDKException

Say = Callable[[str], None]

NAMES = ("cinder", "heat", "horizon", "nova")
"""Systems to ask for: what they need comes with them."""
TEMPLATE = {
    "heat_template_version": "2018-08-31",
    "resources": {"word": {"type": "OS::Heat::RandomString"}, "net": {"type": "OS::Neutron::Net"}},
}
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def connect(vip: str, password: str) -> Connection:
    """The administrator at the virtual IP."""
    made = openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth_url=f"http://{vip}:5000/v3",
        username="admin",
        password=password,
        project_name="admin",
        user_domain_id="default",
        project_domain_id="default",
        region_name="RegionOne",
        interface="public",
        api_timeout=10,
    )
    made.session.session.trust_env = False
    return made


def tour(cloud: Connection, vip: str, password: str, say: Say) -> str:
    """Use every service once and say how long each took; the image's identifier comes back."""
    say(f"# catalog: {', '.join(sorted(service.type for service in cloud.list_services()))}")
    with _timed(say, "image: created, stored and shown"):
        image = cloud.image.create_image(
            "demo", data=b"no system at all", disk_format="raw", container_format="bare", wait=True
        )
        cloud.image.wait_for_status(image, "active", ["killed"], 1, 30)
    with _timed(say, "volume: created and removed"):
        volume = cloud.block_storage.create_volume(name="demo", size=1)
        cloud.block_storage.wait_for_status(volume, "available", ["error"], 1, 60)
        cloud.block_storage.delete_volume(volume.id)
    with _timed(say, "network: created and removed"):
        cloud.network.delete_network(cloud.network.create_network(name="demo"))
    with _timed(say, "stack: created and removed"):
        stack = cloud.orchestration.create_stack(name="demo", template=TEMPLATE)
        cloud.orchestration.wait_for_status(stack, "CREATE_COMPLETE", ["CREATE_FAILED"], 1, 60)
        cloud.orchestration.delete_stack(stack)
    with _timed(say, "dashboard: logged in"):
        log_in(vip, password)
    with _timed(say, "server: booted and removed"):
        boot(cloud, str(image.id), 120)
    return str(image.id)


@contextlib.contextmanager
def _timed(say: Say, what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    say(f"# {what} in {time.monotonic() - began:.1f} s")


def log_in(vip: str, password: str) -> None:
    """Fill in the form that a browser shows."""
    with requests.Session() as person:
        person.trust_env = False
        login = f"http://{vip}/auth/login/"
        token = _TOKEN.search(person.get(login, timeout=15).text)
        form = {"region": "default", "username": "admin", "password": password}
        form["csrfmiddlewaretoken"] = token[1] if token else ""
        page = person.post(f"{login}?next=/project/api_access/", form, timeout=30).text
    if "API Access" not in page:
        raise SystemExit("demo: the dashboard did not let us in")


def boot(cloud: Connection, image: str, wait: int) -> None:
    """Boot a server, wait until it runs, and remove it."""
    flavour = cloud.compute.find_flavor("tiny") or cloud.compute.create_flavor(name="tiny", ram=64, vcpus=1, disk=1)
    server = cloud.compute.create_server(name="demo", image_id=image, flavor_id=flavour.id, networks="none")
    try:
        cloud.compute.wait_for_server(server, wait=wait)
    finally:
        cloud.compute.delete_server(server)


def boot_again_and_again(cloud: Connection, image: str, limit: float) -> float:
    """Try until a server boots, as whoever types the command does; seconds until one did."""
    began = time.monotonic()
    while time.monotonic() - began < limit:
        with contextlib.suppress(SDKException, ClientException):
            boot(cloud, image, 20)
            return time.monotonic() - began
        time.sleep(1)
    raise SystemExit(f"demo: no server booted within {limit:.0f} s")


def drain(cloud: Connection, host: str) -> None:
    """Let no server be put on that machine: it is to be lost as a controller, not as a compute node."""
    for service in cloud.compute.services(binary="nova-compute"):
        if service.host == host:
            cloud.compute.disable_service(service)

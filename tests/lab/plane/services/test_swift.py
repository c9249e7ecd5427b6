"""The object store's front end on three machines: answers at the VIP, and rings that are missing or differ."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from openstack.connection import Connection

from lab.plane.machines import Plane
from lab.plane.services import rings

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

CONFIG = "/etc/swift/proxy-server.conf"
RING = "/etc/swift/object.ring.gz"
UNIT = "swift-proxy"


def status(url: str, token: str = "") -> int:
    headers = {"x-auth-token": token} if token else {}
    return requests.get(url, headers=headers, timeout=10).status_code


def test_the_catalog_leads_to_it_and_tokens_are_validated(swift: Plane, cloud: Connection) -> None:
    swift.wait_well()
    url = cloud.session.get_endpoint(service_type="object-store", interface="public")
    assert url == f"http://{swift.vip}:8080/v1/AUTH_{cloud.current_project_id}"
    base, token = f"http://{swift.vip}:8080", str(cloud.auth_token)
    for _ in range(3):  # the proxy asks one controller after the other
        assert status(f"{base}/healthcheck") == 200
        assert "account_autocreate" in requests.get(f"{base}/info", timeout=10).json()["swift"]
        assert status(f"{base}/v1/AUTH_another", token) == 403
        assert status(f"{base}/v1/AUTH_another", "none") == 401
        assert status(url, token) == 503, "there are no storage servers"


def test_the_server_itself_takes_its_configuration(swift: Plane) -> None:
    """No tool of the package says which options it knows: it loads every filter, and refuses one that is none."""
    load = "runuser -u swift -- swift-proxy-server {} --test-config"
    assert swift.lab.run("controller2", load.format(CONFIG)).returncode == 0
    wrong = f"umask 027; sed 's/egg:swift#bulk/egg:swift#none/' {CONFIG} > /tmp/wrong.conf; chgrp swift /tmp/wrong.conf"
    assert swift.lab.run("controller2", f"{wrong}; {load.format('/tmp/wrong.conf')}").returncode != 0


def test_paths_are_hashed_alike_everywhere(swift: Plane) -> None:
    found = {swift.lab.run(machine, "sha256sum /etc/swift/swift.conf").stdout for machine in swift.lab.machines()}
    assert len(found) == 1


def test_a_ring_that_is_another_one_is_named(swift: Plane) -> None:
    rings.make(swift, "controller2", "/tmp/others", power=9)  # of the same size there are few different ones
    swift.lab.run("controller2", f"cp {RING} /tmp/kept.ring.gz && cp /tmp/others/object.ring.gz {RING}")
    try:
        swift.wait_said(f"{RING} is not the same everywhere (controller1, controller3 ≠ controller2)")
    finally:
        swift.lab.run("controller2", f"cp /tmp/kept.ring.gz {RING}")
    swift.wait_well()


def test_without_a_ring_nothing_is_started_and_the_remedy_is_told(swift: Plane) -> None:
    swift.lab.run("controller3", f"systemctl stop {UNIT} && mv {RING} /tmp/kept.ring.gz")
    try:
        swift.wait_said(f"lacks {RING}: copy the rings")
        planned = json.dumps(swift.json("plan"))
        assert f"start {UNIT}.service" not in planned
        swift.lab.run("controller3", f"systemctl start {UNIT}")
        shown = swift.lab.run("controller3", f"systemctl show --property=ActiveState,NRestarts {UNIT}").stdout
        assert set(shown.split()) == {"ActiveState=inactive", "NRestarts=0"}
    finally:
        swift.lab.run("controller3", f"mv /tmp/kept.ring.gz {RING}")
    swift.apply()
    swift.wait_well()


def test_nobody_notices_a_restart(swift: Plane) -> None:
    """It says no to health checks before it stops, and lets running requests end."""
    swift.wait_well()
    with ThreadPoolExecutor(1) as pool:
        restart = pool.submit(swift.lab.run, "controller1", f"systemctl restart {UNIT}")
        answers = []
        while not restart.done():
            answers.append(status(f"http://{swift.vip}:8080/info"))
            time.sleep(0.1)
    assert restart.result().returncode == 0, restart.result().stderr
    assert set(answers) == {200}
    swift.wait_well()

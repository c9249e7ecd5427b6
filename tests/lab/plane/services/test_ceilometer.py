"""Telemetry on three machines: the polling is shared, notifications arrive once, a wrong password is named."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from openstack.connection import Connection

from lab.plane.machines import Plane

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

GROUP = "tooz/groups/central-global/"
LOOK = f"""
import base64, json, urllib.request
encoded = lambda text: base64.b64encode(text).decode()
def ask(what, body):
    request = urllib.request.Request("http://127.0.0.1:2379/v3/kv/" + what, json.dumps(body).encode())
    return json.load(urllib.request.urlopen(request, timeout=5))
found = ask("range", {{"key": encoded(b"{GROUP}"), "range_end": encoded(b"{GROUP[:-1]}0"), "keys_only": True}})
keys = [row["key"] for row in found.get("kvs", []) if row["key"] != encoded(b"{GROUP}")]
"""
"""The members of the group: keys below its own, at etcd's gateway."""
MEMBERS = f"{LOOK}print(len(keys))"
LOSE_ONE = f'{LOOK}ask("deleterange", {{"key": keys[0]}})'


def members(ceilometer: Plane, machine: str) -> int:
    return int(ceilometer.lab.run(machine, f"python3 -c '{MEMBERS}'").stdout)


def written(ceilometer: Plane, what: str, text: str) -> list[dict[str, Any]]:
    """What all machines together wrote of it."""
    command = f"cat /var/lib/ceilometer/{what}.json* 2>/dev/null | grep -F {text} || true"
    texts = [ceilometer.lab.run(machine, command).stdout for machine in ceilometer.lab.machines()]
    lines = "".join(texts).split("\n")
    return [json.loads(line) for line in lines if line]


def wait_written(ceilometer: Plane, what: str, text: str, limit: float) -> list[dict[str, Any]]:
    deadline = time.monotonic() + limit
    while not (found := written(ceilometer, what, text)):
        assert time.monotonic() < deadline, f"no {what} of {text}"
        time.sleep(1)
    return found


def test_all_central_agents_divide_the_work(ceilometer: Plane) -> None:
    ceilometer.wait_well()
    deadline = time.monotonic() + 30
    while (found := members(ceilometer, "controller2")) != 3:
        assert time.monotonic() < deadline, f"{found} of 3 agents are in the group"
        time.sleep(1)


def test_a_notification_becomes_one_event(ceilometer: Plane, cloud: Connection) -> None:
    network = cloud.network.create_network(name="told")
    try:
        created = [
            event
            for event in wait_written(ceilometer, "events", network.id, 30)
            if event["event_type"] == "network.create.end"
        ]
        assert len(created) == 1
    finally:
        cloud.network.delete_network(network)


def test_an_image_is_polled_by_one_agent_a_round(ceilometer: Plane, cloud: Connection) -> None:
    image = cloud.image.create_image("measured", data=b"1234", disk_format="raw", container_format="bare", wait=True)
    try:
        wait_written(ceilometer, "samples", image.id, 40)
        time.sleep(20)
        sizes = [one for one in written(ceilometer, "samples", image.id) if one["name"] == "image.size"]
        assert {one["volume"] for one in sizes} == {4}
        rounds = sorted(one["timestamp"] for one in sizes)
        assert 2 <= len(rounds) <= 4, f"in 30 s, by one agent every 10 s: {rounds}"
    finally:
        cloud.image.delete_image(image.id)


def test_a_wrong_password_is_named_and_mended(ceilometer: Plane, cloud: Connection) -> None:
    user = cloud.identity.find_user("ceilometer")
    assert user is not None
    cloud.identity.update_user(user.id, password="another one")
    ceilometer.wait_said("Keystone does not take the password of its own account", limit=40)
    ceilometer.apply()
    ceilometer.wait_well()


def test_an_agent_that_lost_its_place_is_told_and_takes_part_again(ceilometer: Plane) -> None:
    """As one that was frozen for longer than its membership lasts does (docs/decisions/0016-telemetry.md)."""
    ceilometer.wait_well()
    ceilometer.lab.run("controller3", f"python3 -c '{LOSE_ONE}'")
    ceilometer.wait_said("2 of 3 running ceilometer-agent-central divide the work", limit=40)
    ceilometer.apply()
    deadline = time.monotonic() + 30
    while members(ceilometer, "controller1") != 3:
        assert time.monotonic() < deadline
        time.sleep(1)
    ceilometer.wait_well()

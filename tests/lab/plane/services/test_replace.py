"""An empty machine takes the place of a RabbitMQ node: messages stay, and it gets replicas of all that is there."""

from __future__ import annotations

import json

import pytest

from lab.plane.machines import Plane
from lab.plane.test_node import switch_off
from quorate.errors import QuorateError

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(900)]

ASKED = "controller1"
VICTIM = "controller3"


def test_a_node_whose_disk_is_empty_joins_again_and_gets_its_replicas(broker: Plane) -> None:
    broker.wait_well()
    ask(broker, "rabbitmqctl add_user kept kept; rabbitmqctl set_user_tags kept management")
    ask(broker, "rabbitmqctl set_permissions --vhost openstack kept '.*' '.*' '.*'")
    try:
        for kind in ("quorum", "stream"):
            declare(broker, kind)
        switch_off(broker, VICTIM)
        broker.lab.reset(VICTIM)
        done = broker.quorate("node", "replace", VICTIM, "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"forget {VICTIM}, whose disk is empty" in done.stderr
        found = json.loads(
            ask(broker, "rabbitmqctl list_queues --vhost openstack --formatter json name members messages")
        )
        queues = {queue["name"]: queue for queue in found}
        for kind in ("quorum", "stream"):
            assert len(queues[kind]["members"]) == 3, queues[kind]
        assert queues["quorum"]["messages"] == 1
        assert broker.apply()["changes"] == 0
    finally:
        ask(broker, "for queue in quorum stream; do rabbitmqctl delete_queue --vhost openstack $queue; done")
        ask(broker, "rabbitmqctl delete_user kept")
    broker.wait_well()


def declare(broker: Plane, kind: str) -> None:
    """Make a queue of that kind, with a message in it."""
    address = broker.lab.spec.slot(ASKED).address
    curl = f"curl --silent --show-error --fail --user kept:kept --json @- http://{address}:15672/api"
    body = json.dumps({"durable": True, "arguments": {"x-queue-type": kind}})
    ask(broker, f"{curl}/queues/openstack/{kind} --request PUT", body)
    message = {"properties": {"delivery_mode": 2}, "routing_key": kind, "payload": "1", "payload_encoding": "string"}
    ask(broker, f"{curl}/exchanges/openstack/amq.default/publish", json.dumps(message))


def ask(broker: Plane, command: str, stdin: str = "") -> str:
    """Run it on a node that stays."""
    done = broker.lab.run(ASKED, command, stdin=stdin, timeout=120)
    if done.returncode:
        raise QuorateError(f"{command}: {done.stdout} {done.stderr}")
    return str(done.stdout)

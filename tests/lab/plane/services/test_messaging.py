"""RabbitMQ on three machines: formed from one file, and the machine of a queue's leader is lost."""

from __future__ import annotations

import os

import pytest

from lab.plane.machines import Plane, drill, finding

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]

FAULTS = os.environ.get("QUORATE_LEADER_FAULTS", "silent-cut").split(",")
"""`power-cut,machine-frozen,silent-cut` are all."""
LEADER = "controller1"
"""Publishers begin there, and the leader of what they declare is where they are."""


def test_the_second_run_changes_nothing_and_everything_listens_where_it_should(broker: Plane) -> None:
    assert broker.apply()["changes"] == 0
    for machine in broker.lab.machines():
        address = broker.lab.spec.slot(machine).address
        heard = broker.lab.run(machine, "ss -Hltn '( sport = 5672 or sport = 15672 or sport = 25672 or sport = 4369 )'")
        listening = {line.split()[3] for line in heard.stdout.splitlines()}
        assert listening == {f"{address}:{port}" for port in (5672, 15672, 25672, 4369)} | {"127.0.0.1:4369"}
        cookie = broker.lab.run(machine, "stat -c '%a %U' /var/lib/rabbitmq/.erlang.cookie")
        assert cookie.stdout.split() == ["400", "rabbitmq"]


@pytest.mark.parametrize("fault", FAULTS)
def test_confirmed_messages_survive_the_loss_of_the_leader(broker: Plane, fault: str) -> None:
    broker.wait_well()
    (result,) = drill(broker, fault, "--on", LEADER, codes=(0, 1, 4))
    rows = {row["function"]: row for row in result["rows"]}
    assert result["lost"] == 0
    assert finding(result, "whole")["level"] == "ok"
    assert rows["messaging"]["operations"] > 100
    assert rows["rpc"]["operations"] > 50
    assert rows["messaging"]["measured_s"] > 0.3, "nobody noticed: was it the leader?"


def test_all_nodes_stopped_and_started_are_one_cluster_again(broker: Plane) -> None:
    for machine in broker.lab.machines():
        broker.lab.run(machine, "systemctl stop rabbitmq-server")
    assert "rabbitmq" in broker.quorate("plan").stdout
    broker.apply()
    broker.wait_well()


def test_a_queue_of_an_older_set_up_is_named_and_removed_only_when_it_is_empty(broker: Plane) -> None:
    broker.wait_well()
    address = broker.lab.spec.slot(LEADER).address
    curl = f"curl --silent --fail --user old:old --json @- http://{address}:15672/api"
    make = "rabbitmqctl add_user old old; rabbitmqctl set_user_tags old management"
    allow = "rabbitmqctl set_permissions --vhost openstack old '.*' '.*' '.*'"
    assert broker.lab.run(LEADER, f"{make}; {allow}").returncode == 0
    declare, body = f"{curl}/queues/openstack/conductor --request PUT", '{"durable": true}'
    assert broker.lab.run(LEADER, declare, stdin=body).returncode == 0
    message = '{"properties": {}, "routing_key": "conductor", "payload": "1", "payload_encoding": "string"}'
    try:
        assert broker.lab.run(LEADER, f"{curl}/exchanges/openstack/amq.default/publish", stdin=message).returncode == 0
        broker.wait_said("conductor (1 messages)", limit=20)  # RabbitMQ counts every 10 s
        refused = broker.quorate("apply", "--yes")
        assert refused.returncode == 3
        assert "conductor (1 messages)" in " ".join(refused.stderr.split())
    finally:
        broker.lab.run(LEADER, "rabbitmqctl purge_queue --vhost openstack conductor; rabbitmqctl delete_user old")
    broker.wait_said("conductor (0 messages)", limit=20)
    broker.apply()
    broker.wait_well()

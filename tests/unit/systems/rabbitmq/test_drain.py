"""RabbitMQ's maintenance mode: who is put in it, who is taken out, and how one that takes no clients is judged."""

from __future__ import annotations

from quorate.core.act import Run
from quorate.core.system import Site
from quorate.core.verdict import Level
from quorate.model.cloud import Cloud
from quorate.systems.rabbitmq.config import RabbitSpec, node
from quorate.systems.rabbitmq.drain import drain
from quorate.systems.rabbitmq.probe import Peer, Said, Silent, View, judge

CLOUD = Cloud.model_validate(
    {
        "cloud": "lab",
        "networks": {"management": {"subnet": "10.1.0.0/24"}},
        "vips": {"api": {"address": "10.1.0.10"}},
        "controllers": {f"c{n}": {"addresses": {"management": f"10.1.0.{10 + n}"}} for n in (1, 2, 3)},
    }
)
SPEC = RabbitSpec()


def views(out: str = "", silent: str = "") -> dict[str, View]:
    """All run; one is in maintenance mode, and one's API says nothing."""
    peers = tuple(Peer(node(CLOUD, name), running=True, drained=name == out) for name in CLOUD.names)
    return {
        name: View(
            "active",
            "active",
            (node(CLOUD, name),),
            Silent("connection refused") if name == silent else Said(node(CLOUD, name), "4.0.5", peers, (), {}, {}),
        )
        for name in CLOUD.names
    }


def told(site: Site, seen: dict[str, View]) -> dict[str, str]:
    """What each node is told."""
    found = {}
    for one in drain(SPEC, site, seen):
        (step,) = one.wave.steps
        (act,) = step.acts
        assert isinstance(act, Run)
        found[step.host] = act.argv[-1]
        assert {hit.host for hit in one.hits} == ({step.host} if act.argv[-1] == "drain" else set())
    return found


def site(*names: str) -> Site:
    return Site(CLOUD, drained=frozenset(names))


def test_who_is_to_be_drained_is_put_in_maintenance_mode_and_taken_out_again() -> None:
    assert told(site("c3"), views()) == {"c3": "drain"}
    assert told(site("c3"), views(out="c3", silent="c3")) == {}
    assert told(site(), views(out="c3", silent="c3")) == {"c3": "revive"}
    assert told(site(), views()) == {}


def test_a_node_that_was_told_to_take_no_clients_is_well_and_any_other_is_not() -> None:
    assert judge(SPEC, site("c3"), views(out="c3", silent="c3")).members["c3"].is_ok
    assert judge(SPEC, site("c3"), views(silent="c3")).members["c3"].level is Level.FAILING
    assert judge(SPEC, site(), views(out="c3", silent="c3")).members["c3"].level is Level.FAILING
    assert judge(SPEC, site("c3"), views(silent="c3")).cluster.is_ok

"""RabbitMQ's recovery, over every combination of what three nodes can be and who of them is given up."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import pytest

from quorate.core.act import Run
from quorate.core.observed import Unknown
from quorate.core.system import Blocked, Formation, Site, Terms
from quorate.model.cloud import Cloud
from quorate.systems.rabbitmq import SYSTEM
from quorate.systems.rabbitmq.config import RabbitSpec, node
from quorate.systems.rabbitmq.probe import Peer, Said, Silent, View
from quorate.systems.rabbitmq.recover import RETURN, recover

HOSTS = ("c1", "c2", "c3")
SITE = Site(
    Cloud.model_validate(
        {
            "cloud": "lab",
            "networks": {"management": {"subnet": "10.77.0.0/24"}},
            "vips": {"api": {"address": "10.77.0.10"}},
            "controllers": {f"c{n}": f"10.77.0.{10 + n}" for n in (1, 2, 3)},
            "systems": {"rabbitmq": RabbitSpec()},
        }
    )
)
NODES = {host: node(SITE.cloud, host) for host in HOSTS}
ALL = frozenset(NODES.values())
DEAD = Silent("ConnectionRefusedError")


def stopped(*, saw: frozenset[str] | Unknown = ALL, unit: str = "inactive", data: bool = True) -> View:
    return View(unit, "inactive", ("rabbit@here",) if data else (), DEAD, saw)


def running(*running_ones: str) -> View:
    peers = tuple(Peer(name, name in {NODES[host] for host in running_ones}) for name in sorted(ALL))
    return View("active", "active", ("rabbit@here",), Said(NODES["c1"], "4.0.5", peers, (), {}, {}))


KINDS: Mapping[str, View | Unknown] = {
    "unseen": Unknown(why="no route"),
    "stopping": stopped(unit="deactivating"),
    "starting": stopped(unit="activating"),
    "holder": stopped(),
    "saw itself alone": stopped(saw=frozenset()),
    "does not say whom it saw": stopped(saw=Unknown(why="not read")),
    "fresh": stopped(data=False),
    "running": running("c1"),
    "running with c2": running("c1", "c2"),
}


def runs(formation: Formation) -> Iterator[tuple[str, Run]]:
    if not isinstance(formation, Blocked):
        for wave in formation:
            for step in wave.steps:
                yield from ((step.host, act) for act in step.acts if isinstance(act, Run))


def check(kinds: tuple[str, ...], given: frozenset[str], waited: float) -> bool:
    """Hold the invariants; say whether a node is made to begin without the others."""
    views: dict[str, View | Unknown] = {host: KINDS[kind] for host, kind in zip(HOSTS, kinds, strict=True)}
    formation = recover(RabbitSpec(), SITE, views, Terms(given, waited))
    forced = [host for host, act in runs(formation) if "force_boot" in act.argv]
    forgotten = [act.argv[-1] for _, act in runs(formation) if "forget_cluster_node" in act.argv]
    lives = any(kind.startswith("running") for kind in kinds)
    left = {host: kind for host, kind in zip(HOSTS, kinds, strict=True) if host not in given}
    if forced:
        (first,) = forced
        assert given, kinds
        assert not lives, kinds
        assert first in left, kinds
        assert not {"unseen", "stopping"} & set(left.values()), kinds
        assert waited >= RETURN or "starting" not in left.values(), kinds
        held = [host for host, kind in left.items() if kind != "fresh"]
        assert len(held) == 2, kinds
        (other,) = (host for host in held if host != first)
        assert left[other] in {"holder", "starting"}, (kinds, "it went on without the first, or does not say")
    for name in forgotten:
        host = next(host for host, own in NODES.items() if own == name)
        assert host in given or kinds[HOSTS.index(host)] == "fresh", kinds
        assert lives, kinds
        assert not (host == "c2" and "running with c2" in kinds), kinds
        assert host != "c1", kinds  # it runs, as those that run say
    if not given and isinstance(formation, Blocked):
        seen = all(kind != "unseen" for kind in kinds)
        assert formation.passing == (seen and bool({"starting", "stopping"} & set(kinds))), kinds
    return bool(forced)


@pytest.mark.parametrize("given", [(), ("c1",), ("c3",), ("c2", "c3"), HOSTS], ids=str)
def test_every_combination(given: tuple[str, ...]) -> None:
    forced = [
        check(kinds, frozenset(given), waited)
        for kinds in itertools.product(KINDS, repeat=3)
        for waited in (0.0, RETURN)
    ]
    assert any(forced) == (len(given) == 1)


def test_who_went_on_longest_begins() -> None:
    first = stopped(saw=frozenset({NODES["c2"]}))
    last = stopped(saw=frozenset())
    views: dict[str, View | Unknown] = {"c1": first, "c2": last, "c3": Unknown(why="gone")}
    formation = recover(RabbitSpec(), SITE, views, Terms(frozenset({"c3"})))
    assert [host for host, act in runs(formation) if "force_boot" in act.argv] == ["c2"]


def test_it_is_the_system_that_is_tested() -> None:
    assert SYSTEM.recover is recover

"""Which server each proxy is told to leave, and what is made of one that did not."""

from __future__ import annotations

from collections.abc import Mapping

from quorate.core.act import Run
from quorate.core.observed import Unknown
from quorate.core.system import Endpoint, Frontend, Site
from quorate.core.verdict import Level
from quorate.model.cloud import Cloud
from quorate.systems.haproxy.config import HaproxySpec
from quorate.systems.haproxy.drain import drain
from quorate.systems.haproxy.probe import View, judge

CLOUD = Cloud.model_validate(
    {
        "cloud": "lab",
        "networks": {"management": {"subnet": "10.1.0.0/24"}},
        "vips": {"api": {"address": "10.1.0.10"}},
        "controllers": {f"c{n}": {"addresses": {"management": f"10.1.0.{10 + n}"}} for n in (1, 2, 3)},
    }
)
DATABASE = Endpoint("database", "10.1.0.10", 3306, Frontend("tcp", 3306, 9200, "/", one_active=True))
IDENTITY = Endpoint("identity", "10.1.0.10", 5000, Frontend("http", 5000, 5001, "/healthcheck"))
SPEC = HaproxySpec()


def views(identity: str = "UP", database: str = "UP", on: str = "c3") -> dict[str, View | Unknown]:
    """All well, but for the states of the servers on one controller, as everybody sees them."""
    up = dict.fromkeys(CLOUD.names, "UP")
    servers = {"database": {**up, on: database}, "identity": {**up, on: identity}}
    return {name: View(True, "", "", servers, {}) for name in CLOUD.names}


def told(site: Site, seen: Mapping[str, View | Unknown]) -> dict[str, tuple[str, ...]]:
    """What each proxy is told."""
    found = {}
    for one in drain(SPEC, site, seen):
        for step in one.wave.steps:
            (act,) = step.acts
            assert isinstance(act, Run)
            found[step.host] = act.argv[5:]
    return found


def site(*names: str) -> Site:
    return Site(CLOUD, (DATABASE, IDENTITY), drained=frozenset(names))


def test_every_proxy_that_may_have_a_vip_leaves_a_drained_controller() -> None:
    words = ("database/c3=maint", "identity/c3=drain")
    assert told(site("c3"), views()) == {"c1": words, "c2": words}
    (one,) = drain(SPEC, site("c3"), views())
    assert {hit.host for hit in one.hits} == {"c3"}
    assert {hit.part for hit in one.hits} == {"database", "identity"}


def test_nothing_is_told_to_one_that_did_it_or_that_was_not_seen() -> None:
    assert told(site("c3"), views("DRAIN", "MAINT")) == {}
    assert told(site("c3"), views("DOWN", "DOWN")) == {}
    assert told(site(), views()) == {}
    assert told(site("c3"), {**views(), "c1": Unknown(why="off")}).keys() == {"c2"}


def test_one_that_may_serve_again_is_taken_back_by_all() -> None:
    words = ("database/c3=ready", "identity/c3=ready")
    assert told(site(), views("DRAIN", "MAINT")) == dict.fromkeys(CLOUD.names, words)
    (one,) = drain(SPEC, site(), views("DRAIN", "MAINT"))
    assert one.hits == ()


def test_a_drained_server_is_no_missing_one_and_one_that_is_served_all_the_same_is_told() -> None:
    assert judge(SPEC, site("c3"), views("DRAIN", "MAINT")).verdict.is_ok
    assert judge(SPEC, site("c3"), views("DOWN", "DOWN")).verdict.is_ok
    assert judge(SPEC, site(), views("DRAIN", "MAINT")).cluster.level is Level.FAILING
    forgotten = judge(SPEC, site("c3"), views("UP", "MAINT"))
    assert "identity: clients are sent to c3, which is drained" in forgotten.cluster.reason
    both = views("DOWN")
    for view in both.values():
        assert isinstance(view, View)
        assert not isinstance(view.servers, Unknown)
        view.servers["identity"]["c2"] = "DRAIN"  # type: ignore[index]
    lost = judge(SPEC, site("c2"), both).cluster
    assert (lost.level, "identity: 1 of 3 servers up, without c3, as seen" in lost.reason) == (Level.FAILING, True)

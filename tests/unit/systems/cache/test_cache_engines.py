"""What every engine puts on the controllers: one ring for all, on loopback alone, and none of the others running."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from quorate.balancer.config import KINDS, Limits, Timing, parse
from quorate.balancer.hashes import HASHES
from quorate.core.resource import File, Package, Unit
from quorate.core.system import Site, site_of
from quorate.model.cloud import Cloud
from quorate.systems.cache import SYSTEM as CACHE
from quorate.systems.cache.config import SERVER_PORT, CacheSpec, Engine, RingSection, TimingSection
from quorate.systems.cache.engines import BALANCER, CONFIGS, UNITS, configuration
from quorate.systems.memcached import SYSTEM as MEMCACHED

ENGINES: tuple[Engine, ...] = get_args(Engine)
SYSTEMS = (CACHE, MEMCACHED)


def cloud(count: int = 3, **section: Any) -> Cloud:
    return Cloud.model_validate(
        {
            "cloud": "lab",
            "networks": {"management": {"subnet": "10.77.0.0/24"}},
            "vips": {"api": {"address": "10.77.0.10"}},
            "controllers": {f"c{n}": {"addresses": {"management": f"10.77.0.{10 + n}"}} for n in range(1, count + 1)},
            "systems": {"memcached": MEMCACHED.spec(), "cache": CacheSpec.model_validate(section)},
        }
    )


def site(count: int = 3, **section: Any) -> tuple[CacheSpec, Site]:
    lab = cloud(count, **section)
    return lab.systems["cache"], site_of(lab, SYSTEMS)


def files(host: str = "c1", **section: Any) -> dict[str, str]:
    spec, where = site(**section)
    return {r.path: r.content for r in CACHE.resources(spec, where, host) if isinstance(r, File)}


@pytest.mark.parametrize("engine", ENGINES)
def test_one_engine_runs_and_the_others_are_stopped_before_it(engine: Engine) -> None:
    spec, where = site(engine=engine)
    units = [r for r in CACHE.resources(spec, where, "c1") if isinstance(r, Unit)]
    running = [unit.name for unit in units if unit.state == "running"]
    assert running == ([UNITS[engine]] if engine in UNITS else [])
    assert {unit.name for unit in units} == set(UNITS.values())
    assert all(unit.state == "stopped" and not unit.enabled for unit in units[: len(units) - len(running)])


@pytest.mark.parametrize("engine", ["twemproxy", "memcached-proxy", "direct"])
def test_all_controllers_have_the_same_files(engine: Engine) -> None:
    assert files("c1", engine=engine) == files("c2", engine=engine) == files("c3", engine=engine)


def test_balancers_differ_by_their_name_alone() -> None:
    first, second = (files(host)[CONFIGS["quorate"]] for host in ("c1", "c2"))
    assert first.replace('\nname = "c1"\nbalancers', "", 1) != second
    assert first.replace('\nname = "c1"', '\nname = "c2"', 1) == second


@pytest.mark.parametrize("engine", UNITS)
def test_proxies_connect_where_servers_listen_and_listen_on_loopback_alone(engine: Engine) -> None:
    spec, where = site(5, engine=engine)
    text = configuration(spec, where, "c1")
    for host in where.cloud.names:
        server = next(r for r in MEMCACHED.resources(MEMCACHED.spec(), where, host) if isinstance(r, File))
        assert f"-l {where.cloud.address(host)},127.0.0.1\n-p 11211\n" in server.content
        assert f"{where.cloud.address(host)}:11211" in text
    everything = "".join(text for path, text in files(engine=engine).items() if path != BALANCER)
    assert {"quorate": 'listen = "127.0.0.1:22122"', "twemproxy": "listen: 127.0.0.1:22122"}.get(
        engine, "-l 127.0.0.1 -p 22122"
    ) in everything
    assert engine != "twemproxy" or "--stats-addr=127.0.0.1" in everything


@pytest.mark.parametrize(
    ("engine", "places"),
    [
        ("quorate", ("127.0.0.1:22122",)),
        ("twemproxy", ("127.0.0.1:22122",)),
        ("memcached-proxy", ("127.0.0.1:22122",)),
        ("localhost", ("127.0.0.1:11211",)),
        ("direct", ("10.77.0.11:11211", "10.77.0.12:11211", "10.77.0.13:11211")),
    ],
)
def test_services_learn_where_the_cache_is(engine: Engine, places: tuple[str, ...]) -> None:
    _, where = site(engine=engine)
    assert where.endpoint("cache").places == places


def test_servers_listen_where_the_cache_believes() -> None:
    assert site()[1].endpoint("cache-servers").port == SERVER_PORT


def test_the_balancer_takes_its_program_and_its_configuration_without_a_restart() -> None:
    spec, where = site()
    (unit,) = [r for r in CACHE.resources(spec, where, "c1") if isinstance(r, Unit) and r.state == "running"]
    assert unit.reloads == (BALANCER, CONFIGS["quorate"])
    assert set(unit.inputs) - set(unit.reloads) == {"/etc/systemd/system/quorate-balancer.service"}


def test_only_the_engine_s_own_package_is_installed() -> None:
    found = {}
    for engine in ENGINES:
        spec, where = site(engine=engine)
        found[engine] = [r.name for r in CACHE.resources(spec, where, "c1") if isinstance(r, Package)]
    assert found == {
        "quorate": ["python3"],
        "twemproxy": ["nutcracker"],
        "memcached-proxy": ["memcached"],
        "direct": [],
        "localhost": [],
    }


TUNED: dict[str, Any] = {
    "copies": 3,
    "workers": 2,
    "max_connections": 2000,
    "max_item_mb": 8,
    "ring": {"kind": "modula", "hash": "md5", "hash_tag": "{}"},
    "timing": {"probe": 200, "suspect": 70, "hedge": 20, "deadline": 250, "lease": 600, "rise": 3},
}


def test_the_balancer_understands_what_is_written_for_it() -> None:
    config = parse(files("c2", quorate=TUNED)[CONFIGS["quorate"]], "balancer.toml")
    assert (config.name, config.copies, config.workers) == ("c2", 3, 2)
    assert [(one.name, str(one.address), one.near) for one in config.servers] == [
        ("c1", "10.77.0.11:11211", False),
        ("c2", "10.77.0.12:11211", True),
        ("c3", "10.77.0.13:11211", False),
    ]
    assert config.balancers == ("c1", "c2", "c3")
    assert (config.ring.kind, config.ring.hash, config.ring.hash_tag) == ("modula", "md5", "{}")
    assert config.timing == Timing(probe=200, suspect=70, hedge=20, deadline=250, lease=600, rise=3)
    assert config.limits == Limits(connections=2000, value=8 << 20)
    assert config.metrics is not None
    assert not config.notes
    assert parse(files(quorate={"metrics_port": 0})[CONFIGS["quorate"]], "balancer.toml").metrics is None


@pytest.mark.parametrize("kind", KINDS)
def test_every_ring_can_be_written(kind: str) -> None:
    text = files(quorate={"ring": {"kind": kind}})[CONFIGS["quorate"]]
    assert parse(text, "balancer.toml").ring.kind == kind


def test_the_cloud_file_offers_what_the_balancer_knows() -> None:
    assert get_args(RingSection.model_fields["kind"].annotation) == KINDS
    assert get_args(RingSection.model_fields["hash"].annotation) == tuple(HASHES)
    assert TimingSection().model_dump() == {field.name: getattr(Timing(), field.name) for field in fields(Timing)}
    for field in fields(Timing):
        described = TimingSection.model_fields[field.name].metadata
        assert next(bound.ge for bound in described if hasattr(bound, "ge")) == field.metadata["low"]


@pytest.mark.parametrize(
    ("timing", "rule"),
    [
        ({"hedge": 60}, "hedge must be less than suspect"),
        ({"suspect": 300}, "suspect must be less than deadline"),
        ({"lease": 150}, "lease must be at least twice probe"),
        ({"dead": 1000}, "dead must be more than twice lease"),
    ],
)
def test_times_that_do_not_fit_together_are_mistakes(timing: dict[str, int], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        TimingSection.model_validate(timing)


def test_a_cloud_of_few_controllers_has_as_many_copies_as_it_can() -> None:
    spec, where = site(1)
    assert parse(configuration(spec, where, "c1"), "balancer.toml").copies == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_what_an_engine_does_wrong_is_said_before_it_is_chosen(engine: Engine) -> None:
    lab = cloud(engine=engine)
    said = CACHE.warnings(lab.systems["cache"], lab)
    assert bool(said) == (engine != "quorate")
    assert all(engine in one for one in said)


def test_debian_12_has_no_proxy_in_its_memcached() -> None:
    lab = cloud(engine="memcached-proxy").model_copy(update={"os": "debian-12"})
    assert "built without its proxy" in CACHE.warnings(lab.systems["cache"], lab)[-1]


def test_two_servers_have_no_quorum() -> None:
    lab = cloud(2)
    assert "of two servers" in CACHE.warnings(lab.systems["cache"], lab)[-1]

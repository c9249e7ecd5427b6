"""The proxy's configuration: one writer, and what the proxy says of itself."""

from __future__ import annotations

from quorate.core.resource import Unit
from quorate.core.system import Endpoint, Frontend, Site
from quorate.model.cloud import Cloud
from quorate.systems.haproxy.config import HaproxySpec, configuration, endpoints, resources

CLOUD = Cloud.model_validate(
    {
        "cloud": "lab",
        "networks": {"management": {"subnet": "10.1.0.0/24"}},
        "vips": {"api": {"address": "10.1.0.10"}, "public": {"address": "10.1.0.20"}},
        "controllers": {f"controller{n}": {"addresses": {"management": f"10.1.0.{10 + n}"}} for n in (1, 2, 3)},
    }
)
DATABASE = Endpoint("database", "10.1.0.10", 3306, Frontend("tcp", 3306, 9200, "/", one_active=True))
IDENTITY = Endpoint("identity", "10.1.0.10", 5000, Frontend("http", 5000, 5001, "/healthcheck"))


def section(text: str, name: str) -> str:
    return text.split(f"\nlisten {name}\n")[1].split("\nlisten ", maxsplit=1)[0]


def test_all_controllers_agree_on_the_order_of_writers() -> None:
    site = Site(CLOUD, (DATABASE, IDENTITY))
    texts = [section(configuration(HaproxySpec(), site, name), "database") for name in CLOUD.names]
    assert len(set(texts)) == 1
    servers = [line.split()[1:] for line in texts[0].splitlines() if line.strip().startswith("server ")]
    assert [(words[0], "backup" in words) for words in servers] == [
        ("controller1", False),
        ("controller2", True),
        ("controller3", True),
    ]


def test_a_writer_keeps_its_clients_and_loses_them_all_at_once() -> None:
    text = configuration(HaproxySpec(), Site(CLOUD, (DATABASE, IDENTITY)), "controller2")
    assert "stick on dst" in section(text, "database")
    assert "on-marked-down shutdown-sessions" in section(text, "database")
    assert "stick on dst" not in section(text, "identity")
    assert "backup" not in section(text, "identity")


def test_a_server_is_checked_where_and_how_its_system_says() -> None:
    text = section(configuration(HaproxySpec(), Site(CLOUD, (IDENTITY,)), "controller1"), "identity")
    assert "option httpchk GET /healthcheck" in text
    assert "check port 5001 inter 1000ms fastinter 250ms fall 2 rise 2" in text


def test_every_vip_has_the_page_that_names_its_holder_unless_it_is_switched_off() -> None:
    offered = endpoints(HaproxySpec(), CLOUD)
    assert [(e.address, e.port) for e in offered if e.kind == "probe"] == [("10.1.0.10", 8099), ("10.1.0.20", 8099)]
    text = configuration(HaproxySpec(), Site(CLOUD), "controller3")
    assert "bind 10.1.0.20:8099" in text
    assert 'string "controller3\\n"' in text
    without = HaproxySpec(probe_port=0)
    assert [e.kind for e in endpoints(without, CLOUD)] == ["proxy"]
    assert "frontend probe" not in configuration(without, Site(CLOUD), "controller3")


def test_a_change_is_reloaded_never_restarted() -> None:
    found = resources(HaproxySpec(), Site(CLOUD), "controller1")
    assert [unit.on_change for unit in found if isinstance(unit, Unit)] == ["reload"]

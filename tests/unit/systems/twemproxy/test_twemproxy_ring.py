"""One ring for all: what makes every proxy find a key on the same server."""

from quorate.core.resource import File
from quorate.core.system import site_of
from quorate.model.cloud import Cloud
from quorate.systems.memcached import SYSTEM as MEMCACHED
from quorate.systems.twemproxy import SYSTEM as TWEMPROXY


def cloud(count: int) -> Cloud:
    return Cloud.model_validate(
        {
            "cloud": "lab",
            "networks": {"management": {"subnet": "10.77.0.0/24"}},
            "vips": {"api": {"address": "10.77.0.10"}},
            "controllers": {f"c{n}": {"addresses": {"management": f"10.77.0.{10 + n}"}} for n in range(1, count + 1)},
            "systems": {"memcached": MEMCACHED.spec(), "twemproxy": TWEMPROXY.spec()},
        }
    )


def test_all_controllers_have_the_same_files() -> None:
    lab = cloud(5)
    site = site_of(lab, [MEMCACHED, TWEMPROXY])
    files = [
        {r.path: r.content for r in TWEMPROXY.resources(TWEMPROXY.spec(), site, host) if isinstance(r, File)}
        for host in lab.names
    ]
    assert all(one == files[0] for one in files)


def test_proxy_connects_where_servers_listen() -> None:
    lab = cloud(3)
    site = site_of(lab, [MEMCACHED, TWEMPROXY])
    ring = next(r for r in TWEMPROXY.resources(TWEMPROXY.spec(), site, "c1") if isinstance(r, File))
    for host in lab.names:
        server = next(r for r in MEMCACHED.resources(MEMCACHED.spec(), site, host) if isinstance(r, File))
        assert f"-l {lab.address(host)},127.0.0.1\n-p 11211\n" in server.content
        assert f"    - {lab.address(host)}:11211:1 {host}\n" in ring.content


def test_nothing_listens_beyond_loopback() -> None:
    site = site_of(cloud(3), [MEMCACHED, TWEMPROXY])
    text = "".join(r.content for r in TWEMPROXY.resources(TWEMPROXY.spec(), site, "c1") if isinstance(r, File))
    assert "listen: 127.0.0.1:22122" in text
    assert "--stats-addr=127.0.0.1" in text

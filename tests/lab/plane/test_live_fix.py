"""A fix of Keystone's cache on a running cloud, under load, and the way back: nobody notices either."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from lab.plane.machines import Plane
from lab.plane.validating import Client, Latencies

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

RATE = 50.0
TOKENS = 12
WARM_UP = 5.0
FOLDERS = "/etc/keystone /etc/quorate /etc/haproxy /etc/systemd/system /etc/memcached.conf /etc/mysql"
# Whatever is in them: kind, mode, owner, group and link target of each, then digests of the files.
TREE = (
    f"find {FOLDERS} -printf '%y %m %u:%g %p %l\\n' | sort; "
    f"find {FOLDERS} -type f -print0 | sort -z | xargs -0 sha256sum"
)
POOL, PLAIN = "oslo_cache.memcache_pool", "dogpile.cache.pymemcache"
OTHER = {POOL: PLAIN, PLAIN: POOL}


def trees(plane: Plane) -> dict[str, str]:
    """How everything lies on every machine, byte for byte."""
    return {name: plane.lab.run(name, TREE).stdout for name in plane.lab.machines()}


def backend(plane: Plane) -> str:
    """The one that the controllers have."""
    said = plane.lab.run(plane.lab.machines()[0], "grep '^backend' /etc/keystone/keystone.conf").stdout
    return said.partition("=")[2].strip()


def test_a_live_fix_and_the_way_back_fail_no_request(plane: Plane) -> None:
    plane.apply()
    plane.wait_well()
    before, old = trees(plane), backend(plane)
    client = Client(plane.vip)
    client.issue(plane.secrets()["keystone.admin"], TOKENS)
    with client.validating(RATE):
        time.sleep(WARM_UP)
        plane.set_option("keystone", cache_backend=OTHER[old])
        begun = time.monotonic()
        fixed = plane.apply("--only", "keystone")
        after, turned = trees(plane), time.monotonic()
        assert backend(plane) == OTHER[old]
        back = plane.json("rollback", "--yes", "--cloud-file-too")
        ended = time.monotonic()
        time.sleep(WARM_UP)
    phases = {
        "undisturbed": [one for one in client.seen if one.due < begun],
        "apply --only keystone": [one for one in client.seen if begun <= one.due < turned],
        "rollback": [one for one in client.seen if turned <= one.due < ended],
        "afterwards": [one for one in client.seen if ended <= one.due],
    }
    said = "\n".join(f"{name}: {Latencies.of(seen)}" for name, seen in phases.items())
    print(said)
    assert Counter(one.why for one in client.seen if one.why) == {}, said
    assert (fixed["interruptions"], back["interruptions"]) == (3, 3)
    assert {name: trees_of != after[name] for name, trees_of in before.items()} == dict.fromkeys(before, True)
    assert trees(plane) == before
    assert back["verdict"] == "ok"
    assert back["cloud_file"] == "put back"
    assert plane.apply()["changes"] == 0
    Path(plane.folder / "cloud.yaml.before-rollback").unlink()


def test_what_somebody_changed_since_is_named_and_left_alone(plane: Plane) -> None:
    victim = plane.lab.machines()[1]
    old = backend(plane)
    plane.set_option("keystone", cache_backend=OTHER[old])
    plane.apply("--only", "keystone")
    plane.lab.run(victim, "echo '# mine' >> /etc/keystone/keystone.conf")
    edited = trees(plane)
    refused = plane.quorate("rollback", "--yes")
    assert refused.returncode == 3, refused.stdout + refused.stderr
    words = " ".join(refused.stderr.split())
    assert f"{victim}: somebody changed /etc/keystone/keystone.conf since run" in words
    assert f"--overwrite {victim}:/etc/keystone/keystone.conf" in words
    assert trees(plane) == edited
    back = plane.json("rollback", "--yes", "--overwrite", f"{victim}:/etc/keystone/keystone.conf", "--cloud-file-too")
    assert back["verdict"] == "ok", back
    assert backend(plane) == old
    assert plane.apply()["changes"] == 0
    Path(plane.folder / "cloud.yaml.before-rollback").unlink()

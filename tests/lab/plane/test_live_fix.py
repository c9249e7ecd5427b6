"""A fix of Keystone's cache on a running cloud, under load, and the way back: nobody notices either."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from lab.plane.machines import Plane
from lab.plane.validating import Client, Latencies

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(900)]

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


@dataclass
class Phases:
    """What a client saw, cut at the times at which something had ended."""

    client: Client
    cuts: list[tuple[str, float]] = field(default_factory=list)

    def cut(self, name: str) -> None:
        """What went on until now was that."""
        self.cuts.append((name, time.monotonic()))

    def __str__(self) -> str:
        began, lines = 0.0, []
        for name, ended in self.cuts:
            seen = [one for one in self.client.seen if began <= one.due < ended]
            lines.append(f"{name}: {Latencies.of(seen)}" if seen else f"{name}: nothing was asked")
            began = ended
        return "\n".join(lines)


@pytest.fixture
def whole(plane: Plane) -> Iterator[Plane]:
    """The shared machines, as they were afterwards, however the test ended."""
    path = plane.folder / "cloud.yaml"
    cloud = path.read_text()
    yield plane
    path.write_text(cloud)
    path.with_name("cloud.yaml.before-rollback").unlink(missing_ok=True)
    plane.apply()
    plane.wait_well()


def trees(plane: Plane) -> dict[str, str]:
    """How everything lies on every machine, byte for byte."""
    return {name: plane.lab.run(name, TREE).stdout for name in plane.lab.machines()}


def backend(plane: Plane) -> str:
    """The one that the controllers have."""
    said = plane.lab.run(plane.lab.machines()[0], "grep '^backend' /etc/keystone/keystone.conf").stdout
    return said.partition("=")[2].strip()


def test_a_live_fix_and_the_way_back_fail_no_request(whole: Plane) -> None:
    plane = whole
    plane.apply()
    plane.wait_well()
    before, old = trees(plane), backend(plane)
    client = Client(plane.vip)
    client.issue(plane.secrets()["keystone.admin"], TOKENS)
    phases = Phases(client)
    try:
        with client.validating(RATE):
            time.sleep(WARM_UP)
            phases.cut("undisturbed")
            plane.set_option("keystone", cache_backend=OTHER[old])
            fixed = plane.apply("--only", "keystone")
            phases.cut("apply --only keystone")
            after = trees(plane)
            assert backend(plane) == OTHER[old]
            back = plane.json("rollback", "--yes", "--cloud-file-too")
            phases.cut("rollback")
            time.sleep(WARM_UP)
    finally:
        phases.cut("afterwards")
        print(said := str(phases))
    assert Counter(one.why for one in client.seen if one.why) == {}, said
    assert (fixed["interruptions"], back["interruptions"]) == (3, 3)
    assert {name: trees_of != after[name] for name, trees_of in before.items()} == dict.fromkeys(before, True)
    assert trees(plane) == before
    assert back["verdict"] == "ok"
    assert back["cloud_file"] == "put back"
    assert plane.apply()["changes"] == 0


def test_what_somebody_changed_since_is_named_and_left_alone(whole: Plane) -> None:
    plane = whole
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

"""Every client of every system at work on a formed cloud that nobody disturbs."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from lab.plane.machines import Plane
from lab.plane.working import Says, said, working
from quorate.core.drill import Workload
from quorate.core.history import Operation
from quorate.engine.workload import watch
from quorate.systems.cache.client import SLOTS
from quorate.systems.cache.workloads import workloads as of_cache
from quorate.systems.galera.workloads import workloads as of_galera
from quorate.systems.haproxy.workloads import workloads as of_haproxy
from quorate.systems.keystone.workloads import workloads as of_keystone

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

SAYS: dict[str, Says] = {"cache": of_cache, "galera": of_galera, "haproxy": of_haproxy, "keystone": of_keystone}
SECONDS = 20.0
_OURS = "show databases like 'quorate%'; select user from mysql.user where user = 'quorate_drill'"
_GET = r"""exec 3<>/dev/tcp/127.0.0.1/22122; printf 'get %s\r\nquit\r\n' "$1" >&3; cat <&3"""


@dataclass
class Worked:
    """What came of it."""

    workloads: list[Workload]
    history: Mapping[str, list[Operation]] = field(default_factory=dict)
    finals: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    pauses: list[tuple[float, float]] = field(default_factory=list)
    processor: float = 0.0


async def work(plane: Plane) -> Worked:
    """Let all of them work."""
    worked = Worked([workload for system, says in SAYS.items() for workload in said(plane, system, says)])
    async with working(plane, worked.workloads, worked.finals) as history:
        watching = asyncio.create_task(watch(lambda at, seconds: worked.pauses.append((at, seconds))))
        before = time.process_time()
        await asyncio.sleep(SECONDS)
        worked.processor = (time.process_time() - before) / SECONDS
        watching.cancel()
        worked.history = history
    return worked


@pytest.fixture(scope="module")
def worked(plane: Plane) -> Worked:
    plane.wait_well()
    return asyncio.run(work(plane))


def test_everything_succeeds_at_its_rate(worked: Worked) -> None:
    print(f"the clients took {worked.processor:.0%} of a processor; pauses {worked.pauses}")
    for workload in worked.workloads:
        history = worked.history[workload.name]
        took = sorted(operation.seconds * 1000 for operation in history)
        print(f"{workload.name}: {len(history)}, p50 {took[len(took) // 2]:.0f}, worst {took[-1]:.0f} ms")
        assert Counter((o.outcome, o.note) for o in history if o.outcome != "ok") == {}, workload.name
        assert len(history) == pytest.approx(workload.rate * SECONDS, abs=2), workload.name


def test_the_rows_are_there_once_and_one_server_took_them(worked: Worked) -> None:
    found = worked.finals["database_write"]
    last = len(worked.history["database_write"]) - 1
    assert found["numbers"] == [[0, last]]
    assert found["more_than_once"] == []
    assert [taken["server"] for taken in found["servers"]] == [worked.history["database_write"][0].facts["server"]]


def test_reads_see_what_was_acknowledged_before(worked: Worked) -> None:
    writes = worked.history["database_write"]
    for read in worked.history["database_read"]:
        acknowledged = [write.facts["number"] for write in writes if write.end < read.start]
        assert (read.facts["highest"] if read.facts["highest"] is not None else -1) >= max(acknowledged, default=-1)


def test_no_controller_s_cache_gives_an_old_value(worked: Worked) -> None:
    """The rule of the client's docstring, applied to the record alone."""
    operations = [o for name, history in worked.history.items() if name.startswith("cache_") for o in history]
    changes = [o for o in operations if o.facts["kind"] != "get"]
    hits = [o for o in operations if o.facts["kind"] == "get" and o.facts["version"] is not None]
    assert len(hits) > 300
    for hit in hits:
        newer = [
            o
            for o in changes
            if o.facts["key"] == hit.facts["key"] and o.facts["version"] > hit.facts["version"] and o.end < hit.start
        ]
        assert newer == []
    for workload in (workload for workload in worked.workloads if workload.at):
        read = {o.facts["key"].split("/")[0] for o in worked.history[workload.name] if o in hits}
        assert read == {workload.at, *workload.settings["others"]}


def test_the_page_always_names_the_same_holder(worked: Worked) -> None:
    named = [operation.facts["server"] for operation in worked.history["probe_page_api"]]
    assert [pair for pair in pairwise(named) if pair[0] != pair[1]] == []


def test_nothing_is_left(worked: Worked, plane: Plane) -> None:
    del worked
    keys = " ".join(f"{slot}:{owner}:quorate-drill:test" for owner in plane.lab.machines() for slot in range(SLOTS))
    for name in plane.lab.machines():
        assert plane.lab.run(name, f'mariadb -NBe "{_OURS}"').stdout == ""
        assert plane.inside(name, "bash", "-c", _GET, "bash", keys).split() == ["END"]

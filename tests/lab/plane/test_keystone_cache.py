"""One controller's memcached hears nothing any more: whoever validates tokens must not notice.

What was cached a minute ago (`expiration_time`) Keystone makes anew, which is slow by its own work: 0.1 to 0.5 s, by
chance. To compare like with like everything is forgotten some times in the undisturbed phase: what is made anew last
there is made anew a minute later, while a server is black-holed. Both are compared, and so is all the rest, which is
quick.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.plane.machines import Plane
from lab.plane.validating import Client, Latencies, Validation

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(600)]

RATE = 20.0
TOKENS = 12
WARM_UP, UNDISTURBED, BLACK_HOLED, HEALED = 5.0, 24.0, 20.0, 15.0
EXPIRES = 60.0
ANEW = 3.0
"""Seconds in which all that is cached has been made anew, once it is gone."""
FORGOTTEN = (0.0, ANEW, 2 * ANEW, 3 * ANEW)
"""When, in seconds of the undisturbed phase."""
MARGIN = 150.0
"""Milliseconds that the worst validation may take longer than the undisturbed worst one."""

TABLE = "test_black_hole"
RULES = {
    "what others send": 'iifname "eth0" tcp dport 11211',
    "what anybody sends, itself included": "tcp dport 11211",
}

# What is said to a controller's own balancer, and what it answers.
_ASK = """exec 3<>/dev/tcp/127.0.0.1/22122; printf '%s\\r\\nquit\\r\\n' "$1" >&3; cat <&3"""


@dataclass(frozen=True)
class Cut:
    """When a phase began, and the ticks that this host's processors had been idle and in all until then."""

    name: str
    at: float
    idle: int
    ticks: int

    @classmethod
    def now(cls, name: str) -> Cut:
        """Here begins a phase."""
        ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return cls(name, time.monotonic(), ticks[3] + ticks[4], sum(ticks))


@dataclass(frozen=True)
class Phase:
    """What was validated in it: what was cached, what had to be made anew; and how idle this host was, per cent."""

    name: str
    began: float
    cached: list[Validation]
    anew: list[Validation]
    idle: int

    def __str__(self) -> str:
        parts = {"cached": self.cached, "made anew": self.anew}
        said = [f"{what}: {Latencies.of(validations)}" for what, validations in parts.items() if validations]
        slowest = sorted(self.cached + self.anew, key=lambda validation: -validation.latency)[:8]
        said.append(
            "the slowest " + ", ".join(f"{v.latency * 1000:.0f} ms at {v.due - self.began:.2f} s" for v in slowest)
        )
        return f"{self.name} (host {self.idle} % idle): {'; '.join(said)}"


@dataclass
class Phases:
    """The client's validations, cut at the times at which something was done; it was undisturbed at first."""

    client: Client
    cuts: list[Cut] = field(default_factory=list)

    def cut(self, name: str) -> None:
        """Here begins a phase."""
        self.cuts.append(Cut.now(name))

    def rest(self, seconds: float) -> None:
        """Wait until the present phase is that old."""
        time.sleep(max(0.0, self.cuts[-1].at + seconds - time.monotonic()))

    def split(self) -> list[Phase]:
        """Say what was seen in each."""
        phases = []
        for began, ended in itertools.pairwise(self.cuts):
            seen = [validation for validation in self.client.seen if began.at <= validation.due < ended.at]
            cached = [validation for validation in seen if not self._anew(validation)]
            anew = [validation for validation in seen if self._anew(validation)]
            idle = 100 * (ended.idle - began.idle) // max(1, ended.ticks - began.ticks)
            phases.append(Phase(began.name, began.at, cached, anew, idle))
        return phases

    def _anew(self, validation: Validation) -> bool:
        since = validation.due - self.cuts[0].at - FORGOTTEN[-1]
        return since < ANEW or EXPIRES - 1 <= since < EXPIRES + ANEW


def ask_balancer(plane: Plane, machine: str, words: str) -> str:
    """Say something to a controller's balancer."""
    return plane.inside(machine, "bash", "-c", _ASK, "bash", words)


def reads(plane: Plane) -> int:
    """Count what the servers have answered to the balancers when clients of theirs read."""
    said = "".join(ask_balancer(plane, name, "stats proxy") for name in plane.lab.machines())
    return sum(map(int, re.findall(r":get:replies (\d+)", said)))


@contextlib.contextmanager
def black_hole(plane: Plane, victim: str, rule: str) -> Iterator[None]:
    """Let the victim swallow what the rule matches; what it swallowed must be something."""
    chain = f"chain input {{ type filter hook input priority 0; {rule} counter drop; }}"
    plane.inside(victim, "nft", "-f", "-", stdin=f"table inet {TABLE} {{ {chain}; }}")
    try:
        yield
    finally:
        counted = plane.inside(victim, "nft", "list", "table", "inet", TABLE)
        plane.inside(victim, "nft", "delete", "table", "inet", TABLE)
    assert int(re.findall(r"counter packets (\d+)", counted)[0]) > 0, counted


def measure(plane: Plane) -> Phases:
    """Black-hole one controller's memcached, then another's, under load."""
    first, second, _ = plane.lab.machines()
    client = Client(plane.vip)
    client.issue(plane.secrets()["keystone.admin"], TOKENS)
    with client.validating(RATE):
        time.sleep(WARM_UP)
        before = reads(plane)
        phases = Phases(client)
        phases.cut("undisturbed")
        for seconds in FORGOTTEN:
            phases.rest(seconds)
            assert ask_balancer(plane, first, "flush_all") == "OK\n"
        phases.rest(UNDISTURBED)
        for victim, (what, rule) in zip((second, first), RULES.items(), strict=True):
            phases.cut(f"{victim} does not hear {what}")
            with black_hole(plane, victim, rule):
                phases.rest(BLACK_HOLED)
            phases.cut(f"{victim} hears again")
            phases.rest(HEALED)
        phases.cut("end")
        read = reads(plane) - before
    assert read >= len(client.seen), f"{read} reads of the cache for {len(client.seen)} validations"
    return phases


@pytest.mark.parametrize("backend", ["oslo_cache.memcache_pool", "dogpile.cache.pymemcache"])
def test_nobody_notices(plane: Plane, backend: str) -> None:
    plane.set_option("keystone", cache_backend=backend)
    plane.apply()
    plane.wait_well()
    phases = measure(plane).split()
    said = "\n".join(map(str, phases))
    print(f"{backend}\n{said}")
    undisturbed, *disturbed = phases
    why = Counter(validation.why for phase in phases for validation in phase.cached + phase.anew if validation.why)
    assert not why, f"{why}\n{said}"
    bound = Latencies.of(undisturbed.cached).worst + MARGIN
    assert Latencies.of([validation for phase in disturbed for validation in phase.cached]).worst <= bound, said
    bound = Latencies.of(undisturbed.cached + undisturbed.anew).worst + MARGIN
    assert Latencies.of([validation for phase in disturbed for validation in phase.anew]).worst <= bound, said

"""However slow controllers are, an apply is over within what its plan says at most."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import inf

from quorate.transport.contract import Completed
from quorate.transport.fake import FakeTransport
from worlds.machines import Machines, Operator, converged

A_WHILE = 5.0
"""Seconds after which leases are renewed in time."""


class Slow(FakeTransport):
    """Takes all the time that it is given, but for the lease."""

    machines: Machines

    async def run(self, argv: Sequence[str], stdin: bytes = b"", *, timeout: float, reach: float = inf) -> Completed:
        completed = await super().run(argv, stdin, timeout=timeout, reach=reach)
        if b'{"verb": "lease"' not in stdin:
            time = self.machines.time
            until = time.now + timeout
            for _ in range(4):  # whoever is asked beside it is asked now
                await asyncio.sleep(0)
            while time.now < until:
                await time.pass_by(min(A_WHILE, until - time.now))
        return completed


async def test_it_is_over_within_what_the_plan_says_at_most() -> None:
    machines = await converged()
    slow = {name: Slow(host) for name, host in machines.hosts.items()}
    for one in slow.values():
        one.machines = machines
    operator = Operator(machines, port=7701, transports=dict(slow))
    outcome = await operator.apply()
    assert outcome.verdict.is_ok, outcome.verdict.reason
    takes = outcome.plan.takes
    assert takes is not None
    assert takes.most is not None
    assert takes.most / 2 < outcome.seconds <= takes.most

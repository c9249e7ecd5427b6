"""When a read that a server has not answered yet is asked of another copy as well, and how many may be.

Hedged requests as in Dean and Barroso, "The Tail at Scale", CACM 56(2), 2013: the second request goes out once the
first has been under way for longer than 95 per cent of them take, which adds about five per cent of load; and a budget
holds where a server is slow as a whole, so that it never doubles the load of the others. Pure: time is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence

from quorate.balancer.metrics import Latency

QUANTILE = 0.95
PERIOD = 1.0
"""Seconds after which a server's delay is computed again, from the reads that it answered since."""
ENOUGH = 50
"""Reads in a period below which the delay stays as it was."""
FLOOR = 0.005
"""Seconds before which nothing is asked twice: how often the worker looks for what is late."""
SHARE = 0.1
"""Reads that may be asked twice, as a share of all."""
BURST = 1000.0
"""Reads that may be asked twice at once, before the share limits them."""


class Hedging:
    """The delay of each server, in seconds (`delay` until enough reads were seen), and the budget of one worker."""

    def __init__(self, latencies: Sequence[Latency], delay: float, ceiling: float) -> None:
        self.latencies = latencies
        self.ceiling = ceiling
        self.delays = [delay] * len(latencies)
        self.budget = BURST
        self._counts = [list(latency.counts) for latency in latencies]
        self._looked = 0.0

    def look(self, now: float) -> None:
        """Compute the delays again, once in a period, and earn the share of the reads since."""
        if now - self._looked < PERIOD:
            return
        self._looked = now
        for server, latency in enumerate(self.latencies):
            since = Latency()
            since.counts = [new - old for new, old in zip(latency.counts, self._counts[server], strict=True)]
            self._counts[server] = list(latency.counts)
            reads = since.total
            self.budget = min(BURST, self.budget + SHARE * reads)
            if reads >= ENOUGH:
                self.delays[server] = min(max(since.quantile(QUANTILE), FLOOR), self.ceiling)

    def spend(self, reads: int) -> bool:
        """Take so many from the budget; False when there are not as many."""
        if self.budget < reads:
            return False
        self.budget -= reads
        return True

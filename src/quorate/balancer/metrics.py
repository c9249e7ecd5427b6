"""Counters and latency histograms that cost next to nothing where they are filled."""

from __future__ import annotations

BUCKETS = 24
"""Powers of two of a microsecond: the last bucket begins at eight seconds."""


class Latency:
    """A histogram of how long a server took. All replies of one read count as late as the oldest of them."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS
        self.seconds = 0.0

    def add(self, seconds: float, count: int) -> None:
        """Count so many replies."""
        if count > 0:
            self.counts[min(int(seconds * 1e6).bit_length(), BUCKETS - 1)] += count
            self.seconds += seconds * count

    @property
    def total(self) -> int:
        """How many were counted."""
        return sum(self.counts)

    def quantile(self, share: float) -> float:
        """Return the upper bound, in seconds, of the bucket in which that share is reached; 0 while empty."""
        rest = share * self.total
        for index, count in enumerate(self.counts):
            rest -= count
            if count and rest <= 0:
                return float(2**index) / 1e6
        return 0.0

    def merged(self, other: Latency) -> Latency:
        """Both together."""
        both = Latency()
        both.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        both.seconds = self.seconds + other.seconds
        return both

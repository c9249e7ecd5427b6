"""Target `client`: whatever a client says, and however it is cut into reads.

Input: four bytes that choose the cuts, then what the client says.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from fuzz.judge import commands, judge
from fuzz.pipe import Pipe
from fuzz.played import require, value_of

MOST_SINGLE = 4096
"""Bytes up to which what is said may be cut into single ones: the longest lines would take seconds."""


def pieces(said: bytes, seed: bytes) -> Iterator[bytes]:
    """Cut it: into single bytes, or at a few points."""
    dice = random.Random(seed)
    every = seed[:1] == b"\0" and len(said) <= MOST_SINGLE
    points = range(1, len(said)) if every else sorted(dice.randrange(len(said) + 1) for _ in range(8))
    start = 0
    for point in points:
        yield said[start:point]
        start = point
    yield said[start:]


def check(data: bytes) -> None:
    """Hold what a client says to the properties: one reply for each request, in order, the same for every cut."""
    seed, said = data[:4], data[4:]
    pipe = Pipe()
    other = pipe.join()
    whole = pipe.hear([said])
    pipe.require_quiet()
    require(pipe.hear(pieces(said, seed), between=other) == whole, "another cut, another answer", said, whole)
    pipe.require_quiet()
    alone = []
    for one in commands(said):
        heard = pipe.hear([one.data])
        require(judge(one, heard) == len(heard), "more than one answer to", one.data, heard)
        alone.append(heard)
    require(b"".join(alone) == whole, "said together, other answers", said, whole, b"".join(alone))
    pipe.require_quiet()
    value = value_of(b"bystander")
    mine = b"VALUE bystander 9 %d\r\n%b\r\nEND\r\n" % (len(value), value)
    heard = other.answer()
    require(heard == mine * (len(heard) // len(mine)), "another client's answer", heard)

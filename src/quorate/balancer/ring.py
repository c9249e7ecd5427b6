"""Key → the servers that hold its copies. Pure; made once for a configuration, then one hash and one look into a table.

The default kind, `quorate`, is rendezvous hashing laid out as a table: every server scores every slot, the best hold
it. The other kinds put keys where twemproxy or a client library puts them, so that a site switches with a warm cache.
Why, and how good: docs/decisions/0009-ring.md.
"""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from quorate.balancer.config import TWEMPROXY_KINDS, Config, Server
from quorate.balancer.hashes import HASHES, Hash, crc32, md5, murmur3_32, one_at_a_time

SLOTS = 65_536
"""The share of a server is a multiple of 1/SLOTS; 16 bits of a CRC-32 choose."""
REMEMBERED = 32_768
"""Keys whose place is remembered where finding it takes Python code."""
KETAMA_POINTS = 160
"""Of a server of average weight, four from each MD5 digest."""
LIBMEMCACHED_POINTS = 100
"""Of every server, without weights."""

Table = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Ring:
    """Which servers hold a key: `table[hash(key) & mask]`, positions in `Config.servers`, the first copy first."""

    hash: Hash
    mask: int
    table: Table

    def copies(self, key: bytes) -> tuple[int, ...]:
        """Give the servers of a key."""
        return self.table[self.hash(key) & self.mask]


def make(config: Config) -> Ring:
    """Lay out the ring that the configuration asks for."""
    servers, copies, ring = config.servers, config.copies, config.ring
    if len(servers) == 1:
        return Ring(zlib.crc32, 0, ((0,),))
    if ring.kind in {"quorate", "random"}:
        return rendezvous(servers, copies)
    algorithm = HASHES[ring.hash]
    if ring.kind in TWEMPROXY_KINDS and ring.hash_tag:
        algorithm = tagged(algorithm, ring.hash_tag.encode())
    if ring.kind == "ketama":
        return continuum(ketama_points(servers), algorithm, len(servers), copies)
    if ring.kind == "modula":
        return modulo(servers, algorithm, copies)
    if ring.kind == "libmemcached":
        return libmemcached(servers, copies, weighted=ring.weighted)
    if ring.kind == "python-memcached":
        return modulo(servers, crc32, copies)
    return pymemcache(servers, copies)


# --- the default -------------------------------------------------------------------------------------------


def rendezvous(servers: Sequence[Server], copies: int) -> Ring:
    """Lay out the default ring: for each slot the servers in the order of their scores (weighted rendezvous hashing).

    A score is -ln(u) / weight, the lowest first, with u even in (0, 1] and fixed by the server's name and the slot: an
    exponential race, which each server wins with a chance in proportion to its weight; so among those that are left.
    Source: Schindelhauer and Schomaker, "Weighted distributed hash tables" (2005), the logarithmic method.
    """
    lanes = [_scores(server) for server in servers]
    known: dict[tuple[int, ...], tuple[int, ...]] = {}
    table = []
    for scores in zip(*lanes, strict=True):
        order = sorted(range(len(lanes)), key=scores.__getitem__)
        chosen = tuple(order[:copies])
        table.append(known.setdefault(chosen, chosen))
    return Ring(zlib.crc32, SLOTS - 1, tuple(table))


def _scores(server: Server) -> list[float]:
    """One stream of SHAKE-128 gives a server's scores for all slots at once: 64 bits each."""
    stream = struct.unpack(f"<{SLOTS}Q", hashlib.shake_128(server.name.encode()).digest(8 * SLOTS))
    log = math.log
    return [-log((number + 1) / 18_446_744_073_709_551_616) / server.weight for number in stream]


# --- twemproxy and libmemcached ----------------------------------------------------------------------------


def tagged(algorithm: Hash, tag: bytes) -> Hash:
    """Hash only what stands between the two characters of the tag, where it is there and not empty (`hash_tag`)."""
    opening, closing = tag[:1], tag[1:]

    def part(key: bytes) -> int:
        start = key.find(opening)
        end = key.find(closing, start + 1) if start >= 0 else -1
        return algorithm(key[start + 1 : end] if end - start > 1 else key)

    return part


def continuum(points: Iterable[tuple[int, int]], algorithm: Hash, servers: int, copies: int) -> Ring:
    """Put the points (value, server) on a circle; a key belongs to the first at or after its hash, and on from there.

    A server without a point, because its weight is so small, comes after all others.
    """
    ordered = sorted(points)
    values = [value for value, _ in ordered]
    owners = [server for _, server in ordered]
    table: list[tuple[int, ...]] = []
    for at in range(len(owners)):
        found: dict[int, None] = {}
        for server in (*owners[at:], *owners[:at], *range(servers)):
            found[server] = None
            if len(found) == copies:
                break
        table.append(tuple(found))
    table.append(table[0])  # behind the last point the circle closes

    def place(key: bytes) -> int:
        return bisect_left(values, algorithm(key))

    return Ring(lru_cache(REMEMBERED)(place), -1, tuple(table))


def ketama_points(servers: Sequence[Server]) -> list[tuple[int, int]]:
    """Give each server points in proportion to its weight, in C's floats, as twemproxy and libmemcached do."""
    total = _float(sum(server.weight for server in servers))
    points = []
    for position, server in enumerate(servers):
        share = _float(_float(_float(server.weight) / total) * KETAMA_POINTS)
        digests = math.floor(_float(_float(share / 4) * len(servers)))
        for number in range(digests):
            digest = hashlib.md5(f"{server.name}-{number}".encode(), usedforsecurity=False).digest()
            points += [(value, position) for value in struct.unpack("<4I", digest)]
    return points


def _float(value: float) -> float:
    """Round to C's float: the number of points hangs on it."""
    rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    return rounded


def libmemcached(servers: Sequence[Server], copies: int, *, weighted: bool) -> Ring:
    """Lay out libmemcached's consistent distributions: KETAMA_WEIGHTED, or KETAMA with its default hash.

    KETAMA with a weight above 1 takes the points of KETAMA_WEIGHTED, but keeps its hash.
    """
    if weighted or any(server.weight > 1 for server in servers):
        return continuum(ketama_points(servers), md5 if weighted else one_at_a_time, len(servers), copies)
    points = (
        (one_at_a_time(f"{server.name}-{number}".encode()), position)
        for position, server in enumerate(servers)
        for number in range(LIBMEMCACHED_POINTS)
    )
    return continuum(points, one_at_a_time, len(servers), copies)


# --- remainders, pymemcache --------------------------------------------------------------------------------


def modulo(servers: Sequence[Server], algorithm: Hash, copies: int) -> Ring:
    """Place by the remainder: each server has as many of them as it weighs. Copies go to the next in the list."""
    ends = list(accumulate(server.weight for server in servers))
    count = len(servers)
    table = tuple(tuple((first + more) % count for more in range(copies)) for first in range(count))

    def place(key: bytes) -> int:
        return bisect_right(ends, algorithm(key) % ends[-1])

    return Ring(lru_cache(REMEMBERED)(place), -1, table)


def pymemcache(servers: Sequence[Server], copies: int) -> Ring:
    """Place by pymemcache's RendezvousHash: the highest murmur3 of `name-key` wins, among equals the later name.

    The second copy is the next by score; any more are the next in the list (there is no table of all orders).
    """
    count = len(servers)
    named = [(server.name, server.name.encode() + b"-", position) for position, server in enumerate(servers)]

    def place(key: bytes) -> int:
        scores = sorted([(murmur3_32(prefix + key), name, position) for name, prefix, position in named])
        return scores[-1][2] * count + scores[-2][2]

    table = []
    for first in range(count):
        for second in range(count):
            order = dict.fromkeys([first, second, *((second + more) % count for more in range(count))])
            table.append(tuple(order)[:copies])
    return Ring(lru_cache(REMEMBERED)(place), -1, tuple(table))

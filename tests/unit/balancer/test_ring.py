"""The ring: how even it is, what moves when a server comes, and how copies are chosen."""

from __future__ import annotations

import hashlib
import random
import uuid
import zlib
from collections import Counter
from functools import cache

import pytest

from quorate.balancer.config import KINDS, parse
from quorate.balancer.ring import SLOTS, Ring, make

COUNT = 50_000


@cache
def ring(
    names: tuple[str, ...], kind: str = "quorate", copies: int = 2, weights: tuple[int, ...] = (), more: str = ""
) -> Ring:
    servers = "".join(
        f'[[servers]]\nname = "{name}"\naddress = "10.0.0.{number + 1}:11211"\nweight = {weight}\n'
        for number, (name, weight) in enumerate(zip(names, weights or [1] * len(names), strict=True))
    )
    text = f'name = "one"\ncopies = {copies}\n{servers}[ring]\nkind = "{kind}"\n{more}'
    return make(parse(text, "balancer.toml"))


def named(count: int) -> tuple[str, ...]:
    return tuple(f"controller{number + 1}" for number in range(count))


@cache
def made(shape: str) -> list[bytes]:
    dice = random.Random(8)
    if shape == "counted":
        return [b"key:%d" % number for number in range(COUNT)]
    if shape == "padded":
        return [b":1:django.contrib.sessions.cache%08d" % number for number in range(COUNT)]
    if shape == "uuid":
        return [str(uuid.UUID(int=dice.getrandbits(128))).encode() for _ in range(COUNT)]
    return [hashlib.sha1(b"%d" % number, usedforsecurity=False).hexdigest().encode() for number in range(COUNT)]


@pytest.mark.parametrize("shape", ["counted", "padded", "uuid", "sha1"])
@pytest.mark.parametrize(("count", "percent"), [(3, 1.5), (5, 2.5)])
def test_every_server_has_its_share_of_keys(shape: str, count: int, percent: float) -> None:
    share = Counter(ring(named(count)).copies(key)[0] for key in made(shape))
    assert all(abs(found * count / COUNT - 1) < percent / 100 for found in share.values())


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_every_pair_of_servers_has_its_share_of_slots(count: int) -> None:
    pairs = Counter(ring(named(count)).table)
    assert len(pairs) == count * (count - 1)
    assert all(abs(found * len(pairs) / SLOTS - 1) < 0.12 for found in pairs.values())


def test_weights_are_shares() -> None:
    weights = (1, 3, 2, 1, 5)
    first = Counter(copies[0] for copies in ring(named(5), weights=weights).table)
    assert all(abs(first[at] * 12 / SLOTS / weight - 1) < 0.03 for at, weight in enumerate(weights))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_new_server_takes_its_share_and_nothing_else_moves(count: int) -> None:
    before, after = ring(named(count)), ring(named(count + 1))
    taken = 0
    for old, new in zip(before.table, after.table, strict=True):
        assert tuple(server for server in new if server != count) == old[: len(new) - (count in new)]
        taken += count in new
    assert abs(taken * (count + 1) / 2 / SLOTS - 1) < 0.02


def test_what_a_server_leaves_is_shared_by_the_others() -> None:
    before, after = ring(named(4)), ring(named(3))
    heirs = Counter(new[0] for old, new in zip(before.table, after.table, strict=True) if old[0] == 3)
    assert all(abs(found * 3 / heirs.total() - 1) < 0.05 for found in heirs.values())


def test_names_and_not_positions_or_addresses_choose() -> None:
    names = named(3)
    turned = (*names[1:], names[0])
    straight, other = ring(names), ring(turned)
    for key in made("uuid")[:1_000]:
        assert [names[at] for at in straight.copies(key)] == [turned[at] for at in other.copies(key)]


def test_the_table_stays_what_it_is() -> None:
    """Balancers of different versions stand side by side during an upgrade: they must agree."""
    digest = hashlib.sha256(repr(ring(named(3), copies=3).table).encode()).hexdigest()
    assert digest == "02fd39f8db3cad5cad5bedc04e5de4d9098eaf4971803e539b7c7dac45d38d87"


def test_the_default_hashes_in_c() -> None:
    assert ring(named(3)).hash is zlib.crc32


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 3, 5])
@pytest.mark.parametrize("copies", [1, 2, 5])
def test_copies_are_different_servers(kind: str, count: int, copies: int) -> None:
    wanted = min(copies, count)
    one = ring(named(count), kind, wanted)
    assert {len(set(row)) for row in one.table} == {len(row) for row in one.table} == {wanted}
    assert set().union(*one.table) == set(range(count))
    assert {len(one.copies(key)) for key in made("sha1")[:1_000]} == {wanted}


@pytest.mark.parametrize("kind", KINDS)
def test_more_copies_begin_with_the_same(kind: str) -> None:
    one, two, three = (ring(named(3), kind, copies) for copies in (1, 2, 3))
    for key in made("sha1")[:2_000]:
        assert three.copies(key)[:2] == two.copies(key)
        assert two.copies(key)[:1] == one.copies(key)


@pytest.mark.parametrize("kind", KINDS)
def test_every_server_is_used(kind: str) -> None:
    assert {ring(named(5), kind, 1).copies(key)[0] for key in made("sha1")[:2_000]} == set(range(5))


@pytest.mark.parametrize(
    ("key", "part"),
    [
        (b"a{user}b", b"user"),
        (b"{user}", b"user"),
        (b"a{}b", b"a{}b"),
        (b"a{user", b"a{user"),
        (b"a}b{user}", b"user"),
        (b"a{x}{y}", b"x"),
        (b"user", b"user"),
        (b"}{", b"}{"),
    ],
)
def test_hash_tag(key: bytes, part: bytes) -> None:
    tagged = ring(named(7), "ketama", more='hash_tag = "{}"\n')
    plain = ring(named(7), "ketama")
    assert tagged.hash(key) == plain.hash(part)


def test_a_server_too_light_for_a_point_still_holds_copies() -> None:
    found = {ring(named(3), "ketama", 3, (1, 1_000_000, 1_000_000)).copies(key) for key in made("sha1")[:500]}
    assert found == {(1, 2, 0), (2, 1, 0)}


def test_libmemcached_takes_weighted_points_once_a_weight_is_given() -> None:
    plain = ring(named(3), "libmemcached", more="weighted = false\n")
    heavy = ring(named(3), "libmemcached", weights=(1, 2, 1), more="weighted = false\n")
    assert len(plain.table) == 3 * 100 + 1
    assert len(heavy.table) == 120 + 240 + 120 + 1

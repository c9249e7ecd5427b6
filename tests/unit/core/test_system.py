from __future__ import annotations

import pytest

from quorate.core.system import AnySystem, Claim, Endpoint, enabled, in_order, site_of
from toys import toyd, toydb
from worlds.clouds import cloud, site
from worlds.systems import Word, made


def system(text: str) -> AnySystem:
    """Read `name: needs > offers`."""
    name, _, rest = text.partition(":")
    needs, _, offers = rest.partition(">")
    return made(name, needs=tuple(needs.split()), offers=tuple(offers.split()))


@pytest.mark.parametrize(
    ("systems", "order"),
    [
        (["b", "a"], "a b"),  # ties go by name
        (["app: db", "db: > db"], "db app"),
        (["app: db cache", "cache: > cache", "db: net > db", "net: > net"], "cache net db app"),
        (["app: nobody-offers-it"], "app"),
        (["both: x > x", "other: x > x"], ""),  # two that offer what both need
        (["alone: x > x"], "alone"),  # what it offers itself it does not wait for
    ],
)
def test_systems_are_formed_behind_what_they_need(systems: list[str], order: str) -> None:
    made_ones = [system(text) for text in systems]
    if not order:
        order = "both other"
    assert [one.name for one in in_order(made_ones)] == order.split()


def test_a_circle_is_named() -> None:
    with pytest.raises(ValueError, match="systems need each other in a circle: a, b"):
        in_order([system("a: y > x"), system("b: x > y"), system("c")])


def test_only_what_the_cloud_wants_takes_part() -> None:
    known = (made("on"), made("off"), made("unheard"))
    chosen = enabled(cloud(3, on=Word(), off=Word(enabled=False)), known)
    assert [one.name for one in chosen] == ["on"]


def test_a_site_collects_what_systems_say_to_each_other() -> None:
    where = site(toyd.SYSTEM, toydb.SYSTEM)
    assert where.endpoint("toydb") == Endpoint("toydb", "10.0.0.10", 7700)
    assert where.claims_on("toydb") == (Claim("toydb", "toyd", "toyd.database"),)
    assert where.claims_on("other") == ()
    with pytest.raises(KeyError, match="other"):
        where.endpoint("other")


def test_clients_are_told_every_place() -> None:
    assert Endpoint("cache", "127.0.0.1", 22122).places == ("127.0.0.1:22122",)
    several = Endpoint("cache", "10.0.0.1", 11211, addresses=("10.0.0.1", "10.0.0.2"))
    assert several.places == ("10.0.0.1:11211", "10.0.0.2:11211")


def test_who_is_left_out_says_nothing() -> None:
    left_out = cloud(3, toydb=toydb.Toydb(), toyd=toyd.Toyd(enabled=False))
    assert site_of(left_out, (toyd.SYSTEM, toydb.SYSTEM)).claims == ()

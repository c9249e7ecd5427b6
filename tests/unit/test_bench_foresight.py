"""The model that the bench measures is what it says: machines that fall alone, in pairs, and by racks."""

from __future__ import annotations

from itertools import product

from foresight import MOST, cloud_file, machine, model

from quorate.core.tree import cut_sets


def test_a_machine_falls_with_itself_or_with_two_of_what_it_has_twice() -> None:
    found = cut_sets(["one"], {"one": machine(21)}, 3)["one"]
    assert set(found[:2]) == {frozenset({"machine 21"}), frozenset({"disk of machine 21"})}
    pairs = {
        frozenset({f"{one} a{where}", f"{other} b{there}"})
        for kind in ("link switch", "supply unit")
        for (one, where), (other, there) in product(
            zip(kind.split(), (" of machine 21", " of rack 1"), strict=True), repeat=2
        )
    }
    feeds = {frozenset(pair) for pair in product(("feed a",), ("supply b of machine 21", "unit b of rack 1", "feed b"))}
    feeds |= {frozenset(pair) for pair in product(("supply a of machine 21", "unit a of rack 1"), ("feed b",))}
    assert set(found[2:]) == {*pairs, *feeds, frozenset({"spine a", "spine b"})}


def test_nine_tenths_of_the_machines_fall_with_a_rack_and_a_few_more() -> None:
    formulas, names = model(40)
    assert MOST in names
    found = cut_sets([MOST], formulas, 2)[MOST]
    assert frozenset({"unit a of rack 1", "unit b of rack 1"}) in found
    assert not [cut for cut in found if len(cut) == 1]


def test_the_control_plane_beside_them_is_that_of_a_cloud_file() -> None:
    assert "nova: {}" in cloud_file()
    assert "boot a server" in model(0)[1]

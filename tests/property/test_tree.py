"""Minimal cut sets against brute force: every loss of a small model is tried."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core.tree import AtLeast, Formula, Formulas, cut_sets, every, majority, parts, some, works

PARTS = "abcdef"


def gates(below: st.SearchStrategy[Formula]) -> st.SearchStrategy[Formula]:
    return st.lists(below, min_size=1, max_size=5).flatmap(
        lambda of: st.integers(1, len(of)).map(lambda count: AtLeast(count, tuple(of)))
    )


FORMULAS: st.SearchStrategy[Formula] = st.recursive(st.sampled_from(PARTS), gates, max_leaves=14)


@st.composite
def models(draw: st.DrawFn) -> Formulas:
    """Two formulas, the second of which may rest on the first."""
    first = draw(FORMULAS)
    return {"first": first, "second": draw(gates(st.one_of(FORMULAS, st.just("first"))))}


def tried(name: str, formulas: Formulas, order: int) -> set[frozenset[str]]:
    """By trying every loss."""
    found: set[frozenset[str]] = set()
    for size in range(1, order + 1):
        for lost in map(frozenset, combinations(sorted(parts(formulas)), size)):
            if not works([name], formulas, lost)[name] and not any(smaller < lost for smaller in found):
                found.add(lost)
    return found


@given(models(), st.integers(1, 3))
def test_cut_sets_are_those_that_trying_finds(formulas: Formulas, order: int) -> None:
    found = cut_sets(formulas, formulas, order)
    for name in formulas:
        assert len(found[name]) == len(set(found[name]))
        assert set(found[name]) == tried(name, formulas, order)


@given(models(), st.sets(st.sampled_from(PARTS)), st.sampled_from(PARTS))
def test_losing_more_mends_nothing(formulas: Formulas, lost: set[str], further: str) -> None:
    before, after = works(formulas, formulas, lost), works(formulas, formulas, {*lost, further})
    assert all(before[name] or not after[name] for name in formulas)


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="in a circle: a, b, a"):
        works(["a"], {"a": every("b"), "b": some("a", "c")}, set())


@given(st.integers(1, 9))
def test_a_majority_is_stopped_by_what_leaves_no_majority(count: int) -> None:
    members = [f"m{number}" for number in range(count)]
    need = (count + 1) // 2
    found = cut_sets(["vote"], {"vote": majority(*members)}, 3)["vote"]
    assert set(found) == (set(map(frozenset, combinations(members, need))) if need <= 3 else set())


def test_gates_say_what_they_are_called() -> None:
    formulas = {"all": every("a", "b"), "any": some("a", "b"), "both": every("all", "any")}
    assert cut_sets(["both", "any", "c"], formulas, 2) == {
        "both": (frozenset("a"), frozenset("b")),
        "any": (frozenset("ab"),),
        "c": (),
    }

"""Probabilities against brute force (every loss of a small model, weighed) and against textbooks' k of n."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, combinations
from math import comb, isclose, prod
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_tree import PARTS, models

from quorate.core.diagram import Diagram, TooLarge
from quorate.core.sampling import sampled
from quorate.core.tree import AtLeast, Formulas, every, majority, some, works

CHANCES = st.fixed_dictionaries({part: st.floats(0.0, 1.0) for part in PARTS})
SOME = {part: 0.05 + 0.02 * number for number, part in enumerate(PARTS)}


def weighed(name: str, formulas: Formulas, lost: Mapping[str, float]) -> float:
    """How likely it does not hold, by trying every loss."""
    losses = chain.from_iterable(combinations(PARTS, size) for size in range(len(PARTS) + 1))
    return sum(
        prod(lost[part] if part in loss else 1 - lost[part] for part in PARTS)
        for loss in map(frozenset, losses)
        if not works([name], formulas, loss)[name]
    )


@given(models(), CHANCES)
def test_diagrams_say_what_trying_every_loss_says(formulas: Formulas, lost: Mapping[str, float]) -> None:
    diagram = Diagram(formulas, formulas)
    for name in formulas:
        expected = weighed(name, formulas, lost)
        assert isclose(diagram.fails(name, lost), expected, abs_tol=1e-12)
        chance = diagram.chance(name, lost)
        assert isclose(chance.fails, expected, abs_tol=1e-12)
        for part in PARTS:
            without = weighed(name, formulas, {**lost, part: 1.0}) - weighed(name, formulas, {**lost, part: 0.0})
            assert isclose(chance.birnbaum.get(part, 0.0), without, abs_tol=1e-12)


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n))), st.floats(1e-6, 0.5))
def test_k_of_n_fails_as_the_textbook_says(k_of_n: tuple[int, int], chance: float) -> None:
    k, n = k_of_n
    names = [f"m{number}" for number in range(n)]
    diagram = Diagram(["vote"], {"vote": AtLeast(k, tuple(names))})
    expected = sum(comb(n, lost) * chance**lost * (1 - chance) ** (n - lost) for lost in range(n - k + 1, n + 1))
    assert isclose(diagram.fails("vote", dict.fromkeys(names, chance)), expected, rel_tol=1e-9)


def test_series_and_parallel_are_those_of_the_textbook_however_rare() -> None:
    lost = dict.fromkeys("abc", 1e-9)
    diagram = Diagram(["all", "any"], {"all": every(*"abc"), "any": some(*"abc")})
    assert isclose(diagram.fails("any", lost), 1e-27, rel_tol=1e-12)
    assert isclose(diagram.fails("all", lost), 3e-9, rel_tol=1e-8)


def test_a_diagram_that_would_be_too_large_is_not_built() -> None:
    names = tuple(f"m{number}" for number in range(40))
    with pytest.raises(TooLarge, match="more than 100 nodes"):
        Diagram(["vote"], {"vote": majority(*names)}, most=100)


@settings(max_examples=60)
@given(models(), st.integers(1, 3), st.integers(0, 3))
def test_intervals_hold_what_is_true(formulas: Formulas, order: int, seed: int) -> None:
    """With dice that are the same in every run, of which none is one of the few that miss."""
    for name in formulas:
        found = sampled(name, formulas, SOME, Random(seed), order=order, samples=400)
        assert found.low - 1e-12 <= weighed(name, formulas, SOME) <= found.high + 1e-12


@pytest.mark.parametrize("order", [1, 2])
def test_what_only_larger_losses_stop_is_not_cut_off(order: int) -> None:
    formulas: Formulas = {"any": some(*"abcd")}
    found = sampled("any", formulas, dict.fromkeys("abcd", 0.3), Random(1), order=order, samples=4000)
    assert 0 < found.low < 0.3**4 < found.high


def test_rare_events_are_found_with_few_samples() -> None:
    names = tuple(f"m{number}" for number in range(5))
    chance = 1e-5
    formulas: Formulas = {"vote": majority(*names)}
    found = sampled("vote", formulas, dict.fromkeys(names, chance), Random(1), order=3, samples=2000)
    expected = Diagram(["vote"], formulas).fails("vote", dict.fromkeys(names, chance))
    assert found.low <= expected <= found.high
    assert found.high - found.low < 0.05 * expected

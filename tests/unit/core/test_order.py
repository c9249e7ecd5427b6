from __future__ import annotations

from typing import Literal

import pytest

from quorate.core.order import may_disturb, needed
from quorate.core.verdict import Verdict, failing, ok, unknown
from worlds.clouds import hosts

Rule = Literal["majority", "one"]
WORDS = {"o": ok("synced"), "u": unknown("no answer"), "f": failing("stopped")}


def members(states: str) -> dict[str, Verdict]:
    return dict(zip(hosts(len(states)), (WORDS[state] for state in states), strict=True))


@pytest.mark.parametrize(
    ("rule", "controllers", "arbiter", "least"),
    [
        ("majority", 1, False, 0),
        ("majority", 1, True, 0),
        ("majority", 2, False, 2),
        ("majority", 2, True, 1),
        ("majority", 3, False, 2),
        ("majority", 4, True, 2),
        ("majority", 5, False, 3),
        ("majority", 7, False, 4),
        ("one", 1, False, 0),
        ("one", 2, False, 1),
        ("one", 3, False, 1),
        ("one", 5, True, 1),
    ],
)
def test_needed(rule: Rule, controllers: int, arbiter: bool, least: int) -> None:
    assert needed(rule, controllers, arbiter=arbiter) == least


@pytest.mark.parametrize(
    ("rule", "states", "arbiter", "allowed"),
    [
        ("majority", "o", False, True),  # one controller survives nothing, so nothing is asked of it
        ("majority", "u", False, True),
        ("majority", "oo", False, False),  # two without an arbiter: one alone is no majority
        ("majority", "oo", True, True),
        ("majority", "ou", True, False),
        ("majority", "of", True, False),
        ("majority", "fu", True, True),  # one that is ill anyway
        ("majority", "ooo", False, True),
        ("majority", "oou", False, False),  # unknown counts as not well
        ("majority", "oof", False, False),
        ("majority", "uoo", False, True),  # itself unknown, the others carry it
        ("majority", "uou", False, False),
        ("majority", "fuu", False, True),
        ("majority", "ooouu", False, False),
        ("majority", "ooooo", False, True),
        ("majority", "oooou", False, True),
        ("majority", "oooff", False, False),
        ("one", "oo", False, True),
        ("one", "ou", False, False),
        ("one", "of", False, False),
        ("one", "oou", False, True),
        ("one", "ouf", False, False),
    ],
)
def test_may_disturb_the_first(rule: Rule, states: str, arbiter: bool, allowed: bool) -> None:
    assert (may_disturb("c1", members(states), rule, arbiter=arbiter) is None) is allowed


def test_the_refusal_says_who_is_not_well_and_why() -> None:
    why = may_disturb("c1", members("oou"), "majority", arbiter=False)
    assert why == ("interrupting c1 would leave 1 healthy member, 2 needed (c2 ok: synced; c3 unknown: no answer)")


def test_nothing_is_known_of_a_system_that_judged_nobody() -> None:
    assert may_disturb("c1", {}, "one", arbiter=False) is not None

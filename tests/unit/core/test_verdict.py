from __future__ import annotations

import pytest

from quorate.core.verdict import Judgement, Level, Verdict, failing, merge, ok, unknown


@pytest.mark.parametrize(
    ("verdicts", "merged"),
    [
        ([], unknown("nothing was checked")),
        ([ok("a"), ok("b")], ok("a; b")),
        ([ok("a"), unknown("b")], unknown("b")),
        ([failing("c"), unknown("b"), ok("a")], failing("c")),
        ([failing("c"), failing("d"), failing("c")], failing("c; d")),
    ],
)
def test_the_worst_wins_and_says_why(verdicts: list[Verdict], merged: Verdict) -> None:
    assert merge(verdicts) == merged


def test_a_judgement_is_as_bad_as_its_worst_part() -> None:
    assert Judgement(ok("a"), {"c1": ok("b"), "c2": unknown("c")}).verdict == unknown("c")
    assert Judgement(failing("a"), {"c1": ok("b")}).verdict == failing("a")


def test_words() -> None:
    assert [level.word for level in sorted(Level)] == ["ok", "unknown", "failing"]
    assert ok("a").is_ok
    assert not unknown("a").is_ok
    assert not failing("a").is_ok

from __future__ import annotations

import pytest

from quorate.core.failure import LOOSE, NOTICEABLE, Pause, Stage, holds, longest, predict


def pause(function: str, seconds: float, *after: str) -> Pause:
    return Pause(function, "because", (Stage("a", seconds / 2, "here"), Stage("b", seconds / 2, "there")), after=after)


USES = {"tokens": ("address", "servers"), "address": (), "writes": ("address",)}


def test_a_function_is_out_until_the_slowest_of_what_it_rests_on_is_back() -> None:
    pauses = [pause("address", 3.0), pause("servers", 1.0)]
    tokens, writes, cache = predict(["tokens", "writes", "cache"], USES, pauses, bounded=True)
    assert (tokens.seconds, writes.seconds, cache.seconds) == (3.0, 3.0, 0.0)
    assert [one.function for one in tokens.chain] == ["address"]


def test_what_begins_only_afterwards_is_added() -> None:
    pauses = [pause("membership", 1.5), pause("address", 2.0, "membership"), pause("servers", 3.0)]
    (tokens,) = predict(["tokens"], USES, pauses, bounded=True)
    assert tokens.seconds == 3.5
    assert [one.function for one in tokens.chain] == ["membership", "address"]


def test_nothing_is_promised_of_what_is_beyond_the_redundancy() -> None:
    (tokens,) = predict(["tokens"], USES, [pause("address", 3.0)], bounded=False)
    assert tokens.seconds is None
    assert tokens.chain


def test_a_circle_is_named() -> None:
    with pytest.raises(ValueError, match="a, b, a"):
        longest("a", {"a": ("b",), "b": ("a",)}, ())


@pytest.mark.parametrize(
    ("predicted", "measured", "kept"),
    [
        (None, [5.0], True),
        (2.0, [], False),
        (2.0, [1.9, 1.0, 0.8], True),
        (2.0, [2.01, 1.0, 0.8], False),  # more than was said
        (3.1, [1.0], False),  # three times as much as there is says little
        (LOOSE, [1.0], True),
        (0.0, [0.0, 0.0], True),
        (0.0, [NOTICEABLE], True),
        (0.0, [NOTICEABLE + 0.1], False),
        (NOTICEABLE, [0.0], True),
        (1.0, [0.0], False),  # a pause was promised and did not come: a finding, too
        (4.0, [3.0, 1.0, 2.0, 1.5], True),
        (6.0, [3.0, 1.0, 2.0, 1.5], False),
    ],
)
def test_when_a_prediction_holds(predicted: float | None, measured: list[float], kept: bool) -> None:
    assert holds(predicted, measured) is kept


@pytest.mark.parametrize(
    ("predicted", "measured", "kept"), [(2.0, 2.5, True), (2.0, 2.51, False), (2.0, 0.2, True), (2.2, 0.2, False)]
)
def test_who_asks_twice_a_second_knows_no_better(predicted: float, measured: float, kept: bool) -> None:
    assert holds(predicted, [measured], 0.5) is kept

"""The verdict of bench/soak.py: what is growth, and what is not."""

from __future__ import annotations

import pytest
import soak
from soak import Look, Soak


def looks(*memory: float, descriptors: int = 10) -> list[Look]:
    return [Look(10.0 * number, mib, mib + 9, descriptors, 3) for number, mib in enumerate(memory)]


def test_a_slope_is_not_changed_by_a_few_odd_points() -> None:
    points = [(float(x), 2.0 * x) for x in range(20)]
    points[3], points[11] = (3.0, 500.0), (11.0, -500.0)
    assert soak.slope(points) == pytest.approx(2.0, abs=0.1)
    assert soak.slope([(1.0, 5.0)]) == 0.0


def test_memory_that_grows_at_first_and_then_stays_is_no_leak() -> None:
    told = soak.judged(Soak(0.0, looks(20, 30, 40, 41, 41, 42, 41, 41)), 80.0)
    assert told["leaks"] == []
    assert told["pss_mib"]["first"] == 20


def test_memory_that_goes_on_growing_is_a_leak() -> None:
    told = soak.judged(Soak(0.0, looks(*range(20, 60, 3))), 140.0)
    assert told["leaks"] == ["pss_mib", "rss_mib"]


def test_one_descriptor_more_in_the_second_half_is_a_leak() -> None:
    seen = looks(*[20.0] * 8) + [Look(80.0 + 10 * n, 20.0, 29.0, 10 + n // 4, 3) for n in range(9)]
    assert soak.judged(Soak(0.0, seen), 170.0)["leaks"] == ["descriptors"]


def test_requests_are_told_as_hours_of_a_site() -> None:
    seen = Soak(0.0, looks(20, 20, 20, 20), {"c50": [100.0, 100.0, 300.0, 300.0]})
    seen.tally.requests = 2000 * 3600 * 3
    told = soak.judged(seen, 60.0)
    assert told["hours_at_2000_per_second"] == 3.0
    assert told["p99_us"] == {"c50": [100, 300]}
    assert "3.0 hours of 2000 a second" in soak.told(told)


def test_what_was_wrong_is_told() -> None:
    seen = Soak(0.0, looks(20, 20, 20, 20))
    assert "wrong: none" in soak.told(soak.judged(seen, 60.0))
    seen.tally.wrong.append("mixed: closed")
    assert "wrong: mixed: closed" in soak.told(soak.judged(seen, 60.0))

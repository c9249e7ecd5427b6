from __future__ import annotations

import math

import pytest

from quorate.core.findings import Latency
from quorate.report.latency import RAREST, _curve, _named


def test_a_curve_never_rises_above_the_worst_that_was_measured() -> None:
    told = Latency(operations=100, failed=1, p50=3, p90=8, p99=3001, worst=3001, counts=((5, 80), (10, 19), (5000, 1)))
    curve = _curve(told)
    assert curve[0] == (0.0, math.log10(5))
    assert [height for _, height in curve] == sorted(height for _, height in curve)
    assert curve[-1] == pytest.approx((2.0, math.log10(3001)))
    assert all(0 <= nines <= RAREST for nines, _ in curve)


def test_figures_rarer_than_the_operations_allow_are_left_out() -> None:
    told = Latency(operations=20, failed=0, p50=1, p90=10, p99=100, worst=100)
    assert [round(nines, 2) for nines, _ in _named(told)] == [0.3, 1.0, 1.3]


def test_one_operation_is_its_own_worst() -> None:
    told = Latency(operations=1, failed=0, p50=2, p90=2, p99=2, worst=2, counts=((5, 1),))
    assert _named(told) == [(0.0, math.log10(2))]
    assert _curve(told)[-1] == (0.0, math.log10(2))

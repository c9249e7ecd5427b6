"""When a late read is asked of another copy, and how many may be."""

from __future__ import annotations

from quorate.balancer.hedging import BURST, ENOUGH, FLOOR, PERIOD, SHARE, Hedging
from quorate.balancer.metrics import Latency


def _seen(*times: tuple[float, int]) -> Hedging:
    """One server that answered so many reads in so many seconds within a period."""
    latency = Latency()
    hedging = Hedging([latency], 0.015, 0.06)
    for seconds, count in times:
        latency.add(seconds, count)
    hedging.look(PERIOD)
    return hedging


def test_the_delay_is_what_was_configured_until_enough_is_known() -> None:
    assert _seen((0.040, ENOUGH - 1)).delays == [0.015]


def test_a_quick_server_is_not_waited_for_longer_than_one_look() -> None:
    assert _seen((0.0002, 1000)).delays == [FLOOR]


def test_the_delay_follows_what_95_of_100_reads_take() -> None:
    (delay,) = _seen((0.001, 900), (0.020, 100)).delays
    assert 0.020 <= delay <= 0.040


def test_few_slow_reads_do_not_raise_the_delay() -> None:
    assert _seen((0.001, 960), (0.020, 40)).delays == [FLOOR]


def test_the_delay_is_never_beyond_the_time_at_which_the_server_is_given_up() -> None:
    assert _seen((2.0, 100)).delays == [0.06]


def test_only_what_was_seen_in_the_last_period_counts() -> None:
    latency = Latency()
    hedging = Hedging([latency], 0.015, 0.06)
    latency.add(0.030, 1000)
    hedging.look(PERIOD)
    latency.add(0.0001, 1000)
    hedging.look(1.5 * PERIOD)  # not due
    assert hedging.delays[0] > 0.030
    hedging.look(2 * PERIOD)
    assert hedging.delays == [FLOOR]


def test_the_budget_is_a_share_of_all_reads() -> None:
    hedging = _seen()
    assert hedging.spend(int(BURST))
    assert not hedging.spend(1)
    hedging.latencies[0].add(0.001, 50)
    hedging.look(2 * PERIOD)
    assert hedging.spend(int(50 * SHARE))
    assert not hedging.spend(1)


def test_the_budget_is_never_more_than_a_burst() -> None:
    hedging = _seen((0.001, 10_000_000))
    assert hedging.budget == BURST

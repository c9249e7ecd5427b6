"""How often jobs run: held to the manuals' examples, and to a repository of keys that is rotated by them."""

from __future__ import annotations

from datetime import date
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.audit.schedules import Schedule, calendar, cron, most

HOUR, DAY = 3600, 86400
A_YEAR = 365


def days(when: Schedule | None) -> int:
    """On how many days of 2025 it runs."""
    assert when is not None
    return sum(bool(when.on(date.fromordinal(date(2025, 1, 1).toordinal() + n))) for n in range(A_YEAR))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0 0 * * *", 365),
        ("@weekly", 52),
        ("@monthly", 12),
        ("0 4 * * mon-fri", 261),
        ("0 4 * * 7", 52),
        ("0 4 * * 5-7", 156),
        ("30 4 1,15 * 5", 74),  # crontab(5): the 1st and 15th of each month, and every Friday
        ("0 0 */2 * 1", 27),  # one that begins with a star restricts together with the other
        ("0 0 1 jan,jul *", 2),
    ],
)
def test_crontabs(text: str, count: int) -> None:
    assert days(cron(text)) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("daily", 365),
        ("weekly", 52),
        ("quarterly", 4),
        ("Mon..Fri 03:00", 261),
        ("Fri..Sun *-*-* 00/6:00:00 UTC", 156),
        ("Mon,Tuesday 12:30", 104),
        ("*-*-1..7 18:00", 84),
        ("Sat *-*-1..7 18:00", 12),
        ("*:0/15", 365),
    ],
)
def test_calendars(text: str, count: int) -> None:
    assert days(calendar(text)) == count


@pytest.mark.parametrize("text", ["", "* * * *", "0/5 * * * *", "60 * * * *", "5-1 * * * *", "*/0 * * * *", "@reboot"])
def test_what_cron_does_not_take_is_not_known(text: str) -> None:
    assert cron(text) is None


@pytest.mark.parametrize(
    "text", ["", "2025-*-* 00:00", "*-*~01 00:00", "*:*:*/10", "Mon..Fri..Sat", "soon", "25:00", "*-*-*T", "Sun..Mon"]
)
def test_a_calendar_that_is_not_understood_is_not_known(text: str) -> None:
    assert calendar(text) is None


def known(*texts: str) -> list[Schedule]:
    found = [cron(text) for text in texts]
    return [one for one in found if one]


@pytest.mark.parametrize("hours", [1, 2, 3, 4, 6, 8, 12, 24])
@given(seconds=st.integers(1, 30 * DAY))
def test_a_steady_rotation_goes_by_the_documented_formula(hours: int, seconds: int) -> None:
    schedule = known(f"0 {f'*/{hours}' if hours < 24 else '0'} * * *")
    assert most(schedule, seconds) == ceil(seconds / (hours * HOUR))


def test_schedules_count_together_and_each_moment_once() -> None:
    assert most(known("0 0 * * *", "0 12 * * *", "0 12 * * *"), DAY) == 2
    assert most(known("0 0 1 * *"), 29 * DAY) == 2  # from February to March
    assert most([], DAY) == 0


FEW = st.lists(st.tuples(st.integers(0, 59), st.integers(0, 23), st.integers(0, 6)), min_size=1, max_size=6)


@given(FEW, st.integers(1, 14 * DAY // 60))
def test_so_many_keys_and_two_more_are_just_enough(jobs: list[tuple[int, int, int]], minutes: int) -> None:
    """A repository is rotated by the schedule; tokens are made at the worst moment, right before a rotation."""
    times = sorted({(7 * week + day) * 1440 + hour * 60 + minute for week in range(12) for minute, hour, day in jobs})
    needed = most(known(*(f"{minute} {hour} * * {day}" for minute, hour, day in jobs)), minutes * 60) + 2

    def void(active: int) -> bool:
        """Whether any token loses its key before it expires, with so many keys kept."""
        return any(
            sum(made <= time < made + minutes for time in times) > active - 2 for made in times if made < 6 * 7 * 1440
        )

    assert not void(needed)
    assert void(needed - 1)

"""How often something is run that is run again and again: cron's times and systemd's calendar.

Sources: crontab(5), systemd.time(7). What is not understood (the last day of a month, years, fractions of a minute) is
None: nobody knows how often that is.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType

_MINUTES, _HOURS, _DAYS, _MONTHS, _WEEKDAYS = range(60), range(24), range(1, 32), range(1, 13), range(8)
_DAY_NAMES = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_FROM_MONDAY = {**_DAY_NAMES, "sun": 7}
"""As systemd counts, so that a range may end with Sunday."""
_MONTH_NAMES = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_NO_NAMES: Mapping[str, int] = MappingProxyType({})
_CRON = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip
_CALENDAR = {
    "minutely": "*-*-* *:*:00", "hourly": "*-*-* *:00:00", "daily": "*-*-* 00:00:00", "monthly": "*-*-01 00:00:00",
    "weekly": "Mon *-*-* 00:00:00", "yearly": "*-01-01 00:00:00", "annually": "*-01-01 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00", "semiannually": "*-01,07-01 00:00:00",
}  # fmt: skip
_FIRST, _LOOKED_AT = date(2025, 1, 1), 400
"""A year without a leap day, and days enough to see where it begins again."""
_MANY = 24
"""Schedules that are looked at; more would only be more often."""
_A_DAY = 24 * 60


@dataclass(frozen=True)
class Schedule:
    """Every minute whose parts are all among these. `weekdays`: 0 is Sunday.

    `either`: a day counts when it is one of `days` or one of `weekdays`, as cron has it where both are said.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool = False

    def on(self, day: date) -> frozenset[int]:
        """The minutes of that day at which it runs."""
        days = (day.day in self.days, day.isoweekday() % 7 in self.weekdays)
        if day.month not in self.months or not (any(days) if self.either else all(days)):
            return frozenset()
        return frozenset(hour * 60 + minute for hour in self.hours for minute in self.minutes)


def most(schedules: Iterable[Schedule], seconds: float) -> int:
    """Say how often something on all these schedules runs within so many seconds, at the worst moment to begin."""
    several = list(dict.fromkeys(schedules))[:_MANY]
    times: list[int] = []
    for number in range(_LOOKED_AT):
        day = _FIRST + timedelta(days=number)
        times += (number * _A_DAY + minute for minute in sorted(frozenset().union(*(one.on(day) for one in several))))
    return max((bisect_left(times, time + seconds / 60) - place for place, time in enumerate(times)), default=0)


def cron(text: str) -> Schedule | None:
    """Read the five fields of a crontab, or a word for them."""
    fields = _CRON.get(text.lower(), text).lower().split()
    if len(fields) != 5:
        return None
    minutes, hours, days, months, weekdays = fields
    return _schedule(
        _values(minutes, _MINUTES),
        _values(hours, _HOURS),
        _values(days, _DAYS),
        _values(months, _MONTHS, _MONTH_NAMES),
        _values(weekdays, _WEEKDAYS, _DAY_NAMES),
        either=not days.startswith("*") and not weekdays.startswith("*"),
    )


def calendar(text: str) -> Schedule | None:
    """Read a value of OnCalendar=: weekdays, a date and a time, of which each may be left out."""
    match = re.fullmatch(
        r"(?:(?P<weekdays>[a-z][a-z,.]*)\s*)?(?:\*-(?P<months>[^\s-]+)-(?P<days>[^\s-]+)\s*)?"
        r"(?:(?P<hours>[^\s:]+):(?P<minutes>[^\s:]+)(?::\d\d?)?)?(?:\s*utc)?",
        _CALENDAR.get(text.strip().lower(), text).strip().lower(),
    )
    if match is None or not match[0]:
        return None
    weekdays = ",".join(re.sub(r"[a-z]+", lambda name: name[0][:3], match["weekdays"] or "mon..sun").split(","))
    return _schedule(
        _values(match["minutes"] or "0", _MINUTES, through=".."),
        _values(match["hours"] or "0", _HOURS, through=".."),
        _values(match["days"] or "*", _DAYS, through=".."),
        _values(match["months"] or "*", _MONTHS, through=".."),
        _values(weekdays, _WEEKDAYS, _FROM_MONDAY, through=".."),
    )


def _schedule(*parts: frozenset[int] | None, either: bool = False) -> Schedule | None:
    known = [part for part in parts if part]
    if len(known) < len(parts):
        return None
    minutes, hours, days, months, weekdays = known
    return Schedule(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), either)


def _values(
    text: str, among: range, names: Mapping[str, int] = _NO_NAMES, *, through: str = "-"
) -> frozenset[int] | None:
    """Read a list of values, ranges and steps; None where one is not understood."""
    found: set[int] = set()
    for part in text.split(","):
        body, slash, step = part.partition("/")
        low, dash, high = body.partition(through)
        if body == "*":
            first, last = among[0], among[-1]
        elif slash and not dash and through == "-":  # cron takes a step of a range only
            return None
        else:
            first = _number(low, names)
            last = _number(high, names) if dash else among[-1] if slash else first
        wide = _number(step, _NO_NAMES) if slash else 1
        if first not in among or last not in among or wide < 1:
            return None
        found.update(range(first, last + 1, wide))
    return frozenset(found)


def _number(text: str, names: Mapping[str, int]) -> int:
    """Read a number or a name; -1 for what is neither."""
    return int(text) if re.fullmatch("[0-9]{1,4}", text) else names.get(text, -1)

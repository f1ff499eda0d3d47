"""When a message may leave: in hours when somebody is at work to read it.

E-mail on working days 07-17, SMS on working days 07-19, in Swedish wall time: the window opens at seven whatever the
offset from UTC is that day. What the model lists (`burden_policy.any_hour`) leaves at once. Source: the dialogue
model's rule on quiet hours; public holidays as in the Act (1989:253), with the eves that are not worked.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

import holidays

Mode = Literal["working_hours", "always"]

ZONE: Final = ZoneInfo("Europe/Stockholm")
OPENS: Final = time(7)
CLOSES: Final = {"email": time(17), "sms": time(19)}
_EVES: Final = frozenset({(12, 24), (12, 31)})


def next_open(channel: str, at: datetime, mode: Mode = "working_hours", *, any_hour: bool = False) -> datetime:
    """The first moment, not before `at`, when this channel may be used."""
    if any_hour or mode == "always":
        return at
    wall = at.astimezone(ZONE)
    day = wall.date()
    if is_working_day(day):
        if wall.time() < OPENS:
            return _opening(day)
        if wall.time() < CLOSES.get(channel, time(17)):
            return at
    day += timedelta(days=1)
    while not is_working_day(day):
        day += timedelta(days=1)
    return _opening(day)


def is_working_day(day: date) -> bool:
    """Monday to Friday, no public holiday, no eve that is free."""
    free = day.weekday() >= 5 or (day.month, day.day) in _EVES or day in _holidays(day.year)
    return not (free or _is_midsummer_eve(day))


def _is_midsummer_eve(day: date) -> bool:
    return day.month == 6 and day.weekday() == 4 and 19 <= day.day <= 25


def _opening(day: date) -> datetime:
    return datetime.combine(day, OPENS, ZONE).astimezone(UTC)


@lru_cache(maxsize=16)
def _holidays(year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("SE", years=year, include_sundays=False))

"""When somebody is at work in Sweden, told anew: days by the Act (1989:253) and Gauss's Easter, not by a library.

For the oracle alone: what it checks the notifier's windows by must not be the notifier's own.
"""

from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

STOCKHOLM: Final = ZoneInfo("Europe/Stockholm")
CLOSES: Final = {"email": time(17), "sms": time(19)}


def easter(year: int) -> date:
    """Easter Day (the anonymous Gregorian algorithm)."""
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return date(year, f // 31, f % 31 + 1)


def free_days(year: int) -> frozenset[date]:
    """Days from Monday to Friday on which nobody works."""
    fixed = ((1, 1), (1, 6), (5, 1), (6, 6), (12, 24), (12, 25), (12, 26), (12, 31))
    moving = (-2, 1, 39)  # Good Friday, Easter Monday, Ascension Day
    midsummer_eve = next(date(year, 6, day) for day in range(19, 26) if date(year, 6, day).weekday() == 4)
    return frozenset(
        {*(date(year, *day) for day in fixed), *(easter(year) + timedelta(days=n) for n in moving), midsummer_eve}
    )


def in_window(channel: str, moment: datetime) -> bool:
    """Whether a message of this channel may leave at this moment, for a reader at work."""
    wall = moment.astimezone(STOCKHOLM)
    works = wall.weekday() < 5 and wall.date() not in free_days(wall.year)
    return works and time(7) <= wall.time() < CLOSES[channel]

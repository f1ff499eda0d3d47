"""Working days in Sweden, and where a Swedish day begins and ends.

Saturdays, Sundays, public holidays and the eves of Christmas, New Year and midsummer are not working days (lag
1930:173 om beräkning av lagstadgad tid, 2 §).
"""

import calendar
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import holidays

ZONE = ZoneInfo("Europe/Stockholm")


@cache
def _holidays() -> Any:
    return holidays.country_holidays("SE", categories=("public", "de_facto"))


def is_working_day(day: date) -> bool:
    """Whether people work on that day."""
    return day.weekday() < 5 and day not in _holidays()


def on_or_after(day: date) -> date:
    """The day itself, or the next working day."""
    while not is_working_day(day):
        day += timedelta(days=1)
    return day


def on_or_before(day: date) -> date:
    """The day itself, or the last working day before it."""
    while not is_working_day(day):
        day -= timedelta(days=1)
    return day


def add_months(day: date, months: int) -> date:
    """The same day some calendar months later, or that month's last: two months are not sixty days."""
    count = day.month - 1 + months
    year, month = day.year + count // 12, count % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def at(day: date, hour: int = 0) -> datetime:
    """A local hour of that day."""
    return datetime.combine(day, time(hour), ZONE)


def end_of(day: date) -> datetime:
    """The end of the local day: an answer at 23:30 on the last day is in time."""
    return at(day + timedelta(days=1))


def local_day(moment: datetime) -> date:
    """The Swedish calendar day of a moment."""
    return moment.astimezone(ZONE).date()

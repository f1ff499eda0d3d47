"""When digests are made: weekly on the model's day and at its time, daily on each working day at that time.

The time is local wall time. Where a changeover to summer time leaves it out, the moment comes as much later as the
clock jumps (02:30 is then 03:30); where the changeover back has it twice, the first of them counts: either way once. A
day on which nobody works gives way to the next working day. A message that waits knows its moment: whoever comes back
after a moment that was missed finds what it was for, and makes it once.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Final, Literal

from schemas.model import Digest
from services.notifier.policy.windows import ZONE, is_working_day

MOST_ITEMS: Final = 10
"""Rounds that a digest shows; its page has the rest."""
MOST_ROUNDS: Final = 100
"""Rounds that one digest carries; what is due last waits for the next."""
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday")


def next_run(rule: Digest, after: datetime, *, daily: bool = False) -> datetime:
    """The first digest later than `after`."""
    at = time.fromisoformat(rule.time)
    first = after.astimezone(ZONE).date() - timedelta(days=14)  # a moved day may be days later than its own
    days = (first + timedelta(days=n) for n in count())
    nominal = days if daily else (day for day in days if day.weekday() == _WEEKDAYS.index(rule.weekday))
    return next(moment for moment in _moments(nominal, at) if moment > after)


def gathered(waits: Iterable[str]) -> Literal["daily", "weekly", "ring", "budget"]:
    """Why matters come together, as their reader is told: by its own wish, because such matters come once a week, or so
    as not to ask too often.
    """
    why = set(waits)
    if why == {"daily"}:
        return "daily"
    if why <= {"daily", "weekly"}:
        return "weekly"
    return "ring" if why <= {"daily", "weekly", "digest_ring"} else "budget"


def _moments(days: Iterator[date], at: time) -> Iterator[datetime]:
    return (wall(_on_or_after(day), at) for day in days)


def wall(day: date, at: time) -> datetime:
    """A local wall time as a moment: later by the gap where the day leaves it out, the first where it has two."""
    return datetime.combine(day, at, ZONE).astimezone(UTC)


def _on_or_after(day: date) -> date:
    while not is_working_day(day):
        day += timedelta(days=1)
    return day

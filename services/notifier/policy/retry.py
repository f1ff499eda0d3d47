"""When a message that was not accepted is tried again: 5, 15, 30, 60 minutes, then hourly, for 48 hours.

Greylisting (RFC 6647) lets the second try through; a full mailbox may be emptied in two days; nothing is sent past its
expiry, because an invitation that comes too late is worse than none.
"""

from datetime import datetime, timedelta
from typing import Final

STEPS: Final = (5, 15, 30, 60)
"""Minutes after the first, second, third and every later attempt."""
LONGEST: Final = timedelta(hours=48)
BREAKER_FIRST: Final = 5.0
BREAKER_LONGEST: Final = 300.0


def next_try(
    attempts: int, now: datetime, created_at: datetime, expires_at: datetime, wait: float | None = None
) -> datetime | None:
    """The next attempt, or None when there is no time left for one. `wait` is what the provider asked for, at least."""
    step = timedelta(minutes=STEPS[min(max(attempts, 1), len(STEPS)) - 1])
    due = now + max(step, timedelta(seconds=wait or 0))
    return due if due < min(created_at + LONGEST + step, expires_at) else None


def breaker_wait(failures: int, asked: float | None) -> float:
    """Seconds that a channel in trouble is left alone: longer each time, or as long as it asked for."""
    return max(asked or 0.0, min(BREAKER_LONGEST, BREAKER_FIRST * 2.0 ** (min(failures, 10) - 1)))

"""How many wrong codes are taken in a minute, from everybody together.

Behind a proxy everybody has one address, and whoever guesses has many; so the sum is what counts. Codes are typed from
letters, a few a day: a person's slips never come near, and guessing at all times would take longer than letters are
open. While it is too many, nobody's code is looked at; the link in the letter's QR is not typed, and leads as ever.
"""

from collections import deque
from datetime import datetime, timedelta
from typing import Final

MOST_WRONG: Final = 30
WITHIN: Final = timedelta(minutes=1)


class Guesses:
    """Of one process."""

    def __init__(self) -> None:
        self._wrong: deque[datetime] = deque(maxlen=MOST_WRONG)

    def wrong(self, now: datetime) -> None:
        """Somebody typed a code that is none."""
        self._wrong.append(now)

    def wait(self, now: datetime) -> int:
        """Seconds until a code is looked at again; nought where it is now."""
        if len(self._wrong) < MOST_WRONG:
            return 0
        left = self._wrong[0] + WITHIN - now
        return max(0, -(-left // timedelta(seconds=1)))

"""How fast a provider is given messages after it said "too fast": half of what it got in that minute, then slowly more.

Half at once and a quarter more for each minute without complaint (additive caution costs an hour where a provider was
only busy; none costs the sender its name). Until the first complaint, and again at twice the pace that led to it, there
is no limit. Complaints of one minute are one: the calls under way all meet the same answer.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

_MINUTE: Final = timedelta(minutes=1)
_HALF: Final = 2.0
_GROWTH: Final = 1.25
_FREE_AGAIN: Final = 2.0


@dataclass
class Pace:
    """Of one provider. `rate` is in messages a minute; None while nothing limits it."""

    rate: float | None = None
    _led_to: float = 0.0
    _since: datetime | None = None
    _given: int = 0
    _before: int = 0
    _complained: bool = False

    def given(self, now: datetime) -> None:
        """The provider was given one message."""
        self._roll(now)
        self._given += 1

    def too_fast(self, now: datetime) -> None:
        """The provider says so."""
        self._roll(now)
        if self._complained:
            return
        self._complained = True
        self._led_to = self.rate if self.rate is not None else float(max(self._given, self._before))
        self.rate = max(1.0, self._led_to / _HALF)

    def allowance(self, now: datetime) -> int | None:
        """How many it may be given still in this minute; None: as many as there are."""
        self._roll(now)
        return None if self.rate is None else max(0, int(self.rate) - self._given)

    def _roll(self, now: datetime) -> None:
        if self._since is None:
            self._since = now
        minutes = (now - self._since) // _MINUTE
        if minutes < 1:
            return
        if self.rate is not None:
            quiet = minutes - self._complained
            self.rate *= _GROWTH ** min(quiet, 60)
            if self.rate >= _FREE_AGAIN * self._led_to:
                self.rate = None
        self._before = self._given if minutes == 1 else 0
        self._since, self._given, self._complained = self._since + minutes * _MINUTE, 0, False

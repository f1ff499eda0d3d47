"""While sending is paused something says so, again and again: a forgotten pause is silence that nobody chose."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from services.notifier.ledger.pauses import Pause
from services.runtime.logs import logger
from services.runtime.metrics import ALARMS, SENDING_PAUSED

AGAIN: Final = timedelta(minutes=5)
"""How often it is said in the log and counted as an alarm."""


class PauseAlarm:
    """Told at every look what is paused; `note` is for whoever asks whether the service is ready."""

    def __init__(self, channels: Iterable[str]) -> None:
        self._channels = tuple(channels)
        self._said: datetime | None = None
        self.note = ""

    def see(self, pauses: Sequence[Pause], now: datetime) -> None:
        """What stands paused now."""
        for channel in self._channels:
            SENDING_PAUSED.labels(channel).set(any(pause.holds(channel) for pause in pauses))
        self.note = "; ".join(f"{pause.what} is paused: {pause.reason}" for pause in pauses)
        if not pauses:
            self._said = None
        elif self._said is None or now - self._said >= AGAIN:
            self._said = now
            self._say(pauses, now)

    def _say(self, pauses: Sequence[Pause], now: datetime) -> None:
        for pause in pauses:
            channel = pause.channel or "all"
            ALARMS.labels(channel, "sending_paused").inc()
            seconds = int((now - pause.since).total_seconds())
            logger().warning("sending is paused", channel=channel, reason=pause.reason, seconds=seconds)

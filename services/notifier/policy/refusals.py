"""When a channel is stopped because too many of its messages are refused by policy (RFC 3463 X.7.x): it is about us.

A lost SPF record or a listed relay makes every message a refusal; each further one is failed for nothing and costs the
domain its name. One blocked content among hundreds is no reason to stop the others.
"""

from collections import deque
from typing import Final

LEAST: Final = 20
"""Messages that must have been tried before a share says anything."""
_WINDOW: Final = 200


class Refusals:
    """The latest outcomes of one channel. `most_percent` nought never stops."""

    def __init__(self, most_percent: int) -> None:
        self._most = most_percent / 100
        self._latest: deque[bool] = deque(maxlen=_WINDOW)

    def too_many(self, *, refused: bool) -> bool:
        """Takes one more outcome; whether the channel is to be stopped now. What led to a stop is then forgotten, so
        that after it was lifted the next outcomes count.
        """
        self._latest.append(refused)
        if not (self._most and refused and len(self._latest) >= LEAST):
            return False
        stop = sum(self._latest) > self._most * len(self._latest)
        if stop:
            self._latest.clear()
        return stop

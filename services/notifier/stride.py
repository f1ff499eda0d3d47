"""How many messages are claimed for a channel at once: what it takes in a few seconds.

What is claimed goes before whatever comes after it, however urgent that is, and what of it was begun is unknown after a
crash. So a slow channel gets little at a time, and a fast one enough that the ledger's cost per claim does not count.
"""

from dataclasses import dataclass
from typing import Final

_SECONDS: Final = 3.0
_BEGIN: Final = 100
"""Messages, before anything is known of the channel."""


@dataclass
class Stride:
    """One channel's. `least` keeps all its calls busy, `most` is the installation's limit."""

    least: int
    most: int
    _claim: int = _BEGIN

    @property
    def claim(self) -> int:
        """Messages to claim next."""
        return min(self._claim, self.most)

    def took(self, messages: int, seconds: float) -> None:
        """A whole claim was handled in so long. A part of one says little of the channel."""
        if messages >= self.claim:
            taken = messages / seconds * _SECONDS if seconds > 0 else self.most
            self._claim = max(self.least, int(min(taken, self.most)))

"""When cases are looked at again: after each complete import, at each assignment of partitions, when somebody
subscribes or leaves, and when an older state of a round was written over a newer one. Rounds are closed by the clock.

The loop never ends by itself. A broker that is away is asked again, and so is whatever nobody foresaw: were it to end,
no held round would ever open and nothing would say so. While it fails, the matcher is not ready.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from services.runtime.backoff import wait_after
from services.runtime.errors import Transient
from services.runtime.logs import logger

LOOK_SECONDS: Final = 0.5
"""How often imports and assignments are looked at."""


Work = Callable[[frozenset[int]], Awaitable[None]]


@dataclass(frozen=True)
class Due:
    """What there is to look at, and why: each is compared with what was last looked at."""

    import_number: int = 0
    owned: frozenset[int] = frozenset()
    """Our partitions of `cases`."""
    subscription: int = 0
    """How many changes of `subscriptions` concern open rounds."""
    overwrites: int = 0
    """How often rounds were written over."""


class Rematching:
    """`due` says what there is now, `rematch` does the work for our partitions, `close` ends what expired on them."""

    def __init__(self, due: Callable[[], Due], rematch: Work, close: Work) -> None:
        self._due = due
        self._rematch = rematch
        self._close = close
        self.failures = 0
        """In a row."""

    async def run(self) -> None:
        """Runs until it is cancelled."""
        done = Due()
        while True:
            due = self._due()
            if due.owned and due != done and await self._try(self._rematch, due.owned):
                done = due
            if due.owned and due == done:
                await self._try(self._close, due.owned)
            await asyncio.sleep(wait_after(self.failures) if self.failures else LOOK_SECONDS)

    async def _try(self, work: Work, owned: frozenset[int]) -> bool:
        try:
            await work(owned)
        except Exception as error:
            self.failures += 1
            what = str(error) if isinstance(error, Transient) else type(error).__name__
            logger().error(f"{work.__name__} failed", error=what, attempt=self.failures, wait=wait_after(self.failures))
            return False
        self.failures = 0
        return True

"""The relay: publishes what the outbox holds, at once when told and again until it is acknowledged."""

import asyncio
import contextlib

from services.runtime.backoff import wait_after
from services.runtime.errors import Transient
from services.runtime.logs import logger
from services.runtime.store.outbox import Outbox


class Relay:
    """One task. What it could not publish stays in the outbox, also over a restart."""

    def __init__(self, outbox: Outbox, *, poll: float) -> None:
        self._outbox = outbox
        self._poll = poll
        self.waiting = asyncio.Event()
        self.failures = 0

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping`, and then once more, so that what was just answered is told."""
        while not stopping.is_set():
            await self._once()
            await self._pause(stopping)
        await self._once()

    async def _once(self) -> None:
        self.waiting.clear()
        try:
            await self._outbox.flush()
            self.failures = 0
        except Transient as error:
            self.failures += 1
            logger().error("outbox not published", error=type(error).__name__, attempt=self.failures)

    async def _pause(self, stopping: asyncio.Event) -> None:
        """Until there is something to do; after a failure for longer each time."""
        events = [stopping] if self.failures else [stopping, self.waiting]
        timeout = wait_after(self.failures) if self.failures else self._poll
        tasks = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

"""Ops as a service: reads and tells, and changes nothing.

| reads                        | handler             | leads to                                     |
|------------------------------|---------------------|----------------------------------------------|
| committed offsets, log ends  | `LagWatch.run`      | metrics of lag; a log line per new verdict   |
| every `.dlq` topic           | `OpenLetters.apply` | a metric of letters that wait for somebody   |
"""

import asyncio
import contextlib

from schemas.topics import TOPICS
from services.ops.lag_command import Meter
from services.ops.settings import OpsSettings
from services.ops.watch import LagWatch, OpenLetters
from services.runtime.health import HealthServer
from services.runtime.tables import TableReader


class OpsApp:
    """One watcher: `start`, `stop`, and whether it is `ready`."""

    def __init__(self, settings: OpsSettings) -> None:
        kafka = settings.kafka
        self._meter = Meter(kafka)
        self._watch = LagWatch(self._meter.look, settings.ops.look_seconds)
        self.letters = OpenLetters()
        self._reader = TableReader(kafka, [kafka.topic(topic.dead_letters) for topic in TOPICS], self.letters.apply)
        self._health = HealthServer(settings.health, lambda: self.ready)
        self._watching: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether the dead letters are read and the last look at the lag succeeded."""
        return self._watching is not None and not self._watching.done() and self._watch.seeing

    @property
    def finished(self) -> "asyncio.Task[None] | None":
        """What looks; it never ends by itself."""
        return self._watching

    async def start(self) -> None:
        """Reads the dead letters to their ends, then looks."""
        await self._health.start()
        await self._reader.start()
        await self._reader.caught_up()
        self._watching = asyncio.create_task(self._watch.run(), name="lag watch")

    async def stop(self) -> None:
        """Leaves."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        await self._reader.stop()
        await asyncio.to_thread(self._meter.__exit__)
        await self._health.stop()


def build(settings: OpsSettings) -> OpsApp:
    """The composition root."""
    return OpsApp(settings)

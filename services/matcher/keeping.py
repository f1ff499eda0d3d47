"""Keeps the register in a local file while the matcher runs, and begins from it when the matcher starts.

Earlier registers stay beside it for as long as a round may have to be computed again, and so does the dialogue model
(`replay`); both are found by their hashes.

A file that cannot be used or written costs time at the next start and nothing else, so that is logged and never stops
the matcher. It is written only when no import is half read: rows that wait for their marker are not in the columns.
"""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from services.matcher import register_file
from services.matcher.register_file import Saved, Unusable
from services.matcher.tables.register import RegisterTable
from services.matcher.workplaces import Snapshot
from services.runtime.clock import Clock
from services.runtime.logs import logger
from services.runtime.settings import KafkaSettings
from services.runtime.tables import TableReader
from services.runtime.topic_admin import TOMBSTONE_MS, TopicAdmin

LONGEST: Final = timedelta(milliseconds=TOMBSTONE_MS / 2)
"""The oldest file that is used."""
AGAIN: Final = timedelta(hours=1)
"""So old a file is written anew, also where nothing changed: it must not be too old at the next start."""
LOOK_SECONDS: Final = 30.0


class Keeping:
    """The file of one register table and its reader."""

    def __init__(
        self,
        folder: Path,
        topic: str,
        kafka: KafkaSettings,
        table: RegisterTable,
        reader: TableReader,
        clock: Clock,
        *,
        replay: timedelta,
    ) -> None:
        self._folder, self._topic, self._kafka, self._replay = folder, topic, kafka, replay
        self._table, self._reader, self._clock = table, reader, clock
        self._topic_id = ""
        self._kept: tuple[Snapshot, datetime] | None = None

    async def begin(self) -> None:
        """Takes what the latest file has, where it can be used. Call before the reader starts."""
        self._topic_id, ends = await asyncio.to_thread(self._ask)
        for path in register_file.files(self._folder, self._topic)[:1]:
            try:
                saved = await asyncio.to_thread(register_file.read, path)
                saved.check(self._topic_id, ends, self._clock.now(), LONGEST)
            except (Unusable, OSError, ValueError, KeyError) as error:
                why = str(error) if isinstance(error, Unusable) else type(error).__name__
                logger().warning("register file not used", reason=why)
                continue
            self._table.begin(saved.register)
            self._reader.start_from({(self._topic, partition): at for partition, at in saved.positions.items()})
            self._kept = saved.register, saved.saved_at
            logger().info("register file used", import_number=saved.register.import_number, rows=saved.register.count)
            return

    async def run(self) -> None:
        """Keeps the file until it is cancelled."""
        while True:
            await self.keep()
            await asyncio.sleep(LOOK_SECONDS)

    async def keep(self) -> None:
        """Writes the file where there is something new to keep."""
        register, now = self._table.settled(), self._clock.now()
        if register is None or (self._kept and self._kept[0] is register and now - self._kept[1] < AGAIN):
            return
        positions = {partition: offset for (_, partition), offset in self._reader.positions.items()}
        saved = Saved(register, self._topic_id, positions, now)
        try:
            await asyncio.to_thread(register_file.write, self._folder, self._topic, saved)
            await asyncio.to_thread(register_file.forget, self._folder, self._topic, now - self._replay)
        except OSError as error:
            logger().warning("register file not written", error=type(error).__name__)
        self._kept = register, now

    def _ask(self) -> tuple[str, dict[int, int]]:
        with TopicAdmin(self._kafka.bootstrap, self._kafka.client()) as admin:
            ends = admin.ends([self._topic])
            return admin.topic_id(self._topic), {partition: end for (_, partition), end in ends.items()}


def keep_model(folder: Path, content_hash: str, model: bytes) -> None:
    """Keeps the dialogue model's file by its hash."""
    path = model_of(folder, content_hash)
    try:
        if not path.exists():
            path.write_bytes(model)
    except OSError as error:
        logger().warning("model file not written", error=type(error).__name__)


def model_of(folder: Path, content_hash: str) -> Path:
    """Where the dialogue model of a content hash is kept, if it is."""
    return folder / f"model-{content_hash}.json"

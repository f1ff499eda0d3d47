"""What `nardialog run ops` keeps an eye on: the lag of every group, and the dead letters with which nothing was done.

It tells by metrics, for whoever rings the bell, and by a line in the log when a verdict changes.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from services.ops import outcomes
from services.ops.lag import SEVERITY, History, Place, Reader, Verdict
from services.runtime.dead_letters import is_outcome
from services.runtime.errors import Transient
from services.runtime.logs import logger
from services.runtime.metrics import LAG_RECORDS, LAG_SECONDS, LAG_VERDICT, OPEN_LETTERS
from services.runtime.records import Record
from services.runtime.topic_admin import LagRow

WORTH_A_LOOK: Final = SEVERITY[Verdict.FALLS_BEHIND]
Look = Callable[[], tuple[list[LagRow], dict[Place, float | None]]]


class LagWatch:
    """Looks every so often; `seeing` while the last look succeeded."""

    def __init__(self, look: Look, seconds: float) -> None:
        self._look = look
        self._seconds = seconds
        self._history = History()
        self._verdicts: dict[tuple[str, str], Verdict] = {}
        self.seeing = False

    async def run(self) -> None:
        """Until it is cancelled. A broker that does not answer is asked again."""
        while True:
            try:
                rows, ages = await asyncio.to_thread(self._look)
            except Transient as error:
                self.seeing = False
                logger().error("lag not seen", error=str(error))
            else:
                self.seeing = True
                self.tell(self._history.readers(rows, ages))
            await asyncio.sleep(self._seconds)

    def tell(self, readers: Sequence[Reader]) -> None:
        """What one look comes to."""
        for gauge in (LAG_RECORDS, LAG_SECONDS, LAG_VERDICT):
            gauge.clear()  # a group that is gone is no longer told of
        for reader in readers:
            place = (reader.topic, reader.group)
            LAG_RECORDS.labels(*place).set(reader.unread)
            LAG_VERDICT.labels(*place).set(SEVERITY[reader.verdict])
            if reader.seconds is not None:
                LAG_SECONDS.labels(*place).set(reader.seconds)
            self._log(place, reader)

    def _log(self, place: tuple[str, str], reader: Reader) -> None:
        before, now = self._verdicts.get(place, Verdict.KEEPS_UP), reader.verdict
        self._verdicts[place] = now
        if before is now or max(SEVERITY[before], SEVERITY[now]) < WORTH_A_LOOK:
            return
        say = logger().warning if SEVERITY[now] >= WORTH_A_LOOK else logger().info
        say("lag", topic=reader.topic, group=reader.group, verdict=str(now), count=reader.unread)


class OpenLetters:
    """Counts the letters of each topic that no outcome names."""

    def __init__(self) -> None:
        self._open: dict[str, set[tuple[int, int]]] = {}

    async def apply(self, records: Sequence[Record]) -> None:
        """Takes a batch of a dead-letter topic."""
        topic = records[0].topic
        letters = self._open.setdefault(topic, set())
        for record in records:
            if not is_outcome(record):
                letters.add((record.partition, record.offset))
            elif (outcome := outcomes.read(record)) is not None:
                letters.discard((record.partition, outcome.letter))
        OPEN_LETTERS.labels(topic).set(len(letters))

"""A whole topic read as a table: from the start, or from stored positions, to the end and on.

A table reader has no group and commits nothing: every instance reads everything. Work that needs the table waits for
`caught_up`, which asks the broker where the topic ends *now* and returns when all of that has been applied.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.runtime.backoff import wait_after
from services.runtime.errors import Fault, Transient
from services.runtime.logs import logger
from services.runtime.records import Handle, as_read
from services.runtime.settings import KafkaSettings


class TableReader:
    """Applies every record of its topics, in order per partition, one batch at a time."""

    def __init__(
        self,
        settings: KafkaSettings,
        topics: Sequence[str],
        apply: Handle,
        *,
        positions: Mapping[tuple[str, int], int] | None = None,
    ) -> None:
        self._settings = settings
        self._topics = tuple(topics)
        self._apply = apply
        self._start_at = dict(positions or {})
        self._applied: dict[TopicPartition, int] = {}
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._consumer: AIOKafkaConsumer | None = None

    def start_from(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Where to begin instead, before `start`."""
        self._start_at = dict(positions)

    async def start(self) -> None:
        """Assigns all partitions and begins to read. Raises `Fault` when a topic does not exist."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=list(self._settings.bootstrap),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
            max_poll_records=2000,
            **self._settings.client(),
        )
        try:
            await consumer.start()
            partitions = [TopicPartition(t, p) for t in self._topics for p in await self._partitions(consumer, t)]
            consumer.assign(partitions)
            for tp in partitions:
                if (offset := self._start_at.get((tp.topic, tp.partition))) is not None:
                    consumer.seek(tp, offset)
                else:
                    await consumer.seek_to_beginning(tp)
                self._applied[tp] = await consumer.position(tp)
        except KafkaError as error:
            await consumer.stop()
            raise Transient(self._settings.nobody(error)) from error
        except BaseException:
            await consumer.stop()
            raise
        self._consumer = consumer
        self._task = asyncio.create_task(self._run(consumer), name=f"table {','.join(self._topics)}")

    async def _partitions(self, consumer: AIOKafkaConsumer, topic: str) -> list[int]:
        consumer._client.add_topic(topic)  # partitions_for_topic knows only what was fetched
        for _ in range(20):
            await consumer._client.force_metadata_update()
            if found := consumer.partitions_for_topic(topic):
                return sorted(found)
            await asyncio.sleep(0.1)
        raise Fault(f"topic {topic} does not exist: run `nardialog topics create`")

    async def _run(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            batches: Mapping[TopicPartition, Sequence[Any]] = await consumer.getmany(timeout_ms=200)
            for tp, raws in batches.items():
                await self._apply_whole([as_read(raw) for raw in raws])
                self._advance(tp, raws[-1].offset + 1)
            for tp in consumer.assignment():
                self._advance(tp, await consumer.position(tp))  # compaction leaves gaps that no record fills

    async def _apply_whole(self, records: list[Any]) -> None:
        failures = 0
        while True:
            try:
                await self._apply(records)
                return
            except Exception as error:
                failures += 1
                wait = wait_after(failures)
                logger().error("table batch failed", topic=records[0].topic, error=type(error).__name__, wait=wait)
                await asyncio.sleep(wait)

    def _advance(self, tp: TopicPartition, offset: int) -> None:
        if offset > self._applied[tp]:
            self._applied[tp] = offset
            self._moved.set()
            self._moved = asyncio.Event()

    async def caught_up(self) -> None:
        """Returns when everything up to the end offsets seen at this call has been applied."""
        if self._consumer is None or self._task is None:
            raise Fault("the table reader was not started")
        try:
            ends: Mapping[TopicPartition, int] = await self._consumer.end_offsets(list(self._applied))
        except KafkaError as error:
            raise Transient(f"the topic's end could not be read ({type(error).__name__})") from error
        while any(self._applied[tp] < end for tp, end in ends.items()):
            waiting = asyncio.ensure_future(self._moved.wait())
            await asyncio.wait({waiting, self._task}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if self._task.done():
                self._task.result()
                raise Fault("the table reader has stopped")

    async def ended(self) -> None:
        """Returns only when reading has ended by itself, which it should not; raises what ended it."""
        if self._task is None:
            raise Fault("the table reader was not started")
        await asyncio.wait({self._task})
        self._task.result()
        raise Fault("the table reader has stopped")

    @property
    def positions(self) -> dict[tuple[str, int], int]:
        """Next offset to apply, per topic and partition."""
        return {(tp.topic, tp.partition): offset for tp, offset in self._applied.items()}

    async def stop(self) -> None:
        """Stops reading."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._task
        if self._consumer is not None:
            await self._consumer.stop()

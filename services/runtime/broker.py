"""The one place where subscribers and publishers are made.

The framework's defaults lose events, so everything that decides delivery is said here: commits come only after a batch
was handled and everything it led to is acknowledged; a failing batch is waited for and read again; headers are never
decoded before the handler; records are published one by one with their key, never as a framework batch, which would
put them all on one partition; nothing creates a topic by naming it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from services.runtime import dead_letters
from services.runtime.backoff import wait_after
from services.runtime.errors import Fault, Rejected, Transient
from services.runtime.logs import logger
from services.runtime.metrics import DEAD_LETTERS, RECORDS
from services.runtime.records import Handle, Outgoing, Record, as_read
from services.runtime.settings import KafkaSettings

GRACE = 15.0
"""Seconds that a batch in flight may take to finish when the service stops."""


class Broker:
    """Kafka for one service."""

    def __init__(self, settings: KafkaSettings, *, service: str) -> None:
        self._settings = settings
        self._service = service
        self._kafka = KafkaBroker(
            list(settings.bootstrap),
            client_id=f"nardialog-{service}",
            security=_security(settings),
            ack_policy=AckPolicy.NACK_ON_ERROR,
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            max_batch_size=262_144,
            max_request_size=1_150_000,
            compression_type="gzip",  # the one codec that every client reads without another library
            partitioner=_partition,
            allow_auto_create_topics=False,
            graceful_timeout=GRACE,
            logger=None,
        )
        self._subscribers: list[Any] = []

    def subscribe(self, topics: Sequence[str], *, group: str, handle: Handle, max_records: int = 500) -> None:
        """Reads topics as a member of a group, at least once. Equal partition counts are paired by the range assignor:
        whoever holds a key in one topic holds it in all.
        """
        guarded = self._guard(handle, group)

        async def consume(batch: Any, message: KafkaMessage) -> None:
            await guarded([as_read(raw) for raw in _raw(message)])

        subscriber = self._kafka.subscriber(
            *topics,
            batch=True,
            group_id=group,
            max_records=max_records,
            batch_timeout_ms=50,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.NACK_ON_ERROR,
            session_timeout_ms=self._settings.session_timeout_ms,
            heartbeat_interval_ms=max(300, self._settings.session_timeout_ms // 6),
            max_poll_interval_ms=self._settings.max_poll_interval_ms,
            partition_assignment_strategy=[RangePartitionAssignor],
            parser=_tolerant_parser,
            decoder=_raw_decoder,
        )
        subscriber(consume)
        self._subscribers.append(subscriber)

    def _guard(self, handle: Handle, group: str) -> Handle:
        """Waits before a failed batch is rewound, longer each time: a failing database is not made worse."""
        failures = 0

        async def guarded(batch: Sequence[Record]) -> None:
            nonlocal failures
            try:
                await handle(batch)
            except Exception as error:
                failures += 1
                wait = wait_after(failures)
                logger().error("batch failed", group=group, error=type(error).__name__, wait=wait, attempt=failures)
                await asyncio.sleep(wait)
                raise
            failures = 0
            for record in batch:
                RECORDS.labels(self._service, record.topic, "handled").inc()

        return guarded

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Returns when every record is acknowledged by all in-sync replicas."""
        try:
            await asyncio.gather(*[await self._send(record) for record in records])
        except KafkaError as error:
            raise Transient(f"publishing failed ({type(error).__name__}); it is tried again") from error

    async def _send(self, record: Outgoing) -> Awaitable[Any]:
        headers = [(name, text.encode()) for name, text in record.headers.items()]
        return await self._send_raw(record.topic, record.value, record.key.encode(), headers, record.partition)

    async def dead_letter(self, record: Record, error: Rejected, *, group: str) -> None:
        """Puts a record aside with its reason; returns when the broker has it."""
        value, headers = dead_letters.value(record, error), dead_letters.headers(record, error, group)
        try:
            await (await self._send_raw(f"{record.topic}.dlq", value, record.key, headers))
        except KafkaError as failure:
            raise Transient(
                f"dead letter not written ({type(failure).__name__}); the record is read again"
            ) from failure
        DEAD_LETTERS.labels(self._service, record.topic, error.reason).inc()
        logger().warning(
            "dead letter", topic=record.topic, partition=record.partition, offset=record.offset,
            reason=error.reason, pointer=error.pointer,
        )  # fmt: skip

    async def move(self, record: Record, partition: int) -> None:
        """Writes a record as it came to another partition of its topic; returns when the broker has it."""
        headers = [(name, value if value is not None else b"") for name, value in record.headers]
        try:
            await (await self._send_raw(record.topic, record.value, record.key, headers, partition))
        except KafkaError as failure:
            raise Transient(f"record not moved ({type(failure).__name__}); it is read again") from failure

    async def _send_raw(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        headers: Sequence[tuple[str, bytes | None]],
        partition: int | None = None,
    ) -> Awaitable[Any]:
        """Straight to the client: the framework can say neither a header of raw bytes nor a tombstone, adds a random
        header to every record, and takes as long over one as the client does.
        """
        producer: Any = self._kafka.config.producer
        future: Awaitable[Any] = await producer._producer.producer.send(
            topic, value=value, key=key, headers=list(headers), partition=partition
        )
        return future

    async def start(self) -> None:
        """Connects and begins to read."""
        try:
            await self._kafka.start()
        except KafkaError as error:
            raise Transient(self._settings.nobody(error)) from error

    async def connect(self) -> None:
        """Connects for publishing only; `start` begins to read."""
        try:
            await self._kafka.connect()
            producer: Any = self._kafka.config.producer
            if not producer:
                raise Fault("the publisher did not start")
        except KafkaError as error:
            raise Transient(self._settings.nobody(error)) from error

    async def stop(self) -> None:
        """Lets the batch in flight finish and commit, then leaves."""
        await self._kafka.stop()

    def assigned(self) -> frozenset[tuple[str, int]]:
        """The partitions that this instance holds now, over all its subscriptions."""
        held: set[tuple[str, int]] = set()
        for subscriber in self._subscribers:
            consumer: AIOKafkaConsumer | None = getattr(subscriber, "consumer", None)
            if consumer is not None:
                held |= {(tp.topic, tp.partition) for tp in consumer.assignment()}
        return frozenset(held)

    async def partition_count(self, topic: str) -> int:
        """How many partitions a topic has."""
        producer: Any = self._kafka.config.producer
        return len(await producer._producer.producer.partitions_for(topic))

    async def home(self, topic: str, key: bytes) -> int:
        """The partition of a topic where a key belongs."""
        return _home(key, await self.partition_count(topic))


_PARTITIONER: Final[Any] = DefaultPartitioner()
"""Kafka's own rule (murmur2), the default of every client but librdkafka's."""


@lru_cache(maxsize=4096)
def _home(key: bytes, partitions: int) -> int:
    """Asked for every record of a case, and slow in Python."""
    return int(_PARTITIONER(key, range(partitions), ()))


def _partition(key: bytes | None, partitions: Sequence[int], available: Sequence[int]) -> int:
    return int(_PARTITIONER(None, partitions, available)) if key is None else partitions[_home(key, len(partitions))]


def _security(settings: KafkaSettings) -> BaseSecurity | None:
    context = settings.tls()
    if settings.protocol == "PLAINTEXT":
        return None
    if settings.protocol == "SSL":
        return BaseSecurity(ssl_context=context, use_ssl=True)
    if settings.username is None or settings.password is None:
        raise Fault("NARDIALOG_KAFKA__PROTOCOL has SASL: set NARDIALOG_KAFKA__USERNAME and __PASSWORD")
    kinds: dict[str, Callable[..., BaseSecurity]] = {
        "PLAIN": SASLPlaintext,
        "SCRAM-SHA-256": SASLScram256,
        "SCRAM-SHA-512": SASLScram512,
    }
    return kinds[settings.mechanism](
        username=settings.username,
        password=settings.password.get_secret_value(),
        ssl_context=context,
        use_ssl=context is not None,
    )


async def _tolerant_parser(records: Any, original: Callable[[Any], Awaitable[Any]]) -> Any:
    """The framework decodes every header as UTF-8 while parsing; one bad header would fail the batch outside any
    handler and lose it. It gets none; the handler sees the records untouched.
    """
    message = await original(tuple(replace(record, headers=()) for record in records))
    message.raw_message = records
    return message


async def _raw_decoder(message: Any) -> list[Any]:
    return [b"" for _ in message.raw_message]


def _raw(message: Any) -> Sequence[Any]:
    raw: Sequence[Any] = message.raw_message
    return raw

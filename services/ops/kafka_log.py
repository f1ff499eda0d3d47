"""The broker's log for a person at a terminal: read what stands there, send one record: kafka-python behind our types.

No group, no commits: looking changes nothing. Everything here blocks.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final, Self

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, RetriableError

from schemas.topics import DEAD_LETTER_BYTES
from services.ops.dead_letters import Posting
from services.runtime.errors import Fault, Transient
from services.runtime.records import Record, as_read
from services.runtime.settings import KafkaSettings
from services.runtime.topic_admin import LagRow, TopicAdmin

PATIENCE: Final = 15.0
"""Seconds without a record that should be there, or without an acknowledgement."""
POLL_MS: Final = 500
Place = tuple[str, int, int]
"""Topic, partition, offset."""


class KafkaLog:
    """Open for reading and writing: `with KafkaLog(settings) as log: ...`."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._where = ",".join(settings.bootstrap)
        self._admin = TopicAdmin(settings.bootstrap, settings.client())
        self._open = ExitStack()
        self._consumer: Any = None
        self._producer: Any = None

    def __enter__(self) -> Self:
        self._open.enter_context(self._admin)  # says at once, in its words, when nobody is there
        with self._in_our_words():
            self._consumer = KafkaConsumer(
                **self._connection(),
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                allow_auto_create_topics=False,
                client_id="nardialog-ops",
            )
        self._open.callback(self._consumer.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def lag(self) -> list[LagRow]:
        """Every group's standing: see `TopicAdmin.lag`."""
        return self._admin.lag()

    def records(self, topics: Iterable[str]) -> Iterator[Record]:
        """Every record of those of the topics that exist, up to where they ended at this call."""
        ends = {TopicPartition(*place): end for place, end in self._ends(topics).items() if end > 0}
        with self._in_our_words():
            self._consumer.assign(list(ends))
            starts = self._consumer.beginning_offsets(list(ends)) if ends else {}
            for place, start in starts.items():
                self._consumer.seek(place, start)
            yield from self._until(ends)

    def first_from(self, places: Iterable[Place]) -> dict[Place, Record]:
        """For each topic, partition and offset the record there or, where that was removed, the next one there is."""
        asked = list(places)
        ends = self._ends({topic for topic, _, _ in asked})
        found = {place: self._next(place, ends.get(place[:2], 0)) for place in asked}
        return {place: record for place, record in found.items() if record is not None}

    def at(self, topic: str, partition: int, offset: int) -> Record | None:
        """The record at exactly this place, if it is still there."""
        found = self.first_from([(topic, partition, offset)]).get((topic, partition, offset))
        return found if found is not None and found.offset == offset else None

    def _next(self, place: Place, end: int) -> Record | None:
        topic, partition, offset = place
        if offset >= end:
            return None
        where = TopicPartition(topic, partition)
        with self._in_our_words():
            self._consumer.assign([where])
            self._consumer.seek(where, offset)
            return next(self._until({where: end}), None)

    def send(self, posting: Posting) -> tuple[int, int]:
        """Sends one record; returns its partition and offset once every replica has it."""
        with self._in_our_words():
            if self._producer is None:
                self._producer = KafkaProducer(
                    **self._connection(),
                    acks="all",
                    max_request_size=DEAD_LETTER_BYTES,
                    max_block_ms=int(PATIENCE * 1000),
                    allow_auto_create_topics=False,
                    client_id="nardialog-ops",
                )
                self._open.callback(self._producer.close, timeout=PATIENCE)
            sent = self._producer.send(
                posting.topic,
                value=posting.value,
                key=posting.key,
                headers=list(posting.headers),
                partition=posting.partition,
            ).get(timeout=PATIENCE)
            return int(sent.partition), int(sent.offset)

    def _until(self, ends: dict[Any, int]) -> Iterator[Record]:
        patience = time.monotonic() + PATIENCE
        while any(self._consumer.position(place) < end for place, end in ends.items()):
            batches = self._consumer.poll(timeout_ms=POLL_MS)
            if batches:
                patience = time.monotonic() + PATIENCE
            elif time.monotonic() > patience:
                raise Transient(f"Kafka at {self._where} stopped answering in the middle of a topic; try again")
            for place, found in batches.items():
                yield from (as_read(item) for item in found if item.offset < ends[place])

    def _ends(self, topics: Iterable[str]) -> dict[tuple[str, int], int]:
        return self._admin.ends(topics)

    def _connection(self) -> dict[str, Any]:
        return {"bootstrap_servers": list(self._settings.bootstrap), **self._settings.client()}

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        try:
            yield
        except RetriableError as error:
            raise Transient(f"Kafka at {self._where} did not do it now: {error}; try again") from error
        except KafkaError as error:
            raise Fault(f"Kafka at {self._where} refused: {error}; see `nardialog doctor`") from error

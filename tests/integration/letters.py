"""Dead letters as the runtime writes them, and reading a topic of two partitions to its end."""

from collections.abc import Sequence
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from services.runtime import dead_letters
from services.runtime.errors import Rejected
from services.runtime.local_kafka import LocalKafka
from services.runtime.records import Record

HEADERS: tuple[tuple[str, bytes], ...] = (
    ("ce_id", b"1"),
    ("x-odd", b"\xff\x00"),
    ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
)


def bury(
    kafka: LocalKafka,
    topic: str,
    value: bytes,
    *,
    replays: int = 0,
    reason: str = "bad_json",
    copies: int = 1,
    headers: Sequence[tuple[str, bytes]] = HEADERS,
) -> str:
    """A dead letter as the runtime writes it, of a record that stood in partition 1. Returns the last one's address."""
    sent_with = (*headers, ("dlq_replays", str(replays).encode()))
    record = Record(topic, 1, 7, b"0162/s/EX-1", value, sent_with, 1_700_000_000_000)
    letter = dead_letters.headers(record, Rejected(reason, "send JSON", "/title", drop_value=not value), "matcher")
    producer: Any = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    for _ in range(copies):
        future = producer.send(f"{topic}.dlq", value=value, key=record.key, headers=letter, partition=0)
    sent = future.get(timeout=10)
    producer.close()
    return f"{sent.topic}/{sent.partition}/{sent.offset}"


def everything(kafka: LocalKafka, topic: str) -> list[Any]:
    consumer: Any = KafkaConsumer(bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
    places = [TopicPartition(topic, number) for number in (0, 1)]
    consumer.assign(places)
    ends = consumer.end_offsets(places)
    found: list[Any] = []
    while len(found) < sum(ends.values()):
        found += [record for batch in consumer.poll(timeout_ms=500).values() for record in batch]
    consumer.close()
    return found

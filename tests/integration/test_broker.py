"""The runtime on real Kafka: nothing lost, nothing stuck, whatever bytes come."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from schemas.topics import Cleanup, Topic
from services.runtime.broker import Broker
from services.runtime.errors import Fault, Rejected
from services.runtime.local_kafka import LocalKafka
from services.runtime.records import Outgoing, Record
from services.runtime.settings import KafkaSettings
from services.runtime.tables import TableReader
from services.runtime.topic_admin import TopicAdmin

pytestmark = pytest.mark.anyio


@pytest.fixture
def topic(kafka: LocalKafka, topic_prefix: str) -> Topic:
    made = Topic(f"{topic_prefix}things", "id", Cleanup.COMPACT)
    with TopicAdmin(kafka.bootstrap) as admin:
        admin.create([made, made.dead_letters], partitions=3, replication=1)
    return made


@pytest.fixture
def settings(kafka: LocalKafka) -> KafkaSettings:
    return KafkaSettings(bootstrap=(kafka.bootstrap,), session_timeout_ms=6000)


@pytest.fixture
async def publisher(settings: KafkaSettings, topic: Topic) -> AsyncIterator[Broker]:
    broker = Broker(settings, service="test")
    await broker.start()
    yield broker
    await broker.stop()


async def read_all(settings: KafkaSettings, name: str) -> list[Record]:
    seen: list[Record] = []

    async def apply(records: Sequence[Record]) -> None:
        seen.extend(records)

    reader = TableReader(settings, [name], apply)
    await reader.start()
    await reader.caught_up()
    await reader.stop()
    return seen


async def test_every_published_record_keeps_its_key_headers_and_bytes_and_gets_no_others(
    settings: KafkaSettings, publisher: Broker, topic: Topic
) -> None:
    await publisher.publish([Outgoing(topic.name, f"k{i}", b"%d" % i, {"ce_id": str(i)}) for i in range(500)])
    records = await read_all(settings, topic.name)
    assert {(r.key, r.value, r.headers) for r in records} == {
        (b"k%d" % i, b"%d" % i, (("ce_id", b"%d" % i),)) for i in range(500)
    }
    assert {r.partition for r in records} == {0, 1, 2}


async def test_a_tombstone_arrives_as_no_value(settings: KafkaSettings, publisher: Broker, topic: Topic) -> None:
    await publisher.publish([Outgoing(topic.name, "k", None)])
    assert [(r.key, r.value) for r in await read_all(settings, topic.name)] == [(b"k", None)]


async def test_a_bad_record_goes_to_the_dead_letters_as_it_was_and_its_neighbours_are_handled(
    settings: KafkaSettings, publisher: Broker, topic: Topic
) -> None:
    handled: list[bytes | None] = []
    everything = asyncio.Event()
    broker = Broker(settings, service="test")

    async def handle(records: Sequence[Record]) -> None:
        for record in records:
            if record.value == b"\xff\x00bad":
                await broker.dead_letter(record, Rejected("broken", "send it whole", "/x"), group="g")
            else:
                handled.append(record.value)
        if len(handled) == 3:
            everything.set()

    broker.subscribe([topic.name], group=f"{topic.name}-g", handle=handle)
    for value, headers in [(b"a", []), (b"\xff\x00bad", [("x", b"\xc3\x28")]), (b"b", [("y", b"\xff\xfe")])]:
        await (await publisher._send_raw(topic.name, value, b"k", headers))
    await publisher.publish([Outgoing(topic.name, "k", None)])
    await broker.start()
    await asyncio.wait_for(everything.wait(), 20)
    await broker.stop()
    assert handled == [b"a", b"b", None]
    [letter] = await read_all(settings, f"{topic.name}.dlq")
    assert (letter.key, letter.value) == (b"k", b"\xff\x00bad")
    said = dict(letter.headers)
    assert said["x"] == b"\xc3\x28"
    assert (said["dlq_reason"], said["dlq_pointer"], said["dlq_group"]) == (b"broken", b"/x", b"g")


async def test_a_batch_whose_handler_fails_is_read_again_and_not_committed(
    settings: KafkaSettings, publisher: Broker, topic: Topic
) -> None:
    seen: list[bytes | None] = []
    done = asyncio.Event()
    broker = Broker(settings, service="test")

    async def handle(records: Sequence[Record]) -> None:
        seen.extend(record.value for record in records)
        if len(seen) == 1:
            raise RuntimeError("the database is down")
        done.set()

    await publisher.publish([Outgoing(topic.name, "k", b"once")])
    broker.subscribe([topic.name], group=f"{topic.name}-g", handle=handle)
    await broker.start()
    await asyncio.wait_for(done.wait(), 20)
    await broker.stop()
    assert seen == [b"once", b"once"]


async def test_what_was_handled_is_committed_and_not_read_by_the_next_instance(
    settings: KafkaSettings, publisher: Broker, topic: Topic
) -> None:
    async def run_until(expected: int) -> list[bytes | None]:
        seen: list[bytes | None] = []
        done = asyncio.Event()
        broker = Broker(settings, service="test")

        async def handle(records: Sequence[Record]) -> None:
            seen.extend(record.value for record in records)
            if len(seen) >= expected:
                done.set()

        broker.subscribe([topic.name], group=f"{topic.name}-g", handle=handle)
        await broker.start()
        await asyncio.wait_for(done.wait(), 20)
        await broker.stop()
        return seen

    await publisher.publish([Outgoing(topic.name, f"k{i}", b"first") for i in range(10)])
    assert await run_until(10) == [b"first"] * 10
    await publisher.publish([Outgoing(topic.name, "k", b"second")])
    assert await run_until(1) == [b"second"]


async def test_a_table_is_caught_up_with_all_that_was_written_before_the_question(
    settings: KafkaSettings, publisher: Broker, topic: Topic
) -> None:
    table: dict[bytes | None, bytes | None] = {}

    async def apply(records: Sequence[Record]) -> None:
        table.update((record.key, record.value) for record in records)

    reader = TableReader(settings, [topic.name], apply)
    await reader.start()
    for i in range(20):
        await publisher.publish([Outgoing(topic.name, "k", b"%d" % i)])
        await reader.caught_up()
        assert table[b"k"] == b"%d" % i
    positions = reader.positions
    await reader.stop()
    table.clear()
    again = TableReader(settings, [topic.name], apply, positions=positions)
    await again.start()
    await again.caught_up()
    await again.stop()
    assert table == {}


async def test_a_table_of_a_missing_topic_says_what_to_do(settings: KafkaSettings, topic_prefix: str) -> None:
    async def apply(records: Sequence[Record]) -> None:
        raise AssertionError

    with pytest.raises(Fault, match="nardialog topics create"):
        await TableReader(settings, [f"{topic_prefix}missing"], apply).start()

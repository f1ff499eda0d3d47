"""The topic table on a real Kafka."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.structs import OffsetAndMetadata

from schemas.topics import ALL_TOPICS, CASES, CONTACTS, NOTICES, PREVIEWS, Topic
from services.runtime.errors import Fault, Transient
from services.runtime.local_kafka import LocalKafka, free_ports
from services.runtime.topic_admin import LagRow, TopicAdmin, config


@pytest.fixture
def admin(kafka: LocalKafka) -> Iterator[TopicAdmin]:
    with TopicAdmin([kafka.bootstrap]) as opened:
        yield opened


@pytest.fixture
def raw_admin(kafka: LocalKafka) -> Iterator[Any]:
    """What a person with Kafka's own tools would do to our topics."""
    client = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    yield client
    client.close()


@pytest.fixture
def topic(admin: TopicAdmin, topic_prefix: str) -> Topic:
    """One topic of two partitions."""
    made = replace(NOTICES, name=f"{topic_prefix}notices")
    admin.create([made], partitions=2, replication=1)
    return made


def produce(kafka: LocalKafka, topic: Topic, count: int, partition: int = 0) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    for number in range(count):
        producer.send(topic.name, key=b"k", value=str(number).encode(), partition=partition)
    producer.flush()
    producer.close()


def commit(kafka: LocalKafka, group: str, topic: Topic, offset: int, partition: int = 0) -> None:
    consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=group, enable_auto_commit=False)
    place = TopicPartition(topic.name, partition)
    consumer.assign([place])
    consumer.commit({place: OffsetAndMetadata(offset, "", -1)})
    consumer.close()


def rows(admin: TopicAdmin, group: str) -> list[LagRow]:
    return [row for row in admin.lag() if row.group == group]


def test_every_topic_of_the_table_can_be_made_and_is_then_as_wanted(admin: TopicAdmin, topic_prefix: str) -> None:
    topics = [replace(topic, name=topic_prefix + topic.name) for topic in ALL_TOPICS]
    report = admin.create(topics, partitions=6, replication=1)
    assert report.created == tuple(topic.name for topic in topics)
    assert (report.existed, report.differ) == ((), ())
    assert admin.check(topics, partitions=6) == []
    assert len(admin.ends(topic.name for topic in topics)) == len(topics) * 6


def test_making_topics_again_changes_nothing_and_makes_only_what_is_missing(
    admin: TopicAdmin, topic: Topic, topic_prefix: str
) -> None:
    added = replace(CASES, name=f"{topic_prefix}cases")
    report = admin.create([topic, added], partitions=2, replication=1)
    assert (report.created, report.existed, report.differ) == ((added.name,), (topic.name,), ())


def test_a_topic_that_differs_is_reported_by_create_and_by_check_and_left_alone(
    admin: TopicAdmin, raw_admin: Any, topic: Topic
) -> None:
    raw_admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, {"retention.ms": "1000000"})])
    for _ in range(2):
        (retention, partitions) = sorted(
            admin.create([topic], partitions=3, replication=1).differ, key=lambda problem: problem.what, reverse=True
        )
        assert (retention.what, retention.wanted, retention.found) == ("retention.ms", "604800000", "1000000")
        assert (partitions.what, partitions.wanted, partitions.found) == ("partitions", "3", "2")
    assert admin.check([topic], partitions=2) == [retention]
    assert str(retention).startswith(f"{topic.name}: retention.ms is 1000000, wanted 604800000")


def test_a_missing_topic_is_reported_with_how_to_make_it(admin: TopicAdmin, topic_prefix: str) -> None:
    (problem,) = admin.check([replace(CASES, name=f"{topic_prefix}nowhere")], partitions=2)
    assert problem.what == "topic"
    assert "nardialog topics create" in str(problem)


def test_more_replicas_than_brokers_is_a_fault_that_names_the_topic(admin: TopicAdmin, topic_prefix: str) -> None:
    with pytest.raises(Fault, match=f"{topic_prefix}cases: .*replication factor"):
        admin.create([replace(CASES, name=f"{topic_prefix}cases")], partitions=1, replication=3)


def test_a_group_that_has_read_everything_lags_by_nothing(kafka: LocalKafka, admin: TopicAdmin, topic: Topic) -> None:
    group = f"{topic.name}-readers"
    produce(kafka, topic, 5)
    commit(kafka, group, topic, 5)
    first, second = rows(admin, group)
    assert first == LagRow(group, topic.name, 0, committed=5, log_start=0, end=5)
    assert (first.lag, first.lost) == (0, 0)
    assert second == LagRow(group, topic.name, 1, committed=None, log_start=0, end=0)


def test_a_partition_never_committed_counts_in_full(kafka: LocalKafka, admin: TopicAdmin, topic: Topic) -> None:
    group = f"{topic.name}-readers"
    produce(kafka, topic, 3)
    produce(kafka, topic, 2, partition=1)
    commit(kafka, group, topic, 1)
    assert [(row.committed, row.lag) for row in rows(admin, group)] == [(1, 2), (None, 2)]


def test_records_that_retention_removed_unread_are_lost_and_not_lag(
    kafka: LocalKafka, admin: TopicAdmin, raw_admin: Any, topic: Topic
) -> None:
    group = f"{topic.name}-readers"
    produce(kafka, topic, 50)
    commit(kafka, group, topic, 10)
    raw_admin.delete_records({TopicPartition(topic.name, 0): 50})
    row = rows(admin, group)[0]
    assert (row.committed, row.log_start, row.end) == (10, 50, 50)
    assert (row.lag, row.lost) == (0, 40)


def test_lag_is_never_negative_when_a_topic_was_made_anew_below_what_was_committed() -> None:
    row = LagRow("readers", "notices", 0, committed=100, log_start=0, end=5)
    assert (row.lag, row.lost) == (0, 0)


def test_committed_offsets_are_read_before_end_offsets(
    kafka: LocalKafka, admin: TopicAdmin, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a group that commits in between seems behind, never ahead."""
    group = f"{topic.name}-readers"
    produce(kafka, topic, 3)
    commit(kafka, group, topic, 1)
    read_ends = admin._client.list_partition_offsets

    def meanwhile_the_group_moves(specs: Any) -> Any:
        produce(kafka, topic, 4)
        commit(kafka, group, topic, 7)
        return read_ends(specs)

    monkeypatch.setattr(admin._client, "list_partition_offsets", meanwhile_the_group_moves)
    assert rows(admin, group)[0].committed == 1
    assert rows(admin, group)[0].lag >= 4


def test_a_group_whose_topic_was_deleted_does_not_stop_the_others(
    kafka: LocalKafka, admin: TopicAdmin, raw_admin: Any, topic: Topic, topic_prefix: str
) -> None:
    gone, group = replace(NOTICES, name=f"{topic_prefix}gone"), f"{topic.name}-readers"
    admin.create([gone], partitions=1, replication=1)
    commit(kafka, group, gone, 0)
    commit(kafka, group, topic, 0)
    raw_admin.delete_topics([gone.name])
    assert {row.topic for row in rows(admin, group)} == {topic.name}


def test_ends_leave_out_topics_that_do_not_exist(kafka: LocalKafka, admin: TopicAdmin, topic: Topic) -> None:
    produce(kafka, topic, 4, partition=1)
    assert admin.ends([topic.name, f"{topic.name}-nowhere"]) == {(topic.name, 0): 0, (topic.name, 1): 4}


def test_where_nobody_listens_the_message_names_the_address_and_the_setting() -> None:
    (port,) = free_ports(1)
    with pytest.raises(Transient, match=rf"127\.0\.0\.1:{port}.*NARDIALOG_KAFKA__BOOTSTRAP"):
        TopicAdmin([f"127.0.0.1:{port}"]).__enter__()


def test_one_address_that_answers_is_enough(kafka: LocalKafka) -> None:
    (port,) = free_ports(1)
    with TopicAdmin(f"127.0.0.1:{port},{kafka.bootstrap}") as admin:
        assert admin.ends([]) == {}


def test_an_address_without_a_port_is_a_fault() -> None:
    with pytest.raises(Fault, match="'kafka' is not host:port"):
        TopicAdmin(["kafka"]).__enter__()


def test_a_security_setting_kafka_does_not_know_is_a_fault(kafka: LocalKafka) -> None:
    with pytest.raises(Fault, match="no_such_setting"):
        TopicAdmin([kafka.bootstrap], {"no_such_setting": 1}).__enter__()


def test_a_busy_topics_records_outlive_their_retention_by_no_more_than_a_quarter() -> None:
    hour = 3_600_000
    assert config(PREVIEWS, replication=1)["segment.ms"] == str(hour // 4)


def test_erasures_stay_readable_for_a_week_and_old_versions_go_within_a_day_for_contacts() -> None:
    settings = config(CONTACTS, replication=3)
    assert settings["delete.retention.ms"] == str(7 * 24 * 3_600_000)
    assert settings["max.compaction.lag.ms"] == str(24 * 3_600_000)
    assert settings["min.insync.replicas"] == "2"
    assert "retention.ms" not in settings

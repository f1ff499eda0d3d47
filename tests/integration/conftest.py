"""The command line against the test's own topics on a real Kafka."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from schemas.topics import CASES, CONTACTS
from services.cli import main
from services.runtime.local_kafka import LocalKafka
from services.runtime.topic_admin import TopicAdmin

Run = Callable[..., tuple[int, str, str]]
"""Runs a command: exit code, stdout, stderr."""


@pytest.fixture
def run(
    kafka: LocalKafka, topic_prefix: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs the command line against the test's broker: exit code, stdout, stderr."""
    monkeypatch.setenv("NARDIALOG_KAFKA__BOOTSTRAP", json.dumps([kafka.bootstrap]))
    monkeypatch.setenv("NARDIALOG_KAFKA__TOPIC_PREFIX", topic_prefix)
    monkeypatch.setenv("NARDIALOG_KAFKA__PARTITIONS", "2")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture
def names(kafka: LocalKafka, topic_prefix: str) -> dict[str, str]:
    """Two topics and their dead letters."""
    topics = [replace(t, name=topic_prefix + t.name) for s in (CASES, CONTACTS) for t in (s, s.dead_letters)]
    with TopicAdmin([kafka.bootstrap]) as admin:
        admin.create(topics, partitions=2, replication=1)
    return {topic.name.removeprefix(topic_prefix): topic.name for topic in topics}

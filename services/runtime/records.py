"""What comes from the broker and what goes to it, as plain values: nothing of a client library is known further in."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.runtime.errors import Fault


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it was read: the bytes, untouched. `timestamp` is in milliseconds since 1970."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp: int


def as_read(raw: Any) -> Record:
    """A client library's record as ours; aiokafka's and kafka-python's have the same members."""
    return Record(raw.topic, raw.partition, raw.offset, raw.key, raw.value, tuple(raw.headers or ()), raw.timestamp)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to publish. Without a partition the key decides; a value of None is a tombstone."""

    topic: str
    key: str
    value: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict)
    partition: int | None = None


Handle = Callable[[Sequence[Record]], Awaitable[None]]
"""Takes one batch. Returning means that everything it led to is acknowledged; raising means: again."""


class Publisher(Protocol):
    """What a service needs to write to topics."""

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Returns when every record is acknowledged by the broker. Raises `Transient` otherwise."""
        ...


class Unpublished:
    """For who only writes into a service's outbox: the service publishes what stands there."""

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Nobody's to call."""
        raise Fault("a command does not publish: the service that owns the outbox does")

"""From a record to an event and back, with every way to be wrong turned into a reason that says what to do.

A reason never quotes the input: it may be personal data. What stands in it is a JSON pointer and pydantic's type of
the error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from pydantic import ValidationError

from schemas.complaints import of_shape
from schemas.envelope import Envelope, EnvelopeError, decode
from schemas.topics import EVENT_BYTES
from schemas.types import Event
from services.runtime.errors import Rejected
from services.runtime.records import Outgoing, Record

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Parsed(Generic[E]):
    """An event, the envelope it came in, and the record it was."""

    record: Record
    envelope: Envelope
    event: E


def parse(record: Record, types: Mapping[str, type[E]], family: str) -> Parsed[E] | None:
    """The event in a record, or None for an unknown type of a known family, which a newer writer may send.

    `family` is the beginning of the type, such as `se.nardialog.case.`. Raises `Rejected` for all else. Tombstones are
    the caller's: they have no event.
    """
    try:
        envelope = decode(record.headers)
    except EnvelopeError as error:
        raise Rejected("bad_header", f"header {error.header} {error.detail}") from None
    model = types.get(envelope.type)
    if model is None:
        if envelope.type.startswith(family):
            return None
        raise Rejected("unknown_type", f"ce_type is none of {', '.join(sorted(types))}; send one of these")
    value = record.value or b""
    if len(value) > EVENT_BYTES:
        raise Rejected("too_large", f"the event has {len(value)} bytes; the limit is {EVENT_BYTES}: make it smaller")
    return Parsed(record, envelope, validate(value, model))


def validate(value: bytes, model: type[E], *, extra: str = "ignore", strict: bool = False) -> E:
    """An event from its JSON. Readers ignore fields that they do not know; doors pass `extra="forbid"`, and with
    `strict` they take no text for a number.
    """
    try:
        return model.model_validate_json(
            value, extra="forbid" if extra == "forbid" else "ignore", strict=strict or None
        )
    except ValidationError as error:
        raise rejection(error, value) from None


def rejection(error: ValidationError, value: bytes) -> Rejected:
    """Pydantic's errors as one reason: the first with its pointer, and how many there are. Never the input."""
    first, *others = of_shape(error, value)
    more = f" ({len(others)} more)" if others else ""
    return Rejected(first.code, first.detail + more, first.pointer)


def outgoing(
    topic: str,
    key: str,
    event: Event,
    *,
    type: str,
    id: str,
    source: str,
    time: datetime,
    partition: int | None = None,
) -> Outgoing:
    """An event as a record to publish: JSON in the value, CloudEvents attributes in the headers."""
    return Outgoing(
        topic, key, encoded(event), Envelope(id=id, source=source, type=type, time=time).headers(), partition
    )


def encoded(event: Event) -> bytes:
    """An event as JSON."""
    return event.model_dump_json(exclude_none=True).encode()

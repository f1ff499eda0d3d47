"""CloudEvents 1.0 in Kafka's binary binding: attributes in `ce_*` headers, JSON data in the value.

A codec of our own, because the SDK costs a hundred times as much per record; the SDK is its oracle in the tests.
Source: CloudEvents 1.0.2 §3 (attributes), Kafka protocol binding §3.2 (binary content mode).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

Headers = Iterable[tuple[str, bytes | None]]

CONTENT_TYPE: Final = "application/json"
HELD: Final = "nardialogheld"
"""The extension attribute by which a producer asks that what follows be held until an official has looked: `edited`."""
REQUIRED: Final = ("specversion", "id", "source", "type")


class EnvelopeError(ValueError):
    """The headers are not those of a CloudEvent. `header` names the one at fault."""

    def __init__(self, header: str, detail: str) -> None:
        super().__init__(f"{header}: {detail}")
        self.header = header
        self.detail = detail


@dataclass(frozen=True)
class Envelope:
    """An event's attributes. `id` and `source` together are unique; `time` is when it happened."""

    id: str
    source: str
    type: str
    time: datetime | None = None
    subject: str | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)

    def headers(self) -> dict[str, str]:
        """The Kafka headers of this envelope."""
        attributes = {"specversion": "1.0", "id": self.id, "source": self.source, "type": self.type}
        if self.time is not None:
            attributes["time"] = self.time.isoformat().replace("+00:00", "Z")
        if self.subject is not None:
            attributes["subject"] = self.subject
        named = {f"ce_{name}": value for name, value in {**attributes, **self.extensions}.items()}
        return {"content-type": CONTENT_TYPE, **named}


def decode(headers: Headers) -> Envelope:
    """The envelope in a record's headers. Headers of others are left alone, whatever their bytes.

    Raises `EnvelopeError` when a `ce_` header is missing, not UTF-8, or does not say what it must.
    """
    attributes: dict[str, str] = {}
    for name, value in headers:
        if name == "content-type":
            _check_content_type(value)
        elif name.startswith("ce_") and value is not None:
            attributes[name[3:]] = _text(name, value)
    for name in REQUIRED:
        if not attributes.get(name):
            raise EnvelopeError(f"ce_{name}", "is missing; send CloudEvents 1.0 in binary mode")
    if attributes.pop("specversion") != "1.0":
        raise EnvelopeError("ce_specversion", "is not 1.0; send CloudEvents 1.0")
    return Envelope(
        id=attributes.pop("id"),
        source=attributes.pop("source"),
        type=attributes.pop("type"),
        time=_moment(attributes.pop("time", None)),
        subject=attributes.pop("subject", None),
        extensions={name: value for name, value in attributes.items() if name != "datacontenttype"},
    )


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise EnvelopeError(name, "is not UTF-8; send the header as UTF-8 text") from None


def _check_content_type(value: bytes | None) -> None:
    kind = (value or b"").decode("latin-1").partition(";")[0].strip().lower()
    if kind and kind != CONTENT_TYPE and not kind.endswith("+json"):
        raise EnvelopeError("content-type", f"must be {CONTENT_TYPE}; structured mode is not taken")
    if kind == "application/cloudevents+json":
        raise EnvelopeError("content-type", "is structured mode; send binary mode with ce_ headers")


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise EnvelopeError("ce_time", "is not an RFC 3339 time, such as 2025-11-10T08:00:00Z") from None
    if moment.tzinfo is None:
        raise EnvelopeError("ce_time", "has no offset from UTC; add Z or +01:00")
    return moment

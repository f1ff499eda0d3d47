"""Our CloudEvents codec says what the SDK says, both ways (CloudEvents 1.0.2, Kafka binding §3.2)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event, to_binary_event
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import Envelope, EnvelopeError, decode

text = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Cn")), min_size=1, max_size=40
).filter(lambda value: value.strip() != "")  # fmt: skip
attribute_names = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True).filter(
    lambda name: (
        name not in {"id", "source", "type", "time", "subject", "specversion", "data", "datacontenttype", "dataschema"}
    )
)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=offsets)  # noqa: DTZ001


def envelopes(times: st.SearchStrategy[datetime | None]) -> st.SearchStrategy[Envelope]:
    extensions = st.dictionaries(attribute_names, text, max_size=3)
    return st.builds(
        Envelope, id=text, source=text, type=text, time=times, subject=st.none() | text, extensions=extensions
    )


TIMED = envelopes(moments)
"""The SDK puts the present moment where an event has no time, which is optional: it is compared where there is one."""


def attributes(envelope: Envelope) -> dict[str, object]:
    known = {"id": envelope.id, "source": envelope.source, "type": envelope.type, "specversion": "1.0"}
    optional = {"time": envelope.time, "subject": envelope.subject}
    return {**known, **{k: v for k, v in optional.items() if v is not None}, **envelope.extensions}


@given(TIMED)
def test_what_we_write_the_sdk_reads(envelope: Envelope) -> None:
    headers = {name: value.encode() for name, value in envelope.headers().items()}
    event = from_binary_event(KafkaMessage(headers=headers, key=None, value=b"{}"))
    assert event.get_attributes() == {**attributes(envelope), "datacontenttype": "application/json"}


@given(TIMED)
def test_what_the_sdk_writes_we_read(envelope: Envelope) -> None:
    event = CloudEvent({**attributes(envelope), "datacontenttype": "application/json"}, {})
    assert decode(to_binary_event(event).headers.items()) == envelope


@given(envelopes(st.none() | moments))
def test_reading_gives_back_what_was_written(envelope: Envelope) -> None:
    assert decode((name, value.encode()) for name, value in envelope.headers().items()) == envelope


GOOD = {"ce_specversion": b"1.0", "ce_id": b"1", "ce_source": b"s", "ce_type": b"t"}


@pytest.mark.parametrize(
    ("change", "header"),
    [
        ({"ce_id": b""}, "ce_id"),
        ({"ce_source": b"\xff"}, "ce_source"),
        ({"ce_specversion": b"0.3"}, "ce_specversion"),
        ({"ce_time": b"yesterday"}, "ce_time"),
        ({"ce_time": b"2025-11-10T08:00:00"}, "ce_time"),
        ({"content-type": b"application/cloudevents+json"}, "content-type"),
        ({"content-type": b"text/xml"}, "content-type"),
    ],
)
def test_a_bad_header_is_named(change: dict[str, bytes], header: str) -> None:
    with pytest.raises(EnvelopeError) as refused:
        decode({**GOOD, **change}.items())
    assert refused.value.header == header


@pytest.mark.parametrize("missing", GOOD)
def test_a_missing_header_is_named(missing: str) -> None:
    with pytest.raises(EnvelopeError) as refused:
        decode((name, value) for name, value in GOOD.items() if name != missing)
    assert refused.value.header == missing


def test_headers_of_others_are_left_alone_whatever_their_bytes() -> None:
    assert decode([*GOOD.items(), ("x-trace", b"\xff\xfe"), ("nothing", None)]) == Envelope("1", "s", "t")


def test_utc_is_written_with_a_z() -> None:
    assert Envelope("1", "s", "t", datetime(2025, 11, 10, 8, tzinfo=UTC)).headers()["ce_time"] == "2025-11-10T08:00:00Z"

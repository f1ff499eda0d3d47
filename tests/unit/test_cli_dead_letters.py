"""What of a dead letter may be shown, and which letters may not be sent again."""

from dataclasses import replace

import pytest

from services.ops.dead_letters import Letter
from services.runtime.errors import Permanent
from services.runtime.records import Record


def letter(
    topic: str = "cases.dlq", key: bytes | None = b"0162/s/EX-1", value: bytes | None = b"{}", **why: bytes
) -> Letter:
    headers = tuple((f"dlq_{name}", text) for name, text in why.items())
    return Letter(Record(topic, 0, 1, key, value, headers, 0))


@pytest.mark.parametrize("topic", ["contacts.dlq", "notices.dlq", "p-contacts.dlq", "somebody-elses.dlq"])
def test_values_and_keys_of_sealed_and_of_unknown_topics_are_withheld(topic: str) -> None:
    found = letter(topic, key=b"anna@exempel.example", value=b"anna@exempel.example")
    assert found.shown_value()[0] == "withheld"
    assert "anna" not in found.shown_value()[1] + str(found.shown_key())


def test_a_topic_is_known_under_its_prefix() -> None:
    assert letter("p-cases.dlq").shown_value("p-") == ("text", "{}")
    assert letter("p-cases.dlq").shown_key("p-") == "0162/s/EX-1"
    assert letter("p-contacts.dlq").shown_value("p-")[0] == "withheld"


@pytest.mark.parametrize("key", [b"191212121212", b"0162/s/19121212-1212"])
def test_a_key_that_was_refused_for_being_a_personal_number_is_withheld(key: bytes) -> None:
    assert letter(key=key).shown_key() == "(withheld)"


@pytest.mark.parametrize("value", [None, b""])
def test_a_letter_without_bytes_is_not_sent_again(value: bytes | None) -> None:
    with pytest.raises(Permanent, match="erase its key"):
        letter(value=value, partition=b"0").replay()


@pytest.mark.parametrize(
    ("said", "shown"),
    [(b"dropped", "may not be stored"), (b"tombstone", "was a tombstone"), (b"", "or the record was")],
)
def test_a_letter_without_bytes_says_whether_they_were_dropped_or_never_there(said: bytes, shown: str) -> None:
    found = Letter(replace(letter(value=b"").record, headers=(("dlq_value", said),)))
    assert shown in found.shown_value()[1]
    with pytest.raises(Permanent, match=shown):
        found.replay()


def test_an_empty_value_that_was_kept_is_sent_again_as_it_was() -> None:
    found = Letter(replace(letter(value=b"").record, headers=(("dlq_value", b"kept"),)))
    assert found.shown_value() == ("text", "")
    assert found.replay().value == b""


@pytest.mark.parametrize("count", [b"3", b"4", b"-1", b"1e3", b"\xff"])
def test_a_letter_that_was_sent_three_times_or_whose_count_is_no_number_is_not_sent_again(count: bytes) -> None:
    with pytest.raises(Permanent):
        letter(replays=count).replay()


def test_the_first_reason_is_kept_through_later_deaths() -> None:
    again = letter(replays=b"1", reason=b"late", first_reason=b"bad_json").replay()
    assert dict(again.headers) == {"dlq_replays": b"2", "dlq_first_reason": b"bad_json"}
    assert dict(letter(reason=b"bad_json").replay().headers)["dlq_first_reason"] == b"bad_json"


def test_a_letter_that_does_not_say_its_partition_goes_where_its_key_goes() -> None:
    assert letter().replay().partition is None
    assert letter(partition=b"4").replay().partition == 4


def test_a_replay_bears_the_events_own_headers_without_its_first_attempts_trace() -> None:
    sent_with = (("content-type", b"application/json"), ("ce_id", b"1"), ("ce_traceparent", b"00-1"), ("b3", b"1"))
    found = Letter(replace(letter().record, headers=sent_with))
    assert [name for name, _ in found.kept_headers] == ["content-type", "ce_id"]
    assert found.dropped_headers == ("ce_traceparent", "b3")


@pytest.mark.parametrize(("topic", "shown"), [("cases.dlq", "anna"), ("contacts.dlq", "(withheld)")])
def test_headers_of_sealed_topics_are_withheld_but_for_those_that_name_nobody(topic: str, shown: str) -> None:
    found = Letter(replace(letter(topic).record, headers=(("ce_id", b"1"), ("ce_subject", b"anna"))))
    assert found.shown_headers() == {"ce_id": "1", "ce_subject": shown}

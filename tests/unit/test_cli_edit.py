"""What a correction of a dead letter may be, what is sent, and what is refused."""

import json
from typing import Any

import pytest

from schemas.case import CASE_CHANGED
from schemas.envelope import Envelope, decode
from schemas.model import default
from schemas.topics import TOPICS
from services.ops.dead_letters import Letter
from services.ops.editing import BadChange, Plan, changed, known_version, may_edit, plan
from services.runtime.dead_letters import headers
from services.runtime.errors import Permanent, Rejected
from services.runtime.records import Record
from tests.matcher_cases import content

KEY = b"0162/prov/A"
ENVELOPE = Envelope(id="42", source="prov", type=CASE_CHANGED).headers()
EVENT = tuple((name, text.encode()) for name, text in ENVELOPE.items())


def record(offset: int = 7, key: bytes = KEY, headers: Any = EVENT, **changes: Any) -> Record:
    return Record("cases", 1, offset, key, json.dumps(content(**changes)).encode(), tuple(headers), 0)


def letter(of: Record | None = None, reason: str = "unknown_stage", **changes: Any) -> Letter:
    died = of or record(stage="nosuch", **changes)
    why = tuple(headers(died, Rejected(reason, "correct it"), "matcher"))
    return Letter(Record("cases.dlq", 0, 3, died.key, died.value, why, 0))


def corrected(dead: Letter, *sets: str, value: bytes | None = None) -> Plan:
    return plan(dead, changed(dead.record.value or b"", sets, ()) if value is None else value, default())


def test_a_correction_that_keeps_the_rules_is_a_new_event_that_asks_to_be_held() -> None:
    found = corrected(letter(), "/stage=projektering")
    envelope = decode(found.posting.headers)
    assert found.complaints == ()
    assert (envelope.source, envelope.type, envelope.extensions) == ("prov", CASE_CHANGED, {"nardialogheld": "edited"})
    assert envelope.id != "42"
    assert (found.posting.topic, found.posting.partition, found.posting.key) == ("cases", 1, KEY)
    assert dict(found.posting.headers)["dlq_replays"] == b"1"
    assert dict(found.posting.headers)["dlq_first_reason"] == b"unknown_stage"


def test_the_same_correction_is_the_same_event_and_another_is_another() -> None:
    once, again, other = (
        corrected(letter(), *sets).posting.headers
        for sets in (["/stage=projektering"], ["/stage=projektering"], ["/stage=projektering", "/title=Annan"])
    )
    assert once == again
    assert dict(once)["ce_id"] != dict(other)["ce_id"]


def test_what_would_be_dead_lettered_again_is_told_with_all_its_faults() -> None:
    found = corrected(letter(version=0))
    assert {item.pointer for item in found.complaints} == {"/stage", "/version"}


def test_headers_of_others_and_those_that_were_at_fault_do_not_travel() -> None:
    strange = (
        ("ce_id", b"\xff"),
        ("ce_type", b"x"),
        ("ce_time", b"soon"),
        ("ce_traceparent", b"00-1"),
        ("x-odd", b"1"),
    )
    found = corrected(letter(record(headers=strange), reason="bad_header"), "/title=Ny")
    envelope = decode(found.posting.headers)
    assert (envelope.type, envelope.source, envelope.time) == (CASE_CHANGED, "nardialog/ops", None)
    assert {name for name, _ in found.posting.headers} == {
        "content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_nardialogheld", "dlq_replays",
        "dlq_first_reason",
    }  # fmt: skip


def test_a_letter_under_a_wrong_key_goes_under_the_key_of_what_it_says_wherever_that_belongs() -> None:
    found = corrected(letter(record(key=b"A"), reason="wrong_key"))
    assert found.changes
    assert (found.posting.key, found.posting.partition) == (KEY, None)


def test_a_correction_that_corrects_nothing_is_known_as_such() -> None:
    assert not corrected(letter(record(), reason="not_matched")).changes
    assert corrected(letter(record(), reason="bad_header")).changes


@pytest.mark.parametrize("value", [b'{"confidential": true}', b'{"\\u0063onfidential": true, "title": 1}'])
def test_what_is_confidential_is_never_taken(value: bytes) -> None:
    with pytest.raises(Permanent, match="confidential"):
        corrected(letter(), value=value)


def test_an_empty_value_is_no_correction() -> None:
    with pytest.raises(Permanent, match="discard"):
        corrected(letter(), value=b"")


@pytest.mark.parametrize("name", [topic.name for topic in TOPICS if topic.name != "cases"] + ["somebody-elses"])
def test_only_cases_may_be_edited_because_only_they_are_held(name: str) -> None:
    with pytest.raises(Permanent, match=name):
        may_edit(Letter(Record(f"p-{name}.dlq", 0, 1, b"k", b"{}", (), 0)), "p-")
    may_edit(Letter(Record("p-cases.dlq", 0, 1, b"k", b"{}", (), 0)), "p-")


def test_a_letter_whose_value_was_dropped_or_that_died_three_times_is_not_edited() -> None:
    with pytest.raises(Permanent, match="no value"):
        may_edit(Letter(Record("cases.dlq", 0, 1, b"k", b"", (), 0)))
    with pytest.raises(Permanent, match="3 times"):
        may_edit(Letter(Record("cases.dlq", 0, 1, b"k", b"{}", (("dlq_replays", b"3"),), 0)))


def test_the_known_version_is_that_of_what_was_taken_not_of_what_died() -> None:
    dead = letter()
    died = record(stage="nosuch")
    others = [record(1, version=2), record(2, version=5, stage="nosuch"), record(3, key=b"0162/prov/B", version=9)]
    assert known_version(dead, KEY, [died], default()) == 0
    whole = record(version=4)
    assert known_version(letter(whole, reason="not_matched"), KEY, [whole], default()) == 0
    assert known_version(dead, KEY, [died, *others], default()) == 2


@pytest.mark.parametrize(
    ("sets", "removes", "after"),
    [
        (["/a=2"], [], {"a": 2, "b": [1, {"c": "x"}]}),
        (["/a=två ord"], [], {"a": "två ord", "b": [1, {"c": "x"}]}),
        (['/a="2"'], [], {"a": "2", "b": [1, {"c": "x"}]}),
        (["/a=x=y"], [], {"a": "x=y", "b": [1, {"c": "x"}]}),
        (["/b/1/c=null", "/new=[]"], [], {"a": 1, "b": [1, {"c": None}], "new": []}),
        (["/b/-=3"], [], {"a": 1, "b": [1, {"c": "x"}, 3]}),
        (["/m~1n=1"], [], {"a": 1, "b": [1, {"c": "x"}], "m/n": 1}),
        (["/a=NaN"], [], {"a": "NaN", "b": [1, {"c": "x"}]}),
        ([], ["/a", "/b/0"], {"b": [{"c": "x"}]}),
    ],
)
def test_members_are_set_and_removed_by_json_pointer(sets: list[str], removes: list[str], after: object) -> None:
    assert json.loads(changed(b'{"a": 1, "b": [1, {"c": "x"}]}', sets, removes)) == after


@pytest.mark.parametrize(
    ("sets", "removes"),
    [(["a=1"], []), (["/a"], []), (["/x/y=1"], []), (["/b/1=1"], []), (["/b/00=1"], []), ([], ["/x"]), ([], ["/b/-"])],
)
def test_a_place_that_is_not_there_is_refused(sets: list[str], removes: list[str]) -> None:
    with pytest.raises(BadChange):
        changed(b'{"a": 1, "b": [1]}', sets, removes)


def test_of_a_letter_that_is_no_json_single_members_cannot_be_set() -> None:
    with pytest.raises(BadChange, match="--file"):
        changed(b'{"a": ', ["/a=1"], [])

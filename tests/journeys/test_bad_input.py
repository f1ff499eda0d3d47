"""Whatever bytes come, the flow goes on: what is bad is put aside as it came, with a reason that says what to do."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest
from prometheus_client import REGISTRY

from schemas.case import CASE_CHANGED, Case
from schemas.company import COMPANY_CHANGED, IMPORT_COMPLETED, MARKER_PREFIX
from schemas.company import EXAMPLE as COMPANY
from schemas.contact import CONTACT_CHANGED
from schemas.contact import EXAMPLE as CONTACT
from schemas.invitation import EXAMPLE as INVITATION
from schemas.invitation import INVITATION_CHANGED
from schemas.notice import EXAMPLE as NOTICE
from schemas.notice import NOTICE_REQUESTED
from schemas.round import EXAMPLE as ROUND
from schemas.round import ROUND_CHANGED
from schemas.suppression import EXAMPLE as SUPPRESSION
from schemas.suppression import SUPPRESSION_CHANGED
from schemas.topics import CASES, COMPANIES, CONTACTS, EVENT_BYTES, INVITATIONS, NOTICES, ROUNDS, SUPPRESSIONS, Topic
from services.runtime.records import Record
from services.runtime.sealing import Seal, key_pair
from services.runtime.topic_admin import TopicAdmin
from tests.journeys.installation import Installation, a_case, case_headers, reason, row

pytestmark = pytest.mark.anyio
SECRET: Final = "Kvarteret Smultronet"
"""Stands in every confidential case, and nowhere else."""
BAD_KEY: Final = b"0162/prov/BAD"


@dataclass(frozen=True)
class Bad:
    """A bad record, and what its dead letter must say: reason, part of the detail, pointer."""

    value: bytes | None
    reason: str
    advice: str
    pointer: str = ""
    headers: Mapping[str, bytes] = field(default_factory=dict)
    key: bytes = b""
    kept: bool = True


def wrong(**changes: Any) -> bytes:
    """A case that is right but for the changes."""
    right = json.loads(a_case("BAD").model_dump_json(exclude_none=True, exclude={"confidential"}))
    return json.dumps(changes | {name: value for name, value in right.items() if name not in changes}).encode()


def placed(kind: str, coordinates: Any) -> bytes:
    return wrong(geometries=[{"role": "site", "geometry": {"type": kind, "coordinates": coordinates}}])


BOW = [[[18.03, 59.4], [18.04, 59.41], [18.04, 59.4], [18.03, 59.41], [18.03, 59.4]]]
SECRET_CASE = wrong(confidential=True, title=SECRET)
BAD_CASES: Final = {
    "a header that is not UTF-8": Bad(
        wrong(), "bad_header", "header ce_id is not UTF-8", headers={"ce_id": b"\xff\xfe"}
    ),
    "a type of an unknown family": Bad(
        wrong(),
        "unknown_type",
        f"is none of {CASE_CHANGED}; send one of these",
        headers={"ce_type": b"com.example.thing.v1"},
    ),
    "broken JSON": Bad(wrong()[:-20], "broken_json", "send one JSON object"),
    "bytes that are not text": Bad(b"\xff\x00\x01", "broken_json", "send one JSON object"),
    "an empty value": Bad(b"", "broken_json", "send one JSON object"),
    "a wrong shape": Bad(wrong(version="first"), "wrong_shape", "int_parsing", "/version"),
    "no place": Bad(wrong(geometries=[]), "wrong_shape", "give geometries, or"),
    "a tombstone": Bad(None, "tombstone", "withdrawn or closed; send that first"),
    "too many bytes": Bad(wrong(filler="x" * EVENT_BYTES), "too_large", f"the limit is {EVENT_BYTES}: make it smaller"),
    "a code without version": Bad(
        wrong(industries=[{"code": "56"}]), "wrong_shape", "the field is required; add it", "/industries/0/version"
    ),
    "a polygon that crosses itself": Bad(
        placed("Polygon", BOW), "invalid_polygon", "redraw the ring there", "/geometries/0/geometry/coordinates"
    ),
    "latitude before longitude": Bad(
        placed("Point", [59.4, 18.03]), "axis_order", "wants longitude, latitude", "/geometries/0/geometry/coordinates"
    ),
    "SWEREF metres as degrees": Bad(
        placed("Point", [674032.0, 6588420.0]),
        "not_degrees",
        "SWEREF 99 TM metres? use WGS 84",
        "/geometries/0/geometry/coordinates",
    ),
    "another case's key": Bad(wrong(), "wrong_key", "municipality/source/case id; send it so", key=b"0162/prov/OTHER"),
    "confidential": Bad(SECRET_CASE, "confidential", "keep them in the case system", "/confidential", kept=False),
    "confidential and cut off": Bad(
        SECRET_CASE[:-9], "confidential", "keep them in the case system", "/confidential", kept=False
    ),
    "confidential in disguise": Bad(
        SECRET_CASE.replace(b'"confidential"', b'"\\u0063onfidential"'),
        "confidential",
        "keep them in the case system",
        "/confidential",
        kept=False,
    ),
}


async def test_bad_cases_are_put_aside_as_they_came_and_the_good_ones_between_them_are_handled(
    installation: Installation, capfd: pytest.CaptureFixture[str]
) -> None:
    world = installation
    await world.start(partitions=1)
    await world.matcher()
    await world.import_register([row(1)])
    sent: dict[str, list[tuple[str, bytes | None]]] = {}
    good = [a_case("G 0")]
    await world.send_case(good[0], CASES, extra=[("x-theirs", b"\xff\xfe"), ("x-empty", None)])
    for n, (name, bad) in enumerate(BAD_CASES.items(), 1):
        plain = dict(case_headers(f"bad {n}"))
        sent[name] = [
            *{**plain, **bad.headers}.items(),
            ("x-name", name.encode()),
            ("x-theirs", b"\xc3\x28"),
            ("x-0", None),
        ]
        await world.send(CASES, bad.key or BAD_KEY, bad.value, sent[name])
        good.append(a_case(f"G {n}"))
        await world.send_case(good[-1], CASES)
    newer = dict(case_headers("newer")) | {"ce_type": b"se.nardialog.case.changed.v2"}
    await world.send(CASES, good[0].key.encode(), b"\x00 whatever", list(newer.items()))
    good.append(a_case("G last"))
    await world.send_case(good[-1], CASES)
    await world.until(
        lambda: {r.case_id for r in world.rounds().values() if r.state == "open"} == ids(good), "all open"
    )
    await world.until(lambda: len(world.dead()) >= len(BAD_CASES), "all put aside")  # cases go side by side

    letters = {(dict(r.headers)["dlq_offset"] or b"").decode(): r for r in world.dead()}
    offsets = [r for r in world.records(CASES) if r.key in {bad.key or BAD_KEY for bad in BAD_CASES.values()}]
    assert len(letters) == len(world.dead()) == len(BAD_CASES) == len(offsets)
    for (name, bad), original in zip(BAD_CASES.items(), offsets, strict=True):
        assert_put_aside(name, bad, original, letters[str(original.offset)], sent[name])
    skipped = {"service": "matcher", "topic": world.kafka.topic(CASES), "outcome": "unknown_type"}
    assert REGISTRY.get_sample_value("nardialog_records_total", skipped) == 1
    await world.until(lambda: nothing_waits(world), "nothing waits")

    said = "".join(capfd.readouterr())
    elsewhere = [r for r in world.seen if r.topic != world.kafka.topic(CASES)]
    assert "dead letter" in said
    assert SECRET not in said
    assert not [r for r in elsewhere if SECRET.encode() in repr(r).encode() or SECRET in repr(r)]
    assert any(SECRET in repr(r) for r in world.seen)


def ids(cases: list[Case]) -> set[str]:
    return {case.case_id for case in cases}


def assert_put_aside(
    name: str, bad: Bad, original: Record, letter: Record, sent: list[tuple[str, bytes | None]]
) -> None:
    why = dict(letter.headers)
    assert (name, reason(letter)) == (name, bad.reason)
    assert bad.advice in (why["dlq_detail"] or b"").decode(), name
    assert ((why["dlq_pointer"] or b"").decode(), letter.key) == (bad.pointer, original.key), name
    stands = "tombstone" if bad.value is None else "kept" if bad.kept else "dropped"
    assert why["dlq_value"] == stands.encode(), name
    theirs = [(header, value) for header, value in letter.headers if not header.startswith("dlq_")]
    if bad.kept:
        assert (letter.value, theirs) == (bad.value, sent), name
    else:
        assert letter.value == (None if bad.value is None else b"")
        assert {header for header, _ in theirs} <= {
            "ce_id",
            "ce_type",
            "ce_source",
            "ce_specversion",
            "ce_time",
            "content-type",
        }


def nothing_waits(world: Installation) -> bool:
    with TopicAdmin(world.kafka.bootstrap) as admin:
        rows = [row for row in admin.lag() if row.group.startswith(world.kafka.topic_prefix)]
    assert rows
    return all(row.lag == 0 for row in rows)


ANNA: Final = "anna.andersson@exempel.example"
TABLES: Final[dict[Topic, tuple[str, Mapping[str, Any], str]]] = {
    # topic: (type, an event, its id)
    ROUNDS: (ROUND_CHANGED, ROUND, "round_id"),
    COMPANIES: (COMPANY_CHANGED, COMPANY, "workplace_id"),
    CONTACTS: (CONTACT_CHANGED, CONTACT, "contact_id"),
    SUPPRESSIONS: (SUPPRESSION_CHANGED, SUPPRESSION, "suppression_id"),
    INVITATIONS: (INVITATION_CHANGED, INVITATION, "case_key"),
    NOTICES: (NOTICE_REQUESTED, NOTICE, "recipient_id"),
}


def bad_records(topic: Topic, world: Installation) -> dict[str, Bad]:
    """Bad records of a topic that the notifier reads."""
    type_, example, key_field = TABLES[topic]
    key = str(example[key_field]).encode()
    event = json.dumps(example).encode()
    kept = topic not in (CONTACTS, NOTICES)  # what has not their shape may be an address in the clear
    right = {"ce_type": type_.encode()}
    found = {
        "a header that is not UTF-8": Bad(
            event, "bad_header", "send the header as UTF-8", "", right | {"ce_id": b"\xff"}
        ),
        "an unknown family": Bad(event, "unknown_type", "send one of these", "", {"ce_type": b"com.example.v1"}),
        "broken JSON": Bad(event[:-9], "broken_json", "send one JSON object", "", right),
        "a wrong shape": Bad(b'{"municipality": 7}', "wrong_shape", "string_type", "/municipality", right),
    }
    if topic is INVITATIONS:
        found["a tombstone"] = Bad(None, "tombstone", "revoked by an event", "", right)
    elif topic is NOTICES:
        found["a tombstone"] = Bad(None, "tombstone", "it ends at its expiry", "", right)
    else:
        found["another id's key"] = Bad(event, "key_mismatch", "key it so", f"/{key_field}", right, b"other")
        found["a key that is not UTF-8"] = Bad(event, "bad_key", "send it as UTF-8", "", right, b"\xff\xfe")
    if topic is COMPANIES:
        marker = {"ce_type": IMPORT_COMPLETED.encode()}
        name = f"{MARKER_PREFIX}0".encode()
        found["half a marker"] = Bad(b'{"municipality": "0162"}', "wrong_shape", "missing", "/import_id", marker, name)
    made = {name: replace(bad, key=bad.key or key, kept=kept) for name, bad in found.items()}
    if topic is CONTACTS:
        made |= bad_boxes(key, right, world)
    return made


def bad_boxes(key: bytes, headers: Mapping[str, bytes], world: Installation) -> dict[str, Bad]:
    """Contacts whose shape is right and whose box is not: nobody can read them, so they are kept."""
    ours, strange = Seal("k1", world.public_key), Seal("k9", key_pair()[1])

    def boxed(seal: Seal, inside: bytes) -> bytes:
        return json.dumps({**CONTACT, "sealed": seal.seal(inside).model_dump()}).encode()

    anna = json.dumps({"address": ANNA}).encode()
    return {
        "sealed to a key of somebody else": Bad(
            boxed(strange, anna), "unreadable_seal", "a key version that this notifier", "/sealed", headers, key
        ),
        "no address in the box": Bad(
            boxed(ours, b'{"address": "Anna"}'),
            "bad_address",
            "not an e-mail address; correct it",
            "/sealed",
            headers,
            key,
        ),
        "something else in the box": Bad(
            boxed(ours, b"[1]"), "wrong_shape", "seal the Address schema", "/sealed", headers, key
        ),
    }


async def test_bad_records_of_every_topic_that_the_notifier_reads_are_put_aside_and_the_mail_still_leaves(
    installation: Installation,
) -> None:
    world = installation
    await world.start(partitions=1)
    notifier = await world.notifier()
    bad = {topic: bad_records(topic, world) for topic in TABLES}
    sent: dict[tuple[str, int], list[tuple[str, bytes | None]]] = {}

    async def spoil() -> None:
        for topic, records in bad.items():
            for record in records.values():
                headers = [*{**dict(case_headers("bad")), **record.headers}.items(), ("x-0", None)]
                sent[await world.send(topic, record.key, record.value, headers)] = headers

    await spoil()
    await world.matcher()
    await world.import_register([row(1, email=ANNA)])
    await world.send_case(a_case("G 1"), CASES)
    await world.until(lambda: len(world.accepted()) == 1, "the first mail")
    await spoil()
    await world.import_register([row(1, email=ANNA), row(2, email="info@exempel2.example")])
    await world.send_case(a_case("G 2"), CASES)
    await world.until(lambda: len(world.accepted()) == 4, "a mail to each for each case, late comers too")
    await world.until(lambda: len(world.dead()) == len(sent), "every bad record put aside")
    await world.settled(notifier)
    await world.until(lambda: nothing_waits(world), "nothing waits")
    assert set(world.accepted().values()) == {1}
    assert sum(world.accepted().values()) == 4
    assert set(world.ends().values()) == {("sent", "accepted")}

    letters = {(r.topic.removesuffix(".dlq"), int(dict(r.headers)["dlq_offset"] or b"")): r for r in world.dead()}
    assert letters.keys() == sent.keys()
    for topic, records in bad.items():
        places = sorted(place for place in sent if place[0] == world.kafka.topic(topic))
        for place, (name, record) in zip(places, [*records.items()] * 2, strict=True):
            original = next(r for r in world.seen if (r.topic, r.offset) == place)
            assert_put_aside(f"{topic.name}: {name}", record, original, letters[place], sent[place])

"""How far a case has come that was sent in: until nothing of it is under way."""

from typing import Any

import pytest

from schemas.case import Case
from schemas.delivery import DELIVERY_RECORDED, EXAMPLE, Delivery
from schemas.envelope import Envelope
from schemas.round import EXAMPLE as ROUND
from schemas.round import Round
from services.portal.case_waiting import Course, Fates, course, rounds_of
from services.runtime.records import Record
from tests.matcher_cases import content

pytestmark = pytest.mark.anyio
CASE = Case.model_validate(content(version=2))
ASK, INFORM = rounds_of(CASE)


def round_(**changes: Any) -> dict[str, Round]:
    made = {**ROUND, "round_id": ASK, "basis": {"case_version": 2}, "counts": {"invitations": 2}, **changes}
    return {made["round_id"]: Round.model_validate(made)}


async def said(*events: dict[str, Any]) -> Fates:
    fates = Fates([CASE])
    for event in events:
        given = {key: value for key, value in EXAMPLE.items() if key not in ("invitation_ids", "round_ids")}
        made = Delivery.model_validate({**given, "round_ids": [ASK], **event})
        headers = Envelope(id="1", source="prov", type=DELIVERY_RECORDED).headers()
        value = made.model_dump_json().encode()
        marks = tuple((key, text.encode()) for key, text in headers.items())
        await fates.apply([Record("deliveries", 0, 0, b"m", value, marks, 0)])
    return fates


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        ({}, Course("not matched yet")),
        (round_(basis={"case_version": 1}), Course("not matched yet")),
        (round_(state="matching"), Course("matching")),
        (round_(state="silent", reason="tender"), Course("silent (tender)", ended=True)),
        (round_(state="held", reason="review", detail="waits"), Course("held (review): waits", True, True)),
        (round_(state="withdrawn"), Course("withdrawn", ended=True)),
        (round_(), Course("open, 2 recipient(s)")),
        (round_(counts={"invitations": 0}), Course("open, 0 recipient(s)", ended=True)),
    ],
)
def test_a_round_that_goes_no_further_by_itself_ends_the_waiting(rounds: dict[str, Round], expected: Course) -> None:
    assert course(CASE, rounds, {}) == expected


async def test_it_ends_when_each_invitation_was_sent_or_has_its_reason_or_waits_for_its_digest() -> None:
    first = {"invitation_ids": ["i1"], "state": "sent"}
    assert course(CASE, round_(), (await said(first)).by_round) == Course("open, 2 recipient(s): 1 sent")
    for state in ("composed", "retry", "unknown"):
        fates = await said(first, {"invitation_ids": ["i2"], "state": state})
        assert not course(CASE, round_(), fates.by_round).ended
    for state in ("waiting", "not_reachable", "delivered"):
        fates = await said(first, {"invitation_ids": ["i2"], "state": state})
        assert course(CASE, round_(), fates.by_round).ended


async def test_a_digest_and_another_round_say_nothing_of_whom_this_round_does_not_have() -> None:
    waits = {"invitation_ids": ["i1"], "state": "waiting"}
    digest = {"invitation_ids": ["i1", "x"], "round_ids": [ASK, "other"], "state": "sent", "kind": "digest"}
    reminder = {"invitation_ids": ["i1"], "state": "failed", "kind": "reminder"}
    fates = await said(waits, digest, reminder, {"invitation_ids": ["y"], "round_ids": ["other"], "state": "sent"})
    assert {key: dict(value) for key, value in fates.by_round.items()} == {ASK: {"i1": "sent"}, INFORM: {}}

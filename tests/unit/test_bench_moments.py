"""What the bench reads from records and ledger becomes the stages of the flow."""

import json
from typing import Any

import pytest

from bench.figures import Span
from bench.moments import STAGES, Moments
from schemas.topics import CASES, INVITATIONS, ROUNDS
from services.runtime.records import Record

pytestmark = pytest.mark.anyio


def record(topic: str, at: int, key: str = "k", **content: Any) -> Record:
    return Record(topic, 0, 0, key.encode(), json.dumps(content).encode(), (), at)


async def moments() -> Moments:
    made = Moments()
    for case, round_id, start in (("warm", "r0", 0), ("measured", "r1", 10_000)):
        ids = {"case_key": case, "round_id": round_id}
        await made.take(
            [
                record(CASES.name, start, case),
                record(ROUNDS.name, start + 100, **ids, state="matching"),
                record(INVITATIONS.name, start + 250, **ids, invitation_id=f"i-{case}"),
                record(ROUNDS.name, start + 300, **ids, state="open"),
            ]
        )
        made.admitted[f"i-{case}"] = start / 1000 + 0.5
        made.composed[f"i-{case}"] = start / 1000 + 1.5
        made.accepted[f"i-{case}"] = start / 1000 + 2.0
    return made


async def test_each_stage_begins_where_its_event_went_in_and_ends_where_it_came_out() -> None:
    spans = (await moments()).without("warm").spans()
    assert spans == {
        "case_to_matching": [Span(10.0, 10.1)],
        "matching_to_invitation": [Span(10.1, 10.25)],
        "invitation_to_round_open": [Span(10.25, 10.3)],
        "invitation_to_admitted": [Span(10.25, 10.5)],
        "admitted_to_composed": [Span(10.5, 11.5)],
        "composed_to_accepted": [Span(11.5, 12.0)],
        "case_to_accepted": [Span(10.0, 12.0)],
    }
    assert spans.keys() == STAGES.keys()


async def test_an_invitation_that_no_mail_came_of_is_an_error_and_not_left_out() -> None:
    made = await moments()
    del made.accepted["i-measured"]
    with pytest.raises(KeyError):
        made.spans()

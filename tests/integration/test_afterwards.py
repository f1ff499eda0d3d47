"""What came of the answers, and what was wrong in a message, told to those whom that message reached."""

import json
from datetime import timedelta
from typing import Any

import pytest

from schemas.identity import invitation_id
from schemas.round import EXAMPLE as ROUND
from services.notifier.channels.port import Outcome, State
from tests.notifier_house import MONDAY, ROUND_ID, House, house

pytestmark = pytest.mark.anyio
__all__ = ["house"]

LATER = MONDAY + timedelta(days=30)
FEEDBACK = {"round_id": "told", "purpose": "feedback", "number": 1, "texts": {"outcome": {"taken": "Ja."}}}
CORRECTION = {"round_id": "told", "purpose": "change", "change": "corrected", "number": 2}


async def tell(house: House, about: dict[str, Any], *recipients: str, **changes: Any) -> None:
    """A round that follows the first one, for these recipients of it."""
    given: dict[str, Any] = {
        **about,
        "follows": ROUND_ID,
        "basis": {**ROUND["basis"], "decision": 1},  # type: ignore[dict-item]
        "plan": {**ROUND["plan"], "asks": False, "reminder": None},  # type: ignore[dict-item]
        "texts": {**ROUND["texts"], **about.get("texts", {})},  # type: ignore[dict-item]
        "opened_at": LATER,
        "respond_by": None,
        "expires_at": LATER + timedelta(days=14),
        "counts": {"invitations": len(recipients)},
    }
    await house.round(**given | changes)
    for recipient in recipients:
        own = {"invitation_id": invitation_id("told", recipient), "round_id": "told", "purpose": given["purpose"]}
        own |= {"respond_by": None, "expires_at": given["expires_at"], "basis": given["basis"]}
        await house.invite(recipient, f"w-{recipient}", **own)


def told(house: House) -> list[list[str]]:
    """The invitations of each message that said something afterwards."""
    ours = {invitation_id("told", name) for name in ("r1", "r2", "r3")}
    found = [json.loads(sent.body)["ids"] for sent in house.email.accepted]
    return [ids for ids in found if set(ids) <= ours]


@pytest.mark.parametrize("about", [FEEDBACK, CORRECTION])
async def test_it_goes_to_those_whom_the_first_message_reached_and_to_nobody_else(
    house: House, about: dict[str, Any]
) -> None:
    await house.round(counts={"invitations": 2})
    await house.reachable("r1", "anna@exempel.test")
    await house.reachable("r2", "bo@exempel.test")
    house.email.will(Outcome(State.FAILED, "5.1.1"))
    await house.sender.turn()
    reached = [json.loads(sent.body)["ids"] for sent in house.email.accepted]
    await house.contact("r3", "cilla@exempel.test")
    house.clock.moment = LATER
    await tell(house, about, "r1", "r2", "r3")
    await house.sender.turn()
    assert told(house) == []
    house.clock.moment = LATER + timedelta(seconds=600)
    await house.sender.turn()
    [name] = [name for name in ("r1", "r2") if [invitation_id(ROUND_ID, name)] in reached]
    assert told(house) == [[invitation_id("told", name)]]
    ended = {event.invitation_ids[0]: (event.state.value, event.code) for event in house.told()[-4:]}
    assert ended[invitation_id("told", "r3")] == ("cancelled", "never_told")


async def test_a_feedback_waits_for_a_question_that_has_not_left_yet(house: House) -> None:
    await house.round()
    await house.reachable("r1")
    house.email.will(Outcome(State.RETRY, "4.3.2"))
    await house.sender.turn()
    now = house.clock.moment
    await tell(house, FEEDBACK, "r1", opened_at=now - timedelta(hours=1), expires_at=now + timedelta(days=14))
    await house.sender.turn()
    assert told(house) == []
    house.clock.moment = now + timedelta(minutes=5)
    await house.sender.turn()
    await house.sender.turn()
    assert told(house) == [[invitation_id("told", "r1")]]


async def test_whom_the_wrong_message_has_not_reached_yet_gets_no_correction(house: House) -> None:
    await house.round()
    await house.reachable("r1")
    house.email.will(Outcome(State.RETRY, "4.3.2"))
    await house.sender.turn()
    now = house.clock.moment
    await tell(house, CORRECTION, "r1", opened_at=now - timedelta(hours=1), expires_at=now + timedelta(days=14))
    for minutes in (0, 5, 10):
        house.clock.moment = now + timedelta(minutes=minutes)
        await house.sender.turn()
    assert told(house) == []
    assert len(house.email.accepted) == 1


async def test_a_feedback_that_was_taken_back_does_not_leave_until_it_is_released(house: House) -> None:
    await house.round()
    await house.reachable("r1")
    await house.sender.turn()
    await tell(house, FEEDBACK, "r1")
    undone = {"case_version": 1, "decision": 2, "import_number": 9, "subscription": 9}
    await house.stop_all(kind="undone", scope="round", round_id="told", basis=undone)
    house.clock.moment = LATER + timedelta(hours=1)
    await house.sender.turn()
    assert told(house) == []
    released = {"case_version": 1, "decision": 3, "import_number": 1, "subscription": 0}
    await tell(house, FEEDBACK, "r1", basis=released)
    await house.sender.turn()
    assert told(house) == [[invitation_id("told", "r1")]]


async def test_who_said_stop_is_not_told_what_came_of_it(house: House) -> None:
    await house.round()
    await house.reachable("r1")
    await house.sender.turn()
    [first] = await house.messages()
    await house.stop_all(message_number=first.number)
    await tell(house, FEEDBACK, "r1")
    house.clock.moment = LATER + timedelta(hours=1)
    await house.sender.turn()
    assert told(house) == []
    assert house.told()[-1].state.value == "suppressed"

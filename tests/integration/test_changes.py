"""A change of a round is told to those whom the earlier message reached, and to nobody else."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from schemas.round import EXAMPLE as ROUND
from services.notifier.channels.port import Outcome, State
from tests.notifier_house import MONDAY, ROUND_ID, House, house

pytestmark = pytest.mark.anyio
__all__ = ["house"]


async def change(house: House, recipient: str = "r1", **changes: Any) -> str:
    """A withdrawal of the round, told to one of those who were invited."""
    given = {"round_id": "change", "purpose": "change", "number": 1, "change": "withdrawn", "follows": ROUND_ID}
    await house.round(**{**given, **changes})
    await house.invite(recipient, f"w-{recipient}", round_id="change", invitation_id="c1", purpose="change")
    return "c1"


async def test_a_change_goes_to_the_address_that_the_earlier_message_reached_by_the_same_channel(house: House) -> None:
    await house.round()
    await house.company("w-r1", "r1")
    await house.contact("r1", "+46700000000", "sms")
    await house.invite("r1", "w-r1")
    await house.sender.turn()
    await house.contact("r1", "anna@exempel.test")
    await house.company("w-r1", "r1", status="closed")
    told = await change(house)
    await house.sender.turn()
    assert not house.email.accepted
    assert [json.loads(sent.body)["ids"] for sent in house.sms.accepted][1:] == [[told]]
    assert [json.loads(sent.body)["told_at"] for sent in house.sms.accepted] == [None, MONDAY.isoformat()]


async def test_a_change_is_one_message_to_an_address_however_many_were_invited_at_it(house: House) -> None:
    await house.round(counts={"invitations": 2})
    await house.reachable("r1")
    await house.reachable("r2")
    await house.sender.turn()
    await house.round(round_id="change", purpose="change", number=1, follows=ROUND_ID, counts={"invitations": 2})
    for recipient in ("r1", "r2"):
        changed = {"round_id": "change", "invitation_id": f"c-{recipient}", "purpose": "change"}
        await house.invite(recipient, f"w-{recipient}", **changed)
    await house.sender.turn()
    assert [json.loads(sent.body)["ids"] for sent in house.email.accepted][1:] == [["c-r1", "c-r2"]]


async def test_a_change_ends_as_never_told_where_the_earlier_message_never_left(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.FAILED, "mailbox_gone"))
    await house.sender.turn()
    told = await change(house)
    await house.sender.turn()
    assert not house.email.accepted
    ended = house.told()[-1]
    assert (ended.state.value, ended.code, ended.invitation_ids) == ("cancelled", "never_told", [told])


async def test_a_change_of_a_round_withdrawn_before_anything_left_is_told_to_nobody(house: House) -> None:
    house.clock.moment = datetime.fromisoformat("2025-11-15T12:00:00+01:00")  # a Saturday
    await house.round()
    await house.reachable()
    await house.sender.turn()
    await house.round(state="withdrawn")
    await change(house)
    house.clock.moment += timedelta(days=2)
    await house.sender.turn()
    assert not house.email.accepted
    assert sorted((event.state.value, event.code) for event in house.told()) == [
        ("cancelled", "never_told"),
        ("cancelled", "round_ended"),
    ]


async def test_a_change_goes_where_the_earlier_outcome_stayed_unknown(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.UNKNOWN, "connection_lost"), Outcome(State.UNKNOWN, "connection_lost"))
    for _ in range(3):
        await house.sender.turn()
    await change(house)
    await house.sender.turn()
    assert json.loads(house.email.accepted[-1].body)["ids"] == ["c1"]


async def test_a_change_waits_for_an_earlier_message_that_is_on_its_way(house: House) -> None:
    await house.round()
    await house.reachable()

    async def withdrawn() -> None:
        [message] = await house.messages()
        assert message.state == "sending"
        await change(house)
        await house.sender.plan()
        assert house.states() == ["composed"]

    house.tables.at[house.tables.looks + 3] = withdrawn
    for _ in range(2):
        await house.sender.turn()
    assert [json.loads(sent.body)["ids"] for sent in house.email.accepted][1:] == [["c1"]]


async def test_a_change_waits_for_an_earlier_message_until_its_round_is_as_new(house: House) -> None:
    house.clock.moment = datetime.fromisoformat("2025-11-15T12:00:00+01:00")  # a Saturday
    await house.round()
    await house.reachable()
    await house.sender.turn()
    newer = {**ROUND["basis"], "decision": 1}  # type: ignore[dict-item]
    await change(house, basis=newer, change="moved")
    await house.sender.turn()
    assert house.states() == []
    await house.round(basis=newer)
    await house.sender.turn()
    assert [event.code for event in house.told()] == ["never_told"]
    house.clock.moment += timedelta(days=2)
    await house.sender.turn()
    assert len(house.email.accepted) == 1

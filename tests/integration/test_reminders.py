"""Reminders from the ledger, on both databases: one to an address, to those alone who have not answered."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from schemas.identity import invitation_id
from schemas.model import BurdenPolicy
from schemas.round import EXAMPLE as ROUND
from services.notifier.channels.port import Outcome, State
from services.notifier.ledger import pauses
from services.notifier.ledger.tables import MESSAGES
from services.notifier.policy.timing import Rules
from services.notifier.reminding import Reminding
from tests.notifier_house import MONDAY, ROUND_ID, House, house

pytestmark = pytest.mark.anyio
__all__ = ["house"]

REMIND_AT = datetime.fromisoformat("2025-12-01T09:00:00+01:00")
BY_SMS = {**ROUND["plan"], "reminder": {"days_before_deadline": 3, "channel": "sms"}}  # type: ignore[dict-item]


async def asking(house: House, invitations: int = 1, **changes: Any) -> None:
    """The round that asks, with its reminder."""
    await house.round(counts={"invitations": invitations}, remind_at=REMIND_AT, **changes)


async def turn_at(house: House, moment: datetime) -> None:
    """One pass of the sender at a moment."""
    house.clock.moment = moment
    await house.sender.turn()


def bodies(house: House) -> list[dict[str, Any]]:
    """What was accepted after the first messages."""
    return [json.loads(sent.body) for sent in house.email.accepted if "reminds" in json.loads(sent.body)]


async def test_who_has_not_answered_is_reminded_once_by_a_message_of_its_own(house: House) -> None:
    await asking(house)
    invited = await house.reachable()
    await turn_at(house, MONDAY)
    await turn_at(house, REMIND_AT - timedelta(seconds=1))
    assert len(house.email.accepted) == 1
    for minutes in range(5):
        await turn_at(house, REMIND_AT + timedelta(minutes=2 * minutes))
    first, again = house.email.accepted
    assert (again.address, again.message_id != first.message_id) == (first.address, True)
    assert bodies(house)[0]["ids"] == [invited]
    assert bodies(house)[0]["told_at"] == MONDAY.isoformat()
    one, two = await house.messages()
    assert one.number != two.number
    told = [event for event in house.told() if event.kind == "reminder"]
    assert [event.state.value for event in told] == ["composed", "sent"]
    assert {event.message_number for event in told} == {two.number}


@pytest.mark.parametrize("answer", [{}, {"kind": "registered", "via": "registrar"}, {"answer": "ej_relevant"}])
async def test_who_has_answered_in_any_way_is_not_reminded(house: House, answer: dict[str, str]) -> None:
    await asking(house)
    invited = await house.reachable()
    await turn_at(house, MONDAY)
    await house.answer(invited, **answer)
    await turn_at(house, REMIND_AT)
    assert len(house.email.accepted) == 1
    assert len(await house.messages()) == 1


@pytest.mark.parametrize("look", [1, 2, 3])
async def test_an_answer_that_comes_while_the_reminder_is_on_its_way_stops_it(house: House, look: int) -> None:
    """At its planning, before the claim, and after it was composed, when the provider is called next."""
    await asking(house)
    invited = await house.reachable()
    await turn_at(house, MONDAY)
    house.tables.at[house.tables.looks + look] = lambda: house.answer(invited)
    await turn_at(house, REMIND_AT)
    assert house.tables.at == {}
    await turn_at(house, REMIND_AT + timedelta(hours=1))
    assert len(house.email.accepted) == 1
    if look > 1:
        assert (house.told()[-1].kind, house.told()[-1].state, house.told()[-1].code) == (
            "reminder", "cancelled", "answered",
        )  # fmt: skip


async def test_who_left_the_register_while_the_reminder_waited_is_not_reminded(house: House) -> None:
    await asking(house)
    await house.reachable()
    await turn_at(house, MONDAY)
    house.tables.at[house.tables.looks + 2] = lambda: house.company("w-r1", "r1", status="closed")  # it is planned
    await turn_at(house, REMIND_AT)
    assert house.tables.at == {}
    assert len(house.email.accepted) == 1
    assert (house.told()[-1].kind, house.told()[-1].code) == ("reminder", "left_register")


async def test_of_two_companies_at_an_address_the_one_that_answered_is_not_named(house: House) -> None:
    await asking(house, 2)
    answered, silent = await house.reachable("r1"), await house.reachable("r2")
    await turn_at(house, MONDAY)
    await house.answer(answered)
    await turn_at(house, REMIND_AT)
    assert [body["ids"] for body in bodies(house)] == [[silent]]


async def test_a_company_that_answers_while_the_reminder_is_composed_is_taken_off_it(house: House) -> None:
    await asking(house, 2)
    answered, silent = await house.reachable("r1"), await house.reachable("r2")
    await turn_at(house, MONDAY)
    house.tables.at[house.tables.looks + 3] = lambda: house.answer(answered)
    await turn_at(house, REMIND_AT)
    assert bodies(house) == []
    await turn_at(house, REMIND_AT + timedelta(minutes=2))
    assert [body["ids"] for body in bodies(house)] == [[silent]]
    assert house.told()[-1].invitation_ids == [silent]


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "withdrawn"},
        {"state": "closed", "reason": "newer_stage"},
        {"state": "held", "reason": "undone"},
        {"remind_at": None},
        {"purpose": "inform"},
        {"respond_by": "2025-11-28"},
    ],
)
async def test_a_round_that_is_over_held_or_asks_nothing_reminds_nobody(house: House, changes: dict[str, Any]) -> None:
    await asking(house)
    await house.reachable()
    await turn_at(house, MONDAY)
    newer = {"remind_at": REMIND_AT, "basis": {**ROUND["basis"], "case_version": 2}}  # type: ignore[dict-item]
    await house.round(**newer | changes)
    await turn_at(house, REMIND_AT)
    assert len(await house.messages()) == 1


async def test_an_undo_said_at_a_page_holds_the_reminder_too(house: House) -> None:
    await asking(house)
    await house.reachable()
    await turn_at(house, MONDAY)
    await house.stop_all(kind="undone", scope="round", round_id=ROUND_ID, basis=ROUND["basis"])
    await turn_at(house, REMIND_AT)
    assert len(await house.messages()) == 1


async def test_who_said_stop_is_not_reminded_and_nothing_more_is_told(house: House) -> None:
    await asking(house)
    await house.reachable()
    await turn_at(house, MONDAY)
    [first] = await house.messages()
    await house.stop_all(message_number=first.number)
    await turn_at(house, REMIND_AT)
    assert len(await house.messages()) == 1


async def test_a_stop_between_composing_and_calling_stops_the_reminder(house: House) -> None:
    await asking(house)
    await house.reachable()
    await turn_at(house, MONDAY)
    [first] = await house.messages()
    house.tables.at[house.tables.looks + 3] = lambda: house.stop_all(message_number=first.number)
    await turn_at(house, REMIND_AT)
    assert len(house.email.accepted) == 1
    assert house.told()[-1].state.value == "suppressed"


async def test_whom_the_first_message_did_not_reach_is_not_reminded(house: House) -> None:
    await asking(house)
    await house.reachable()
    house.email.will(Outcome(State.FAILED, "5.1.1"))
    await turn_at(house, MONDAY)
    await turn_at(house, REMIND_AT)
    assert [row.state for row in await house.messages()] == ["failed"]


async def test_who_has_left_the_register_since_is_not_reminded(house: House) -> None:
    await asking(house)
    await house.reachable()
    await turn_at(house, MONDAY)
    await house.company("w-r1", "r1", status="closed")
    await turn_at(house, REMIND_AT)
    assert len(await house.messages()) == 1


async def test_whose_first_message_may_have_come_is_reminded(house: House) -> None:
    await asking(house)
    await house.reachable()
    house.email.will(Outcome(State.UNKNOWN, "closed"), Outcome(State.UNKNOWN, "closed"))
    await turn_at(house, MONDAY)
    for minutes in range(3):
        await turn_at(house, MONDAY + timedelta(minutes=minutes))
    assert [row.code for row in await house.messages()] == ["unknown_outcome"]
    await turn_at(house, REMIND_AT)
    assert len(bodies(house)) == 1


async def test_a_late_comer_is_left_alone_for_two_days_and_then_reminded_if_there_is_time(house: House) -> None:
    await asking(house)
    await turn_at(house, REMIND_AT - timedelta(hours=1))
    await house.reachable("r1", "bo@exempel.test")
    left = REMIND_AT + timedelta(hours=1)
    await turn_at(house, left)
    await turn_at(house, left + timedelta(hours=47))
    assert bodies(house) == []
    await turn_at(house, left + timedelta(hours=48))
    assert len(bodies(house)) == 1


async def test_a_company_that_came_late_to_an_address_is_named_in_the_reminder(house: House) -> None:
    await asking(house)
    early = await house.reachable("r1")
    await turn_at(house, MONDAY)
    late = await house.reachable("r2")
    await turn_at(house, MONDAY + timedelta(days=1))
    await turn_at(house, REMIND_AT)
    assert [set(body["ids"]) for body in bodies(house)] == [{early, late}]


async def test_a_notifier_that_starts_late_reminds_once_and_after_the_last_window_not_at_all(house: House) -> None:
    await asking(house)
    await house.reachable("r1")
    await turn_at(house, MONDAY)
    friday_evening = datetime.fromisoformat("2025-12-05T17:30:00+01:00")
    await turn_at(house, friday_evening)
    assert len(await house.messages()) == 1
    await turn_at(house, friday_evening - timedelta(hours=1))
    assert len(bodies(house)) == 1


async def test_a_reminder_waits_for_the_sending_window(house: House) -> None:
    await asking(house)
    await house.reachable()
    await turn_at(house, MONDAY)
    evening = datetime.fromisoformat("2025-12-02T20:00:00+01:00")
    await turn_at(house, evening)
    assert bodies(house) == []
    await turn_at(house, datetime.fromisoformat("2025-12-03T07:00:00+01:00"))
    assert len(bodies(house)) == 1


async def test_a_reminder_that_could_not_be_sent_in_time_expires_with_its_reason(house: House) -> None:
    await asking(house)
    await house.reachable()
    await turn_at(house, MONDAY)
    house.email.will(Outcome(State.RETRY, "4.3.2"))
    await turn_at(house, datetime.fromisoformat("2025-12-05T16:59:00+01:00"))
    await turn_at(house, datetime.fromisoformat("2025-12-06T00:00:00+01:00"))
    assert (house.told()[-1].kind, house.told()[-1].state.value) == ("reminder", "expired")


async def test_where_a_right_may_be_lost_the_reminder_goes_by_sms_to_the_phone_there_is(house: House) -> None:
    await asking(house, 2, plan=BY_SMS)
    with_phone = await house.reachable("r1")
    await house.contact("r1", "+46701740605", "sms")
    without = await house.reachable("r2", "bo@exempel.test")
    await turn_at(house, MONDAY)
    assert not house.sms.accepted
    await turn_at(house, REMIND_AT)
    assert [json.loads(sent.body)["ids"] for sent in house.sms.accepted] == [[with_phone]]
    assert [body["ids"] for body in bodies(house)] == [[without]]


async def test_one_phone_of_two_companies_has_one_reminder(house: House) -> None:
    await asking(house, 2, plan=BY_SMS)
    for recipient, address in (("r1", "anna@exempel.test"), ("r2", "bo@exempel.test")):
        await house.reachable(recipient, address)
        await house.contact(recipient, "+46701740605", "sms")
    await turn_at(house, MONDAY)
    await turn_at(house, REMIND_AT)
    [sms] = house.sms.accepted
    assert set(json.loads(sms.body)["ids"]) == {invitation_id(ROUND_ID, name) for name in ("r1", "r2")}


async def test_a_phone_that_has_had_as_many_texts_in_the_stage_as_the_model_allows_gets_none_more(house: House) -> None:
    house.rules = Rules(BurdenPolicy(merge_window_hours=0), "working_hours")
    house.sender = house.new_sender()
    await asking(house, 2, plan={**BY_SMS, "channel": "email+sms"})
    await house.company("w-r1", "r1")
    await house.contact("r1", "+46701740605", "sms")
    await house.invite("r1", "w-r1")
    by_mail = await house.reachable("r2")
    await house.contact("r2", "+46701740606", "sms")
    await turn_at(house, MONDAY)
    assert len(house.sms.accepted) == 2
    await turn_at(house, REMIND_AT)
    assert len(house.sms.accepted) == 2
    assert [body["ids"] for body in bodies(house)] == [[by_mail]]


async def test_companies_of_one_address_that_are_planned_one_by_one_have_one_reminder(house: House) -> None:
    await asking(house, 3)
    invited = {await house.reachable(name) for name in ("r1", "r2", "r3")}
    await turn_at(house, MONDAY)
    await Reminding(house.database, house.rules, at_once=1).run(REMIND_AT)
    await turn_at(house, REMIND_AT)
    assert [set(body["ids"]) for body in bodies(house)] == [invited]


async def test_an_invitation_that_is_revised_before_its_reminder_leaves_is_reminded_of_as_it_is_now(
    house: House,
) -> None:
    await asking(house)
    await house.reachable()
    await turn_at(house, MONDAY)
    evening = datetime.fromisoformat("2025-12-01T20:00:00+01:00")
    await turn_at(house, evening)
    await house.company("w9", "r1")
    await house.invite("r1", "w9", revision=2, state="revised")
    await turn_at(house, datetime.fromisoformat("2025-12-02T07:00:00+01:00"))
    assert [body["places"] for body in bodies(house)] == [["w9"]]


async def test_one_who_is_no_longer_invited_is_not_reminded_and_one_who_is_again_is(house: House) -> None:
    await asking(house)
    await house.reachable()
    await turn_at(house, MONDAY)
    await turn_at(house, datetime.fromisoformat("2025-12-01T20:00:00+01:00"))
    await house.invite("r1", "w-r1", revision=2, state="revoked")
    await turn_at(house, datetime.fromisoformat("2025-12-02T07:00:00+01:00"))
    assert bodies(house) == []
    assert (house.told()[-1].state.value, house.told()[-1].code) == ("cancelled", "revoked")
    await house.invite("r1", "w-r1", revision=3, state="issued")
    await turn_at(house, datetime.fromisoformat("2025-12-02T09:00:00+01:00"))
    await turn_at(house, datetime.fromisoformat("2025-12-02T11:00:00+01:00"))
    assert len(bodies(house)) == 1


async def test_two_notifiers_plan_one_reminder(house: House) -> None:
    if "sqlite" in house.url:
        pytest.skip("SQLite is for one notifier")
    await asking(house)
    await house.reachable()
    await turn_at(house, MONDAY)
    house.clock.moment = REMIND_AT
    other = house.new_sender()
    await house.sender.plan()
    await other.plan()
    assert await house.sender.deliver("email") + await other.deliver("email") == 1
    assert len(bodies(house)) == 1


async def test_a_paused_notifier_reminds_nobody_until_it_goes_on(house: House) -> None:
    await asking(house)
    await house.reachable()
    await turn_at(house, MONDAY)
    async with house.database.transaction() as connection:
        await pauses.pause(connection, "test", REMIND_AT)
    await turn_at(house, REMIND_AT)
    assert bodies(house) == []
    async with house.database.transaction() as connection:
        await pauses.resume(connection)
    await turn_at(house, REMIND_AT + timedelta(hours=1))
    assert len(bodies(house)) == 1


@pytest.mark.parametrize(("waits", "reminded"), [("over_budget", 0), ("weekly", 0), ("merge_window", 1)])
async def test_what_waited_for_a_digest_is_not_reminded_of_and_what_only_went_along_is(
    house: House, waits: str, reminded: int
) -> None:
    await asking(house)
    await house.reachable()
    await turn_at(house, MONDAY)
    async with house.database.transaction() as connection:
        await connection.execute(update(MESSAGES).values(waits=waits))
    await turn_at(house, REMIND_AT)
    assert len(bodies(house)) == reminded

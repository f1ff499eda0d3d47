"""A text that reached nobody for certain gives way to the other channel, or to a letter; on both databases."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from services.notifier.channels.port import OPTED_OUT, Outcome, State
from services.notifier.ledger.second_try import try_again
from services.notifier.ledger.tables import INVITATIONS
from services.runtime.store.database import micros
from tests.integration.test_late_outcomes import late, says
from tests.integration.test_sms_month_cap import PLAN, Capped, capped, spend_it_all
from tests.notifier_house import House, house

pytestmark = pytest.mark.anyio
__all__ = ["capped", "house"]

OFF = Outcome(State.FAILED, "unreachable", "30003")
PHONE, MAIL = "+46701740605", "anna@exempel.test"


async def texted(house: House, *, mail: bool = True, plan: str = "sms") -> None:
    """A text has left for somebody who may have a mailbox too."""
    await house.company("w-r1", "r1")
    await house.contact("r1", PHONE, "sms")
    if mail:
        await house.contact("r1", MAIL)
    await house.round(plan={**PLAN, "channel": plan})
    await house.invite("r1", "w-r1", invitation_id="i1")
    await house.sender.turn()


async def some_turns(house: House) -> None:
    for _ in range(3):
        house.clock.moment += timedelta(minutes=1)
        await house.sender.turn()


@pytest.mark.parametrize("when", ["at the call", "by a receipt"])
async def test_a_text_that_the_provider_gave_up_is_followed_by_a_mail_and_the_number_stays(
    house: House, when: str
) -> None:
    if when == "at the call":
        house.sms.will(OFF)
    await texted(house)
    if when == "by a receipt":
        assert await says(house, late(house).failed, OFF)
    await some_turns(house)
    assert [mail.address for mail in house.email.accepted] == [MAIL]
    assert not house.suppressions()
    assert house.states().count("failed") == 1
    assert house.states()[-1] == "sent"
    await house.round(round_id="next", plan={**PLAN, "channel": "sms"})
    await house.invite("r1", "w-r1", round_id="next", invitation_id="i2")
    await house.sender.turn()
    assert house.sms.accepted[-1].address == PHONE, "the next round tries the number again"


async def test_whoever_has_a_number_alone_is_for_a_letter(house: House) -> None:
    house.sms.will(OFF)
    await texted(house, mail=False)
    await some_turns(house)
    assert house.states() == ["composed", "failed", "not_reachable"]
    assert house.told()[-1].code == "undelivered"
    assert await house.invitation_states() == {"not_reachable": 1}


async def test_a_mailbox_that_turns_up_before_the_last_day_is_written_to(house: House) -> None:
    house.sms.will(OFF)
    await texted(house, mail=False)
    await some_turns(house)
    await house.contact("r1", MAIL)
    await some_turns(house)
    assert [mail.address for mail in house.email.accepted] == [MAIL]


async def test_whoever_had_the_mail_beside_the_text_gets_no_other(house: House) -> None:
    house.sms.will(OFF)
    await texted(house, plan="sms+email")
    await some_turns(house)
    assert [mail.address for mail in house.email.accepted] == [MAIL]
    assert await house.invitation_states() == {"addressed": 1}


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(State.FAILED, OPTED_OUT, suppress=True),
        Outcome(State.FAILED, "blocked"),
        Outcome(State.FAILED, "policy", alarm=True),
    ],
)
async def test_a_persons_word_and_our_own_trouble_lead_to_no_other_channel(house: House, outcome: Outcome) -> None:
    house.sms.will(outcome)
    await texted(house)
    await some_turns(house)
    assert not house.email.accepted
    assert house.states()[-1] == "failed"


async def test_what_may_have_been_taken_leads_to_no_other_channel(house: House) -> None:
    house.sms.will(*[Outcome(State.UNKNOWN, "gateway")] * 2, accept=False)
    await texted(house)
    for _ in range(4):
        house.clock.moment += timedelta(minutes=11)
        await house.sender.turn()
    assert (house.told()[-1].code, house.email.accepted) == ("unknown_outcome", [])


async def test_a_mail_that_failed_is_not_turned_into_a_text(house: House) -> None:
    """A relay that refuses everything would turn all mails into texts."""
    house.email.will(Outcome(State.FAILED, "mailbox_full", "5.2.2", suppress_after=3))
    await texted(house, plan="email")
    await some_turns(house)
    assert not house.sms.accepted


async def test_a_text_that_was_delivered_after_all_stays_beside_the_mail(house: House) -> None:
    await texted(house)
    number = (await house.messages())[0].number
    await says(house, late(house).failed, OFF, number=number)
    await some_turns(house)
    assert await says(house, late(house).delivered, "delivered", number=number)
    await some_turns(house)
    assert len(house.email.accepted) == 1
    assert sorted(message.state for message in await house.messages()) == ["delivered", "sent"]


async def test_an_operator_may_still_have_the_text_tried_again(house: House) -> None:
    house.sms.will(OFF)
    await texted(house, mail=False)
    await some_turns(house)
    [message] = await house.messages()
    async with house.database.transaction() as connection:
        await try_again(connection, message.message_id, house.clock.now(), "always", by="anna", because="new phone")
    await some_turns(house)
    assert [text.address for text in house.sms.accepted] == [PHONE]


async def test_what_the_months_cap_ended_goes_by_mail_or_by_letter(capped: Capped) -> None:
    await spend_it_all(capped)
    capped.clock.moment += timedelta(days=1)
    await capped.reach("r3", 3)
    async with capped.database.transaction() as connection:
        soon = update(INVITATIONS).where(INVITATIONS.c.recipient_id == "r3")
        await connection.execute(soon.values(expires_at=micros(capped.clock.now() + timedelta(days=2))))
    await some_turns(capped)
    told = [(event.state.value, event.code) for event in capped.told()]
    assert told[-2:] == [("failed", "sms_month_cap"), ("not_reachable", "undelivered")]
    await capped.contact("r3", MAIL)
    await some_turns(capped)
    assert [mail.address for mail in capped.email.accepted] == [MAIL]

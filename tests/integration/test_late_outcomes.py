"""Words that come after a message was handed over, on both databases: what they change, and what they never do."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from schemas.delivery import DeliveryState
from services.notifier.channels.memory import MemoryChannel
from services.notifier.channels.port import Outcome, Outgoing, State
from services.notifier.ledger.tables import MESSAGES
from services.notifier.outcomes.dead_addresses import DeadAddresses
from services.notifier.outcomes.late import LateOutcomes
from tests.notifier_house import INDEX, House, house

pytestmark = pytest.mark.anyio
__all__ = ["house"]

GONE = Outcome(State.FAILED, "no_such_address", "5.1.1", suppress=True)
FULL = Outcome(State.FAILED, "mailbox_full", "5.2.2", suppress_after=3)


def late(house: House) -> LateOutcomes:
    return LateOutcomes(house.outbox, DeadAddresses(house.outbox, INDEX))


async def says(house: House, what: Callable[..., Awaitable[bool]], *about: Any, number: int | None = None) -> bool:
    """What a report says of the newest message, or of the one with that number."""
    rows = await house.messages()
    which = number if number is not None else rows[-1].number
    async with house.database.transaction() as connection:
        message = await late(house).by_number(connection, which)
        assert message is not None
        changed = await what(connection, message, *about, house.clock.now())
    await house.outbox.flush()
    return changed


async def sent(house: House, number: int = 1) -> None:
    """The message of round `number` to the one address left."""
    identity = f"round{number}"
    await house.round(round_id=identity)
    await house.invite("r1", "w-r1", round_id=identity, invitation_id=f"i{number}")
    await house.sender.turn()


async def known(house: House) -> None:
    await house.company("w-r1", "r1")
    await house.contact("r1", "anna@exempel.test")


async def the_state(house: House) -> str:
    return str((await house.messages())[-1].state)


async def test_fc033_a_late_bounce_ends_the_message_and_its_address_and_is_told_without_it(house: House) -> None:
    """FC-033."""
    await known(house)
    await sent(house)
    house.clock.moment += timedelta(hours=3)
    assert await says(house, late(house).failed, GONE)
    told = house.told()[-1]
    assert (told.state, told.code, told.detail) == (DeliveryState.FAILED, "no_such_address", "5.1.1")
    assert (told.invitation_ids, told.recipient_ids, told.attempt) == (["i1"], ["r1"], 1)
    [dead] = house.suppressions()
    assert (dead.kind, dead.scope, dead.reason) == ("bounce", "all", "no_such_address")
    assert "anna" not in str(house.published.records)
    await sent(house, 2)  # known at once: nothing read back from a topic
    assert len(house.email.accepted) == 1


async def test_the_same_bounce_twice_is_one(house: House) -> None:
    await known(house)
    await sent(house)
    assert await says(house, late(house).failed, GONE)
    before = len(house.published.records)
    assert not await says(house, late(house).failed, GONE)
    assert len(house.published.records) == before


async def test_fc031_delivered_is_overwritten_neither_by_failed_nor_by_sent(house: House) -> None:
    """FC-031."""
    await known(house)
    await sent(house)
    assert await says(house, late(house).delivered, "2.0.0")
    assert not await says(house, late(house).failed, GONE)
    assert not await says(house, late(house).accepted, "2.0.0")
    assert await the_state(house) == "delivered"
    assert not house.suppressions()


async def test_fc030_delivered_that_comes_before_our_own_outcome_stays(house: House) -> None:
    """FC-030."""
    await known(house)

    class Quick(MemoryChannel):
        async def send(self, message: Outgoing) -> Outcome:
            await says(house, late(house).delivered, "2.0.0")
            return await super().send(message)

    house.email = Quick()
    house.sender = house.new_sender()
    await sent(house)
    assert await the_state(house) == "delivered"
    assert house.states() == ["composed", "delivered"]


async def test_a_report_that_somebody_took_it_on_answers_an_unknown_outcome(house: House) -> None:
    await known(house)
    house.email.will(Outcome(State.UNKNOWN, "connection_lost"))
    await sent(house)
    assert await says(house, late(house).accepted, "2.0.0")
    house.clock.moment += timedelta(hours=1)
    await house.sender.turn()
    assert len(house.email.accepted) == 1
    assert house.states() == ["composed", "unknown", "sent"]


async def test_a_mailbox_that_is_full_in_three_matters_in_a_row_is_given_up(house: House) -> None:
    await known(house)
    for number in (1, 2):
        await sent(house, number)
        await says(house, late(house).failed, FULL)
        house.clock.moment += timedelta(minutes=1)
    assert not house.suppressions()
    await sent(house, 3)
    await says(house, late(house).failed, FULL)
    assert [event.reason for event in house.suppressions()] == ["mailbox_full"]


async def test_a_mailbox_that_took_one_in_between_is_not(house: House) -> None:
    await known(house)
    for number in (1, 2, 3, 4):
        await sent(house, number)
        if number != 3:
            await says(house, late(house).failed, FULL)
        house.clock.moment += timedelta(minutes=1)
    assert not house.suppressions()


async def test_a_full_mailbox_met_at_the_send_itself_counts_when_its_tries_are_over(house: House) -> None:
    await known(house)
    full = Outcome(State.RETRY, "mailbox_full", "4.2.2", suppress_after=3, most_tries=1)
    for number in (1, 2, 3):
        house.email.will(full)
        await sent(house, number)
        house.clock.moment += timedelta(minutes=1)
    assert [event.reason for event in house.suppressions()] == ["mailbox_full"]


async def test_fc032_a_refusal_by_policy_is_tried_once_more_hours_later_and_suppresses_nobody(house: House) -> None:
    """FC-032."""
    await known(house)
    refused = Outcome(State.RETRY, "policy", "5.7.1", alarm=True, retry_after=14_400.0, most_tries=2)
    house.email.will(refused, refused)
    await sent(house)
    house.clock.moment += timedelta(hours=3)
    await house.sender.turn()
    assert house.states() == ["composed", "retry"]
    house.clock.moment += timedelta(hours=1, minutes=1)
    await house.sender.turn()
    assert house.states() == ["composed", "retry", "composed", "failed"]
    assert not house.suppressions()


async def test_what_was_sent_before_an_operator_lifted_it_gives_the_address_up_no_second_time(house: House) -> None:
    await known(house)
    await sent(house, 1)
    [first] = await house.messages()
    await says(house, late(house).failed, GONE)
    [dead] = house.suppressions()
    house.clock.moment += timedelta(hours=1)
    await house.stop_all(**{**dead.model_dump(exclude_none=True), "lifted": True, "at": house.clock.now()})
    async with house.database.transaction() as connection:
        await connection.execute(update(MESSAGES).values(state="sent"))
    await says(house, late(house).failed, GONE, number=first.number)
    assert len(house.suppressions()) == 1
    house.clock.moment += timedelta(hours=1)
    await sent(house, 2)
    await says(house, late(house).failed, GONE)
    assert [event.lifted for event in house.suppressions()] == [False, False]


@pytest.mark.parametrize("when", ["at the send", "later, by a report"])
async def test_whoever_s_address_is_dead_hears_of_it_by_another_channel(house: House, when: str) -> None:
    await known(house)
    await house.contact("r1", "070-174 06 05", "sms")
    if when == "at the send":
        house.email.will(GONE)
    await sent(house)
    if when != "at the send":
        await says(house, late(house).failed, GONE)
    for _ in range(3):
        house.clock.moment += timedelta(minutes=1)
        await house.sender.turn()
    assert [message.address for message in house.sms.accepted] == ["+46701740605"]
    assert house.states().count("failed") == 1
    assert house.states()[-1] == "sent"
    assert {event.invitation_ids[0] for event in house.told()} == {"i1"}


async def test_whoever_has_no_other_address_is_for_a_letter_and_hears_by_a_new_address_when_there_is_one(
    house: House,
) -> None:
    await known(house)
    await sent(house)
    await says(house, late(house).failed, GONE)
    for _ in range(3):
        house.clock.moment += timedelta(minutes=1)
        await house.sender.turn()
    assert house.states() == ["composed", "sent", "failed", "not_reachable"]
    assert house.told()[-1].code == "dead_contact"
    assert await house.invitation_states() == {"not_reachable": 1}
    await house.contact("r1", "ny@exempel.test")
    await house.sender.turn()
    assert [message.address for message in house.email.accepted] == ["anna@exempel.test", "ny@exempel.test"]


async def test_what_reached_somebody_before_its_address_died_stays_told(house: House) -> None:
    await known(house)
    await sent(house, 1)
    await sent(house, 2)
    await says(house, late(house).failed, GONE)
    await house.invite("r1", "w-r1", round_id="round1", invitation_id="i1", revision=2)
    house.clock.moment += timedelta(minutes=1)
    await house.sender.turn()
    last = {event.invitation_ids[0]: event.state.value for event in house.told()}
    assert last == {"i1": "sent", "i2": "not_reachable"}

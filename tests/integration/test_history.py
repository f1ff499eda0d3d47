"""Every step of a message stands in the ledger with its time and its reason, and no address does."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from services.notifier.channels.port import Outcome, State
from services.notifier.ledger import steps
from services.notifier.ledger.steps import Step
from services.runtime.errors import Transient
from tests.integration.test_sender import MONDAY, House, house

pytestmark = pytest.mark.anyio
__all__ = ["house"]


async def taken(house: House, *about: str) -> list[Step]:
    async with house.database.transaction() as connection:
        return await steps.history(connection, about)


async def the_message(house: House) -> str:
    [row] = await house.messages()
    return str(row.message_id)


async def test_the_steps_of_a_message_are_kept_with_time_reason_and_attempt(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.RETRY, "greylisted", "4.7.1"))
    await house.sender.turn()
    house.clock.moment += timedelta(minutes=10)
    await house.sender.turn()
    found = await taken(house, await the_message(house))
    assert [(step.state, step.code, step.detail, step.attempt) for step in found] == [
        ("pending", "addressed", "due 2025-11-10T09:00:00+00:00", 0),
        ("composed", "ok", "", 1),
        ("retry", "greylisted", "4.7.1", 1),
        ("composed", "ok", "", 2),
        ("sent", "accepted", "", 2),
    ]
    assert [step.at for step in found] == [MONDAY] * 3 + [MONDAY + timedelta(minutes=10)] * 2


async def test_a_channel_in_trouble_is_a_step_that_nobody_else_is_told_of(
    house: House,
) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.NOT_SENT, "service_unavailable", "421"))
    await house.sender.turn()
    told = house.states()
    assert [step.state for step in await taken(house, await the_message(house))] == ["pending", "composed", "not_sent"]
    assert told == ["composed"]


async def test_an_invitation_that_led_to_no_message_has_a_history_of_its_own(house: House) -> None:
    await house.round()
    await house.company("w1", "r1")
    invitation = await house.invite("r1", "w1")
    await house.sender.turn()
    assert [(step.state, step.code) for step in await taken(house, invitation)] == [("not_reachable", "no_contact")]


async def test_an_intent_taken_back_is_a_step_with_its_reason(house: House) -> None:
    await house.round()
    await house.reachable()
    house.published.down = True
    with pytest.raises(Transient):
        await house.sender.turn()
    found = await taken(house, await the_message(house))
    assert [(step.state, step.code) for step in found][-1] == ("put_back", "not_announced")


async def test_no_address_stands_in_the_history(house: House) -> None:
    await house.round()
    await house.reachable(address="anna.hemlig@exempel.test")
    await house.sender.turn()
    async with house.database.transaction() as connection:
        rows = (await connection.execute(text("SELECT * FROM steps"))).all()
    assert rows
    assert "hemlig" not in str(rows)

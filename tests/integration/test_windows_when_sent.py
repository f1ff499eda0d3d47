"""Windows hold when a message is sent, not only when it was planned: what was due while nobody sent waits for them."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from schemas.delivery import DeliveryState
from services.notifier.channels.port import Outcome, State
from services.notifier.ledger.tables import MESSAGES
from services.runtime.store.database import micros
from tests.notifier_house import MONDAY, House, house

pytestmark = pytest.mark.anyio
__all__ = ["house"]

TUESDAY_MORNING = datetime.fromisoformat("2025-11-11T07:00:00+01:00")


async def _planned(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.plan()


async def test_a_notifier_that_comes_back_at_night_sends_in_the_morning(house: House) -> None:
    await _planned(house)
    house.clock.moment = MONDAY.replace(hour=22)
    await house.sender.turn()
    assert not house.email.accepted
    house.clock.moment = TUESDAY_MORNING
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_a_second_try_keeps_the_hours_of_the_first(house: House) -> None:
    house.clock.moment = MONDAY.replace(hour=16, minute=58)
    house.email.will(Outcome(State.RETRY, "greylisted", "451 4.7.1"))
    await house.round()
    await house.reachable()
    await house.sender.turn()
    house.clock.moment += timedelta(minutes=5)
    await house.sender.turn()
    assert not house.email.accepted
    house.clock.moment = TUESDAY_MORNING
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_what_no_window_opens_for_before_its_expiry_ends_with_its_reason(house: House) -> None:
    await _planned(house)
    house.clock.moment = MONDAY.replace(hour=22)
    async with house.database.transaction() as connection:
        ends = micros(MONDAY.replace(hour=23))
        await connection.execute(update(MESSAGES).values(expires_at=ends))
    await house.sender.turn()
    house.clock.moment = TUESDAY_MORNING
    await house.sender.turn()
    assert not house.email.accepted
    assert house.told()[-1].state is DeliveryState.EXPIRED

"""Claims and crashes: a sender that dies, a broker that is down, a lease that another took, two notifiers on one
ledger.
"""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update

from services.notifier.channels.port import Outcome
from services.notifier.channels.port import Outgoing as Sent
from services.notifier.ledger.tables import MESSAGES, MIGRATIONS
from services.notifier.sender import SenderOptions
from services.runtime.errors import Transient
from services.runtime.store.database import Database, migrate
from tests.notifier_house import Dies, House, house

pytestmark = pytest.mark.anyio
__all__ = ["house"]


async def test_a_crash_between_intent_and_outcome_is_resent_once_when_the_lease_ends(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.round()
    await house.reachable()
    take = house.email.send

    async def die(message: Sent) -> Outcome:
        await take(message)
        raise Dies

    monkeypatch.setattr(house.email, "send", die)
    with pytest.raises(Dies):
        await house.sender.turn()
    monkeypatch.undo()
    heir = house.new_sender()
    await heir.turn()
    assert len(house.email.accepted) == 1
    house.clock.moment += timedelta(seconds=121)
    await heir.turn()
    await heir.turn()
    first, second = house.email.accepted
    assert first.body == second.body
    assert house.told()[-1].resent_unknown
    assert house.states() == ["composed", "unknown", "composed", "sent"]


async def test_a_broker_that_is_down_after_the_intent_makes_no_outcome_unknown(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.plan()
    house.published.down = True
    with pytest.raises(Transient):
        await house.sender.deliver("email")
    house.published.down = False
    assert not house.email.accepted
    await house.sender.turn()
    assert len(house.email.accepted) == 1
    assert "unknown" not in house.states()


async def test_what_was_claimed_behind_a_broker_that_is_down_does_not_wait_for_its_lease(house: House) -> None:
    await house.round(counts={"invitations": 6})
    for number in range(6):
        await house.reachable(f"r{number}", f"nr{number}@exempel.test")
    await house.sender.plan()
    house.published.down = True
    with pytest.raises(Transient):
        await house.sender.deliver("email")
    house.published.down = False
    await house.sender.turn()
    assert len(house.email.accepted) == 6


async def test_a_lease_that_another_took_over_is_not_written_over(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.plan()

    async def stolen() -> None:
        async with house.database.transaction() as connection:
            await connection.execute(update(MESSAGES).values(lease_owner="another"))

    house.tables.at[house.tables.looks + 2] = stolen
    await house.sender.deliver("email")
    assert not house.email.accepted


async def test_two_notifiers_on_one_ledger_send_each_message_once(postgres_url: str) -> None:
    house = House(postgres_url)
    await migrate(house.database, MIGRATIONS)
    await house.round(counts={"invitations": 60})
    for number in range(60):
        await house.reachable(f"r{number}", f"a{number}@exempel.test")
    other = Database(postgres_url)
    options = SenderOptions(batch=7)
    senders = [house.new_sender(options=options), house.new_sender(other, options)]
    for _ in range(8):
        await asyncio.gather(*(sender.turn() for sender in senders))
    assert len(house.email.accepted) == 60
    assert len({message.address for message in house.email.accepted}) == 60
    await other.close()
    await house.database.close()

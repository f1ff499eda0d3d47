"""Claims and crashes: a sender that dies, a broker that is down, a lease that another took, two notifiers on one
ledger.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import combinations

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.channels.port import Outcome
from services.notifier.channels.port import Outgoing as Sent
from services.notifier.ledger import claims
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


async def test_leases_are_renewed_in_the_order_in_which_outcomes_are_written_so_that_neither_waits_for_the_other(
    house: House,
) -> None:
    if "sqlite" in house.url:
        pytest.skip("SQLite has one writer")
    await house.round(counts={"invitations": 12})
    for number in range(12):
        await house.reachable(f"r{number}", f"nr{number}@exempel.test")
    await house.sender.plan()
    soon = house.clock.moment + timedelta(minutes=2)
    async with house.database.transaction() as one:
        held = await claims.take(one, "email", "me", house.clock.moment, soon, 12)
        as_they_lie = (await one.execute(select(MESSAGES.c.message_id).order_by(text("ctid")))).scalars().all()
    lower, higher = next(pair for pair in combinations(sorted(as_they_lie), 2) if _lies_behind(as_they_lie, *pair))
    async with house.database.transaction() as writing:
        await _lock(writing, lower)
        renewing = asyncio.create_task(_renew(house, [message.message_id for message in held]))
        while not await _waits_for_a_lock(house):  # noqa: ASYNC110 - a database raises no event
            await asyncio.sleep(0.01)
        await _lock(writing, higher)
    await renewing


def _lies_behind(as_they_lie: Sequence[str], lower: str, higher: str) -> bool:
    return as_they_lie.index(higher) < as_they_lie.index(lower)


async def _renew(house: House, alive: Sequence[str]) -> None:
    async with house.database.transaction() as connection:
        await claims.renew(connection, "me", alive, house.clock.moment + timedelta(minutes=4))


async def _lock(connection: AsyncConnection, message_id: str) -> None:
    row = select(MESSAGES.c.message_id).where(MESSAGES.c.message_id == message_id)
    assert (await connection.execute(row.with_for_update(nowait=True))).all()


async def _waits_for_a_lock(house: House) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with house.database.transaction() as connection:
        return bool(await connection.scalar(text(waiting)))

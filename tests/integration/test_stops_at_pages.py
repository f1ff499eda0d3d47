"""A stop made at a message's page holds for its address: said again by address, lifted where it is undone."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.delivery import DeliveryState
from services.notifier.channels.port import Outcome, State
from services.notifier.ledger.tables import MIGRATIONS
from services.runtime.store.database import migrate
from tests.notifier_house import MONDAY, House, house

pytestmark = pytest.mark.anyio
__all__ = ["house"]


async def written_to(house: House) -> int:
    """The number of a message that left."""
    await house.round()
    await house.reachable()
    await house.sender.turn()
    [message] = await house.messages()
    return int(message.number)


async def is_stopped(house: House, round_id: str = "second", **changes: Any) -> bool:
    """Whether the next round's message to that address is suppressed."""
    before = len(house.email.accepted)
    await house.round(round_id=round_id, **changes)
    await house.invite("r1", "w-r1", round_id=round_id, invitation_id=f"i-{round_id}")
    await house.sender.turn()
    assert len(house.email.accepted) - before == (house.told()[-1].state is not DeliveryState.SUPPRESSED)
    return house.told()[-1].state is DeliveryState.SUPPRESSED


async def test_a_stop_made_at_a_page_stops_the_next_message_to_that_address(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.turn()
    [message] = await house.messages()
    await house.stop_all(message_number=message.number)
    await house.round(round_id="second")
    await house.invite("r1", "w-r1", round_id="second", invitation_id="i2")
    await house.sender.turn()
    assert len(house.email.accepted) == 1
    assert house.told()[-1].state is DeliveryState.SUPPRESSED
    assert house.told()[-1].invitation_ids == ["i2"]


async def test_a_stop_made_at_a_page_is_said_again_by_address_so_that_a_new_ledger_meets_it(
    house: House, tmp_path: Path
) -> None:
    await house.stop_all(message_number=await written_to(house))
    await house.sender.turn()
    [said] = house.suppressions()
    assert (said.scope, said.message_number, said.lifted) == ("all", None, False)
    assert said.suppression_id != "s1"
    other = House(f"sqlite+aiosqlite:///{tmp_path}/restored.db")
    await migrate(other.database, MIGRATIONS)
    await other.stop_all(**said.model_dump(exclude_none=True))
    await other.company("w-r1", "r1")
    await other.contact("r1", "Anna@exempel.test", workplace="w-r1")
    assert await is_stopped(other)
    await other.database.close()


async def test_undoing_a_stop_at_its_page_lifts_what_was_said_by_address(house: House) -> None:
    number = await written_to(house)
    later = MONDAY + timedelta(minutes=1)
    await house.stop_all(message_number=number)
    await house.stop_all(message_number=number, lifted=True, at=later)
    await house.sender.turn()
    assert [said.lifted for said in house.suppressions()] == [False, True]
    assert len({said.suppression_id for said in house.suppressions()}) == 1
    for said in house.suppressions():
        await house.stop_all(**said.model_dump(exclude_none=True))
    assert not await is_stopped(house)


async def test_a_stop_at_another_message_to_the_address_stays_when_one_is_undone(house: House) -> None:
    first = await written_to(house)
    assert not await is_stopped(house)
    [second] = [message.number for message in await house.messages() if message.number != first]
    await house.stop_all(message_number=first)
    await house.stop_all(message_number=second, suppression_id="s2")
    await house.stop_all(message_number=first, lifted=True, at=MONDAY + timedelta(minutes=1))
    await house.sender.turn()
    assert [said.lifted for said in house.suppressions()] == [False, False, False]
    assert await is_stopped(house, "third")
    await house.stop_all(message_number=second, suppression_id="s2", lifted=True, at=MONDAY + timedelta(minutes=2))
    await house.sender.turn()
    assert [said.lifted for said in house.suppressions()][-1]
    assert not await is_stopped(house, "fourth")


async def test_stops_of_two_kinds_at_one_address_do_not_take_each_others_place(house: House) -> None:
    number = await written_to(house)
    await house.stop_all(message_number=number, scope="kind", case_type="gatuarbete")
    await house.stop_all(message_number=number, scope="kind", case_type="detaljplan", suppression_id="s2")
    undone = {"scope": "kind", "case_type": "gatuarbete", "lifted": True, "at": MONDAY + timedelta(minutes=1)}
    await house.stop_all(message_number=number, **undone)
    assert not await is_stopped(house)
    assert await is_stopped(house, "third", case_type="detaljplan")


async def test_a_stop_that_no_database_can_hold_is_a_dead_letter_and_delays_none_behind_it(house: House) -> None:
    await house.stop_all(message_number=2**63)
    assert [error.reason for error in house.dead] == ["no_such_message"]
    await house.stop_all(message_number=await written_to(house))
    assert await is_stopped(house)


async def test_undoing_a_stop_does_not_wake_a_dead_address(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.FAILED, "no_such_address", "550 5.1.1", suppress=True))
    await house.sender.turn()
    [bounce] = house.suppressions()
    await house.stop_all(**bounce.model_dump(exclude_none=True))
    [message] = await house.messages()
    await house.stop_all(message_number=message.number)
    await house.stop_all(message_number=message.number, lifted=True, at=MONDAY + timedelta(minutes=1))
    await house.round(round_id="again")
    await house.invite("r1", "w-r1", round_id="again", invitation_id="again")
    await house.sender.turn()
    assert not house.email.accepted
    assert (house.told()[-1].state, house.told()[-1].code) == (DeliveryState.NOT_REACHABLE, "dead_contact")

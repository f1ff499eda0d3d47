"""An undone or withdrawn round is not sent from, until a release that is newer."""

from datetime import datetime, timedelta

import pytest

from schemas.round import EXAMPLE as ROUND
from tests.notifier_house import MONDAY, ROUND_ID, House, house

pytestmark = pytest.mark.anyio
__all__ = ["house"]


async def test_an_undone_round_waits_and_goes_when_it_is_released_again(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.stop_all(kind="undone", scope="round", round_id=ROUND_ID, basis=ROUND["basis"])
    await house.sender.turn()
    assert not house.email.accepted
    await house.stop_all(kind="undone", scope="round", round_id=ROUND_ID, basis=ROUND["basis"], lifted=True)
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_a_release_with_a_higher_basis_is_not_held_by_the_undo_before_it(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.stop_all(kind="undone", scope="round", round_id=ROUND_ID, basis={"case_version": 1, "decision": 9})
    await house.sender.turn()
    assert not house.email.accepted
    await house.round(basis={"case_version": 1, "decision": 10})
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_a_round_released_before_the_undo_was_read_is_not_held_by_it(house: House) -> None:
    await house.round(basis={"case_version": 1, "decision": 2})
    await house.reachable()
    await house.stop_all(kind="undone", scope="round", round_id=ROUND_ID, basis={"case_version": 1, "decision": 1})
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_an_undo_that_comes_late_does_not_take_the_place_of_its_lifting(house: House) -> None:
    held = {"kind": "undone", "scope": "round", "round_id": ROUND_ID, "basis": ROUND["basis"]}
    await house.round()
    await house.reachable()
    await house.stop_all(**held, lifted=True, at=MONDAY + timedelta(seconds=1))
    await house.stop_all(**held)
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_a_withdrawn_round_cancels_what_waits(house: House) -> None:
    await house.round()
    house.clock.moment = datetime.fromisoformat("2025-11-15T12:00:00+01:00")  # a Saturday
    await house.reachable("r1")
    await house.sender.turn()
    await house.round(state="withdrawn")
    await house.reachable("r2", "bo@exempel.test")
    house.clock.moment += timedelta(days=2)
    await house.sender.turn()
    assert not house.email.accepted
    assert house.states() == ["cancelled", "cancelled"]

"""An invitation that is revised or revoked: what has not left says it, and what has left says nothing again."""

import json
from datetime import timedelta

import pytest

from services.notifier.channels.port import Outcome, State
from tests.notifier_house import MONDAY, House, house, places, words

pytestmark = pytest.mark.anyio
__all__ = ["house"]


async def test_a_revision_before_the_message_leaves_is_what_it_says(house: House) -> None:
    await house.round(opened_at=MONDAY)
    await house.reachable()
    await house.company("w2", "r1")
    await house.sender.turn()
    await house.invite("r1", "w-r1", revision=2, state="revised", workplaces=places("w2"))
    house.clock.moment += timedelta(seconds=700)
    await house.sender.turn()
    assert [words(sent) for sent in house.email.accepted] == [["w2"]]
    assert house.states() == ["composed", "sent"]


async def test_a_revision_after_the_message_left_sends_and_tells_nothing_again(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.turn()
    await house.company("w-r1", "r1", status="closed")
    for revision, state in ((2, "revised"), (3, "revoked"), (4, "issued")):
        await house.invite("r1", "w-r1", revision=revision, state=state)
        await house.sender.turn()
    assert len(house.email.accepted) == 1
    assert house.states() == ["composed", "sent"]
    assert await house.invitation_states() == {"addressed": 1}


async def test_a_revision_that_leads_to_another_address_writes_to_that_one_and_not_again_to_the_first(
    house: House,
) -> None:
    await house.round()
    await house.company("w-r1", "r1")
    await house.contact("r1", "anna@exempel.test", workplace="w-r1")
    await house.invite("r1", "w-r1")
    await house.sender.turn()
    await house.company("w2", "r1")
    await house.contact("r1", "bo@exempel.test", workplace="w2")
    await house.invite("r1", "", revision=2, state="revised", workplaces=places("w-r1", "w2"))
    await house.sender.turn()
    assert [sent.address for sent in house.email.accepted] == ["anna@exempel.test", "bo@exempel.test"]
    assert house.states() == ["composed", "sent", "composed", "sent"]


async def test_a_revision_past_its_expiry_of_what_left_is_not_said_to_have_expired(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.turn()
    await house.invite("r1", "w-r1", revision=2, state="revised", expires_at=MONDAY - timedelta(seconds=1))
    await house.sender.turn()
    assert house.states() == ["composed", "sent"]


async def test_a_revision_of_a_message_that_was_not_accepted_is_what_the_next_try_says(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.company("w2", "r1")
    house.email.will(Outcome(State.RETRY, "greylisted"))
    await house.sender.turn()
    await house.invite("r1", "w-r1", revision=2, state="revised", workplaces=places("w2"))
    await house.sender.turn()
    house.clock.moment += timedelta(minutes=5)
    await house.sender.turn()
    assert [words(sent) for sent in house.email.accepted] == [["w2"]]


async def test_a_revoked_invitation_is_cancelled_and_an_issued_one_after_it_reopened(house: House) -> None:
    await house.round(opened_at=MONDAY)
    await house.reachable()
    await house.invite("r1", "w-r1", revision=2, state="revoked")
    house.clock.moment += timedelta(seconds=700)
    await house.sender.turn()
    assert house.states() == ["cancelled"]
    await house.invite("r1", "w-r1", revision=3)
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_of_two_invitations_to_an_address_the_one_that_is_not_revoked_goes(house: House) -> None:
    await house.round(counts={"invitations": 2}, opened_at=MONDAY)
    await house.reachable("r1")
    kept = await house.reachable("r2")
    await house.sender.turn()
    await house.invite("r1", "w-r1", revision=2, state="revoked")
    house.clock.moment += timedelta(seconds=700)
    await house.sender.turn()
    [sent] = house.email.accepted
    assert json.loads(sent.body)["ids"] == [kept]

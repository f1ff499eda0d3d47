"""An address that came from a register is told once where its data comes from (GDPR art. 14), and only once."""

import json
from datetime import timedelta
from typing import Any

import pytest

from schemas.identity import invitation_id
from services.notifier.channels.port import Outcome, State
from tests.notifier_house import House, house

pytestmark = pytest.mark.anyio
__all__ = ["house"]


async def second_round(house: House) -> None:
    another = "ffeeddccbbaa00112233445566778899"
    await house.round(round_id=another)
    await house.invite("r1", "w-r1", round_id=another, invitation_id=invitation_id(another, "r1"))


async def test_the_first_message_that_is_sent_to_an_address_introduces_and_the_next_does_not(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.turn()
    await second_round(house)
    await house.sender.turn()
    assert introductions(house) == [True, False]


async def test_a_message_that_was_not_taken_has_introduced_nobody(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.FAILED, "content"))
    await house.sender.turn()
    await second_round(house)
    await house.sender.turn()
    assert introductions(house) == [True]


async def test_a_second_try_after_a_refusal_still_introduces(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.RETRY, "greylisted"))
    await house.sender.turn()
    house.clock.moment += timedelta(minutes=10)
    await house.sender.turn()
    assert introductions(house) == [True]


async def test_a_resend_after_an_unknown_outcome_has_the_same_bytes(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.UNKNOWN, "lost"))
    await house.sender.turn()
    await house.sender.turn()
    assert introductions(house) == [True, True]
    assert len({sent.body for sent in house.email.accepted}) == 1


async def test_an_sms_has_no_room_for_it_and_introduces_nobody(house: House) -> None:
    await house.round()
    await house.company("w-r1", "r1")
    await house.contact("r1", "+46701740605", "sms")
    await house.invite("r1", "w-r1")
    await house.sender.turn()
    await second_round(house)
    await house.sender.turn()
    assert [made(sent)["introduce"] for sent in house.sms.accepted] == [True, True]


def introductions(house: House) -> list[bool]:
    return [made(sent)["introduce"] for sent in house.email.accepted]


def made(sent: Any) -> Any:
    return json.loads(sent.body)

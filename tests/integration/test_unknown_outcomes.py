"""An outcome that nobody knows is resolved as the channel's policy says: asked for, sent once more with the same
bytes, or given up.
"""

from datetime import timedelta

import pytest

from services.notifier.channels.port import Outcome, State
from tests.notifier_house import House, Plain, house, places

pytestmark = pytest.mark.anyio
__all__ = ["house"]


async def test_an_unknown_outcome_of_mail_is_resent_once_with_the_same_bytes(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.UNKNOWN, "connection_lost"))
    await house.sender.turn()
    house.clock.moment += timedelta(seconds=30)
    await house.sender.turn()
    first, second = house.email.accepted
    assert (first.body, first.message_id) == (second.body, second.message_id)
    assert house.states() == ["composed", "unknown", "composed", "sent"]
    assert house.told()[-1].resent_unknown
    [message] = await house.messages()
    assert (message.state, message.resent_unknown) == ("sent", 1)


async def test_a_message_keeps_the_version_of_the_words_it_was_made_with_also_when_it_is_sent_again(
    house: House,
) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.UNKNOWN, "connection_lost"))
    await house.sender.turn()
    house.sender = house.new_sender(composer=Plain("newer"))
    house.clock.moment += timedelta(seconds=30)
    await house.sender.turn()
    assert len(house.email.accepted) == 2
    assert [message.template_version for message in await house.messages()] == ["plain"]


async def test_a_second_unknown_outcome_ends_as_failed(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.UNKNOWN, "connection_lost"), Outcome(State.UNKNOWN, "connection_lost"))
    for _ in range(4):
        await house.sender.turn()
    assert len(house.email.accepted) == 2
    assert house.states()[-1] == "failed"
    assert house.told()[-1].code == "unknown_outcome"


async def test_an_unknown_sms_is_looked_up_after_ten_minutes_and_not_resent_when_found(house: House) -> None:
    await house.round()
    await house.company("w-r1", "r1")
    await house.contact("r1", "070-000 00 00", "sms")
    await house.invite("r1", "w-r1")
    house.sms.will(Outcome(State.UNKNOWN, "gateway"))
    await house.sender.turn()
    await house.sender.turn()
    assert house.states() == ["composed", "unknown"]
    house.clock.moment += timedelta(minutes=10)
    await house.sender.turn()
    assert len(house.sms.accepted) == 1
    assert house.states() == ["composed", "unknown", "sent"]


async def test_an_unknown_sms_that_the_provider_does_not_know_is_resent(house: House) -> None:
    await house.round()
    await house.company("w-r1", "r1")
    await house.contact("r1", "+46700000000", "sms")
    await house.invite("r1", "w-r1")
    house.sms.will(Outcome(State.UNKNOWN, "gateway"), accept=False)
    await house.sender.turn()
    house.clock.moment += timedelta(minutes=10)
    await house.sender.turn()
    assert len(house.sms.accepted) == 1
    assert house.states() == ["composed", "unknown", "composed", "sent"]


async def test_a_revision_after_an_unknown_outcome_leaves_the_bytes_as_they_were(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.company("w2", "r1")
    house.email.will(Outcome(State.UNKNOWN, "connection_lost"))
    await house.sender.turn()
    await house.invite("r1", "w-r1", revision=2, state="revised", workplaces=places("w2"))
    await house.sender.deliver("email")
    first, second = house.email.accepted
    assert first.body == second.body

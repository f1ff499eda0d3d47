"""Sending from the ledger, on both databases: once to each address, never to whom it must not, and told in the end."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from schemas.round import EXAMPLE as ROUND
from services.notifier.channels.memory import MemoryChannel
from services.notifier.channels.port import Outcome, State
from services.notifier.channels.port import Outgoing as Sent
from services.notifier.ledger import pauses
from services.notifier.outcomes.return_path import ReturnPaths
from services.notifier.refusal_stop import RefusalStop
from services.notifier.sender import SenderOptions
from tests.notifier_house import INDEX, MONDAY, House, house

pytestmark = pytest.mark.anyio
__all__ = ["house"]


async def test_one_message_carries_all_invitations_that_lead_to_an_address(house: House) -> None:
    await house.round(counts={"invitations": 2})
    one = await house.reachable("r1", "Anna@Exempel.test")
    two = await house.reachable("r2", "anna@exempel.test")
    await house.sender.turn()
    [sent] = house.email.accepted
    assert set(json.loads(sent.body)["ids"]) == {one, two}
    assert house.states() == ["composed", "sent"]
    assert set(house.told()[-1].invitation_ids) == {one, two}


async def test_each_mail_has_a_return_path_that_leads_back_to_it(house: House) -> None:
    paths = ReturnPaths("studs@kommun.example", [INDEX])
    house.sender = house.new_sender(return_paths=paths)
    await house.round()
    await house.reachable()
    await house.sender.turn()
    [message] = await house.messages()
    assert [paths.number_in(sent.return_path) for sent in house.email.accepted] == [message.number]


async def test_a_replay_sends_nothing_again(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.turn()
    await house.invite("r1", "w-r1")
    await house.sender.turn()
    assert len(house.email.accepted) == 1
    assert house.states() == ["composed", "sent"]


async def test_a_message_waits_for_working_hours(house: House) -> None:
    await house.round()
    house.clock.moment = datetime.fromisoformat("2025-11-14T18:00:00+01:00")
    await house.reachable()
    await house.sender.turn()
    assert not house.email.accepted
    house.clock.moment = datetime.fromisoformat("2025-11-17T07:00:00+01:00")
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_a_message_past_its_expiry_ends_as_expired(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.RETRY, "greylisted"))
    await house.sender.turn()
    house.clock.moment = datetime.fromisoformat("2025-12-08T10:00:00+01:00")
    await house.sender.turn()
    assert not house.email.accepted
    assert house.states() == ["composed", "retry", "expired"]


async def test_a_message_not_accepted_is_tried_again_later(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.RETRY, "greylisted", "451 4.7.1"))
    await house.sender.turn()
    await house.sender.turn()
    assert not house.email.accepted
    house.clock.moment += timedelta(minutes=5)
    await house.sender.turn()
    assert house.states() == ["composed", "retry", "composed", "sent"]
    assert house.told()[-1].attempt == 2


async def test_a_channel_in_trouble_backs_off_and_the_other_goes_on(house: House) -> None:
    await house.round(counts={"invitations": 2})
    await house.reachable("r1")
    await house.company("w-r2", "r2")
    await house.contact("r2", "+46700000000", "sms")
    await house.invite("r2", "w-r2")
    house.email.will(Outcome(State.NOT_SENT, "refused"))
    await house.sender.turn()
    assert (len(house.email.accepted), len(house.sms.accepted)) == (0, 1)
    await house.sender.turn()
    assert not house.email.accepted
    house.clock.moment += timedelta(seconds=6)
    await house.sender.turn()
    assert len(house.email.accepted) == 1
    assert house.told()[-1].attempt == 1


async def test_a_dead_address_is_suppressed_for_all_rounds(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.FAILED, "no_such_address", "550 5.1.1", suppress=True))
    await house.sender.turn()
    assert house.states() == ["composed", "failed"]
    [event] = house.suppressions()
    [message] = await house.messages()
    assert (event.kind, event.scope, event.address_index) == ("bounce", "all", message.address_index)


async def test_paused_sending_sends_nothing(house: House) -> None:
    from services.notifier.ledger import pauses

    await house.round()
    await house.reachable()
    async with house.database.transaction() as connection:
        await pauses.pause(connection, "mail relay is moved", MONDAY)
    await house.sender.turn()
    assert not house.email.accepted
    async with house.database.transaction() as connection:
        await pauses.resume(connection)
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_no_address_lies_readable_in_the_ledger(house: House) -> None:
    await house.round()
    await house.reachable("r1", "anna@exempel.test")
    await house.sender.turn()
    [message] = await house.messages()
    assert b"anna" not in message.address_encrypted
    assert b"ids" not in message.body_encrypted
    assert not any(b"anna" in (record.value or b"") for record in house.published.records)


async def test_an_erased_person_leaves_neither_address_nor_words_in_the_ledger(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.turn()
    [sent] = await house.messages()
    await house.round(round_id="second", opened_at=MONDAY - timedelta(seconds=590))
    await house.invite("r1", "w-r1", round_id="second", invitation_id="i2")
    await house.stop_all(kind="erased", address_index=sent.address_index)
    house.clock.moment += timedelta(seconds=20)
    await house.sender.turn()
    assert len(house.email.accepted) == 1
    assert {(row.address_encrypted, row.body_encrypted) for row in await house.messages()} == {(b"", None)}
    assert house.told()[-1].code == "erased"


async def test_too_many_refusals_by_policy_pause_the_channel_until_somebody_lifts_that(house: House) -> None:
    await house.round(counts={"invitations": 30})
    for number in range(30):
        await house.reachable(f"r{number}", f"a{number}@exempel.test")
    refused = Outcome(State.FAILED, "policy", "5.7.1", alarm=True)
    house.email.will(*[refused] * 22)
    house.sender = house.new_sender(options=SenderOptions(batch=22), refusals=RefusalStop(20))
    await house.sender.turn()
    await house.sender.turn()
    assert Counter(row.state for row in await house.messages()) == {"failed": 22, "pending": 8}
    assert not house.suppressions()
    async with house.database.transaction() as connection:
        [pause] = await pauses.standing(connection)
        assert (pause.channel, "5.7.x" in pause.reason) == ("email", True)
        await pauses.resume(connection)
    await house.sender.turn()
    assert Counter(row.state for row in await house.messages()) == {"failed": 22, "sent": 8}


async def test_a_provider_that_is_given_too_many_a_minute_gets_half_of_them_from_then_on(house: House) -> None:
    await house.round(counts={"invitations": 30})
    for number in range(30):
        await house.reachable(f"r{number}", f"a{number}@exempel.test")
    house.sender = house.new_sender(options=SenderOptions(batch=10, parallel=1))
    taken = Outcome(State.SENT, "accepted")
    house.email.will(*[taken] * 9, Outcome(State.NOT_SENT, "too_fast", retry_after=60.0))
    await house.sender.turn()
    assert len(house.email.accepted) == 9
    sent = []
    for _ in range(3):  # one that tries it, then what is left of that minute's five; then a quarter more a minute
        house.clock.moment += timedelta(seconds=61)
        before = len(house.email.accepted)
        for _ in range(4):
            await house.sender.turn()
        sent.append(len(house.email.accepted) - before)
    assert sent == [5, 6, 7]


class _InTheMidst(MemoryChannel):
    """Somebody does something when so many messages have been taken."""

    def __init__(self, after: int, does: Callable[[], Awaitable[None]]) -> None:
        super().__init__("email")
        self._after = after
        self._does = does

    async def send(self, message: Sent) -> Outcome:
        outcome = await super().send(message)
        if len(self.accepted) == self._after:
            await self._does()
        return outcome


async def test_an_urgent_round_that_comes_while_a_large_one_is_sent_goes_before_the_rest_of_it(house: House) -> None:
    async def urgent() -> None:
        plan = {**ROUND["plan"], "urgent": True}  # type: ignore[dict-item]
        await house.round(round_id="urgent", plan=plan)
        await house.invite("r39", "w-r39", round_id="urgent", invitation_id="hurry")

    await house.round(counts={"invitations": 40})
    for number in range(40):
        await house.reachable(f"r{number}", f"nr{number}@exempel.test")
    house.email = _InTheMidst(3, urgent)
    sender = house.new_sender(options=SenderOptions(batch=8, parallel=2))
    while await sender.turn():
        pass
    order = [json.loads(message.body)["ids"] for message in house.email.accepted]
    assert len(order) == 41
    assert order.index(["hurry"]) < 20

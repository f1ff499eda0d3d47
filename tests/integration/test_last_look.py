"""What is said between composing and calling still stops or changes what leaves."""

import asyncio
import json

import pytest

from schemas.identity import invitation_id
from schemas.round import EXAMPLE as ROUND
from services.notifier.ledger.tables import MIGRATIONS
from services.runtime.store.database import migrate
from tests.notifier_house import ROUND_ID, House, house, places, words

pytestmark = pytest.mark.anyio
__all__ = ["house"]


async def test_a_stop_between_composing_and_calling_is_obeyed(house: House) -> None:
    await house.round()
    await house.reachable()

    async def stop() -> None:
        [message] = await house.messages()
        assert message.state == "sending"
        await house.stop_all(message_number=message.number)

    house.tables.at[house.tables.looks + 3] = stop
    await house.sender.turn()
    assert not house.email.accepted
    assert house.states() == ["composed", "suppressed"]


async def test_a_round_is_held_that_was_undone_while_its_message_was_composed(house: House) -> None:
    await house.round()
    await house.reachable()

    async def undo() -> None:
        await house.stop_all(kind="undone", scope="round", round_id=ROUND_ID, basis=ROUND["basis"])

    house.tables.at[house.tables.looks + 3] = undo
    await house.sender.turn()
    assert not house.email.accepted
    assert house.states() == ["composed"]
    assert [message.state for message in await house.messages()] == ["pending"]


@pytest.mark.parametrize("state", ["revised", "issued"])
async def test_a_revision_between_composing_and_calling_is_what_leaves(house: House, state: str) -> None:
    await house.round()
    await house.reachable()
    await house.company("w2", "r1")

    async def revise() -> None:
        [message] = await house.messages()
        assert message.state == "sending"
        await house.invite("r1", "w-r1", revision=2, state=state, workplaces=places("w2"))

    house.tables.at[house.tables.looks + 3] = revise
    for _ in range(3):
        await house.sender.turn()
    assert [words(sent) for sent in house.email.accepted] == [["w2"]]
    assert "cancelled" not in house.states()


async def test_a_round_that_changed_between_composing_and_calling_is_what_leaves(house: House) -> None:
    await house.round()
    await house.reachable()

    async def changed() -> None:
        texts = {**ROUND["texts"], "title": "Stockholmsvägen byggs inte om"}  # type: ignore[dict-item]
        await house.round(basis={"case_version": 2}, texts=texts)

    house.tables.at[house.tables.looks + 3] = changed
    await house.sender.turn()
    await house.sender.turn()
    assert [json.loads(sent.body)["title"] for sent in house.email.accepted] == ["Stockholmsvägen byggs inte om"]


async def test_one_of_two_revoked_between_composing_and_calling_is_not_on_what_leaves(house: House) -> None:
    await house.round(counts={"invitations": 2})
    await house.reachable("r1")
    kept = await house.reachable("r2")

    async def revoke() -> None:
        await house.invite("r1", "w-r1", revision=2, state="revoked")

    house.tables.at[house.tables.looks + 3] = revoke
    await house.sender.turn()
    await house.sender.turn()
    [sent] = house.email.accepted
    assert json.loads(sent.body)["ids"] == [kept]


async def test_a_message_whose_only_invitation_was_revoked_after_composing_is_reopened_when_it_is_issued(
    house: House,
) -> None:
    await house.round()
    await house.reachable()

    async def revoke() -> None:
        await house.invite("r1", "w-r1", revision=2, state="revoked")

    house.tables.at[house.tables.looks + 3] = revoke
    await house.sender.turn()
    assert not house.email.accepted
    assert house.states() == ["composed", "cancelled"]
    [before] = await house.messages()
    await house.invite("r1", "w-r1", revision=3)
    await house.sender.turn()
    assert len(house.email.accepted) == 1
    [after] = await house.messages()
    assert (after.number, after.state) == (before.number, "sent")


async def test_an_invitation_that_comes_while_its_address_is_being_called_waits_for_the_outcome(house: House) -> None:
    await house.round()
    await house.reachable("r1")

    async def another() -> None:
        await house.invite("r1", "w-r1", revision=2, state="revoked")
        await house.reachable("r2")
        await house.sender.plan()
        assert (await house.invitation_states())["admitted"] == 1

    house.tables.at[house.tables.looks + 3] = another
    await house.sender.turn()
    await house.sender.turn()
    [sent] = house.email.accepted
    assert json.loads(sent.body)["ids"] == [invitation_id(ROUND_ID, "r2")]


async def test_revoking_while_a_notifier_composes_is_either_obeyed_or_too_late_never_both(postgres_url: str) -> None:
    house = House(postgres_url)
    await migrate(house.database, MIGRATIONS)
    await house.round(counts={"invitations": 40})
    for number in range(40):
        await house.reachable(f"r{number}", f"a{number}@exempel.test")
    await house.sender.plan()

    async def revoke_all() -> None:
        for number in range(40):
            await house.invite(f"r{number}", f"w-r{number}", revision=2, state="revoked")

    await asyncio.gather(house.sender.deliver("email"), revoke_all())
    for _ in range(2):
        await house.sender.turn()
    left = {json.loads(sent.body)["ids"][0] for sent in house.email.accepted}
    told: dict[str, list[str]] = {}
    for event in house.told():
        for identity in event.invitation_ids:
            told.setdefault(identity, []).append(event.state.value)
    assert len(told) == 40
    for identity, states in told.items():
        assert ("sent" in states) == (identity in left)
        assert ("cancelled" in states) != (identity in left)
    await house.database.close()

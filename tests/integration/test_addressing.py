"""From invitations to messages, on both databases: when a round is addressed, whom each invitation reaches, and what
is said where it reaches nobody.
"""

import json
from datetime import timedelta

import pytest

from schemas.company import COMPANY_CHANGED
from schemas.delivery import DeliveryState
from schemas.round import EXAMPLE as ROUND
from tests.notifier_house import MONDAY, House, house

pytestmark = pytest.mark.anyio
__all__ = ["house"]


async def test_nothing_is_addressed_before_all_of_the_round_is_admitted_or_the_grace_is_over(house: House) -> None:
    await house.round(counts={"invitations": 2}, opened_at=MONDAY - timedelta(seconds=600))
    await house.reachable()
    await house.sender.turn()
    assert not house.email.accepted
    house.clock.moment += timedelta(seconds=61)
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_those_that_were_revoked_are_not_counted_among_those_that_are_waited_for(house: House) -> None:
    await house.round(opened_at=MONDAY - timedelta(seconds=600), counts={"invitations": 2})
    await house.reachable("r0", "bo@exempel.test")
    await house.invite("r0", "w-r0", revision=2, state="revoked")
    one = await house.reachable("r1")
    await house.sender.turn()
    assert not house.email.accepted
    two = await house.reachable("r2")
    await house.sender.turn()
    assert set(json.loads(house.email.accepted[0].body)["ids"]) == {one, two}


async def test_nothing_leaves_in_the_hold(house: House) -> None:
    await house.round(opened_at=MONDAY)
    await house.reachable()
    await house.sender.turn()
    assert not house.email.accepted
    house.clock.moment += timedelta(seconds=600)
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_an_invitation_that_comes_after_its_address_was_written_to_is_merged(house: House) -> None:
    await house.round()
    await house.reachable("r1")
    await house.sender.turn()
    late = await house.reachable("r2")
    await house.sender.turn()
    assert len(house.email.accepted) == 1
    assert house.told()[-1].state is DeliveryState.MERGED
    assert house.told()[-1].invitation_ids == [late]


async def test_an_invitation_past_its_expiry_ends_as_expired(house: House) -> None:
    await house.round()
    await house.company("w-r1", "r1")
    await house.contact("r1", "anna@exempel.test")
    await house.invite("r1", "w-r1", expires_at=MONDAY - timedelta(seconds=1))
    await house.sender.turn()
    assert house.states() == ["expired"]


async def test_nobody_to_reach_is_said_and_a_later_contact_reopens(house: House) -> None:
    await house.round()
    await house.company("w-r1", "r1")
    await house.invite("r1", "w-r1")
    await house.sender.turn()
    assert house.states() == ["not_reachable"]
    await house.contact("r1", "anna@exempel.test")
    await house.sender.turn()
    assert house.states() == ["not_reachable", "composed", "sent"]


async def test_the_role_that_the_round_is_for_gets_it_and_else_whoever_is_there(house: House) -> None:
    await house.round(plan={**ROUND["plan"], "contact_roles": ["transport"]}, counts={"invitations": 2})  # type: ignore[dict-item]
    for recipient, role in (("r1", "transport"), ("r2", "ekonomi")):
        await house.company(f"w-{recipient}", recipient)
        await house.contact(recipient, f"{role}@{recipient}.test", workplace=f"w-{recipient}", role=role)
        await house.contact(recipient, f"info@{recipient}.test", workplace=f"w-{recipient}")
        await house.invite(recipient, f"w-{recipient}")
    await house.sender.turn()
    reached = sorted(sent.address for sent in house.email.accepted)
    assert reached == ["ekonomi@r2.test", "info@r2.test", "transport@r1.test"]


async def test_a_company_that_left_the_register_is_gone(house: House) -> None:
    await house.round()
    await house.company("w-r1", "r1", status="closed")
    await house.contact("r1", "anna@exempel.test")
    await house.invite("r1", "w-r1")
    await house.sender.turn()
    assert house.states() == ["gone"]


async def test_fc_087_a_company_that_was_erased_after_it_was_matched_is_not_written_to(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.feeder.apply([house.record("companies", "w-r1", None, COMPANY_CHANGED)])
    await house.sender.turn()
    assert house.states() == ["gone"]


@pytest.mark.parametrize("how", ["erased", "closed"])
async def test_fc_087_a_company_that_left_while_its_message_waited_is_not_written_to(house: House, how: str) -> None:
    """FC-087: checked again at send time."""
    house.clock.moment = MONDAY.replace(hour=19)
    await house.round(opened_at=MONDAY)
    await house.reachable()
    await house.sender.turn()
    assert (await house.messages())[0].state == "pending"
    if how == "erased":
        await house.feeder.apply([house.record("companies", "w-r1", None, COMPANY_CHANGED)])
    else:
        await house.company("w-r1", "r1", status="closed")
    house.clock.moment += timedelta(hours=13)
    await house.sender.turn()
    assert house.email.accepted == []
    assert (house.told()[-1].state, house.told()[-1].code) == (DeliveryState.CANCELLED, "left_register")


async def test_a_subscriber_is_reached_without_a_company_in_the_register_at_the_address_that_the_portal_sealed(
    house: House,
) -> None:
    await house.round()
    await house.contact("r1", "Inge@exempel.test", source="portal", role="subscriber")
    places = [{"workplace_id": "subscription-1", "reasons": [{"kind": "subscription", "subscription_id": "s1"}]}]
    invited = await house.invite("r1", "", workplaces=places)
    await house.sender.turn()
    [sent] = house.email.accepted
    assert (sent.address, json.loads(sent.body)["ids"]) == ("Inge@exempel.test", [invited])


async def test_a_subscriber_who_works_where_a_company_is_invited_gets_one_message_with_both(house: House) -> None:
    await house.round(counts={"invitations": 2})
    company = await house.reachable("r1", "inge@exempel.test")
    await house.contact("r2", "Inge@Exempel.test", source="portal", role="subscriber")
    places = [{"workplace_id": "w-r1", "reasons": [{"kind": "subscription", "subscription_id": "s1"}]}]
    subscriber = await house.invite("r2", "", workplaces=places)
    await house.sender.turn()
    [sent] = house.email.accepted
    assert set(json.loads(sent.body)["ids"]) == {company, subscriber}


async def test_a_round_older_than_the_invitation_is_not_rendered_from(house: House) -> None:
    await house.round()
    await house.company("w-r1", "r1")
    await house.contact("r1", "anna@exempel.test")
    await house.invite("r1", "w-r1", basis={"case_version": 2})
    await house.sender.turn()
    assert not house.email.accepted
    await house.round(basis={"case_version": 2})
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_a_round_with_a_lower_basis_does_not_take_the_place_of_a_newer_one(house: House) -> None:
    await house.round(basis={"case_version": 2}, state="withdrawn")
    await house.round(basis={"case_version": 1}, state="open")
    await house.reachable()
    await house.sender.turn()
    assert not house.email.accepted
    assert house.states() == ["cancelled"]


async def test_an_invitation_with_a_lower_basis_changes_nothing_whatever_its_revision(house: House) -> None:
    await house.round(basis={"case_version": 2})
    await house.company("w-r1", "r1")
    await house.contact("r1", "anna@exempel.test")
    await house.invite("r1", "w-r1", basis={"case_version": 2})
    await house.invite("r1", "w-r1", basis={"case_version": 1}, revision=2, state="revoked")
    await house.sender.turn()
    assert house.states() == ["composed", "sent"]

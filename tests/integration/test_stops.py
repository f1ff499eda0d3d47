"""A stop holds for what it says, for ever, whatever an import brings and however an address is written."""

import unicodedata
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete

from services.notifier.ledger.lifting import lift
from services.notifier.ledger.tables import SUPPRESSIONS
from tests.notifier_house import House, house

pytestmark = pytest.mark.anyio
__all__ = ["house"]

NFC, NFD = (unicodedata.normalize(form, "åsa@ångbåten.test") for form in ("NFC", "NFD"))
SPELLINGS = [
    ("Info@Exempel-Bageri.test", "info@exempel-bageri.test"),
    ("info@exempel-bageri.test", "INFO@EXEMPEL-BAGERI.TEST"),
    ("Anna.Ek@exempel.test", "anna.ek@exempel.test"),
    ("info@ångbåten.test", "info@xn--ngbten-huad.test"),
    (NFC, NFD),
    ("info@XN--NGBTEN-HUAD.test", "info@ÅNGBÅTEN.test"),
    ("anna@exempel\u3002test", " anna@exempel.test"),
    ("straße@exempel.test", "STRASSE@exempel.test"),
]


async def told_once(house: House, address: str) -> int:
    """A mail to this address has left; its number."""
    await house.round()
    await house.reachable("r1", address)
    await house.sender.turn()
    [message] = await house.messages()
    return int(message.number)


async def writes_again(house: House, recipient: str = "r1", **round_: Any) -> bool:
    """Whether another round's mail leaves for this company."""
    before = len(house.email.accepted)
    await house.round(round_id="second", **round_)
    await house.invite(recipient, f"w-{recipient}", round_id="second", invitation_id="i2")
    house.clock.moment += timedelta(minutes=1)
    await house.sender.turn()
    return len(house.email.accepted) > before


async def test_fc035_a_stop_outlives_the_next_full_import_of_the_same_address(house: House) -> None:
    """FC-035: nothing that an import writes can lift it."""
    number = await told_once(house, "anna@exempel.test")
    await house.stop_all(message_number=number)
    await house.contact("r1", "anna@exempel.test")
    await house.contact("r1", "anna@exempel.test", source="another register", role="owner")
    await house.company("w-r2", "r2")
    await house.contact("r2", "anna@exempel.test", source="another register")
    assert not await writes_again(house)
    await house.round(round_id="third")
    await house.invite("r2", "w-r2", round_id="third", invitation_id="i3")
    await house.sender.turn()
    assert len(house.email.accepted) == 1


@pytest.mark.parametrize(("stopped", "written"), SPELLINGS)
async def test_fc036_a_stop_meets_every_spelling_of_its_address(house: House, stopped: str, written: str) -> None:
    """FC-036: compared in NFC, casefolded, the domain as an A-label."""
    number = await told_once(house, stopped)
    await house.stop_all(message_number=number)
    await house.company("w-r2", "r2")
    await house.contact("r2", written)
    assert not await writes_again(house, "r2")


async def test_fc036_a_mail_goes_to_the_address_as_it_was_given(house: House) -> None:
    """FC-036."""
    given = ["Info@exempel.test", "Anna.Ek@exempel.test", "kontakt+Bygg@exempel.test"]
    await house.round(counts={"invitations": len(given)})
    for number, address in enumerate(given):
        await house.reachable(f"r{number}", address)
    await house.sender.turn()
    assert sorted(sent.address for sent in house.email.accepted) == sorted(given)


FOLLOWED = {"kind": "subscription", "subscription_id": "s1", "area": "Mörby"}
NEAR = {"kind": "distance", "distance_m": 12.0}


async def follows(house: House, name: str, *reasons: dict[str, Any], recipient: str = "r1") -> bool:
    """Whether a round of that name is told to a company that is invited for these reasons."""
    before = len(house.email.accepted)
    await house.round(round_id=name)
    places = [{"workplace_id": f"w-{recipient}", "reasons": list(reasons)}]
    await house.invite(
        recipient, f"w-{recipient}", round_id=name, invitation_id=f"{name}-{recipient}", workplaces=places
    )
    house.clock.moment += timedelta(minutes=1)
    await house.sender.turn()
    return len(house.email.accepted) > before


async def area_stopped(house: House, number: int, **changes: Any) -> None:
    stop = {"suppression_id": "area", "scope": "area", "subscription_id": "s1", "message_number": number}
    await house.stop_all(**stop | changes)


async def test_a_stop_of_an_area_stops_what_comes_for_that_area_alone_and_nothing_else(house: House) -> None:
    number = await told_once(house, "anna@exempel.test")
    await area_stopped(house, number)
    assert not await follows(house, "second", FOLLOWED)
    assert (house.told()[-1].state.value, house.told()[-1].code) == ("suppressed", "stop")
    assert await follows(house, "third", FOLLOWED, NEAR)
    assert await follows(house, "fourth", {**FOLLOWED, "subscription_id": "s2"})


async def test_a_stop_of_an_area_is_said_by_address_outlives_an_import_and_a_lost_ledger(
    house: House, ledger_url: str
) -> None:
    number = await told_once(house, "anna@exempel.test")
    await area_stopped(house, number)
    await house.sender.turn()
    [said] = house.suppressions()
    assert (said.scope, said.subscription_id, said.message_number) == ("area", "s1", None)
    async with house.database.transaction() as connection:
        await connection.execute(delete(SUPPRESSIONS))
    await house.company("w-r2", "r2")
    await house.contact("r2", "Anna@exempel.test", source="another register")
    await house.stop_all(**said.model_dump(exclude_none=True))
    assert not await follows(house, "second", FOLLOWED, recipient="r2")


@pytest.mark.parametrize("by", ["its page", "an operator"])
async def test_a_stop_of_an_area_can_be_lifted(house: House, by: str) -> None:
    number = await told_once(house, "anna@exempel.test")
    await area_stopped(house, number)
    await area_stopped(house, number, suppression_id="other", subscription_id="s2")
    house.clock.moment += timedelta(minutes=1)
    if by == "its page":
        await area_stopped(house, number, lifted=True, at=house.clock.now())
    else:
        async with house.database.transaction() as connection:
            assert await lift(connection, house.outbox, "area", by="drift", reason="bad", now=house.clock.now()) == 2
    assert await follows(house, "second", FOLLOWED)
    assert not await follows(house, "third", {**FOLLOWED, "subscription_id": "s2"})

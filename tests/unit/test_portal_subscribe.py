"""Subscribing by forms alone: nothing before the owner has pressed the button, one's own list, remove and undo.

On the portal without a broker: what it publishes is a list, and is fed back to its views.
"""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from schemas.case import CaseState
from schemas.contact import Address, Contact
from schemas.notice import Notice, SealedNotice
from schemas.subscription import FOLLOWING_EXAMPLE, Following, Subscription, following_id
from schemas.topics import CONTACTS, NOTICES, SUBSCRIPTIONS
from services.portal.followings import Followings
from services.portal.store.tables import LINKS, REMOVED, SUBSCRIBERS
from services.portal.subscribers import Subscribers
from tests.portal_world import Offline, case, company, offline

pytestmark = pytest.mark.anyio

FORM = {"where": "place", "place": "Mörby centrum", "radius": "800", "industries": "café", "email": "Anna@exempel.se"}


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Offline]:
    async with offline(tmp_path) as made:
        yield made


async def mailed(house: Offline) -> SealedNotice:
    """What the last notice holds, as the notifier opens it."""
    await house.outbox.flush()
    notice = Notice.model_validate_json(house.events(NOTICES)[-1].value or b"")
    assert notice.sealed is not None
    return SealedNotice.model_validate_json(house.opener.open(notice.sealed))


async def subscribed(house: Offline, client: httpx.AsyncClient, **changes: str) -> str:
    """Asks and confirms; returns the confirmation's path."""
    house.clock.moment += timedelta(minutes=2)
    asked = await client.post("/prenumerera", data=FORM | changes)
    assert asked.status_code == 303
    path = (await mailed(house)).path
    await client.post(path)
    await house.outbox.flush()
    return path


async def own_list(house: Offline, client: httpx.AsyncClient) -> str:
    house.clock.moment += timedelta(minutes=2)
    await client.post("/mina", data={"email": "anna@exempel.se"})
    return (await mailed(house)).path


async def test_review_shows_what_was_understood_and_keeps_nothing(house: Offline) -> None:
    async with house.client() as client:
        page = await client.post("/prenumerera/granska", data=FORM)
    assert page.status_code == 200
    assert "800\xa0m runt Mörby centrum" in page.text or "800 m runt Mörby centrum" in page.text
    assert "56.110 Restaurangverksamhet" in page.text
    await house.outbox.flush()
    assert not house.published


async def test_the_link_shows_a_button_and_only_the_button_subscribes(house: Offline) -> None:
    async with house.client() as client:
        await client.post("/prenumerera", data=FORM)
        inside = await mailed(house)
        assert inside.address == "Anna@exempel.se"
        for _ in range(3):
            assert (await client.get(inside.path)).status_code == 200
            assert (await client.head(inside.path)).status_code == 200
        await house.outbox.flush()
        assert not house.events(SUBSCRIPTIONS)
        done = await client.post(inside.path)
        again = await client.post(inside.path)
        await house.outbox.flush()
        shown = await client.get(inside.path)
    assert (done.status_code, again.status_code) == (303, 303)
    (event,) = house.events(SUBSCRIPTIONS)
    subscription = Subscription.model_validate_json(event.value or b"")
    assert [item.code for item in subscription.industries] == ["56110"]
    (told,) = house.events(CONTACTS)
    contact = Contact.model_validate_json(told.value or b"")
    assert contact.recipient_id == subscription.recipient_id
    assert Address.model_validate_json(house.opener.open(contact.sealed)).address == "Anna@exempel.se"
    assert "Klart. Ni bevakar" in shown.text


async def test_one_chooses_how_often_and_the_list_says_it(house: Offline) -> None:
    async with house.client() as client:
        reviewed = await client.post("/prenumerera/granska", data=FORM | {"frequency": "weekly"})
        await subscribed(house, client, frequency="weekly")
        listed = await client.get(await own_list(house, client))
    (event,) = house.events(SUBSCRIPTIONS)
    assert Subscription.model_validate_json(event.value or b"").frequency == "weekly"
    assert "Ett mejl i veckan" in reviewed.text
    assert "Ett mejl i veckan" in listed.text


async def test_no_address_is_kept_or_published_in_the_open(house: Offline, tmp_path: Path) -> None:
    async with house.client() as client:
        await subscribed(house, client, email="hemlig.adress@exempel.se")
    stored = b"".join(path.read_bytes() for path in files(tmp_path))
    sent = b"".join((record.value or b"") + record.key.encode() for record in house.published)
    assert b"hemlig.adress" not in stored + sent


async def test_one_address_is_one_subscriber_however_it_is_written(house: Offline) -> None:
    async with house.client() as client:
        await subscribed(house, client)
        await subscribed(house, client, email="anna@EXEMPEL.se", where="municipality")
    events = [Subscription.model_validate_json(record.value or b"") for record in house.events(SUBSCRIPTIONS)]
    assert len(events) == 2
    assert len({event.recipient_id for event in events}) == 1


async def test_nobody_can_fill_anothers_inbox_by_typing_its_address(house: Offline) -> None:
    async with house.client() as client:
        for _ in range(3):
            await client.post("/prenumerera", data=FORM)
        await house.outbox.flush()
        assert len(house.events(NOTICES)) == 1
        for _ in range(9):
            house.clock.moment += timedelta(minutes=2)
            await client.post("/prenumerera", data=FORM)
        await house.outbox.flush()
    assert len(house.events(NOTICES)) == 5


async def test_the_page_says_the_same_of_an_address_that_is_unknown(house: Offline) -> None:
    async with house.client() as client:
        await subscribed(house, client)
        house.clock.moment += timedelta(minutes=2)
        known = await client.post("/mina", data={"email": "anna@exempel.se"})
        before = len(house.events(NOTICES))
        unknown = await client.post("/mina", data={"email": "ingen@exempel.se"})
        await house.outbox.flush()
    assert known.text == unknown.text
    assert len(house.events(NOTICES)) == before + 1


async def test_one_removes_and_takes_it_back(house: Offline) -> None:
    async with house.client() as client:
        await subscribed(house, client)
        path = await own_list(house, client)
        page = await client.get(path)
        (number,) = re.findall(r'name="subscription" value="([0-9a-f]+)"', page.text)
        assert (await client.post(f"{path}/ta-bort", data={"subscription": number})).status_code == 303
        assert house.events(SUBSCRIPTIONS)[-1].value is None
        assert house.events(CONTACTS)[-1].value is None
        removed = await client.get(path)
        assert "Ni bevakar inget just nu" in removed.text
        assert "Ångra" in removed.text
        await client.post(f"{path}/angra", data={"subscription": number})
        assert house.events(SUBSCRIPTIONS)[-1].value is not None
        assert house.events(CONTACTS)[-1].value is not None
        assert "Ni bevakar inget just nu" not in (await client.get(path)).text


async def test_anothers_subscription_cannot_be_removed(house: Offline) -> None:
    async with house.client() as client:
        await subscribed(house, client)
        theirs = house.events(SUBSCRIPTIONS)[0].key
        await subscribed(house, client, email="bo@exempel.se")
        house.clock.moment += timedelta(minutes=2)
        await client.post("/mina", data={"email": "bo@exempel.se"})
        path = (await mailed(house)).path
        answer = await client.post(f"{path}/ta-bort", data={"subscription": theirs})
    assert answer.status_code == 404
    assert all(record.value is not None for record in house.events(SUBSCRIPTIONS))


@pytest.mark.parametrize("path", ["/bekrafta/xyz", "/mina/xyz", "/bekrafta/" + "A" * 22])
async def test_a_link_that_nobody_was_sent_opens_nothing(house: Offline, path: str) -> None:
    async with house.client() as client:
        assert (await client.get(path)).status_code == 404
        assert (await client.post(path)).status_code in (404, 405)


async def test_a_link_is_for_its_own_purpose_and_for_a_time(house: Offline) -> None:
    async with house.client() as client:
        confirmed = await subscribed(house, client)
        listed = await own_list(house, client)
        assert (await client.get(confirmed.replace("/bekrafta/", "/mina/"))).status_code == 404
        assert (await client.get(listed.replace("/mina/", "/bekrafta/"))).status_code == 404
        house.clock.moment += timedelta(hours=25)
        assert (await client.get(listed)).status_code == 404
        house.clock.moment += timedelta(hours=48)
        assert (await client.get(confirmed)).status_code == 404


async def test_what_is_wrong_is_422_with_the_fields_kept(house: Offline) -> None:
    async with house.client() as client:
        page = await client.post("/prenumerera/granska", data=FORM | {"email": "fel", "industries": "56.999"})
    assert page.status_code == 422
    assert "<title>Fel:" in page.text
    assert 'href="#email"' in page.text
    assert 'value="56.999"' in page.text


async def test_premises_are_found_by_part_of_their_name(house: Offline) -> None:
    await house.say(company("Åsas Exempelkafé", lon=18.03, lat=59.4), company("Exempelbageriet", lon=18.03, lat=59.4))
    async with house.client() as client:
        words = {"where": "workplace", "workplace": "åsas"}
        one = await client.post("/prenumerera/granska", data=FORM | words)
        several = await client.post("/prenumerera/granska", data=FORM | {"where": "workplace", "workplace": "exempel"})
    assert "runt Åsas Exempelkafé" in one.text
    assert 'name="workplace_id"' in several.text


async def test_what_may_no_longer_be_kept_is_deleted(house: Offline) -> None:
    subscribers = Subscribers(house.portal)
    async with house.client() as client:
        await subscribed(house, client)
        path = await own_list(house, client)
        await client.post(f"{path}/ta-bort", data={"subscription": house.events(SUBSCRIPTIONS)[0].key})
        assert await subscribers.forget() == 0
        house.clock.moment += timedelta(days=4)
        assert await subscribers.forget() > 0
    async with house.database.transaction() as connection:
        for table in (LINKS, SUBSCRIBERS, REMOVED):
            assert (await connection.execute(select(table))).all() == []


async def test_who_answered_follows_the_case_until_it_has_ended_and_it_stands_in_no_list_of_areas(
    house: Offline,
) -> None:
    about = case()
    key = following_id(about.key, "a" * 32)
    follows = {**FOLLOWING_EXAMPLE, "subscription_id": key, "recipient_id": "a" * 32, "case_key": about.key}
    async with house.client() as client:
        await subscribed(house, client)
        mine = house.events(SUBSCRIPTIONS)[0]
        subscriber = Subscription.model_validate_json(mine.value or b"").recipient_id
        await house.say(about, Following.model_validate({**follows, "recipient_id": subscriber}))
        assert await Followings(house.portal).forget() == 0
        assert (await client.get(await own_list(house, client))).status_code == 200, "an answer is no area"
    await house.say(about.model_copy(update={"version": 2, "state": CaseState.CLOSED}))
    assert await Followings(house.portal).forget() == 1
    await house.outbox.flush()
    assert [(sent.key, sent.value) for sent in house.events(SUBSCRIPTIONS)][-1] == (key, None)
    assert await Followings(house.portal).forget() == 0

"""The code in a letter leads to the letter's answer page; a wrong one is said to be wrong."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from schemas.topics import NOTICES, RESPONSES
from services.portal.guesses import MOST_WRONG, WITHIN
from services.runtime.letter_codes import code
from tests.portal_world import (
    TOKEN_KEY,
    Offline,
    answer_path,
    case,
    company,
    delivery,
    invitation,
    offline,
    round_of,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def portal(tmp_path: Path) -> AsyncIterator[Offline]:
    async with offline(tmp_path) as made:
        yield made


@pytest.fixture
async def browser(portal: Offline) -> AsyncIterator[httpx.AsyncClient]:
    async with portal.client() as client:
        yield client


@pytest.mark.parametrize("lang", ["sv", "en"])
async def test_a_code_leads_to_the_same_page_as_the_link(browser: httpx.AsyncClient, lang: str) -> None:
    assert 'name="kod"' in (await browser.get("/kod", params={"lang": lang})).text
    led = await browser.post("/kod", params={"lang": lang}, data={"kod": code(7, TOKEN_KEY).lower()})
    assert led.status_code == 303
    assert led.headers["location"].partition("?")[0] == answer_path(7)
    assert ("lang=en" in led.headers["location"]) == (lang == "en")


async def test_after_too_many_wrong_codes_in_a_minute_none_is_looked_at_and_the_link_leads_as_ever(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    right = code(7, TOKEN_KEY)
    for number in range(MOST_WRONG):
        assert (await browser.post("/kod", data={"kod": f"7KQ2-MX9V-T{number:03}"})).status_code == 422
        if number < MOST_WRONG - 1:
            assert (await browser.post("/kod", data={"kod": right})).status_code == 303
    refused = await browser.post("/kod", data={"kod": right})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    assert "Vänta en minut" in refused.text
    assert right in refused.text
    assert (await browser.get(answer_path(7))).status_code != 429
    portal.clock.moment += WITHIN
    assert (await browser.post("/kod", data={"kod": right})).status_code == 303


async def test_a_wrong_code_keeps_what_was_typed_and_says_so(browser: httpx.AsyncClient) -> None:
    shown = await browser.post("/kod", data={"kod": "7KQ2-<b>"})
    assert shown.status_code == 422
    assert "<title>Fel: Har ni fått ett brev?" in shown.text
    assert 'value="7KQ2-&lt;b&gt;"' in shown.text
    assert (await browser.post("/kod")).status_code == 422


async def test_the_page_of_codes_is_not_for_search_engines(browser: httpx.AsyncClient) -> None:
    assert "noindex" in (await browser.get("/kod")).headers["x-robots-tag"]


async def test_what_is_answered_by_a_letters_code_is_an_answer_and_its_receipt_is_the_page_alone(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    bakery, of = company("Exempelbageriet AB"), round_of(case())
    item = invitation(bakery, of)
    await portal.say(case(), of, bakery, item, delivery(7, item, channel="letter"))
    led = await browser.post("/kod", data={"kod": code(7, TOKEN_KEY)}, follow_redirects=True)
    assert "Till Exempelbageriet AB" in led.text
    given = {f"svar-{item.invitation_id}": "ja", f"text-{item.invitation_id}": "", "nyckel": "a" * 22}
    thanks = await browser.post(answer_path(7) + "/svar", data=given, follow_redirects=True)
    assert "Referens" in thanks.text
    await portal.outbox.flush()
    assert (len(portal.events(RESPONSES)), len(portal.events(NOTICES))) == (1, 0)

"""The code in a letter leads to the letter's answer page; a wrong one is said to be wrong."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from services.runtime.letter_codes import code
from tests.portal_world import TOKEN_KEY, answer_path, offline

pytestmark = pytest.mark.anyio


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with offline(tmp_path) as made, made.client() as client:
        yield client


@pytest.mark.parametrize("lang", ["sv", "en"])
async def test_a_code_leads_to_the_same_page_as_the_link(browser: httpx.AsyncClient, lang: str) -> None:
    assert 'name="kod"' in (await browser.get("/kod", params={"lang": lang})).text
    led = await browser.post("/kod", params={"lang": lang}, data={"kod": code(7, TOKEN_KEY).lower()})
    assert led.status_code == 303
    assert led.headers["location"].partition("?")[0] == answer_path(7)
    assert ("lang=en" in led.headers["location"]) == (lang == "en")


async def test_a_wrong_code_keeps_what_was_typed_and_says_so(browser: httpx.AsyncClient) -> None:
    shown = await browser.post("/kod", data={"kod": "7KQ2-<b>"})
    assert shown.status_code == 422
    assert "<title>Fel: Har ni fått ett brev?" in shown.text
    assert 'value="7KQ2-&lt;b&gt;"' in shown.text
    assert (await browser.post("/kod")).status_code == 422


async def test_the_page_of_codes_is_not_for_search_engines(browser: httpx.AsyncClient) -> None:
    assert "noindex" in (await browser.get("/kod")).headers["x-robots-tag"]

"""The inbox page: reads only, loads nothing from elsewhere, and shows a mail without trusting it."""

from collections.abc import AsyncIterator
from datetime import datetime

import pytest
from aiohttp.test_utils import TestClient, TestServer

from schemas.case import CASE_CHANGED
from schemas.round import EXAMPLE as ROUND
from schemas.round import Round
from services.demo.board import Board
from services.demo.inbox import application
from services.demo.words import WORDS
from services.notifier.channels.sms_sinks import AcceptedSms
from services.notifier.channels.smtp_sink import AcceptedMail
from services.runtime.dead_letters import headers
from services.runtime.errors import Rejected
from services.runtime.records import Record

AT = datetime.fromisoformat("2025-11-10T09:00:00+01:00")
MAIL = b"""\
Message-ID: <m1@danderyd.example>
From: Danderyd <demo@danderyd.example>
Subject: Gatan <script>alert(1)</script>
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain; charset=utf-8

Varfor <b>text</b>
--b
Content-Type: text/html; charset=utf-8

<html>
<head>
<title>x</title></head><body><p>Hej</p></body></html>
--b--
"""


def board() -> Board:
    made = Board()
    made.take_mail(AcceptedMail(1, "<m1@danderyd.example>", "x@y.example", ("a@b.example",), MAIL, AT))
    made.take_sms(AcceptedSms("s1", "Danderyd", "+46701740605", "Hej http://127.0.0.1/i/x", "m2", AT))
    case = {"title": "Gata", "title_en": "Street"}
    made.published["0162/exempel/EX-2"] = case
    made.rounds["r"] = Round.model_validate(ROUND)
    return made


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:  # type: ignore[type-arg]
    made = board()
    letter = Record("cases", 0, 7, b"0162/demo/DA-7", b"{}", (("ce_type", CASE_CHANGED.encode()),), 0)
    why = headers(letter, Rejected("invalid_polygon", "the line crosses itself", "/geometries/0"), "matcher")
    await made.apply([Record("cases.dlq", 0, 0, letter.key, b"{}", tuple(why), 0)])
    async with TestClient(TestServer(application(made))) as opened:
        yield opened


PAGES = ("/", "/?page=2", "/mail/1", "/mail/1/html", "/sms/1", "/inbox.css")


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_has_a_strict_policy_and_is_not_kept(client: TestClient, path: str) -> None:  # type: ignore[type-arg]
    answer = await client.get(path)
    assert answer.status == 200
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "script" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("lang", ["sv", "en"])
@pytest.mark.parametrize("path", ["/", "/mail/1", "/sms/1", "/i/token", "/nowhere"])
async def test_every_page_has_its_language_one_main_heading_and_a_way_past_the_header(
    client: TestClient,  # type: ignore[type-arg]
    path: str,
    lang: str,
) -> None:
    text = await (await client.get(path, params={"lang": lang})).text()
    assert f'<html lang="{lang}">' in text
    assert text.count("<h1") == 1
    assert 'class="skip" href="#main"' in text


async def test_a_mail_is_shown_escaped_and_its_html_in_a_frame_that_may_run_nothing(client: TestClient) -> None:  # type: ignore[type-arg]
    page = await (await client.get("/mail/1")).text()
    assert "<script>" not in page
    assert "&lt;b&gt;text&lt;/b&gt;" in page
    assert 'sandbox="allow-top-navigation-by-user-activation"' in page
    html = await client.get("/mail/1/html")
    assert "sandbox allow-top-navigation-by-user-activation" in html.headers["Content-Security-Policy"]
    assert "<p>Hej</p>" in await html.text()


async def test_the_list_refreshes_until_it_is_told_to_stop(client: TestClient) -> None:  # type: ignore[type-arg]
    assert 'http-equiv="refresh"' in await (await client.get("/")).text()
    assert 'http-equiv="refresh"' not in await (await client.get("/?paused=1")).text()


async def test_a_dead_letter_is_told_in_words_with_its_place(client: TestClient) -> None:  # type: ignore[type-arg]
    page = await (await client.get("/")).text()
    assert "Områdets kant korsar sig själv" in page
    assert "/geometries/0" in page
    assert "0162/demo/DA-7" in page


async def test_reading_changes_nothing(client: TestClient) -> None:  # type: ignore[type-arg]
    before = await (await client.get("/state.json")).json()
    for path in ("/", "/mail/1", "/sms/1"):
        await client.get(path)
    assert await (await client.get("/state.json")).json() == before


@pytest.mark.parametrize("path", ["/mail/0", "/mail/2", "/mail/x", "/sms/9", "/nowhere"])
async def test_what_is_not_there_says_what_to_do(client: TestClient, path: str) -> None:  # type: ignore[type-arg]
    answer = await client.get(path)
    assert answer.status == 404
    assert "Gå till inkorgen" in await answer.text()


def test_both_languages_have_the_same_words() -> None:
    assert WORDS["sv"].keys() == WORDS["en"].keys()

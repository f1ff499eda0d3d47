"""What the pages show and take. Nothing is published here: topics and the store are held together on real Kafka."""

import base64
import html
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from schemas.invitation import Invitation, InvitationState
from schemas.notice import Notice
from schemas.response import Response
from schemas.round import Round, RoundState
from schemas.suppression import Suppression
from schemas.topics import NOTICES, RESPONSES, SUPPRESSIONS
from schemas.types import Event
from services.notifier.composer import RenderingComposer
from services.notifier.composing import DigestItem, Draft
from services.portal.store.tables import METADATA
from services.rendering import changes
from services.rendering.letter import Brand, Letter, Links
from services.rendering.mail import render
from services.rendering.why import Workplace, why_block
from services.runtime.link_tokens import Purpose, mint
from tests.portal_world import (
    NOW,
    TOKEN_KEY,
    Offline,
    answer_path,
    case,
    company,
    delivery,
    invitation,
    offline,
    round_of,
    stop_path,
)

pytestmark = pytest.mark.anyio
BAKERY = company("Exempelbageriet AB")
KEY = "a" * 22


@pytest.fixture
async def portal(tmp_path: Path) -> AsyncIterator[Offline]:
    async with offline(tmp_path) as made:
        yield made


@pytest.fixture
async def browser(portal: Offline) -> AsyncIterator[httpx.AsyncClient]:
    async with portal.client() as client:
        yield client


async def invited(
    portal: Offline, number: int = 1, round_changes: dict[str, Any] | None = None, **about: Any
) -> Invitation:
    """One invitation, in a message of that number."""
    of = round_of(case(**about), **round_changes or {})
    item = invitation(BAKERY, of)
    await portal.say(case(**about), of, BAKERY, item, delivery(number, item))
    return item


def filled(item: Invitation, answer: str = "ja", text: str = "", key: str = KEY) -> dict[str, str]:
    return {f"svar-{item.invitation_id}": answer, f"text-{item.invitation_id}": text, "nyckel": key}


async def counted(portal: Offline) -> dict[str, int]:
    async with portal.database.transaction() as connection:
        return {
            name: await connection.scalar(select(func.count()).select_from(table)) or 0
            for name, table in METADATA.tables.items()
        }


def said(portal: Offline, kind: type[Event], topic: Any) -> list[Any]:
    return [kind.model_validate_json(record.value or b"") for record in portal.events(topic)]


async def test_the_page_says_to_whom_what_until_when_and_why(portal: Offline, browser: httpx.AsyncClient) -> None:
    await invited(portal)
    page = (await browser.get(answer_path(1))).text
    order = [
        "Till Exempelbageriet AB", "Påverkas ni? Stockholmsvägen byggs om", "Svara senast fredag 11 december 2026",
        "Varför får ni detta?", "Gatan byggs om", "När arbetet görs", "Att ledningarna byts", "Läs hela ärendet",
        "Ert svar blir en allmän handling", "Granska svaret", "Anna Exempel", "KS 2025/0123", "Sluta få inbjudningar",
    ]  # fmt: skip
    assert [text for text in order if text not in page] == []
    main = page[page.index("<main") :]
    places = [main.index(text) for text in order]
    assert places == sorted(places)


@pytest.mark.parametrize("lang", ["sv", "en"])
async def test_the_why_block_is_the_mails_word_for_word(portal: Offline, browser: httpx.AsyncClient, lang: Any) -> None:
    item = await invited(portal)
    facts = {BAKERY.workplace_id: Workplace(BAKERY.workplace_id, BAKERY.name, BAKERY.street)}
    links = Links(
        "https://p/i/1", "https://p/avsluta/1", "https://p/mina", "https://p/personuppgifter", "https://p/arenden"
    )
    brand = Brand("Danderyds kommun", "Danderyd")
    mail = render(Letter(brand, (BAKERY.name,), round_of(case()), tuple(item.workplaces), facts, links, NOW))
    page = (await browser.get(answer_path(1), params={"lang": lang})).text
    why = re.search(r'<section class="why">.*?</section>', page, re.S)
    assert why
    lines = re.findall(r"<li>(.*?)</li>", why[0])
    assert len(lines) == 4
    assert all(f"<li>{line}</li>" in re.sub(r"<li[^>]*>", "<li>", mail.html) for line in lines)
    assert lines == why_block(round_of(case()), item.workplaces, facts, lang)


async def test_a_message_to_several_companies_asks_for_each(portal: Offline, browser: httpx.AsyncClient) -> None:
    of = round_of(case())
    salon = company("Exempelsalongen")
    items = [invitation(to, of) for to in (BAKERY, salon)]
    await portal.say(case(), of, BAKERY, salon, *items, delivery(1, *items))
    page = (await browser.get(answer_path(1))).text
    assert "Svar för Exempelbageriet AB" in page
    assert "Svar för Exempelsalongen" in page
    await browser.post(answer_path(1) + "/svar", data=filled(items[0], "ja") | filled(items[1], "ej_relevant"))
    await portal.outbox.flush()
    answers = said(portal, Response, RESPONSES)
    assert {(a.invitation_id, a.answer) for a in answers} == {
        (items[0].invitation_id, "ja"),
        (items[1].invitation_id, "ej_relevant"),
    }
    assert len({a.reference for a in answers}) == 1
    assert len(said(portal, Notice, NOTICES)) == 1


async def test_a_feedback_shows_what_came_of_the_answers_and_asks_nothing(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    outcome = {"said": "Tidiga leveranser", "taken": "Lastplatserna står kvar", "not_taken": "Inget nattarbete"}
    texts = round_of(case()).texts.model_dump() | {"outcome": outcome}
    await invited(portal, round_changes={"purpose": "feedback", "texts": texts})
    page = (await browser.get(answer_path(1))).text
    assert "Så påverkade svaren: Stockholmsvägen byggs om" in page
    assert sorted(outcome.values(), key=page.index) == list(outcome.values())
    assert "<form" not in page
    english = (await browser.get(answer_path(1), params={"lang": "en"})).text
    assert '<section lang="sv">\n<h2 lang="en">What businesses said' in english


async def feedback_on(portal: Offline, asked: Round, **changes: Any) -> None:
    """What came of a round, told to the bakery."""
    texts = asked.texts.model_dump() | {"outcome": {"taken": "Lastplatserna står kvar"}}
    about = {"round_id": "told", "purpose": "feedback", "number": 1, "follows": asked.round_id, "texts": texts}
    told = round_of(case(), **about | changes)
    item = invitation(BAKERY, told)
    await portal.say(told, item, delivery(9, item), delivery(9, item, state="sent", delivery_id="sent"))


async def test_what_came_of_the_answers_is_shown_on_the_page_where_they_were_given_and_on_the_cases(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    await invited(portal)
    pages = (answer_path(1), "/arenden/EX-2")
    assert ["Det här tar kommunen med sig" in (await browser.get(path)).text for path in pages] == [False, False]
    await feedback_on(portal, round_of(case()))
    for path in pages:
        page = (await browser.get(path)).text
        assert "Det här tar kommunen med sig" in page
        assert "Lastplatserna står kvar" in page
    await feedback_on(portal, round_of(case()), state="held", reason="undone")
    assert ["Lastplatserna" in (await browser.get(path)).text for path in pages] == [False, False]


async def test_what_came_of_the_answers_is_not_shown_before_anybody_was_told(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    await invited(portal)
    texts = round_of(case()).texts.model_dump() | {"outcome": {"taken": "Lastplatserna står kvar"}}
    follows = round_of(case()).round_id
    await portal.say(round_of(case(), round_id="told", purpose="feedback", follows=follows, texts=texts))
    assert "Lastplatserna" not in (await browser.get(answer_path(1))).text
    assert "Lastplatserna" not in (await browser.get("/arenden/EX-2")).text


async def two_rounds(portal: Offline) -> tuple[Invitation, Invitation]:
    """A digest's message: two cases for one company, the later one said first."""
    items = []
    for name, title, day in (("EX-2", "Stockholmsvägen byggs om", "2026-12-11"), ("EX-4", "Ny taxa", "2026-12-04")):
        about = case(case_id=name, title=title, title_en="", respond_by=day)
        of = round_of(about, respond_by=day)
        items.append(invitation(BAKERY, of))
        await portal.say(about, of, BAKERY, items[-1])
    await portal.say(delivery(1, *items, kind="digest"))
    return items[0], items[1]


def page_of(item: Invitation) -> str:
    return f"{answer_path(1)}/arende/{item.round_id[:12]}"


async def test_a_message_with_several_matters_lists_them_by_last_day_and_each_has_its_own_page(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    street, fee = await two_rounds(portal)
    listed = (await browser.get(answer_path(1))).text
    assert "2 ärenden från" in listed
    assert re.findall(r'<li><a href="([^"]+)"', listed) == [page_of(fee), page_of(street)]
    assert "<form" not in listed
    one = (await browser.get(page_of(fee))).text
    assert "Påverkas ni? Ny taxa" in one
    assert "Stockholmsvägen byggs om" not in one
    assert f'action="{page_of(fee)}/granska"' in one
    assert f'href="{answer_path(1)}">Alla ärenden i meddelandet' in one


async def test_an_answer_on_one_matters_page_is_recorded_for_that_matter_and_no_other(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    street, fee = await two_rounds(portal)
    review = await browser.post(page_of(fee) + "/granska", data=filled(fee, text="Taxan"))
    fields = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', review.text.split("<button")[0]))
    assert f'action="{page_of(fee)}/svar"' in review.text
    # what is not asked on this page is not taken by it
    sent = await browser.post(page_of(fee) + "/svar", data=fields | {f"svar-{street.invitation_id}": "nej"})
    assert (sent.status_code, sent.headers["location"]) == (303, page_of(fee) + "/tack")
    await portal.outbox.flush()
    (answer,), (notice,) = said(portal, Response, RESPONSES), said(portal, Notice, NOTICES)
    assert (answer.round_id, answer.invitation_id, answer.text) == (fee.round_id, fee.invitation_id, "Taxan")
    assert (notice.parameters["round"], notice.parameters["title"]) == (fee.round_id, "Ny taxa")
    receipt = (await browser.get(page_of(fee) + "/tack")).text
    assert "Ny taxa" in receipt
    assert "Stockholmsvägen" not in receipt
    assert "Ni har svarat" in (await browser.get(answer_path(1))).text


async def test_every_matter_of_a_digest_can_be_answered_by_the_link_that_its_mail_has(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    items = await two_rounds(portal)
    composer = RenderingComposer(
        portal_url="http://portal.example",
        sender_name="Danderyds kommun",
        sender_email="dialog@kommun.example",
        token_key=TOKEN_KEY,
    )
    draft = Draft("m-1", 1, "email", "sv", "info@exempelbageriet.example", NOW)
    rounds = {item.round_id: item for item in items}
    of = {"EX-2": "Stockholmsvägen byggs om", "EX-4": "Ny taxa"}
    gathered = [
        DigestItem(round_of(case(case_id=item.case_id, title=of[item.case_id]), round_id=item.round_id), [item])
        for item in items
    ]
    mail = message_from_bytes(composer.digest(draft, gathered, 0, {BAKERY.workplace_id: BAKERY}), policy=default)
    plain = mail.get_body(("plain",))
    assert plain is not None
    links = list(dict.fromkeys(re.findall(r"http://portal.example/i/\S+/arende/\S+", plain.get_content())))
    assert len(links) == 2
    for number, link in enumerate(links):
        page = (await browser.get(link)).text
        (name,) = set(re.findall(r'name="svar-([^"]+)"', page))
        given = {f"svar-{name}": "ja", "nyckel": f"{number}" * 22}
        assert (await browser.post(link + "/svar", data=given)).status_code == 303
    await portal.outbox.flush()
    answers = said(portal, Response, RESPONSES)
    assert {(a.round_id, a.invitation_id) for a in answers} == {(r, i.invitation_id) for r, i in rounds.items()}


@pytest.mark.parametrize("choice", ["ffffffffffff", "%3Cscript%3E", "0" * 300])
async def test_a_choice_that_no_matter_of_the_message_has_shows_the_list_and_takes_nothing(
    portal: Offline, browser: httpx.AsyncClient, choice: str
) -> None:
    await invited(portal)
    page = await browser.get(f"{answer_path(1)}/arende/{choice}")
    assert page.status_code == 200
    assert "Ett ärende från" in page.text
    assert "<form" not in page.text
    assert "<script>" not in page.text
    assert "Påverkas ni? Stockholmsvägen byggs om" in page.text


async def test_an_invitation_that_came_late_is_shown_but_is_no_reason_of_the_mails(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    of = round_of(case())
    salon = company("Exempelsalongen")
    near = {"kind": "distance", "role": "road", "distance_m": 77.0}
    places = [{"workplace_id": salon.workplace_id, "distance_m": 77.0, "reasons": [near]}]
    first, late = invitation(BAKERY, of), invitation(salon, of, workplaces=places)
    await portal.say(of, BAKERY, salon, first, late, delivery(1, first), delivery(1, late, state="merged"))
    page = (await browser.get(answer_path(1))).text
    assert "120 meter" in page
    assert "77 meter" not in page
    assert "Gäller också Exempelsalongen" in page


async def test_an_answer_is_reviewed_then_sent_then_received(portal: Offline, browser: httpx.AsyncClient) -> None:
    item = await invited(portal)
    before = await counted(portal)
    review = await browser.post(answer_path(1) + "/granska", data=filled(item, text="Leverans <05.30>\r\noch 06.00"))
    assert review.status_code == 200
    assert "Skicka svaret till Danderyds kommun" in review.text
    assert "Leverans &lt;05.30&gt;" in review.text
    assert await counted(portal) == before
    fields = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', review.text.split("<button")[0]))
    sent = await browser.post(answer_path(1) + "/svar", data=fields | filled(item, text="x", key=fields["nyckel"]))
    assert (sent.status_code, sent.headers["location"]) == (303, answer_path(1) + "/tack")
    receipt = (await browser.get(sent.headers["location"])).text
    reference = re.search(r"<strong>([2-9A-Z]{3}-[2-9A-Z]{3})</strong>", receipt)
    assert reference
    assert "Tack! Svaret är mottaget" in receipt
    await portal.outbox.flush()
    (answer,), (notice,) = said(portal, Response, RESPONSES), said(portal, Notice, NOTICES)
    assert (answer.answer, answer.text, answer.sequence, answer.via) == ("ja", "x", 1, "link")
    assert (answer.reference, notice.parameters["reference"]) == (reference[1], reference[1])
    assert (notice.kind, notice.message_number, notice.recipient_id) == ("receipt", 1, item.recipient_id)


async def test_a_double_click_or_a_reload_is_one_answer_with_one_receipt(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    item = await invited(portal)
    for _ in range(3):
        assert (await browser.post(answer_path(1) + "/svar", data=filled(item))).status_code == 303
        await portal.outbox.flush()
    assert len(portal.events(RESPONSES)) == 1
    assert len(portal.events(NOTICES)) == 1


async def test_the_last_answer_counts_and_the_earlier_is_kept(portal: Offline, browser: httpx.AsyncClient) -> None:
    item = await invited(portal)
    await browser.post(answer_path(1) + "/svar", data=filled(item, "ja", key="1" * 20))
    portal.clock.moment += timedelta(minutes=5)
    page = (await browser.get(answer_path(1))).text
    assert "svarade «Ja, vi påverkas» 25 november kl. 09.00" in page
    assert "Ändra svaret" in page
    assert "<form" not in page
    assert "<form" in (await browser.get(answer_path(1) + "?andra=ja")).text
    await browser.post(answer_path(1) + "/svar", data=filled(item, "nej", key="2" * 20))
    await portal.outbox.flush()
    assert [(a.answer, a.sequence) for a in said(portal, Response, RESPONSES)] == [("ja", 1), ("nej", 2)]
    assert "svarade «Nej, vi påverkas inte»" in (await browser.get(answer_path(1))).text


async def test_another_messages_form_key_is_another_answer(portal: Offline, browser: httpx.AsyncClient) -> None:
    item = await invited(portal)
    await portal.say(delivery(2, item))
    await browser.post(answer_path(1) + "/svar", data=filled(item, "ja"))
    await browser.post(answer_path(2) + "/svar", data=filled(item, "nej"))
    await portal.outbox.flush()
    answers = said(portal, Response, RESPONSES)
    assert len({a.response_id for a in answers}) == 2
    assert len({a.reference for a in answers}) == 2


async def test_no_text_goes_to_a_number_of_a_phone(portal: Offline, browser: httpx.AsyncClient) -> None:
    of = round_of(case())
    item = invitation(BAKERY, of)
    await portal.say(of, BAKERY, item, delivery(1, item, channel="sms"))
    await browser.post(answer_path(1) + "/svar", data=filled(item))
    await portal.outbox.flush()
    assert portal.events(NOTICES) == []
    assert len(portal.events(RESPONSES)) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text": "x" * 4001}, "Texten är för lång"),
        ({"answer": "", "text": "något"}, "Välj ett svar som hör till"),
        ({"answer": ""}, "Välj ett svar"),
    ],
)
@pytest.mark.parametrize("step", ["/granska", "/svar"])
async def test_a_fault_is_told_at_the_top_and_at_its_field_and_nothing_typed_is_lost(
    portal: Offline, browser: httpx.AsyncClient, changes: dict[str, str], said: str, step: str
) -> None:
    item = await invited(portal)
    answer = await browser.post(answer_path(1) + step, data=filled(item, **changes))
    assert answer.status_code == 422
    assert answer.text.split("<title>")[1].startswith("Fel: ")
    assert answer.text.count(said) == 2
    target = re.search(r'<li><a href="#([^"]+)"', answer.text)
    assert target
    assert f'id="{target[1]}"' in answer.text
    assert changes.get("text", "") in answer.text
    assert portal.published == []


async def test_changing_on_the_review_page_keeps_what_was_typed(portal: Offline, browser: httpx.AsyncClient) -> None:
    item = await invited(portal)
    again = await browser.post(answer_path(1) + "/granska", data=filled(item, "nej", "min text") | {"andra": "ja"})
    assert again.status_code == 200
    assert "min text</textarea>" in again.text
    assert 'value="nej" checked' in again.text


@pytest.mark.parametrize(("asked", "checked"), [("ja", "ja"), ("vet-inte", "vet_inte"), ("nonsense", None), ("", None)])
async def test_a_link_in_the_mail_preselects_and_does_nothing_else(
    portal: Offline, browser: httpx.AsyncClient, asked: str, checked: str | None
) -> None:
    await invited(portal)
    before = await counted(portal)
    page = (await browser.get(answer_path(1), params={"svar": asked})).text
    assert re.findall(r'value="(\w+)" checked', page) == ([checked] if checked else [])
    assert await counted(portal) == before
    assert portal.published == []


async def test_after_the_last_day_there_is_no_form_but_the_officials_number(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    item = await invited(portal)
    portal.clock.moment = datetime(2026, 12, 11, 22, 30, tzinfo=UTC)
    assert "<form" in (await browser.get(answer_path(1))).text
    portal.clock.moment = datetime(2026, 12, 11, 23, 0, tzinfo=UTC)
    page = (await browser.get(answer_path(1))).text
    assert "Svarstiden gick ut fredag 11 december 2026" in page
    assert "<form" not in page
    assert "08-465 004 00" in page
    late = await browser.post(answer_path(1) + "/svar", data=filled(item, text="Det jag skrev"))
    assert late.status_code == 409
    assert "Det jag skrev</textarea>" in late.text
    assert portal.published == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "withdrawn"}, "Ärendet har dragits tillbaka"),
        ({"state": "held", "reason": "undone"}, "Kommunen har tagit tillbaka inbjudan"),
        ({"state": "closed", "reason": "closed"}, "Ärendet är avslutat"),
    ],
)
async def test_what_has_ended_says_so_first_and_asks_nothing(
    portal: Offline, browser: httpx.AsyncClient, changes: dict[str, str], words: str
) -> None:
    await invited(portal, round_changes=changes)
    page = (await browser.get(answer_path(1))).text
    assert page.index(words) < page.index("Varför får ni detta?")
    assert "<form" not in page


async def test_a_revoked_invitation_says_that_it_no_longer_concerns_them(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    item = await invited(portal)
    await portal.say(item.model_copy(update={"revision": 2, "state": InvitationState.REVOKED}))
    assert "gäller inte längre er" in (await browser.get(answer_path(1))).text


async def test_a_newer_stage_still_takes_answers(portal: Offline, browser: httpx.AsyncClient) -> None:
    item = await invited(portal, round_changes={"state": "closed", "reason": "newer_stage"})
    assert "nästa skede" in (await browser.get(answer_path(1))).text
    assert (await browser.post(answer_path(1) + "/svar", data=filled(item))).status_code == 303


async def test_a_stage_where_a_right_may_be_lost_says_that_a_click_is_no_formal_comment(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    plan = round_of(case()).plan
    assert plan
    await invited(portal, round_changes={"plan": plan.model_copy(update={"statutory": True}).model_dump()})
    assert "är inte ett formellt yttrande" in (await browser.get(answer_path(1))).text


async def test_a_true_link_to_a_message_that_is_not_read_yet_is_one_moment(browser: httpx.AsyncClient) -> None:
    answer = await browser.get(answer_path(99))
    assert (answer.status_code, answer.headers["retry-after"], answer.headers["refresh"]) == (503, "5", "5")
    assert "Ett ögonblick" in answer.text
    assert "refresh" not in (await browser.get(answer_path(99) + "?vanta=nej")).headers


TOKENS = {
    "none": "",
    "wrong purpose": mint(1, TOKEN_KEY, Purpose.STOP),
    "another installation's": mint(1, b"x" * 32, Purpose.ANSWER),
    "tampered number": mint(2, TOKEN_KEY, Purpose.ANSWER)[:11] + mint(1, TOKEN_KEY, Purpose.ANSWER)[11:],
    "cut off": mint(1, TOKEN_KEY, Purpose.ANSWER)[:-1],
    "with more": mint(1, TOKEN_KEY, Purpose.ANSWER) + "A",
    "not text": "åäö%01",
}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS.keys())
@pytest.mark.parametrize("page", ["", "/granska", "/svar", "/tack"])
async def test_a_token_that_is_not_ours_opens_nothing(
    portal: Offline, browser: httpx.AsyncClient, token: str, page: str
) -> None:
    item = await invited(portal)
    for method in ("GET", "HEAD", "POST"):
        answer = await browser.request(method, f"/i/{token}{page}", data=filled(item) if method == "POST" else None)
        assert answer.status_code in (404, 405)
        assert "Exempelbageriet" not in answer.text
    assert portal.published == []


@pytest.mark.parametrize("more", [".", ",", ")", "/", "%3E", "%20", "...", "%22", "%C2%A0", "%E2%80%8B", "!)", "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_link_that_was_taken_with_what_stood_after_it_leads_to_its_page(
    portal: Offline, browser: httpx.AsyncClient, more: str, method: str
) -> None:
    """And never to another host, whatever the request calls this one."""
    await invited(portal)
    for path in (answer_path(1), stop_path(1), f"{answer_path(1)}/tack"):
        led = await browser.request(method, path + more, headers={"Host": "ond.example"})
        assert (led.status_code, led.headers["location"]) == (303, path)
    assert portal.published == []


async def test_what_is_put_after_a_link_that_is_not_ours_leads_nowhere(browser: httpx.AsyncClient) -> None:
    for more in (".", "/"):
        led = await browser.get(f"/i/{'A' * 22}{more}", follow_redirects=True)
        assert led.status_code == 404
        assert (await browser.get(f"/i/{'A' * 21}{more}")).status_code == 404


async def test_no_address_leads_to_a_host_that_a_request_named(browser: httpx.AsyncClient) -> None:
    for path in ("/arenden", "/kod/", "/prenumerera/", "/api/v1", "/api/v1/cases/"):
        for method in ("GET", "POST"):
            answer = await browser.request(method, path, headers={"Host": "ond.example"})
            assert "ond.example" not in answer.headers.get("location", "")


@pytest.mark.parametrize("address", ["/arenden/%00", "/arenden/EX-2?kalla=%00", "/i/%00"])
async def test_an_address_with_a_nul_is_refused_and_not_to_be_tried_again(
    browser: httpx.AsyncClient, address: str
) -> None:
    """PostgreSQL holds none: it would answer as if it were away."""
    answer = await browser.get(address)
    assert answer.status_code == 400
    assert "retry-after" not in answer.headers
    assert "Öppna länken" in answer.text


async def test_a_form_answers_only_for_the_message_whose_link_it_is(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    await invited(portal)
    other = invitation(company("Exempelsalongen"), round_of(case()))
    await portal.say(other, delivery(2, other))
    answer = await browser.post(answer_path(1) + "/svar", data=filled(other))
    assert answer.status_code == 422
    assert portal.published == []


@pytest.mark.parametrize("token", ["", mint(1, TOKEN_KEY, Purpose.ANSWER), mint(1, b"x" * 32, Purpose.STOP)])
async def test_a_token_of_another_kind_stops_nothing(portal: Offline, browser: httpx.AsyncClient, token: str) -> None:
    for method, page in (("GET", ""), ("POST", ""), ("POST", "/angra")):
        answer = await browser.request(
            method, f"/avsluta/{token}{page}", data={"omfattning": "all"} if method == "POST" else None
        )
        assert answer.status_code in (404, 405)
    assert portal.published == []


async def test_one_click_stops_everything_without_a_page_or_a_cookie(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    await invited(portal)
    answer = await browser.post(stop_path(1), data={"List-Unsubscribe": "One-Click"})
    assert (answer.status_code, answer.text) == (200, "")
    assert "set-cookie" not in answer.headers
    (stop,) = said(portal, Suppression, SUPPRESSIONS)
    assert (stop.scope, stop.kind, stop.message_number, stop.lifted) == ("all", "stop", 1, False)
    await portal.outbox.flush()
    (notice,) = said(portal, Notice, NOTICES)
    assert (notice.kind, notice.message_number) == ("stopped", 1)


async def test_one_click_stops_with_a_line_break_after_it_and_says_so_where_it_was_not_understood(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    """RFC 8058: a mail program shows no page, and takes 200 for done."""
    await invited(portal)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    for body, headers in ((b"List-Unsubscribe=One-Click", {}), (b"", kind), (b"omfattning=annat", kind)):
        assert (await browser.post(stop_path(1), content=body, headers=headers)).status_code == 422
    assert said(portal, Suppression, SUPPRESSIONS) == []
    answer = await browser.post(stop_path(1), content=b"List-Unsubscribe=One-Click\r\n", headers=kind)
    assert (answer.status_code, answer.text) == (200, "")
    assert len(said(portal, Suppression, SUPPRESSIONS)) == 1


async def test_a_stop_link_of_a_message_that_the_store_never_heard_of_stops_all_the_same(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    assert (await browser.get(stop_path(77))).status_code == 200
    assert (await browser.post(stop_path(77), data={"List-Unsubscribe": "One-Click"})).status_code == 200
    assert said(portal, Suppression, SUPPRESSIONS)[0].message_number == 77


async def test_a_stop_link_signed_with_an_earlier_key_still_stops(tmp_path: Path) -> None:
    older = b"o" * 32
    keys = ",".join(base64.b64encode(key).decode() for key in (TOKEN_KEY, older))
    async with offline(tmp_path, token_keys=keys) as portal, portal.client() as browser:
        await browser.post(f"/avsluta/{mint(5, older, Purpose.STOP)}", data={"List-Unsubscribe": "One-Click"})
        assert said(portal, Suppression, SUPPRESSIONS)[0].message_number == 5


async def test_less_than_all_can_be_stopped_and_undone(portal: Offline, browser: httpx.AsyncClient) -> None:
    item = await invited(portal)
    page = (await browser.get(stop_path(1))).text
    assert "Bara det här ärendet: Stockholmsvägen byggs om" in page
    done = await browser.post(stop_path(1), data={"omfattning": f"case:{item.case_key}"})
    assert "inga fler inbjudningar om ärendet Stockholmsvägen" in done.text
    assert "Avslutat sedan tidigare" in (await browser.get(stop_path(1))).text
    await browser.post(stop_path(1) + "/angra", data={"omfattning": f"case:{item.case_key}"})
    stop, undo = said(portal, Suppression, SUPPRESSIONS)
    assert (stop.scope, stop.case_key, undo.lifted) == ("case", item.case_key, True)
    assert stop.suppression_id == undo.suppression_id
    assert "Avslutat sedan tidigare" not in (await browser.get(stop_path(1))).text


async def test_the_area_that_led_to_the_message_can_be_stopped_and_undone(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    item = await invited(portal)
    assert "bevakar" not in (await browser.get(stop_path(1))).text  # the register led to it, and no subscription
    followed = {"kind": "subscription", "subscription_id": "s1", "area": "800 m runt <Mörby>"}
    places = [{"workplace_id": place.workplace_id, "reasons": [followed]} for place in item.workplaces]
    await portal.say(Invitation.model_validate({**item.model_dump(), "revision": 2, "workplaces": places}))
    page = (await browser.get(stop_path(1))).text
    assert "Bara det som kommer av er bevakning: 800 m runt &lt;Mörby&gt;<" in page
    done = await browser.post(stop_path(1), data={"omfattning": "area:s1"})
    assert "Ni får inga fler inbjudningar bara för er bevakning ”800 m runt &lt;Mörby&gt;”." in done.text
    english = (await browser.get(stop_path(1) + "?lang=en")).text
    assert 'Stopped before:</strong> <span lang="sv">800 m runt &lt;Mörby&gt;</span>' in english
    assert 'aria-label="Undo: 800 m runt &lt;Mörby&gt;"' in english
    await browser.post(stop_path(1) + "/angra", data={"omfattning": "area:s1"})
    stop, undo = said(portal, Suppression, SUPPRESSIONS)
    assert (stop.scope, stop.subscription_id, undo.lifted) == ("area", "s1", True)
    assert stop.suppression_id == undo.suppression_id
    await browser.post(stop_path(1), data={"omfattning": "area:another"})
    assert len(said(portal, Suppression, SUPPRESSIONS)) == 2


async def test_a_case_that_the_message_is_not_about_cannot_be_stopped_by_it(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    await invited(portal)
    await browser.post(stop_path(1), data={"omfattning": "case:0162/x/y"})
    await browser.post(stop_path(1), data={})
    assert portal.published == []


async def test_who_has_stopped_everything_sees_that_it_is_done(portal: Offline, browser: httpx.AsyncClient) -> None:
    await invited(portal)
    await browser.post(stop_path(1), data={"omfattning": "all"})
    page = (await browser.get(stop_path(1))).text
    assert "Klart. Det gäller från nu" in page
    assert "Ångra" in page


async def test_when_the_broker_does_not_answer_the_page_never_says_that_it_is_done(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    await invited(portal)
    portal.broken = True
    page = await browser.post(stop_path(1), data={"omfattning": "all"})
    assert page.status_code == 503
    assert "Det gick inte att avsluta just nu" in page.text
    assert "Klart" not in page.text
    assert (await browser.post(stop_path(1), data={"List-Unsubscribe": "One-Click"})).status_code == 503
    assert (await browser.post(stop_path(1) + "/angra", data={"omfattning": "all"})).status_code == 503
    portal.broken = False
    assert (await browser.post(stop_path(1), data={"omfattning": "all"})).status_code == 200


@pytest.mark.parametrize("reference", ["EX-2", "KS 2025/0123"])
async def test_a_case_is_found_by_its_id_and_its_diary_number(
    portal: Offline, browser: httpx.AsyncClient, reference: str
) -> None:
    await invited(portal)
    page = await browser.get(f"/arenden/{reference}")
    assert page.status_code == 200
    for words in (
        "Stockholmsvägen byggs om",
        "Projektering <b>(nu)</b>",
        "När arbetet görs",
        "Öppen för svar till och med fredag 11 december",
        "Färre än fem har svarat",
        "ritning.pdf",
    ):
        assert words in page.text


@pytest.mark.parametrize("more", [".", ")", "/", "%3E", "%20"])
async def test_a_case_is_found_with_what_stood_after_its_number(
    portal: Offline, browser: httpx.AsyncClient, more: str
) -> None:
    await invited(portal)
    for reference in ("EX-2", "KS%202025/0123"):
        led = await browser.get(f"/arenden/{reference}{more}")
        assert (led.status_code, led.headers["location"]) == (303, f"/arenden/{reference}")
    assert (await browser.get(f"/arenden/EX-9{more}")).status_code == 404


async def test_of_two_cases_with_one_number_the_reader_chooses(portal: Offline, browser: httpx.AsyncClient) -> None:
    await invited(portal)
    await invited(portal, 2, source="annat", title="En annan sak")
    page = (await browser.get("/arenden/EX-2")).text
    assert "Flera ärenden har det numret" in page
    links = re.findall(r'href="(/arenden/[^"]+kalla[^"]+)"', page)
    assert len(links) == 2
    assert [(await browser.get(link)).status_code for link in links] == [200, 200]


async def test_a_case_is_public_only_when_somebody_was_invited_to_it(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    held = round_of(case(), state="held", reason="review")
    await portal.say(case(), held)
    missing = await browser.get("/arenden/EX-2")
    assert (missing.status_code, "Ärendet finns inte här" in missing.text) == (404, True)
    await portal.say(held.model_copy(update={"state": RoundState.OPEN}))
    assert (await browser.get("/arenden/EX-2")).status_code == 200
    assert "Stockholmsvägen" in (await browser.get("/")).text


async def test_an_open_round_leaves_the_start_page_after_its_last_day(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    await invited(portal)
    portal.clock.moment = NOW + timedelta(days=60)
    assert "Just nu pågår ingen dialog" in (await browser.get("/")).text


async def test_what_a_case_says_is_text_and_never_markup(portal: Offline, browser: httpx.AsyncClient) -> None:
    """FC-041."""
    await invited(portal, title="<script>alert(1)</script>", summary="<img src=x onerror=alert(1)>")
    for path in (answer_path(1), stop_path(1), "/arenden/EX-2", "/"):
        page = (await browser.get(path)).text
        assert "<script" not in page
        assert "<img" not in page


@pytest.mark.parametrize(
    "path", ["/", "/personuppgifter", "/tillganglighet", "/arenden/EX-2", answer_path(1), stop_path(1), "/i/x"]
)
async def test_every_page_is_in_both_languages_and_keeps_to_the_one_chosen(
    portal: Offline, browser: httpx.AsyncClient, path: str
) -> None:
    await invited(portal)
    swedish, english = (await browser.get(path)).text, (await browser.get(path, params={"lang": "en"})).text
    assert '<html lang="sv">' in swedish
    assert '<html lang="en">' in english
    assert f'href="{path}?lang=en"' in swedish
    inner = re.findall(r'(?:href|action)="(/(?!static)[^"]*)"', english)
    assert [link for link in inner if "lang=en" not in link and "lang=sv" not in link] == []


async def test_a_meeting_can_be_put_in_a_calendar_that_does_not_hold_the_link(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    await invited(portal)
    assert (await browser.get(answer_path(1) + "/mote.ics")).status_code == 404
    await invited(portal, 2, case_id="EX-3", meeting={"place": "Kommunhuset", "start": "2026-12-08T17:00:00+01:00"})
    assert "Lägg mötet i kalendern" in (await browser.get(answer_path(2))).text
    file = await browser.get(answer_path(2) + "/mote.ics")
    assert file.headers["content-type"].startswith("text/calendar")
    assert "DTSTART;TZID=Europe/Stockholm:20261208T170000" in file.text
    assert "/arenden/EX-3" in file.text
    assert answer_path(2) not in file.text.replace("\r\n ", "")


async def test_a_change_says_what_happened_and_why_in_the_words_of_its_mail(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    first = await invited(portal)
    change = round_of(
        case(), round_id="c" * 32, purpose="change", number=1, change="withdrawn", follows=first.round_id, plan=None
    )
    told = invitation(BAKERY, change, invitation_id="i" * 32)
    await portal.say(change, told, delivery(2, told))
    for lang in ("sv", "en"):
        page = (await browser.get(answer_path(2), params={"lang": lang})).text
        said = [changes.heading(change, lang), changes.happened(change, lang), *changes.to_do(change, lang)]
        said.append(changes.why(NOW, lang))
        assert [words for words in said if words not in html.unescape(page)] == []
        assert "<form" not in page


async def test_swedish_words_on_an_english_page_are_said_to_be_swedish(
    portal: Offline, browser: httpx.AsyncClient
) -> None:
    await invited(portal)
    for path in (answer_path(1), "/arenden/EX-2"):
        english = (await browser.get(path, params={"lang": "en"})).text
        assert '<ul lang="sv"><li>När arbetet görs' in english
        assert re.search(r'<p[^>]* lang="sv">Gatan byggs om', english)
        assert not re.search(r'<h1 lang="sv"', english)  # the title has an English one
        assert ' lang="sv">Gatan' not in (await browser.get(path)).text


async def test_the_style_sheet_is_small_and_kept_for_long(browser: httpx.AsyncClient) -> None:
    style = await browser.get("/static/portal.css")
    assert "immutable" in style.headers["cache-control"]
    assert len(style.content) <= 15_000


async def test_no_page_holds_a_script_or_anything_from_elsewhere(portal: Offline, browser: httpx.AsyncClient) -> None:
    await invited(portal)
    for path in ("/", answer_path(1), stop_path(1), "/arenden/EX-2"):
        page = (await browser.get(path)).text
        assert "<script" not in page
        assert "style=" not in page
        assert re.findall(r'(?:src|<link[^>]*href)="(?!/static|data:)', page) == []

"""The portal in a real browser: answered without scripts, readable for everybody, and nothing from elsewhere.

The pages are served as in production, from a store that a test has filled; what reaches the topics is tested elsewhere.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright, expect

from schemas.invitation import Invitation
from schemas.topics import NOTICES, RESPONSES, SUPPRESSIONS
from services.portal.web import WebServer
from tests.everything import LOOKS, Scheme
from tests.journeys.test_demo import browser_path
from tests.portal_world import (
    Offline,
    answer_path,
    case,
    company,
    delivery,
    free_port,
    invitation,
    offline,
    round_of,
    stop_path,
)

pytestmark = pytest.mark.anyio
RULES: Final = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
MEETING: Final = {"place": "Kommunhuset, sal A", "start": "2026-12-08T17:00:00+01:00"}
LATE: Final = datetime(2027, 1, 5, tzinfo=UTC)


def followed(item: Invitation, *areas: str) -> Invitation:
    """The same to another, for these followed areas too."""
    reasons = [{"kind": "subscription", "subscription_id": f"s{n}", "area": area} for n, area in enumerate(areas, 1)]
    places = [{**place.model_dump(), "reasons": reasons} for place in item.workplaces]
    return Invitation.model_validate({**item.model_dump(), "invitation_id": "f" * 32, "workplaces": places})


@pytest.fixture
async def portal(tmp_path: Path) -> AsyncIterator[tuple[Offline, str]]:
    """Messages 1 (one company), 2 (two), 3 (a meeting), 4 (withdrawn), 5 (two areas followed), and where they are."""
    contact = {"contact_phone": "08-568 910 00", "contact_email": "kommunen@danderyd.example"}
    async with offline(tmp_path, privacy_contact="dataskydd@danderyd.example", **contact) as made:
        of = round_of(case(), decision_at="2027-02-01")
        bakery, salon = company("Exempelbageriet AB"), company("Exempelsalongen")
        met_case, gone_case = case(case_id="EX-3", title="Ny detaljplan", meeting=MEETING), case(case_id="EX-4")
        meeting, gone = round_of(met_case), round_of(gone_case, state="withdrawn")
        one, two = invitation(bakery, of), invitation(salon, of)
        met, ended = invitation(bakery, meeting), invitation(bakery, gone)
        twin = case(source="annat")
        await made.say(case(), met_case, gone_case, twin, of, meeting, gone, round_of(twin))
        await made.say(bakery, salon, one, two, met, ended)
        following = followed(one, "800\xa0m runt Mörby centrum", "Djursholms torg, restauranger och livsmedelsbutiker")
        await made.say(delivery(1, one), delivery(2, one, two), delivery(3, met), delivery(4, ended), following)
        await made.say(delivery(5, following))
        server = WebServer(made.web, host="127.0.0.1", port=(port := free_port()))
        await server.start()
        yield made, f"http://127.0.0.1:{port}"
        await server.stop()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    path = browser_path()
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        await started.close()


@asynccontextmanager
async def tab(browser: Browser, base: str, **options: Any) -> AsyncIterator[Page]:
    """A page of its own, which fails the test for anything off the origin and for anything the CSP stops."""
    context: BrowserContext = await browser.new_context(base_url=base, **options)
    page = await context.new_page()
    elsewhere: list[str] = []
    complaints: list[str] = []

    def asked(request: Request) -> None:
        if not request.url.startswith((base, "data:")):
            elsewhere.append(request.url)

    def said(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text or message.type == "warning":
            complaints.append(message.text)

    page.on("request", asked)
    page.on("console", said)
    yield page
    assert (elsewhere, complaints) == ([], [])
    assert await context.cookies() == []
    await context.close()


@pytest.mark.parametrize("scripts", [False, True], ids=["without scripts", "with scripts"])
async def test_an_answer_is_chosen_reviewed_sent_and_received(
    portal: tuple[Offline, str], browser: Browser, scripts: bool
) -> None:
    made, base = portal
    async with tab(browser, base, java_script_enabled=scripts) as page:
        await page.goto(answer_path(1) + "?svar=nej")
        await expect(page.get_by_label("Nej, vi påverkas inte")).to_be_checked()
        await page.get_by_label("Ja, vi påverkas").check()
        await page.get_by_label("Vill ni berätta mer?").fill("Leveranser kommer 05.30.\nVi behöver lastplatsen.")
        await page.get_by_role("button", name="Granska svaret").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Granska svaret")
        assert made.published == []
        await page.get_by_role("button", name="Ändra").click()
        await expect(page.get_by_label("Vill ni berätta mer?")).to_have_value(re.compile("lastplatsen"))
        await page.get_by_role("button", name="Granska svaret").click()
        await page.get_by_role("button", name="Skicka svaret till Danderyds kommun").dblclick()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Tack! Svaret är mottaget")
        reference = await page.locator(".reference strong").inner_text()
        await page.reload()
        await expect(page.locator(".reference strong")).to_have_text(reference)
        await made.outbox.flush()
        assert len(made.events(RESPONSES)) == 1
        assert len(made.events(NOTICES)) == 1
        await page.goto(answer_path(1))
        await expect(page.get_by_text("svarade «Ja, vi påverkas»")).to_be_visible()
        await page.get_by_role("link", name="Ändra svaret").click()
        await expect(page.get_by_label("Ja, vi påverkas")).to_be_checked()


@pytest.mark.parametrize("scripts", [False, True], ids=["without scripts", "with scripts"])
async def test_a_stop_is_one_button_and_can_be_undone(
    portal: tuple[Offline, str], browser: Browser, scripts: bool
) -> None:
    made, base = portal
    async with tab(browser, base, java_script_enabled=scripts) as page:
        await page.goto(stop_path(1))
        await expect(page.get_by_role("heading", level=1)).to_have_text(
            "Sluta få inbjudningar till Exempelbageriet AB?"
        )
        assert made.published == []
        await page.get_by_role("button", name="Ja, avsluta").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Klart. Det gäller från nu")
        assert len(made.events(SUPPRESSIONS)) == 1
        await page.get_by_role("button", name="Ångra").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Ångrat")
        assert len(made.events(SUPPRESSIONS)) == 2


@pytest.mark.parametrize("scripts", [False, True], ids=["without scripts", "with scripts"])
async def test_an_empty_form_comes_back_with_its_fault_first_and_focused(
    portal: tuple[Offline, str], browser: Browser, scripts: bool
) -> None:
    _, base = portal
    async with tab(browser, base, java_script_enabled=scripts) as page:
        await page.goto(answer_path(1))
        await page.get_by_label("Vill ni berätta mer?").fill("Det jag skrev")
        await page.get_by_role("button", name="Granska svaret").click()
        await expect(page).to_have_title(re.compile("^Fel: "))
        await expect(page.get_by_role("alert")).to_be_focused()
        await expect(page.get_by_label("Vill ni berätta mer?")).to_have_value("Det jag skrev")
        await page.get_by_role("alert").get_by_role("link").click()
        await expect(page.get_by_label("Ja, vi påverkas")).to_be_focused()


async def test_the_keyboard_reaches_everything_in_reading_order_and_shows_where_it_is(
    portal: tuple[Offline, str], browser: Browser
) -> None:
    _, base = portal
    async with tab(browser, base) as page:
        await page.goto(answer_path(1))
        stops: list[str] = []
        for _ in range(30):
            await page.keyboard.press("Tab")
            focused = page.locator(":focus")
            if await focused.count() == 0:
                break
            shown: dict[str, Any] = await focused.evaluate(
                """element => {
                    const ring = e => parseFloat(getComputedStyle(e).outlineWidth)
                        * (getComputedStyle(e).outlineStyle === 'none' ? 0 : 1);
                    const label = element.labels && element.labels[0];
                    return {ring: Math.max(ring(element), label ? ring(label) : 0),
                            text: (element.textContent || element.name || '').trim().slice(0, 40),
                            height: (label || element).getBoundingClientRect().height};
                }"""
            )
            assert shown["ring"] >= 2, shown
            stops.append(shown["text"])
        assert stops[0] == "Hoppa till innehållet"
        order = [
            "In English",
            "Gå till svaret",
            "Ritning",
            "Läs hela ärendet",
            "Granska svaret",
            "Sluta få inbjudningar",
        ]
        assert [text for text in stops if text in order] == order


async def test_what_is_pressed_is_large_enough_for_a_thumb(portal: tuple[Offline, str], browser: Browser) -> None:
    _, base = portal
    async with tab(browser, base, viewport={"width": 320, "height": 700}) as page:
        for path in (answer_path(1), answer_path(3), stop_path(1)):
            await page.goto(path)
            small = await page.locator("main :is(button, .choice label, textarea, select)").evaluate_all(
                "all => all.filter(e => e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"
            )
            assert small == []


Reach = Callable[[Page, Offline, str], Awaitable[None]]


def at(path: str) -> Reach:
    async def go(page: Page, _: Offline, lang: str) -> None:
        await page.goto(path + ("&" if "?" in path else "?") + f"lang={lang}")

    return go


async def press(page: Page, path: str, lang: str, *buttons: tuple[str, str]) -> None:
    await page.goto(path + ("&" if "?" in path else "?") + f"lang={lang}")
    for swedish, english in buttons:
        await page.get_by_role("button", name=swedish if lang == "sv" else english).first.click()


REVIEW = ("Granska svaret", "Review your reply")
SEND = ("Skicka svaret", "Send your reply")
STOP = ("Ja, avsluta", "Yes, stop")


async def faulty(page: Page, _: Offline, lang: str) -> None:
    await press(page, answer_path(2), lang, REVIEW)


async def review(page: Page, _: Offline, lang: str) -> None:
    await press(page, answer_path(3) + "?svar=ja", lang, REVIEW)


async def thanks(page: Page, _: Offline, lang: str) -> None:
    await press(page, answer_path(3) + "?svar=ja", lang, REVIEW, SEND)


async def too_late(page: Page, made: Offline, lang: str) -> None:
    before = made.clock.moment
    await page.goto(answer_path(1) + f"?svar=ja&lang={lang}")
    await page.locator("textarea").first.fill("Det jag skrev")
    made.clock.moment = LATE
    await page.get_by_role("button", name=REVIEW[lang == "en"]).click()
    made.clock.moment = before


async def expired(page: Page, made: Offline, lang: str) -> None:
    before, made.clock.moment = made.clock.moment, LATE
    await page.goto(answer_path(1) + f"?lang={lang}")
    made.clock.moment = before


async def stopped(page: Page, made: Offline, lang: str) -> None:
    await at(stop_path(4))(page, made, lang)
    if await page.get_by_role("button", name=STOP[lang == "en"]).count():
        await press(page, stop_path(4), lang, STOP)


async def stopped_area(page: Page, made: Offline, lang: str) -> None:
    """One area stopped, the others offered still, and how to undo it."""
    await at(stop_path(5))(page, made, lang)
    if await (button := page.locator('button[value="area:s1"]:not([formaction])')).count():
        await button.click()
        await at(stop_path(5))(page, made, lang)


async def area_undone(page: Page, made: Offline, lang: str) -> None:
    await stopped_area(page, made, lang)
    await page.locator('button[formaction][value="area:s1"]').click()


async def lifted(page: Page, made: Offline, lang: str) -> None:
    await stopped(page, made, lang)
    await page.get_by_role("button", name="Ångra" if lang == "sv" else "Undo").click()


async def not_stopped(page: Page, made: Offline, lang: str) -> None:
    made.broken = True
    await press(page, stop_path(2), lang, STOP)
    made.broken = False


async def wrong_code(page: Page, made: Offline, lang: str) -> None:
    await at("/kod")(page, made, lang)
    await page.get_by_label("Kod" if lang == "sv" else "Code").fill("7KQ2-MX9V")
    await page.get_by_role("button", name="Fortsätt" if lang == "sv" else "Continue").click()


PAGES: Final[dict[str, Reach]] = {
    "start": at("/"),
    "invitation": at(answer_path(1) + "?svar=ja"),
    "several companies": at(answer_path(2)),
    "faulty": faulty,
    "review": review,
    "thanks": thanks,
    "answered": at(answer_path(3)),
    "change": at(answer_path(3) + "?andra=ja"),
    "withdrawn": at(answer_path(4)),
    "expired": expired,
    "too late": too_late,
    "one moment": at(answer_path(9) + "?vanta=nej"),
    "stop": at(stop_path(1)),
    "stopped": stopped,
    "lifted": lifted,
    "area offered": at(stop_path(5)),
    "area stopped": stopped_area,
    "area undone": area_undone,
    "not stopped": not_stopped,
    "case": at("/arenden/EX-3"),
    "several cases": at("/arenden/EX-2"),
    "no case": at("/arenden/finns-inte"),
    "dead link": at("/i/finns-inte"),
    "code": at("/kod"),
    "wrong code": wrong_code,
    "personal data": at("/personuppgifter"),
    "accessibility": at("/tillganglighet"),
}


@pytest.mark.parametrize(("scheme", "width", "lang"), LOOKS)
async def test_every_page_is_within_wcag_22_aa_and_never_wider_than_the_screen(
    portal: tuple[Offline, str], browser: Browser, scheme: Scheme, width: int, lang: str
) -> None:
    made, base = portal
    found: dict[str, str] = {}
    options: dict[str, Any] = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
    async with tab(browser, base, **options) as page:
        for name, reach in PAGES.items():
            await reach(page, made, lang)
            assert await page.locator("html").get_attribute("lang") == lang
            results = await Axe().run(page, options=RULES)
            if results.violations_count:
                found[f"{name} {lang}"] = results.generate_report()
            if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                found[f"{name} {lang} scrolls"] = ""
    assert found == {}


async def test_text_twice_as_large_still_fits(portal: tuple[Offline, str], browser: Browser) -> None:
    made, base = portal
    async with tab(browser, base, viewport={"width": 640, "height": 900}) as page:
        for name, reach in PAGES.items():
            await reach(page, made, "sv")
            await page.evaluate("document.documentElement.style.fontSize = '200%'")
            assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth"), name

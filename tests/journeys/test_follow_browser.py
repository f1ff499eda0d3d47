"""Following an area in a real browser: with and without scripts, within WCAG 2.2 AA, never wider than the screen."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, Page, expect

from schemas.notice import Notice, SealedNotice
from schemas.topics import NOTICES, SUBSCRIPTIONS
from services.portal.web import WebServer
from tests.everything import LOOKS, Scheme
from tests.journeys.test_portal_browser import RULES, browser, tab
from tests.portal_world import Offline, company, free_port, offline

pytestmark = pytest.mark.anyio
__all__ = ["browser"]
ADDRESS: Final = "anna@exempel.se"
WORDS: Final = {
    "review": ("Granska", "Review"),
    "send": ("Skicka bekräftelsemejl", "Send the mail to confirm"),
    "follow": ("Ja, bevaka", "Yes, follow"),
    "list": ("Skicka en länk till mig", "Send me a link"),
    "remove": ("Ta bort bevakningen", "Remove: no longer follow"),
    "undo": ("Ångra: bevaka", "Undo: follow"),
}


@pytest.fixture
async def portal(tmp_path: Path) -> AsyncIterator[tuple[Offline, str]]:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    async with offline(tmp_path, base_url=base) as made:
        await made.say(company("Exempelbageriet", lon=18.03, lat=59.4), company("Exempelkafé", lon=18.04, lat=59.4))
        server = WebServer(made.web, host="127.0.0.1", port=port)
        await server.start()
        yield made, base
        await server.stop()


class Visitor:
    """Somebody who follows an area, in one language."""

    def __init__(self, page: Page, made: Offline, lang: str) -> None:
        self.page = page
        self.made = made
        self._lang = lang

    async def go(self, path: str) -> None:
        await self.page.goto(f"{path}?lang={self._lang}")

    async def press(self, word: str) -> None:
        await self.page.get_by_role("button", name=WORDS[word][self._lang == "en"]).first.click()

    async def fill(self, industries: str = "café", email: str = ADDRESS) -> None:
        await self.go("/prenumerera")
        await self.page.locator("#where-place").check(force=True)
        await self.page.locator("#place").select_option("Mörby centrum")
        await self.page.locator("#industries").fill(industries)
        await self.page.locator("#email").fill(email)
        await self.press("review")

    async def link(self) -> str:
        """The path in the last mail, as the notifier opens it."""
        await self.made.outbox.flush()
        notice = Notice.model_validate_json(self.made.events(NOTICES)[-1].value or b"")
        assert notice.sealed is not None
        return SealedNotice.model_validate_json(self.made.opener.open(notice.sealed)).path

    async def asked(self) -> str:
        self.made.clock.moment += timedelta(hours=6)  # each address gets few mails a day
        await self.fill()
        await self.press("send")
        return await self.link()

    async def listed(self) -> str:
        await self.go(await self.asked())
        await self.press("follow")
        await self.made.outbox.flush()
        self.made.clock.moment += timedelta(hours=6)
        await self.go("/mina")
        await self.page.locator("#email").fill(ADDRESS)
        await self.press("list")
        return await self.link()


async def form(visitor: Visitor) -> None:
    await visitor.go("/prenumerera")


async def choices(visitor: Visitor) -> None:
    await visitor.go("/prenumerera")
    await visitor.page.locator("#where").check(force=True)
    await visitor.page.locator("#workplace").fill("exempel")
    await visitor.page.locator("#industries").fill("kaffe")
    await visitor.page.locator("#email").fill(ADDRESS)
    await visitor.press("review")


async def faulty(visitor: Visitor) -> None:
    await visitor.fill(industries="56.999", email="fel")


async def reviewed(visitor: Visitor) -> None:
    await visitor.fill()


async def sent(visitor: Visitor) -> None:
    await visitor.asked()


async def to_confirm(visitor: Visitor) -> None:
    await visitor.go(await visitor.asked())


async def confirmed(visitor: Visitor) -> None:
    await to_confirm(visitor)
    await visitor.press("follow")


async def mine(visitor: Visitor) -> None:
    await visitor.go("/mina")


async def mine_faulty(visitor: Visitor) -> None:
    await visitor.go("/mina")
    await visitor.press("list")


async def own(visitor: Visitor) -> None:
    await visitor.go(await visitor.listed())


async def removed(visitor: Visitor) -> None:
    await own(visitor)
    await visitor.press("remove")


async def dead(visitor: Visitor) -> None:
    await visitor.go("/bekrafta/finns-inte")


PAGES: Final[tuple[Callable[[Visitor], Awaitable[None]], ...]] = (
    form, choices, faulty, reviewed, sent, to_confirm, confirmed, mine, mine_faulty, own, removed, dead,
)  # fmt: skip


@asynccontextmanager
async def visiting(portal: tuple[Offline, str], browser: Browser, lang: str, **options: Any) -> AsyncIterator[Visitor]:
    made, base = portal
    async with tab(browser, base, **options) as page:
        yield Visitor(page, made, lang)


@pytest.mark.parametrize("scripts", [False, True], ids=["without scripts", "with scripts"])
async def test_an_area_is_followed_seen_removed_and_followed_again(
    portal: tuple[Offline, str], browser: Browser, scripts: bool
) -> None:
    made, _ = portal
    async with visiting(portal, browser, "sv", java_script_enabled=scripts) as visitor:
        await visitor.go(await visitor.listed())
        await expect(visitor.page.get_by_role("heading", level=2)).to_have_text("800 m runt Mörby centrum")
        await visitor.press("remove")
        await expect(visitor.page.get_by_text("Ni bevakar inget just nu.")).to_be_visible()
        assert made.events(SUBSCRIPTIONS)[-1].value is None
        await visitor.press("undo")
        await expect(visitor.page.get_by_role("heading", level=2)).to_have_text("800 m runt Mörby centrum")
    assert made.events(SUBSCRIPTIONS)[-1].value is not None


@pytest.mark.parametrize(("scheme", "width", "lang"), LOOKS)
async def test_every_page_is_within_wcag_22_aa_and_never_wider_than_the_screen(
    portal: tuple[Offline, str], browser: Browser, scheme: Scheme, width: int, lang: str
) -> None:
    found: dict[str, str] = {}
    options: dict[str, Any] = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
    async with visiting(portal, browser, lang, **options) as visitor:
        for reach in PAGES:
            await reach(visitor)
            results = await Axe().run(visitor.page, options=RULES)
            if results.violations_count:
                found[f"{reach.__name__} {lang}"] = results.generate_report()
            if await visitor.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                found[f"{reach.__name__} {lang} scrolls"] = ""
    assert found == {}

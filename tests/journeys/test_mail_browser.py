"""Mails in a real browser: no fault by axe, light or dark, on a telephone or a desk.

A mail program is no browser, but what axe looks at is what it shows: contrast, headings, names, languages, order. With
TESTS_EVERYTHING every kind of mail in every look; else those whose HTML is golden, for the others are of the same
templates.
"""

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser

from tests.everything import EVERYTHING, Scheme
from tests.golden_messages import FOLDER, pages
from tests.journeys.test_portal_browser import RULES, browser

pytestmark = pytest.mark.anyio
__all__ = ["browser"]

ONCE: list[tuple[Scheme, int]] = [("light", 320), ("dark", 1280)]
REST: list[tuple[Scheme, int]] = [("dark", 320), ("light", 1280)]
MAIL_RULES = RULES | {"rules": {"landmark-one-main": {"enabled": False}, "region": {"enabled": False}}}
"""A mail is shown inside the page of a mail program: its landmarks are that page's."""
GOLDEN = {file.stem for file in FOLDER.glob("*.html")}
MAILS = {name: html for name, html in pages() if EVERYTHING or name in GOLDEN}


def test_every_golden_mail_is_looked_at() -> None:
    assert MAILS.keys() >= GOLDEN


@pytest.mark.parametrize(("scheme", "width"), ONCE + (REST if EVERYTHING else []))
async def test_no_mail_has_a_fault_by_axe_or_is_wider_than_the_screen(
    browser: Browser, scheme: Scheme, width: int
) -> None:
    context = await browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = await context.new_page()
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    for name, html in MAILS.items():
        await page.set_content(html)
        found = await Axe().run(page, options=MAIL_RULES)
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, name
    assert fetched == []
    await context.close()

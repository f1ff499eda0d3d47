"""The backtest's page in a browser: readable by everybody, on a narrow screen too, and it fetches nothing."""

from pathlib import Path

from services.demo import year
from services.matcher.model_commands import backtest
from tests.everything import EVERYTHING, Scheme
from tests.journeys.test_demo import browser_path

LOOKS: list[tuple[Scheme, int]] = [("light", 1280), ("dark", 320)] if EVERYTHING else [("dark", 320)]


def test_the_page_has_no_fault_by_axe_and_stays_within_a_narrow_screen(tmp_path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
    from playwright.sync_api import sync_playwright

    year.write(tmp_path)
    html, models = tmp_path / "backtest.html", [tmp_path / "model.json", tmp_path / "model-tried.json"]
    assert backtest(cases=tmp_path / "cases", register=tmp_path / "register.csv", model_files=models, html=html) == 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        asked: list[str] = []
        for scheme, width in LOOKS:
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.on("request", lambda request: asked.append(request.url))
            page.goto(html.as_uri())
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            assert page.evaluate("document.documentElement.scrollWidth") == width
            page.close()
        browser.close()
    assert set(asked) == {html.as_uri()}

"""Makes the picture of docs/dialogue-model.md: the backtest's page on the made-up year, its map and its stages.

    uv run --group dev python docs/backtest_picture.py

Light and dark, into docs/images. Needs Chromium. Made by a script so that it cannot show what is no longer so.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import sync_playwright

from services.demo import year
from services.matcher.model_commands import backtest

IMAGES: Final = Path(__file__).with_name("images")
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")


def main() -> None:
    """Writes the year, compares its models and takes the pictures."""
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        folder = Path(made)
        year.write(folder)
        html, models = folder / "backtest.html", [folder / "model.json", folder / "model-tried.json"]
        backtest(cases=folder / "cases", register=folder / "register.csv", model_files=models, html=html)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme in SCHEMES:
            page = browser.new_page(viewport={"width": 760, "height": 1500}, color_scheme=scheme)
            page.goto(html.as_uri())
            page.evaluate("document.getElementById('map').scrollIntoView()")
            page.screenshot(path=IMAGES / f"backtest-{scheme}.png")
        browser.close()


if __name__ == "__main__":
    main()

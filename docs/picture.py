"""Makes the README's picture from the running demo: the bakery's mail beside the page where it answers.

    uv run --group dev python docs/picture.py

Light and dark, into docs/images. Needs Chromium. Made by a script so that it cannot show what is no longer so.
"""

import base64
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

IMAGES = Path(__file__).with_name("images")
PORT = 8877
PATIENCE = 400
WIDTH, HEIGHT = 600, 820
FRAME = """<!doctype html><html lang="sv"><meta charset="utf-8"><style>
body {{ margin: 0; padding: 28px; display: flex; gap: 28px; background: {back}; font: 600 15px system-ui, sans-serif;
  color: {ink}; }}
figure {{ margin: 0; }} figcaption {{ margin: 0 0 10px 4px; }}
img {{ display: block; border-radius: 10px; border: 1px solid {line}; width: {width}px; height: {height}px; }}
</style>{figures}</html>"""
FIGURE = '<figure><figcaption>{title}</figcaption><img alt="" src="data:image/png;base64,{image}"></figure>'
COLOURS = {
    "light": {"back": "#e3e9e8", "ink": "#1b2624", "line": "#b9c5c2"},
    "dark": {"back": "#05090a", "ink": "#dfe8e5", "line": "#35464a"},
}


@contextmanager
def demo() -> Iterator[str]:
    """A demo of our own, settled; its inbox page's address."""
    url = f"http://127.0.0.1:{PORT}"
    process = subprocess.Popen([sys.executable, "-m", "services.cli", "demo", "--no-open", "--port", str(PORT)])
    try:
        deadline = time.monotonic() + PATIENCE
        while state(url).get("phase") != "settled":
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit("the demo did not settle")
            time.sleep(1)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def state(url: str) -> dict[str, Any]:
    """The demo's figures; none while it starts."""
    try:
        with urllib.request.urlopen(f"{url}/state.json", timeout=5) as answer:
            figures: dict[str, Any] = json.load(answer)
            return figures
    except OSError:
        return {}


def shot(page: Page, url: str) -> bytes:
    """The upper part of a page."""
    page.goto(url)
    return page.screenshot(clip={"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT})


def encoded(image: bytes) -> str:
    """An image as text."""
    return base64.b64encode(image).decode()


def picture(browser: Browser, inbox: str, scheme: str) -> bytes:
    """Mail and answer page side by side."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=1.5,
    )
    page = context.new_page()
    page.goto(inbox)
    mail = page.get_by_role("link", name="Öppna mejlet till Exempelbageriet").get_attribute("href") or ""
    answer = re.search(
        r"http://127\.0\.0\.1:\d+/i/[\w-]{22}", urllib.request.urlopen(f"{inbox}{mail}/html").read().decode()
    )
    if answer is None:
        raise SystemExit("the mail has no answer link")
    pages = (("Mejlet", f"{inbox}{mail}/html"), ("Sidan där man svarar", answer.group(0)))
    figures = "".join(FIGURE.format(title=title, image=encoded(shot(page, url))) for title, url in pages)
    frame = Path(IMAGES, f".{scheme}.html")
    frame.write_text(FRAME.format(figures=figures, width=WIDTH, height=HEIGHT, **COLOURS[scheme]), encoding="utf-8")
    page.set_viewport_size({"width": 2 * WIDTH + 84, "height": HEIGHT + 88})
    page.goto(frame.as_uri())
    try:
        return page.screenshot(full_page=True, scale="css")
    finally:
        frame.unlink()
        context.close()


def main() -> None:
    """Writes both pictures."""
    IMAGES.mkdir(exist_ok=True)
    with demo() as inbox, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme in COLOURS:
            (IMAGES / f"mail-and-answer-{scheme}.png").write_bytes(picture(browser, inbox, scheme))
        browser.close()


if __name__ == "__main__":
    main()

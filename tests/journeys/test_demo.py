"""The demo as a stranger meets it: one command, a page in a browser, figures that can be held against it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE = 180
COMMAND = (sys.executable, "-m", "services.cli", "demo")


def browser_path() -> str | None:
    """The browser to use; None is Playwright's own. Mandatory in CI, skipped by name elsewhere."""
    from playwright.sync_api import sync_playwright

    if CHROMIUM:
        return CHROMIUM
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path).exists()
    if not own and not os.environ.get("CI"):
        pytest.skip("no browser: `apt install chromium`, or `playwright install chromium`")
    return None


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A demo of our own with its temporary files in a folder that can be looked into."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "stderr"
        (Path(folder) / "tmp").mkdir()
        environment = {**os.environ, "TMPDIR": str(Path(folder) / "tmp")}
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [*COMMAND, *options], stdout=subprocess.PIPE, stderr=errors, env=environment, start_new_session=True
            )
        try:
            yield process, Path(folder)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def until(process: subprocess.Popen[bytes], port: int, phase: str, folder: Path) -> dict[str, Any]:
    """The page's own figures, when it has come to a phase."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/state.json", timeout=5) as answer:
                state: dict[str, Any] = json.load(answer)
        except OSError:
            state = {"phase": "none"}
        if state["phase"] == phase:
            return state
        time.sleep(0.2)
    raise AssertionError(f"the demo was never {phase}: {(folder / 'stderr').read_text()}")


def test_once_ends_with_figures_that_show_nothing_lost_and_nothing_doubled_and_leaves_no_file() -> None:
    with running("--once", "--json", "--port", str(free_port())) as (process, folder):
        out, _ = process.communicate(timeout=PATIENCE + 60)
        said = (folder / "stderr").read_text()
        assert process.returncode == 0, said
        assert list((folder / "tmp").glob("nardialog*")) == []
    figures = json.loads(out)
    assert len(out.splitlines()) == 1
    assert (figures["lost"], figures["doubled"], figures["unexpected"]) == (0, 0, 0)
    assert figures["dead_letters"] == 1
    assert figures["cases"] == 7
    assert figures["messages"]["email"] >= 50
    assert figures["messages"]["sms"] >= 1
    assert figures["responses"] >= 12  # a message may carry the invitations of several companies
    assert figures["stops"] == 1
    assert "Traceback" not in said


def test_a_browser_reads_why_the_bakery_was_invited_answers_stops_and_ctrl_c_leaves_nothing() -> None:
    from playwright.sync_api import expect, sync_playwright

    browser_file, port = browser_path(), free_port()
    with running("--no-open", "--port", str(port)) as (process, folder):
        until(process, port, "settled", folder)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_file, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 320, "height": 700}, java_script_enabled=False)
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            page.goto(f"http://127.0.0.1:{port}/")
            answers = int(page.locator("#count-responses").inner_text())
            expect(page.get_by_text("Områdets kant korsar sig själv")).to_be_visible()
            page.get_by_role("link", name="Öppna mejlet till Exempelbageriet").click()
            expect(page.get_by_role("heading", level=1)).to_contain_text("Stockholmsvägen")
            mail = page.frame_locator("iframe.mail")
            expect(mail.get_by_role("heading", name="Varför får ni detta?")).to_be_visible()
            expect(mail.get_by_role("listitem").filter(has_text="Stockholmsvägen 40").first).to_be_visible()
            why = mail.get_by_role("listitem").first.inner_text()
            mail.get_by_role("link", name="Svara").first.click()
            expect(page.get_by_role("listitem").filter(has_text=why).first).to_be_visible()
            page.get_by_role("radio").first.check(force=True)
            page.get_by_role("button", name="Granska").click()
            page.get_by_role("button", name="Skicka").click()
            expect(page.get_by_text("Referens").first).to_be_visible()
            page.goto(f"http://127.0.0.1:{port}/")
            expect(page.locator("#count-responses")).to_have_text(str(answers + 1))
            page.get_by_role("link", name="Öppna mejlet till Exempelbageriet").click()
            mail.get_by_role("link").filter(has_text="/avsluta/").first.click()
            page.get_by_role("button").first.click()
            page.goto(f"http://127.0.0.1:{port}/")
            expect(page.locator("#count-stops")).to_have_text("2")
            browser.close()
        assert all(url.startswith(("http://127.0.0.1:", "data:")) for url in asked)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130, (folder / "stderr").read_text()
        assert list((folder / "tmp").glob("nardialog*")) == []
        assert "Traceback" not in (folder / "stderr").read_text()


def test_a_busy_port_is_told_and_another_taken_and_an_early_ctrl_c_leaves_nothing() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with running("--no-open", "--port", str(port)) as (process, folder):
            deadline = time.monotonic() + PATIENCE
            while "inbox page" not in (said := (folder / "stderr").read_text()) and time.monotonic() < deadline:
                assert process.poll() is None, said
                time.sleep(0.1)
            assert f"port {port} is busy" in said
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130, (folder / "stderr").read_text()
            assert list((folder / "tmp").glob("nardialog*")) == []
            assert "Traceback" not in (folder / "stderr").read_text()

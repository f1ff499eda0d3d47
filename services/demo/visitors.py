"""Invented companies answer: through the links in their mails and the forms behind them, as people would.

Nothing here knows what a form's fields are called: it reads the page, chooses a radio button, presses the button, so
that the pages are what is tried. Which companies answer, and what, is the same at every run.
"""

import random
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin

import aiohttp

from services.demo.board import BAKERY, Board, Mail
from services.demo.synthetic import SEED

ANSWERS: Final = 12
CHOICES: Final = ("ja", "ja", "nej", "vet_inte", "ej_relevant", "kanske")
SAID: Final = (
    "Leveranser kommer klockan 05.30 varje vardag.",
    "Kunderna parkerar på gatan mellan 11 och 13.",
    "",
)
_LINK: Final = re.compile(r"https?://\S+/i/[\w-]{22}(?:/arende/[\w.~-]+)?(?![\w-])")
"""A message's page, or that of the first matter of a digest."""
_STOP: Final = re.compile(r"https?://\S+/avsluta/[\w-]{22}(?![\w-])")


@dataclass
class Form:
    """One form of a page: where it is sent, what it holds, which radio buttons there are."""

    action: str
    method: str
    values: dict[str, str] = field(default_factory=dict)
    radios: dict[str, list[str]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Forms(HTMLParser):
    """Collects the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(has.get("action", ""), has.get("method", "get")))
            self._open = True
        elif self._open and tag in ("input", "textarea", "button"):
            self._control(self.found[-1], tag, has)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = False

    @staticmethod
    def _control(form: Form, tag: str, has: dict[str, str]) -> None:
        name, value = has.get("name", ""), has.get("value", "")
        if tag == "textarea":
            form.texts.append(name)
        elif tag == "button":
            form.buttons.append((name, value))
        elif has.get("type") == "radio":
            form.radios.setdefault(name, []).append(value)
        elif name:
            form.values[name] = value


def forms(html: str) -> list[Form]:
    """The forms of a page, in order."""
    parser = _Forms()
    parser.feed(html)
    return parser.found


async def visit(board: Board, answers: int = ANSWERS) -> None:
    """Some answer, and one wants no more."""
    chance = random.Random(SEED)  # noqa: S311 - invented people, not secrets
    mails = sorted(board.mails, key=lambda mail: (mail.to, mail.subject))  # they come in another order every time
    others = [mail for mail in mails if mail.to != BAKERY]
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        answered = 0
        for mail in chance.sample(others, len(others)):
            if answered == answers:
                break
            if link := _found(_LINK, mail):
                answered += await _answer(session, link, chance)
        for mail in reversed(others):
            if stop := _found(_STOP, mail):
                await _press(session, stop)
                return


async def _answer(session: aiohttp.ClientSession, link: str, chance: random.Random) -> int:
    """One company's answer; 0 where its mail asks nothing."""
    async with session.get(link) as page:
        asked = [form for form in forms(await page.text()) if form.radios]
    if not asked:
        return 0
    form = asked[0]
    for name, offered in form.radios.items():
        wanted = [value for value in CHOICES if value in offered]
        form.values[name] = chance.choice(wanted)
    for name in form.texts:
        form.values[name] = chance.choice(SAID)
    async with session.post(urljoin(link, form.action), data=form.values) as page:
        review = next(found for found in forms(await page.text()) if found.method == "post")
    async with session.post(urljoin(link, review.action), data=review.values):
        return 1


async def _press(session: aiohttp.ClientSession, link: str) -> None:
    """The first button of a page, as somebody in a hurry would."""
    async with session.get(link) as page:
        form = next(found for found in forms(await page.text()) if found.method == "post")
    async with session.post(urljoin(link, form.action), data=form.values | dict(form.buttons[:1])):
        return


def _found(pattern: re.Pattern[str], mail: Mail) -> str | None:
    body = mail.parsed.get_body(("plain",))
    found = pattern.search(str(body.get_content())) if body is not None else None
    return found.group(0) if found else None

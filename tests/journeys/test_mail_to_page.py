"""From a case to a mail, from the mail to the page, and back to silence: matcher, notifier and portal together."""

import re
from collections.abc import Mapping
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html import unescape

import httpx
import pytest
from sqlalchemy import MetaData, select

from schemas.response import Response
from schemas.suppression import Suppression
from schemas.topics import CASES, RESPONSES, SUPPRESSIONS
from services.notifier.app import NotifierApp
from services.notifier.app import build as build_notifier
from services.notifier.ledger.tables import METADATA as LEDGER
from services.notifier.settings import NotifierSettings
from services.portal.app import PortalApp
from services.portal.store.tables import METADATA as STORE
from services.runtime.clock import SystemClock
from services.runtime.settings import load
from services.runtime.store.database import Database
from tests.journeys.installation import Installation, a_case, row

pytestmark = pytest.mark.anyio
PEOPLE = ("ett@exempel.example", "tva@exempel.example", "tre@exempel.example")
VOLATILE = frozenset({"positions"})
"""Tables that say how far a topic was read, which a GET of a page has no part in."""


@pytest.fixture
async def base(installation: Installation) -> str:
    """An installation with three companies, a matcher and a portal; where the portal is."""
    await installation.start(partitions=2)
    await installation.import_register([row(n, email=address) for n, address in enumerate(PEOPLE, start=1)])
    await installation.matcher()
    return installation.url


@pytest.fixture
async def portal(installation: Installation, base: str) -> PortalApp:
    return await installation.portal()


async def notifier() -> NotifierApp:
    app = build_notifier(load(NotifierSettings), SystemClock())
    await app.start()
    return app


def mails(installation: Installation) -> dict[str, list[EmailMessage]]:
    """What each person got."""
    got: dict[str, list[EmailMessage]] = {person: [] for person in PEOPLE}
    for mail in installation.smtp.accepted:
        for to in mail.recipients:
            parsed = message_from_bytes(mail.raw, policy=default)
            assert isinstance(parsed, EmailMessage)
            got[to].append(parsed)
    return got


def links(mail: EmailMessage, base: str) -> set[str]:
    """Every address in a mail that leads to the portal: its two parts and its headers."""
    parts = [str(part.get_content()) for part in mail.walk() if part.get_content_maintype() == "text"]
    found = re.findall(re.escape(base) + r"[^\s\"'<>]*", " ".join([*parts, *map(str, mail.values())]))
    return {unescape(url) for url in found}


async def rows(database: Database, metadata: MetaData) -> dict[str, list[str]]:
    """Every row of a database."""
    async with database.transaction() as connection:
        return {
            name: sorted(str(row) for row in await connection.execute(select(table)))
            for name, table in metadata.tables.items()
            if name not in VOLATILE
        }


def held(installation: Installation) -> Mapping[str, int]:
    """How many records each topic has had."""
    counted: dict[str, int] = {}
    for record in installation.seen:
        counted[record.topic] = counted.get(record.topic, 0) + 1
    return counted


async def test_every_address_in_every_mail_may_be_fetched_and_nothing_changes_until_a_button_is_pressed(
    installation: Installation, base: str, portal: PortalApp
) -> None:
    sending = await notifier()
    await installation.send_case(a_case("EX-1"), CASES)
    await installation.until(lambda: len(installation.ends()) == 3, "three mails")
    await installation.settled(sending)
    await portal.tables.caught_up()
    got = mails(installation)
    assert [len(got[person]) for person in PEOPLE] == [1, 1, 1]

    ledger, store, topics = await rows(sending.database, LEDGER), await rows(portal.database, STORE), held(installation)
    async with httpx.AsyncClient(timeout=60) as scanner:
        urls = {url for person in PEOPLE for url in links(got[person][0], base)}
        assert len(urls) >= 3 * 2 + 1
        statuses = {
            (await scanner.request(method, url)).status_code
            for url in urls
            for method in ("GET", "HEAD")
            for _ in range(3)
        }
    assert statuses == {200}
    await installation.settled(sending)
    assert await rows(sending.database, LEDGER) == ledger
    assert await rows(portal.database, STORE) == store
    assert held(installation) == topics

    # The page says why in the mail's own words.
    mail = got[PEOPLE[0]][0]
    answer = next(url for url in links(mail, base) if re.fullmatch(base + r"/i/[\w-]{22}", url))
    body = mail.get_body(("plain",))
    assert body
    said = " ".join(body.get_content().split())
    async with httpx.AsyncClient(timeout=60) as browser:
        for lang in ("sv", "en"):
            page = (await browser.get(answer, params={"lang": lang})).text
            why = re.search(r'<section class="why">.*?</section>', page, re.S)
            assert why
            lines = [" ".join(unescape(line).split()) for line in re.findall(r"<li>(.*?)</li>", why[0])]
            assert len(lines) >= 2
            assert [line for line in lines if line not in said] == []

        # An answer is one event, and a receipt comes by mail.
        field = re.search(r'name="(svar-[^"]+)"', (await browser.get(answer)).text)
        assert field
        fields = {field[1]: "ja", "nyckel": "k" * 22}
        sent = await browser.post(answer + "/svar", data=fields, follow_redirects=True)
        reference = re.search(r"[2-9A-Z]{3}-[2-9A-Z]{3}", sent.text)
        assert reference
    await installation.until(lambda: len(mails(installation)[PEOPLE[0]]) == 2, "a receipt")
    (response,) = [Response.model_validate_json(record.value or b"") for record in installation.records(RESPONSES)]
    assert response.reference == reference[0]
    receipt = mails(installation)[PEOPLE[0]][1].get_body(("plain",))
    assert receipt
    assert reference[0] in receipt.get_content()
    await sending.stop()


async def test_who_said_stop_while_the_notifier_was_down_gets_nothing_more(
    installation: Installation, base: str, portal: PortalApp
) -> None:
    sending = await notifier()
    await installation.send_case(a_case("EX-1"), CASES)
    await installation.until(lambda: len(installation.ends()) == 3, "three mails")
    await installation.settled(sending)
    await sending.stop()

    stopper = PEOPLE[1]
    (header,) = [str(mail["List-Unsubscribe"]) for mail in mails(installation)[stopper]]
    async with httpx.AsyncClient(timeout=60) as mail_program:
        done = await mail_program.post(header.strip("<>"), data={"List-Unsubscribe": "One-Click"})
    assert (done.status_code, done.text) == (200, "")
    await installation.until(lambda: installation.records(SUPPRESSIONS), "the stop")
    (stop,) = [Suppression.model_validate_json(r.value or b"") for r in installation.records(SUPPRESSIONS)]
    assert (stop.scope, stop.lifted) == ("all", False)

    await installation.send_case(a_case("EX-2"), CASES)
    await installation.until(lambda: len(installation.invitations()) == 6, "the second case's invitations")
    sending = await notifier()
    await installation.until(lambda: len(installation.ends()) == 6, "an end for each invitation")
    await installation.settled(sending)
    subjects = {person: " ".join(str(mail["Subject"]) for mail in got) for person, got in mails(installation).items()}
    assert [person for person in PEOPLE if "EX-2" in subjects[person]] == [PEOPLE[0], PEOPLE[2]]
    assert ("suppressed", "stop") in installation.ends().values()
    await sending.stop()

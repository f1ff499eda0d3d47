"""A case whose official reminds those who have not answered, and tells all of them what came of it."""

import asyncio
import json
import re
from datetime import datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import httpx
import pytest

from schemas.identity import derived
from schemas.response import EXAMPLE as RESPONSE
from schemas.response import RESPONSE_RECORDED, Response
from schemas.round import Purpose
from schemas.topics import CASES, RESPONSES
from services.notifier.app import build
from services.notifier.settings import NotifierSettings
from services.runtime.clock import SystemClock
from services.runtime.parsing import outgoing
from services.runtime.settings import load
from tests.journeys.installation import Installation, a_case, row

pytestmark = pytest.mark.anyio
ANSWERS, SILENT = "ett@exempel.example", "tva@exempel.example"
KEY = "0162/prov/A 1"


class Ahead(SystemClock):
    """Runs ahead of the others' clocks, so that days pass between two messages."""

    by = timedelta()

    def now(self) -> datetime:
        return super().now() + self.by


async def ordered(world: Installation, tmp_path: Path, *arguments: str) -> str:
    """What an official's command says, as a process of its own."""
    log = tmp_path / f"{arguments[1]}.log"
    running = world.run(*arguments, log=log)
    code = await asyncio.to_thread(running.wait)
    assert code == 0, log.read_text()
    return log.read_text()


async def answer(world: Installation, address: str, workplace: str) -> None:
    """The company's answer, as the portal tells it."""
    [invited] = [i for i in world.invitations().values() if i.workplaces[0].workplace_id == workplace]
    about = {"invitation_id": invited.invitation_id, "round_id": invited.round_id, "recipient_id": invited.recipient_id}
    own = {"response_id": derived("response", address), "case_key": KEY, "case_id": "A 1", "source": "prov"}
    given = Response.model_validate({**RESPONSE, **about, **own, "at": SystemClock().now()})
    record = outgoing(
        RESPONSES.name, KEY, given, type=RESPONSE_RECORDED, id=given.response_id, source="/prov", time=given.at
    )
    await world.send(RESPONSES, KEY.encode(), record.value, [(n, v.encode()) for n, v in record.headers.items()])


def mails(world: Installation, address: str) -> list[EmailMessage]:
    found = []
    for mail in world.smtp.accepted:
        parsed = message_from_bytes(mail.raw, policy=default)
        assert isinstance(parsed, EmailMessage)
        found += [parsed] if address in mail.recipients else []
    return found


def subjects(world: Installation, address: str) -> list[str]:
    return [str(mail["Subject"]) for mail in mails(world, address)]


async def test_who_is_silent_is_reminded_once_and_all_are_told_what_came_of_it(
    installation: Installation, tmp_path: Path
) -> None:
    world, clock = installation, Ahead()
    await world.start(partitions=2)
    await world.matcher()
    await world.portal()
    notifier = build(load(NotifierSettings), clock)
    await notifier.start()
    try:
        await world.import_register([row(1, email=ANSWERS), row(2, email=SILENT)])
        await world.send_case(a_case("A 1"), CASES)
        await world.until(lambda: len(world.ends()) == 2, "both were asked")
        [owed] = (await ordered(world, tmp_path, "case", "list", "--owed", "--json")).splitlines()
        assert (json.loads(owed)["case"], json.loads(owed)["recipients"]) == (KEY, 2)

        await answer(world, ANSWERS, "W1")
        await ordered(world, tmp_path, "case", "remind", KEY, "--yes")
        now = SystemClock().now() + timedelta(minutes=1)
        await world.until(lambda: any(r.remind_at and r.remind_at < now for r in world.rounds().values()), "reminded")
        clock.by = timedelta(days=3)
        await world.until(lambda: len(mails(world, SILENT)) == 2, "the silent one was reminded")
        await page_opens(mails(world, SILENT)[1], world)

        said = ("--said", "Leveranser kommer tidigt.", "--taken", "Lastzonen flyttas.", "--not-taken", "Vägen stängs.")
        await ordered(world, tmp_path, "case", "feedback", KEY, *said, "--yes")
        await world.until(lambda: len(mails(world, ANSWERS)) == 2, "who answered was told what came of it")
        await world.until(lambda: len(mails(world, SILENT)) == 3, "who was silent was told too")
        for address in (ANSWERS, SILENT):
            text = mails(world, address)[-1].get_body(("plain",))
            assert text is not None
            assert "Lastzonen flyttas." in text.get_content()
        assert subjects(world, ANSWERS)[-1] == "Så påverkade svaren: Prov A 1"

        await ordered(
            world, tmp_path, "case", "correct", KEY, "--text", "Mötet är den 9.", "--round", feedback(world), "--yes"
        )
        await world.until(lambda: subjects(world, SILENT)[-1] == "Rättelse: Prov A 1", "the feedback was corrected")
        await world.settled(notifier)
        assert [len(mails(world, address)) for address in (ANSWERS, SILENT)] == [3, 4]
        assert set(world.accepted().values()) == {1}
        assert not world.dead()
    finally:
        await notifier.stop()


def feedback(world: Installation) -> str:
    """The round that told what came of it."""
    [told] = [r for r in world.rounds().values() if r.purpose is Purpose.FEEDBACK]
    return told.round_id


async def page_opens(reminder: EmailMessage, world: Installation) -> None:
    """The reminder's own link leads to the answer page."""
    text = reminder.get_body(("plain",))
    assert text is not None
    link = re.search(re.escape(world.url) + r"/i/\S+", text.get_content())
    assert link is not None
    async with httpx.AsyncClient() as client:
        for _ in range(50):
            page = await client.get(link[0])
            if "Granska svaret" in page.text:
                return
            await asyncio.sleep(0.2)
    raise AssertionError(f"{page.status_code}: {page.text[:500]}")

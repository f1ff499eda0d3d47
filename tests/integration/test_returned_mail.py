"""Mail that came back, from a Maildir to its effect; replies leave through a real SMTP dialogue."""

import re
from collections.abc import AsyncIterator, MutableMapping
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes
from email.message import Message
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from schemas.delivery import DeliveryState
from schemas.round import EXAMPLE as ROUND
from services.notifier.channels.port import Outcome, State
from services.notifier.channels.sink_behaviour import Act
from services.notifier.channels.smtp import SmtpChannel, SmtpOptions
from services.notifier.channels.smtp_sink import SmtpSink
from services.notifier.outcomes.maildir import MaildirMailbox
from services.notifier.outcomes.passing_on import Ours, PassingOn
from services.notifier.outcomes.return_path import ReturnPaths
from services.notifier.outcomes.returned import ReturnedMail
from services.notifier.outcomes.sorting import FORWARDED, Sorter
from services.notifier.refusal_stop import RefusalStop
from services.runtime.errors import Transient
from services.runtime.link_tokens import Purpose, mint
from tests.notifier_house import INDEX, House, house
from tests.returned_mails import complaint, mail, report

pytestmark = pytest.mark.anyio
__all__ = ["house"]

KEY = b"k" * 32
PATHS = ReturnPaths("studs@kommun.example", [KEY])
OFFICIAL = {**ROUND["texts"], "official": {"name": "Bo", "email": "bygglov@kommun.example"}}  # type: ignore[dict-item]


@dataclass
class Desk:
    """A notifier whose returned mail is read."""

    house: House
    box: Path
    relay: SmtpSink
    channel: SmtpChannel
    reader: ReturnedMail
    count: int = 0

    def arrives(self, raw: bytes) -> None:
        self.count += 1
        (self.box / "new" / f"{self.count:010d}.host").write_bytes(raw)

    async def read(self, raw: bytes) -> None:
        self.arrives(raw)
        await self.reader.turn()

    def lying(self, folder: str) -> int:
        place = self.box / f".{folder}" / "cur" if folder else self.box / "new"
        return len(list(place.glob("*")))

    def where(self) -> tuple[int, int, int]:
        """How many mails wait, are done, and are put aside."""
        return self.lying(""), self.lying("Handled"), self.lying("Aside")

    async def sent(self, number: int = 1, **changes: Any) -> Any:
        """The message of round `number` left; its row."""
        await self.house.company("w-r1", "r1")
        await self.house.contact("r1", "anna@exempel.test")
        await self.house.round(round_id=f"round{number}", **changes)
        await self.house.invite("r1", "w-r1", round_id=f"round{number}", invitation_id=f"i{number}")
        await self.house.sender.turn()
        return (await self.house.messages())[-1]

    async def state(self) -> str:
        return str((await self.house.messages())[-1].state)


def reader(house: House, box: Path, channel: SmtpChannel, *, replies_to: str = "") -> ReturnedMail:
    ours = Ours("Exempel kommun", "naringsliv@kommun.example", replies_to, ["naringsliv@kommun.example"])
    return ReturnedMail(
        MaildirMailbox(box, handled="Handled", aside="Aside", most_bytes=100_000),
        Sorter([KEY], PATHS),
        house.database,
        house.outbox,
        PassingOn(channel, ours),
        house.clock,
        index_key=INDEX,
        poll=0.01,
        refusals=RefusalStop(20),
    )


@pytest.fixture
async def desk(house: House, tmp_path: Path) -> AsyncIterator[Desk]:
    box = tmp_path / "mail"
    for name in ("cur", "new", "tmp"):
        (box / name).mkdir(parents=True)
    relay = SmtpSink()
    await relay.start()
    options = SmtpOptions(
        host="127.0.0.1", port=relay.port, tls="none", envelope_from="studs@kommun.example", helo_name="test.example"
    )
    channel = SmtpChannel(options)
    yield Desk(house, box, relay, channel, reader(house, box, channel))
    await channel.close()
    await relay.stop()


# Reports


async def test_fc033_a_bounce_finds_its_message_by_its_return_path_and_ends_its_address(desk: Desk) -> None:
    """FC-033."""
    message = await desk.sent()
    await desk.read(report(to=PATHS.of(message.number), returned="X: y"))
    assert await desk.state() == "failed"
    told = desk.house.told()[-1]
    assert (told.state, told.code, told.invitation_ids) == (DeliveryState.FAILED, "no_such_address", ["i1"])
    assert [event.kind for event in desk.house.suppressions()] == ["bounce"]
    assert "anna" not in str(desk.house.published.records)
    assert desk.where() == (0, 1, 0)


@pytest.mark.parametrize("by", ["envelope id", "message id"])
async def test_or_by_the_id_that_it_gives_back(desk: Desk, by: str) -> None:
    message = await desk.sent()
    named = {"envelope_id": message.message_id, "returned": "X: y"}
    if by == "message id":
        named = {"returned": f"Message-ID: <{message.message_id}@kommun.example>"}
    await desk.read(report(**named))
    assert await desk.state() == "failed"


async def test_a_delay_changes_nothing(desk: Desk) -> None:
    message = await desk.sent()
    before = len(desk.house.published.records)
    await desk.read(report("delayed", "4.4.1", to=PATHS.of(message.number)))
    assert (await desk.state(), len(desk.house.published.records)) == ("sent", before)
    assert desk.where() == (0, 1, 0)


async def test_delivered_is_told_and_a_later_bounce_does_not_undo_it(desk: Desk) -> None:
    message = await desk.sent()
    await desk.read(report("delivered", "2.1.5", "", to=PATHS.of(message.number)))
    await desk.read(report(to=PATHS.of(message.number)))
    assert desk.house.states() == ["composed", "sent", "delivered"]
    assert not desk.house.suppressions()


async def test_fc032_a_refusal_by_policy_raises_an_alarm_and_suppresses_nobody(
    desk: Desk, logged: list[MutableMapping[str, Any]]
) -> None:
    """FC-032."""
    message = await desk.sent()
    await desk.read(report(status="5.7.1", diagnostic="smtp; 550 5.7.1 blocked", to=PATHS.of(message.number)))
    assert [(line["event"], line["code"]) for line in logged if line["log_level"] == "error"] == [("alarm", "policy")]
    assert (await desk.state(), desk.house.suppressions()) == ("failed", [])


async def test_a_report_on_a_message_that_nobody_knows_is_put_aside(desk: Desk) -> None:
    await desk.read(report(to=PATHS.of(17)))
    await desk.read(report(returned="X: y"))
    assert desk.where() == (0, 0, 2)


# Stops and complaints


async def test_a_stop_by_mail_stops_all_of_that_municipality_at_once_and_its_page_can_undo_it(desk: Desk) -> None:
    message = await desk.sent()
    await desk.read(mail(f"avsluta {mint(message.number, KEY, Purpose.STOP)}", ""))
    keyed, at_the_page = desk.house.suppressions()
    assert {(event.kind, event.scope, event.municipality) for event in (keyed, at_the_page)} == {
        ("stop", "all", "0162")
    }
    assert (keyed.message_number, at_the_page.message_number) == (None, message.number)
    await desk.sent(2)
    assert desk.house.states()[-1] == "suppressed"
    await desk.house.stop_all(
        suppression_id=at_the_page.suppression_id, message_number=message.number, lifted=True, at=desk.house.clock.now()
    )
    await desk.house.outbox.flush()
    assert desk.house.suppressions()[-1].suppression_id == keyed.suppression_id
    assert desk.house.suppressions()[-1].lifted


async def test_a_complaint_suppresses_for_good_with_its_reason(desk: Desk) -> None:
    message = await desk.sent()
    await desk.read(complaint(f"Message-ID: <{message.message_id}@kommun.example>"))
    [event] = desk.house.suppressions()
    assert (event.kind, event.scope, event.reason) == ("complaint", "all", "reported as spam")
    await desk.sent(2)
    assert desk.house.told()[-1].code == "complaint"


# Replies


def only_forward(desk: Desk) -> Message:
    [forward] = desk.relay.accepted
    return message_from_bytes(forward.raw, policy=default)


async def test_a_persons_reply_goes_to_the_cases_mailbox_whole_and_is_answered_by_nobody(desk: Desk) -> None:
    message = await desk.sent(texts=OFFICIAL)
    body = "Vi vill gärna vara med.\r\n.\r\nHälsningar Anna"
    raw = mail("Re: Hej", body, f"In-Reply-To: <{message.message_id}@kommun.example>")
    await desk.read(raw)
    forward = only_forward(desk)
    assert desk.relay.accepted[0].recipients == ("bygglov@kommun.example",)
    assert (forward["Reply-To"], forward["Auto-Submitted"]) == ("anna@exempel.example", "auto-generated")
    assert str(ROUND["texts"]["title"])[:20] in str(forward["Subject"])  # type: ignore[index]
    assert raw in desk.relay.accepted[0].raw
    text, attached = forward.iter_parts()  # type: ignore[attr-defined]
    assert (text.get_content_type(), attached.get_content_type()) == ("text/plain", "message/rfc822")
    assert desk.where() == (0, 1, 0)


async def test_a_reply_to_no_known_message_goes_to_the_mailbox_for_all_cases_or_is_put_aside(desk: Desk) -> None:
    await desk.read(mail("Fråga", "Hej"))
    assert desk.where() == (0, 0, 1)
    desk.reader = reader(desk.house, desk.box, desk.channel, replies_to="kontakt@kommun.example")
    await desk.read(mail("Fråga", "Hej igen"))
    assert [got.recipients for got in desk.relay.accepted] == [("kontakt@kommun.example",)]


async def test_a_reply_to_a_digest_goes_to_the_mailbox_for_all_cases_and_names_them(desk: Desk) -> None:
    desk.reader = reader(desk.house, desk.box, desk.channel, replies_to="kontakt@kommun.example")
    digest = {"plan": {**ROUND["plan"], "asks": False}}  # type: ignore[dict-item]
    only = [{"kind": "municipality", "ring": "everyone", "delivery": "digest"}]
    await desk.house.company("w-r1", "r1")
    await desk.house.contact("r1", "anna@exempel.test")
    for number, title in enumerate(("Ny taxa", "Torget byggs om")):
        texts = {**OFFICIAL, "title": title, "diary_number": f"KS {number}"}
        await desk.house.round(round_id=f"round{number}", **digest, texts=texts)
        places = [{"workplace_id": "w-r1", "reasons": only}]
        own = {"round_id": f"round{number}", "invitation_id": f"i{number}", "workplaces": places}
        await desk.house.invite("r1", "w-r1", **own)
    await desk.house.sender.turn()
    desk.house.clock.moment += timedelta(days=8)
    await desk.house.sender.turn()
    message = next(row for row in await desk.house.messages() if row.kind == "digest")
    await desk.read(mail("Re: 2 ärenden", "Ja tack", f"In-Reply-To: <{message.message_id}@kommun.example>"))
    [forward] = desk.relay.accepted
    assert forward.recipients == ("kontakt@kommun.example",)
    passed_on = only_forward(desk)
    assert passed_on["Subject"] == "Svar från ett företag: 2 ärenden"
    text, _ = passed_on.iter_parts()  # type: ignore[attr-defined]
    said = text.get_content().replace("\r\n", "\n")
    assert "ett av dessa 2:\n - " in said
    assert {"\n - Ny taxa KS 0\n" in said, "\n - Torget byggs om KS 1\n" in said} == {True}


async def test_a_reply_is_never_forwarded_to_a_mailbox_of_ours(desk: Desk) -> None:
    official = {"official": {"name": "Bo", "email": "Naringsliv+arenden@kommun.example"}}
    message = await desk.sent(texts={**OFFICIAL, **official})
    await desk.read(mail("Re: Hej", "Hej", f"In-Reply-To: <{message.message_id}@kommun.example>"))
    assert (list(desk.relay.accepted), desk.where()) == ([], (0, 0, 1))


async def test_our_own_forward_that_comes_back_goes_no_further(desk: Desk) -> None:
    message = await desk.sent(texts=OFFICIAL)
    await desk.read(mail("Re: Hej", "Hej", f"In-Reply-To: <{message.message_id}@kommun.example>"))
    went_round = re.sub(rb"Auto-Submitted:[^\n]*\n", b"", desk.relay.accepted[0].raw)
    assert FORWARDED.encode() in went_round
    await desk.read(went_round)
    assert (len(desk.relay.accepted), desk.where()) == (1, (0, 1, 1))


async def test_a_bounce_of_a_forward_is_put_aside_and_ends_no_message(desk: Desk) -> None:
    message = await desk.sent(texts=OFFICIAL)
    await desk.read(mail("Re: Hej", "Hej", f"In-Reply-To: <{message.message_id}@kommun.example>"))
    forward = only_forward(desk)
    await desk.read(report(returned=f"Message-ID: {forward['Message-ID']}"))
    assert (await desk.state(), desk.where()) == ("sent", (0, 1, 1))


@pytest.mark.parametrize("reply", ["451 4.7.1 later", "421 4.3.2 closing"])
async def test_a_reply_that_the_relay_does_not_take_now_stays_and_goes_later(desk: Desk, reply: str) -> None:
    message = await desk.sent(texts=OFFICIAL)
    desk.relay.behaviour = lambda point, _: Act(reply) if point == "done" else None
    await desk.read(mail("Re: Hej", "Hej", f"In-Reply-To: <{message.message_id}@kommun.example>"))
    assert desk.where() == (1, 0, 0)
    desk.relay.behaviour = None
    await desk.reader.turn()  # not before its time
    assert desk.where() == (1, 0, 0)
    desk.house.clock.moment += timedelta(minutes=5)
    await desk.reader.turn()
    assert (len(desk.relay.accepted), desk.where()) == (1, (0, 1, 0))


async def test_a_reply_whose_forward_may_have_been_taken_goes_once_more_under_the_same_id(desk: Desk) -> None:
    message = await desk.sent(texts=OFFICIAL)
    desk.relay.behaviour = lambda point, _: Act(drop=True) if point == "done" else None
    await desk.read(mail("Re: Hej", "Hej", f"In-Reply-To: <{message.message_id}@kommun.example>"))
    desk.house.clock.moment += timedelta(minutes=5)
    await desk.reader.turn()
    assert len({got.message_id for got in desk.relay.accepted}) == 1
    assert (len(desk.relay.accepted), desk.where()) == (2, (0, 0, 1))  # a third time somebody decides


async def test_a_reply_that_the_relay_refuses_is_put_aside_with_an_alarm(desk: Desk) -> None:
    message = await desk.sent(texts=OFFICIAL)
    desk.relay.behaviour = lambda point, _: Act("550 5.1.1 unknown") if point == "rcpt" else None
    await desk.read(mail("Re: Hej", "Hej", f"In-Reply-To: <{message.message_id}@kommun.example>"))
    assert desk.where() == (0, 0, 1)


# Every mail


async def test_fc038_a_machines_answer_is_ignored_and_put_away(desk: Desk) -> None:
    """FC-038."""
    message = await desk.sent(texts=OFFICIAL)
    answered = f"In-Reply-To: <{message.message_id}@kommun.example>"
    await desk.read(mail("Frånvaro", "Semester", answered, "Auto-Submitted: auto-replied", "Return-Path: <>"))
    assert (list(desk.relay.accepted), desk.where()) == ([], (0, 1, 0))
    assert await desk.state() == "sent"


@pytest.mark.parametrize("raw", [b"", b"\x00\xff" * 50, b"From: x\r\n" * 20_000])
async def test_what_is_not_understood_is_put_aside_and_delays_nothing_behind_it(desk: Desk, raw: bytes) -> None:
    message = await desk.sent()
    desk.arrives(raw)
    await desk.read(report(to=PATHS.of(message.number)))
    assert await desk.state() == "failed"
    assert desk.where() == (0, 1, 1)


async def test_a_mail_that_was_not_put_away_before_a_crash_has_its_effect_once(desk: Desk) -> None:
    message = await desk.sent()
    raw = report(to=PATHS.of(message.number))
    await desk.read(raw)
    told, suppressed = len(desk.house.told()), len(desk.house.suppressions())
    await desk.read(raw)  # as after a crash between the commit and the move
    assert (len(desk.house.told()), len(desk.house.suppressions())) == (told, suppressed)
    assert desk.where() == (0, 2, 0)


async def test_what_followed_from_a_mail_is_told_when_the_broker_is_back(desk: Desk) -> None:
    message = await desk.sent()
    desk.house.published.down = True
    desk.arrives(report(to=PATHS.of(message.number)))
    with pytest.raises(Transient):
        await desk.reader.turn()
    assert (await desk.state(), desk.where()) == ("failed", (0, 1, 0))
    desk.house.published.down = False
    await desk.reader.turn()
    assert desk.house.states()[-1] == "failed"


async def test_no_address_and_no_word_of_a_mail_is_logged(desk: Desk, logged: list[MutableMapping[str, Any]]) -> None:
    message = await desk.sent(texts=OFFICIAL)
    answered = f"In-Reply-To: <{message.message_id}@kommun.example>"
    for raw in (
        report(to=PATHS.of(message.number)),
        mail("Re: Hej", "Hemligt", answered),
        mail("Fråga", "Hemligt"),
    ):
        await desk.read(raw)
    assert logged
    assert not re.search(r"@|Hemligt|anna", str(logged))


async def test_a_bounce_that_comes_before_our_own_outcome_is_written_is_not_overwritten(desk: Desk) -> None:
    desk.house.email.will(Outcome(State.UNKNOWN, "connection_lost"))
    message = await desk.sent()
    await desk.read(report(to=PATHS.of(message.number)))
    desk.house.clock.moment += timedelta(hours=1)
    await desk.house.sender.turn()
    assert (await desk.state(), len(desk.house.email.accepted)) == ("failed", 1)

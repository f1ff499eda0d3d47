"""What follows when the relay's answer is lost, row by row (decision 0011): the wired notifier, its real composer, a
real SMTP dialogue. No row needs luck: the relay misbehaves at a stated point, the clock is given.
"""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import message_from_bytes
from typing import Any

import pytest
from sqlalchemy import select

from schemas.company import COMPANY_CHANGED, Company
from schemas.company import EXAMPLE as COMPANY
from schemas.contact import CONTACT_CHANGED
from schemas.delivery import Delivery
from schemas.identity import invitation_id
from schemas.invitation import EXAMPLE as INVITATION
from schemas.invitation import INVITATION_CHANGED, Invitation
from schemas.round import EXAMPLE as ROUND
from schemas.round import ROUND_CHANGED, Round
from schemas.topics import COMPANIES, CONTACTS, DELIVERIES, INVITATIONS, ROUNDS, SUPPRESSIONS
from services.notifier.channels.port import Outcome, Outgoing
from services.notifier.channels.sink_behaviour import Act, Behaviour
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.channels.smtp_sink import SmtpSink
from services.notifier.ledger.tables import MESSAGES
from services.notifier.settings import NotifierOptions
from services.runtime.clock import ManualClock
from tests.mail_sinks import always, once, smtp_options, smtp_sink
from tests.notifier_house import Dies
from tests.notifier_offline import OfflineNotifier, contact, keys, say
from tests.topics_offline import Log

pytestmark = pytest.mark.anyio

MONDAY = datetime.fromisoformat("2025-11-10T10:00:00+01:00")
SOON = timedelta(minutes=6)
LOST = Act(drop=True)
REFUSED_AND_LOST = Act(drop=True, accept=False)


@dataclass
class Town:
    """One round, its companies, and a relay."""

    log: Log
    clock: ManualClock
    relay: SmtpSink
    options: NotifierOptions
    notifier: OfflineNotifier

    async def invites(self, *addresses: str) -> None:
        """One company for each address, all in one round, admitted."""
        now = self.clock.now()
        for number, address in enumerate(addresses):
            company = Company.model_validate({**COMPANY, "workplace_id": f"w{number}", "recipient_id": f"r{number}"})
            say(self.log, COMPANIES, company.workplace_id, company, COMPANY_CHANGED, now)
            sealed = contact(f"r{number}", address)
            say(self.log, CONTACTS, sealed.contact_id, sealed, CONTACT_CHANGED, now)
        round_ = Round.model_validate({**ROUND, "counts": {"invitations": len(addresses)}})
        say(self.log, ROUNDS, round_.round_id, round_, ROUND_CHANGED, now)
        for number in range(len(addresses)):
            identity = invitation_id(round_.round_id, f"r{number}")
            places: Any = [{**INVITATION["workplaces"][0], "workplace_id": f"w{number}"}]  # type: ignore[index]
            given = {"invitation_id": identity, "recipient_id": f"r{number}", "workplaces": places}
            event = Invitation.model_validate({**INVITATION, **given})
            say(self.log, INVITATIONS, event.case_key, event, INVITATION_CHANGED, now)

    async def turns(self, count: int, behaviour: Behaviour | None = None, wait: timedelta = SOON) -> None:
        """So many passes, each a while after the one before."""
        self.relay.behaviour = behaviour
        for _ in range(count):
            await self.notifier.turn()
            self.clock.moment += wait

    async def messages(self) -> list[Any]:
        async with self.notifier.app.database.transaction() as connection:
            return list((await connection.execute(select(MESSAGES))).all())

    async def only(self) -> Any:
        [row] = await self.messages()
        return row

    def copies(self) -> list[bytes]:
        return [mail.raw for mail in self.relay.accepted]

    def told(self) -> list[str]:
        records = [record for record in self.log.records if record.topic == DELIVERIES.name]
        return [Delivery.model_validate_json(record.value or b"").state.value for record in records]


@pytest.fixture
async def town(ledger_url: str) -> AsyncIterator[Town]:
    options = NotifierOptions(database=ledger_url, windows="always", hold_seconds=0, **keys())
    clock, log = ManualClock(MONDAY), Log()
    async with smtp_sink(smtputf8=False) as relay:
        channel = SmtpChannel(smtp_options(relay.port, answer_timeout=1))
        notifier = OfflineNotifier(log, clock, options, channels=[channel])
        await notifier.start()
        yield Town(log, clock, relay, options, notifier)
        await notifier.close()


async def test_fc026_taken_and_the_answer_lost_is_sent_once_more_byte_for_byte(town: Town) -> None:
    """FC-026."""
    await town.invites("anna@exempel.test")
    await town.turns(1, once("done", LOST))
    assert (await town.only()).state == "unknown"
    await town.turns(3)
    first, second = town.copies()
    assert first == second
    mail = message_from_bytes(first)
    assert mail["Message-ID"]
    assert mail["Date"]
    row = await town.only()
    assert (row.state, row.resent_unknown) == ("sent", 1)
    assert town.told() == ["composed", "unknown", "composed", "sent"]


async def test_not_taken_and_the_answer_lost_leaves_one_copy(town: Town) -> None:
    await town.invites("anna@exempel.test")
    await town.turns(1, once("done", REFUSED_AND_LOST))
    await town.turns(3)
    assert (len(town.copies()), (await town.only()).state) == (1, "sent")


async def test_lost_twice_ends_as_failed_with_its_reason_and_two_copies_at_most(town: Town) -> None:
    await town.invites("anna@exempel.test")
    await town.turns(5, always("done", LOST))
    row = await town.only()
    assert (row.state, row.code) == ("failed", "unknown_outcome")
    assert len(town.copies()) == 2
    assert len(set(town.copies())) == 1


async def test_a_second_crash_ends_no_more_than_what_was_being_called_again(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that was claimed is unknown after the first crash, called or not."""

    async def die(channel: SmtpChannel, message: Outgoing) -> Outcome:
        raise Dies

    await town.invites(*(f"a{number}@exempel.test" for number in range(60)))
    with monkeypatch.context() as crashing:
        crashing.setattr(SmtpChannel, "send", die)
        for _ in range(2):
            with pytest.raises(Dies):
                await town.notifier.turn()
            town.clock.moment += SOON
    await town.turns(5)
    ended = Counter(row.state for row in await town.messages())
    assert ended == {"failed": town.options.parallel, "sent": 60 - town.options.parallel}
    assert len(town.copies()) == ended["sent"]


@pytest.mark.parametrize("reply", ["xyz", "2", "354 go on"])
async def test_an_answer_to_the_data_that_nobody_understands_is_as_unknown_as_a_lost_one(
    town: Town, reply: str
) -> None:
    """FC-026."""
    await town.invites("anna@exempel.test")
    await town.turns(1, once("done", Act(reply)))
    assert (await town.only()).state == "unknown"
    await town.turns(3)
    assert (await town.only()).state == "sent"
    assert len(set(town.copies())) == 1


async def test_no_answer_within_its_time_is_as_unknown_as_a_lost_one(town: Town) -> None:
    await town.invites("anna@exempel.test")
    await town.turns(1, once("done", Act(delay=30)))
    row = await town.only()
    assert (row.state, row.code) == ("unknown", "timeout")
    await town.turns(2)
    assert len(set(town.copies())) == 1


@pytest.mark.parametrize("point", ["mail", "rcpt", "data"])
async def test_lost_before_the_last_line_was_sent_is_no_unknown_and_no_second_copy(town: Town, point: str) -> None:
    await town.invites("anna@exempel.test")
    await town.turns(1, always(point, LOST))
    assert (await town.only()).state == "retry"
    await town.turns(2)
    assert (len(town.copies()), (await town.only()).state) == (1, "sent")
    assert "unknown" not in town.told()


@pytest.mark.parametrize("reply", ["421 4.3.2 closing", "451 4.3.0 later", "550 5.7.1 no"])
async def test_an_answer_that_was_read_is_never_unknown(town: Town, reply: str) -> None:
    await town.invites("anna@exempel.test")
    await town.turns(1, once("done", Act(reply)))
    await town.turns(2, wait=timedelta(hours=5))
    assert "unknown" not in town.told()
    assert (len(town.copies()), (await town.only()).state) == (1, "sent")


async def test_fc029_a_relay_that_closes_in_the_midst_of_a_round_gets_nobody_a_second_copy(town: Town) -> None:
    """FC-029."""
    addresses = [f"a{number}@exempel.test" for number in range(40)]

    def closes_after_twenty(point: str, number: int) -> Act | None:
        return Act("421 4.3.2 closing") if point in ("mail", "rcpt") and number > 20 else None

    await town.invites(*addresses)
    await town.turns(1, closes_after_twenty)
    assert 20 <= len(town.copies()) < 40
    await town.turns(4)
    reached = [mail.recipients[0] for mail in town.relay.accepted]
    assert sorted(reached) == sorted(addresses)
    assert {row.state for row in await town.messages()} == {"sent"}


async def test_fc034_a_greylisted_first_try_is_delivered_once_five_minutes_later(town: Town) -> None:
    """FC-034."""
    await town.invites("anna@exempel.test")
    await town.turns(1, once("rcpt", Act("451 4.7.1 Greylisted")), wait=timedelta(minutes=4))
    await town.turns(1, wait=timedelta(minutes=2))
    assert town.copies() == []
    await town.turns(3)
    assert (len(town.copies()), town.told()) == (1, ["composed", "retry", "composed", "sent"])


async def test_fc042_a_local_part_that_the_relay_cannot_take_is_undeliverable_with_the_reason(town: Town) -> None:
    """FC-042."""
    await town.invites("åsa@exempel.test", "info@ångbåten.test")
    await town.turns(2)
    ended = {row.state: row.code for row in await town.messages()}
    assert ended == {"failed": "needs_smtputf8", "sent": "accepted"}
    [mail] = town.relay.accepted
    assert mail.recipients == ("info@xn--ngbten-huad.test",)
    assert b"=?" not in mail.raw.partition(b"\r\nTo:")[2].partition(b"\r\n")[0]
    assert not [record for record in town.log.records if record.topic == SUPPRESSIONS.name]


async def test_fc043_what_follows_a_plus_is_part_of_the_address(town: Town) -> None:
    """FC-043."""
    await town.invites("kontakt+bygg@exempel.test", "kontakt@exempel.test")
    await town.turns(2)
    assert {mail.recipients[0] for mail in town.relay.accepted} == {"kontakt+bygg@exempel.test", "kontakt@exempel.test"}

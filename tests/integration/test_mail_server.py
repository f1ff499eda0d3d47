"""Through a real Postfix over TLS, and back: what the relay takes, refuses, and sends back as a bounce days later."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import trustme
from sqlalchemy import select

from schemas.suppression import Suppression
from schemas.topics import SUPPRESSIONS
from services.notifier.channels.port import Outcome, State
from services.notifier.channels.sink_behaviour import Act
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.ledger.tables import MESSAGES
from services.notifier.settings import NotifierOptions
from services.runtime.clock import ManualClock
from tests.integration.test_ambiguous_window import Town
from tests.mail_server import MAILBOX, MailServer, mail_server, needs_postfix
from tests.mail_sinks import always, mail, smtp_options, smtp_sink
from tests.notifier_offline import OfflineNotifier, keys
from tests.topics_offline import Log

pytestmark = [pytest.mark.anyio, needs_postfix]

MONDAY = datetime.fromisoformat("2025-11-10T10:00:00+01:00")


@pytest.fixture(scope="module")
def running() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def server(running: MailServer) -> MailServer:
    """With an empty mailbox."""
    for file in running.maildir.rglob("*"):
        if file.is_file():
            file.unlink()
    return running


@asynccontextmanager
async def channel_to(server: MailServer, kind: str, **changes: object) -> AsyncIterator[SmtpChannel]:
    port = server.implicit_port if kind == "implicit" else server.port
    channel = SmtpChannel(smtp_options(port, tls=kind, ca_file=server.ca_file, **changes))
    yield channel
    await channel.close()


async def arrived(server: MailServer, count: int, folder: str = "new") -> list[bytes]:
    """So many mails lie in the mailbox."""
    async with asyncio.timeout(30):
        while len(files := list(server.maildir.glob(f"{folder}/*"))) < count:  # noqa: ASYNC110 - a folder tells nobody
            await asyncio.sleep(0.05)
    return [file.read_bytes() for file in files]


@pytest.mark.parametrize("kind", ["starttls", "implicit"])
async def test_a_mail_is_taken_over_tls_and_lies_in_the_mailbox_as_it_was_written(
    server: MailServer, kind: str
) -> None:
    async with channel_to(server, kind) as channel:
        message = mail("m1", MAILBOX)
        outcome = await channel.send(message)
    assert (outcome.state, outcome.code, outcome.detail) == (State.SENT, "accepted", "2.0.0")
    assert outcome.provider_ref
    [got] = await arrived(server, 1)
    assert got.replace(b"\r\n", b"\n").endswith(message.body.replace(b"\r\n", b"\n").partition(b"\n\n")[2])
    assert b"Message-ID: <m1@kommun.example>" in got


@pytest.mark.parametrize("kind", ["starttls", "implicit"])
async def test_a_server_that_nobody_vouches_for_gets_nothing(server: MailServer, kind: str, tmp_path: Path) -> None:
    stranger = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    async with channel_to(replace(server, ca_file=stranger), kind) as channel:
        assert await channel.send(mail("m1", MAILBOX)) == Outcome(State.NOT_SENT, "tls_failed", alarm=True)


@pytest.mark.parametrize(
    ("address", "state", "code", "suppress"),
    [
        ("okand@kommun.example", State.FAILED, "no_such_address", True),
        ("senare@kommun.example", State.RETRY, "greylisted", False),
    ],
)
async def test_what_is_not_taken_says_so_and_the_next_goes_through(
    server: MailServer, address: str, state: State, code: str, suppress: bool
) -> None:
    async with channel_to(server, "starttls") as channel:
        outcome = await channel.send(mail("m1", address))
        assert (outcome.state, outcome.code, outcome.suppress) == (state, code, suppress)
        assert "@" not in repr(outcome)
        assert (await channel.send(mail("m2", MAILBOX))).state is State.SENT
    assert len(await arrived(server, 1)) == 1


async def test_a_hundred_at_once_arrive_once_each(server: MailServer) -> None:
    async with channel_to(server, "starttls") as channel:
        outcomes = await asyncio.gather(*(channel.send(mail(f"m{number}", MAILBOX)) for number in range(100)))
    assert {outcome.state for outcome in outcomes} == {State.SENT}
    ids = Counter(got.partition(b"Message-ID: <")[2].partition(b"@")[0] for got in await arrived(server, 100))
    assert set(ids.values()) == {1}


@asynccontextmanager
async def town(server: MailServer, tmp_path: Path, *, verp: bool) -> AsyncIterator[Town]:
    """A notifier that sends through Postfix, and reads the mailbox that bounces come back to."""
    options = NotifierOptions.model_validate(
        {
            "database": f"sqlite+aiosqlite:///{tmp_path}/ledger.db",
            "windows": "always",
            "hold_seconds": 0,
            "sender_email": MAILBOX,
            "smtp": {"verp": verp},
            "returned": {"maildir": server.maildir},
            **keys(),
        }
    )
    clock, log = ManualClock(MONDAY), Log()
    channel = SmtpChannel(smtp_options(server.port, tls="starttls", ca_file=server.ca_file, envelope_from=MAILBOX))
    notifier = OfflineNotifier(log, clock, options, channels=[channel])
    await notifier.start()
    async with smtp_sink(port=server.next_hop) as next_hop:
        yield Town(log, clock, next_hop, options, notifier)
    await notifier.close()


async def bounced(town: Town, server: MailServer, reply: str) -> tuple[str, str]:
    """State and code of the one message that the next relay answered so, when its bounce has come back and was read."""
    await town.turns(1, always("rcpt", Act(reply)))
    assert (await town.only()).state == "sent"
    await arrived(server, 1)
    assert town.notifier.app._returned is not None
    assert await town.notifier.app._returned.turn() == 1
    async with town.notifier.app.database.transaction() as connection:
        row = (await connection.execute(select(MESSAGES.c.state, MESSAGES.c.code))).one()
    return row.state, row.code


def suppressed(town: Town) -> list[str]:
    records = [record.value or b"" for record in town.log.records if record.topic == SUPPRESSIONS.name]
    return [Suppression.model_validate_json(value).reason for value in records]


@pytest.mark.parametrize("verp", [True, False], ids=["return path", "envelope id"])
async def test_fc033_a_real_bounce_finds_its_message_and_gives_its_address_up(
    server: MailServer, tmp_path: Path, verp: bool
) -> None:
    """FC-033."""
    async with town(server, tmp_path, verp=verp) as there:
        await there.invites("anna@nasta.test")
        assert await bounced(there, server, "550 5.1.1 <anna@nasta.test>: unknown") == ("failed", "no_such_address")
        assert there.told() == ["composed", "sent", "failed"]
        assert suppressed(there) == ["no_such_address"]
    assert len(await arrived(server, 1, ".Handled/cur")) == 1


async def test_a_real_bounce_of_a_full_mailbox_gives_nobody_up(server: MailServer, tmp_path: Path) -> None:
    async with town(server, tmp_path, verp=True) as there:
        await there.invites("anna@nasta.test")
        assert await bounced(there, server, "552 5.2.2 mailbox full") == ("failed", "mailbox_full")
        assert suppressed(there) == []

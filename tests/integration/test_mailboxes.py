"""One contract for both mailboxes: a folder of files, and a real IMAP server over TLS."""

import asyncio
import imaplib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from services.notifier.outcomes.imap import ImapMailbox, ImapOptions
from services.notifier.outcomes.mailbox import Mailbox
from services.notifier.outcomes.maildir import MaildirMailbox
from services.runtime.errors import Fault, Transient
from tests.imap_server import PASSWORD, USER, ImapServer, imap_server
from tests.mail_sinks import Certified

pytestmark = pytest.mark.anyio


def letter(word: str) -> bytes:
    return f"From: a@exempel.example\r\nSubject: {word}\r\n\r\nHej\r\n".encode()


@dataclass
class Rig:
    """A mailbox, and a grip on what lies in its folders."""

    mailbox: Mailbox
    deliver: Callable[[bytes], None]
    lying_in: Callable[[str], list[str]]
    """The subjects in a folder; "" is where mail arrives."""
    away: Callable[[], None]
    """Somebody takes the first mail away."""


def _subjects(mails: list[bytes]) -> list[str]:
    return sorted(mail.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode() for mail in mails)


@pytest.fixture
def maildir_rig(tmp_path: Path) -> Rig:
    box = tmp_path / "mail"
    for name in ("cur", "new", "tmp"):
        (box / name).mkdir(parents=True)
    count = iter(range(100))

    def deliver(raw: bytes) -> None:
        (box / "new" / f"{next(count):010d}.host").write_bytes(raw)

    def lying_in(folder: str) -> list[str]:
        place = box / f".{folder}" if folder else box
        return _subjects([file.read_bytes() for name in ("cur", "new") for file in (place / name).glob("*")])

    def away() -> None:
        min((box / "new").iterdir()).unlink()

    return Rig(MaildirMailbox(box, handled="Handled", aside="Aside", most_bytes=1000), deliver, lying_in, away)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImapServer]:
    with imap_server(tmp_path_factory.mktemp("imap")) as running:
        yield running


def options(server: ImapServer) -> ImapOptions:
    return ImapOptions("127.0.0.1", server.port, "starttls", USER, PASSWORD, server.ca_file, "INBOX")


@pytest.fixture
def imap_rig(server: ImapServer) -> Rig:
    _empty(server)

    def deliver(raw: bytes) -> None:
        with server.mailbox() as box:
            box.append("INBOX", "", "", raw)

    def lying_in(folder: str) -> list[str]:
        with server.mailbox() as box:
            if box.select(folder or "INBOX")[0] != "OK":
                return []
            return _subjects(_all(box))

    def away() -> None:
        with server.mailbox() as box:
            box.select("INBOX")
            box.store("1", "+FLAGS", r"(\Deleted)")
            box.expunge()

    return Rig(ImapMailbox(options(server), handled="Handled", aside="Aside", most_bytes=1000), deliver, lying_in, away)


def _all(box: imaplib.IMAP4) -> list[bytes]:
    found = box.fetch("1:*", "(BODY.PEEK[])")[1] if box.search(None, "ALL")[1][0] else []
    return [part[1] for part in found if isinstance(part, tuple)]


def _empty(server: ImapServer) -> None:
    with server.mailbox() as box:
        for folder in ("INBOX", "Handled", "Aside"):
            if box.select(folder)[0] == "OK":
                box.store("1:*", "+FLAGS", r"(\Deleted)")
                box.expunge()


@pytest.fixture(params=["maildir", "imap"])
def rig(request: pytest.FixtureRequest) -> Rig:
    found: Rig = request.getfixturevalue(f"{request.param}_rig")
    return found


async def test_what_arrived_is_given_oldest_first_and_stays_until_it_is_put_away(rig: Rig) -> None:
    for word in ("ett", "två", "tre"):
        rig.deliver(letter(word))
    for _ in range(2):
        arrived = await rig.mailbox.arrived(2, ())
        assert [mail.raw for mail in arrived] == [letter("ett"), letter("två")]
    await rig.mailbox.handled(arrived[0].key)
    await rig.mailbox.set_aside(arrived[1].key)
    assert [mail.raw for mail in await rig.mailbox.arrived(9, ())] == [letter("tre")]
    assert (rig.lying_in("Handled"), rig.lying_in("Aside"), rig.lying_in("")) == (["ett"], ["två"], ["tre"])
    await rig.mailbox.close()


async def test_what_waits_is_passed_over_and_what_comes_behind_it_is_given(rig: Rig) -> None:
    rig.deliver(letter("ett"))
    [waiting] = await rig.mailbox.arrived(1, ())
    rig.deliver(letter("två"))
    assert [mail.raw for mail in await rig.mailbox.arrived(1, {waiting.key})] == [letter("två")]
    await rig.mailbox.close()


async def test_a_mail_that_is_too_large_is_told_and_not_read(rig: Rig) -> None:
    rig.deliver(letter("stor") + b"x" * 1000)
    [mail] = await rig.mailbox.arrived(1, ())
    assert mail.raw is None
    await rig.mailbox.set_aside(mail.key)
    assert rig.lying_in("Aside") == ["stor"]
    await rig.mailbox.close()


async def test_a_mail_that_another_has_put_away_is_no_trouble(rig: Rig) -> None:
    rig.deliver(letter("ett"))
    [mail] = await rig.mailbox.arrived(1, ())
    rig.away()
    await rig.mailbox.handled(mail.key)
    assert rig.lying_in("Handled") == []
    await rig.mailbox.close()


async def test_a_maildir_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    with pytest.raises(Transient, match="maildir"):
        await MaildirMailbox(tmp_path / "ingen", handled="H", aside="A", most_bytes=9).arrived(1, ())


async def test_a_server_whose_certificate_nobody_vouches_for_learns_no_password(server: ImapServer) -> None:
    unknown = ImapMailbox(replace(options(server), ca_file=None), handled="H", aside="A", most_bytes=9)
    with pytest.raises(Transient, match="SSLCertVerificationError"):
        await unknown.arrived(1, ())


async def an_empty_box(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As much of an IMAP server as an empty mailbox needs."""
    said = {
        b"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n",
        b"SELECT": b"* 0 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n",
        b"UID": b"* SEARCH\r\n",
        b"LOGOUT": b"* BYE\r\n",
    }
    writer.write(b"* OK ready\r\n")
    while line := await reader.readline():
        tag, word, *_ = line.split()
        writer.write(said.get(word.upper(), b"") + tag + b" OK done\r\n")
    writer.close()


async def test_tls_from_the_first_byte_is_verified_as_well(tmp_path: Path) -> None:
    certified = Certified(tmp_path)
    server = await asyncio.start_server(an_empty_box, "127.0.0.1", 0, ssl=certified.server_context())
    port = server.sockets[0].getsockname()[1]
    trusting = ImapOptions("127.0.0.1", port, "implicit", USER, PASSWORD, certified.ca_file, "INBOX")
    asyncio.get_running_loop().set_debug(False)  # in debug mode asyncio calls the client's refusal a server error
    async with server:
        mailbox = ImapMailbox(trusting, handled="H", aside="A", most_bytes=9)
        assert await mailbox.arrived(1, ()) == []
        await mailbox.close()
        unknown = ImapMailbox(replace(trusting, ca_file=None), handled="H", aside="A", most_bytes=9)
        with pytest.raises(Transient, match="SSLCertVerificationError"):
            await unknown.arrived(1, ())


async def test_a_wrong_password_is_waited_out(server: ImapServer) -> None:
    stranger = ImapMailbox(replace(options(server), password="fel"), handled="H", aside="A", most_bytes=9)
    with pytest.raises(Transient, match="error"):
        await stranger.arrived(1, ())


async def test_where_the_server_cannot_move_a_mail_is_copied_and_marked_as_deleted(imap_rig: Rig) -> None:
    imap_rig.deliver(letter("ett"))
    mailbox = imap_rig.mailbox
    assert isinstance(mailbox, ImapMailbox)
    [mail] = await mailbox.arrived(1, ())
    assert mailbox._connection is not None
    mailbox._connection.capabilities = ("IMAP4REV1",)
    await mailbox.handled(mail.key)
    assert await mailbox.arrived(1, ()) == []
    assert imap_rig.lying_in("Handled") == ["ett"]
    await mailbox.close()


async def test_a_connection_that_was_lost_is_made_anew(imap_rig: Rig) -> None:
    imap_rig.deliver(letter("ett"))
    mailbox = imap_rig.mailbox
    assert isinstance(mailbox, ImapMailbox)
    await mailbox.arrived(1, ())
    assert mailbox._connection is not None
    mailbox._connection.shutdown()
    with pytest.raises(Transient):
        await mailbox.arrived(1, ())
    assert len(await mailbox.arrived(1, ())) == 1
    await mailbox.close()


def test_an_authority_that_cannot_be_read_is_told_at_the_start(server: ImapServer, tmp_path: Path) -> None:
    with pytest.raises(Fault, match="ca_file"):
        ImapMailbox(replace(options(server), ca_file=tmp_path / "ingen"), handled="H", aside="A", most_bytes=9)

"""One contract for every channel, run on the fake and on the real ones against the sinks; then what each adds."""

import asyncio
import json
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import trustme
from aiohttp import web
from pydantic import SecretStr, ValidationError

from services.notifier.channels.elks46 import Elks46Channel, Elks46Options
from services.notifier.channels.memory import MemoryChannel
from services.notifier.channels.port import Channel, Outcome, Outgoing, State
from services.notifier.channels.sinks import Act, SmsSink, SmtpSink, TwilioSink
from services.notifier.channels.smtp import SmtpChannel, SmtpOptions
from services.notifier.channels.twilio import TwilioChannel, TwilioOptions
from services.runtime.errors import Fault

pytestmark = pytest.mark.anyio

MAIL = b"From: kommun@kommun.example\r\nMessage-ID: <%s@kommun.example>\r\nSubject: Hej\r\n\r\nHej\r\n.punkt\r\n"
BIG = MAIL % b"big" + (b"x" * 900 + b"\r\n") * 8_000
RECEIPTS = "https://kommun.example/receipts/46elks"
RECEIPTS_OF_TWILIO = "https://kommun.example/receipts/twilio"
ACCOUNT = "AC" + "0123456789abcdef" * 2


def mail(reference: str = "m1", address: str = "anna@exempel.example", body: bytes = b"") -> Outgoing:
    return Outgoing(reference, address, body or MAIL % reference.encode(), reference, datetime.now(UTC))


def sms(reference: str = "m1", address: str = "+46700000000") -> Outgoing:
    return Outgoing(reference, address, "Hej från Mörby".encode(), reference, datetime.now(UTC))


def smtp_options(port: int, **changes: object) -> SmtpOptions:
    plain = {"host": "127.0.0.1", "port": port, "tls": "none", "envelope_from": "studs@kommun.example"}
    return SmtpOptions.model_validate(plain | {"helo_name": "test.example", "connect_timeout": 10} | changes)


def elks_options(url: str, **changes: object) -> Elks46Options:
    plain = {"base_url": url, "username": "u", "password": "p", "sender": "Danderyd", "receipt_base": RECEIPTS}
    return Elks46Options.model_validate(plain | changes)


def twilio_options(url: str, **changes: object) -> TwilioOptions:
    plain = {"base_url": url, "account_sid": ACCOUNT, "auth_token": "p", "sender": "Danderyd"}
    return TwilioOptions.model_validate(plain | {"receipt_base": RECEIPTS_OF_TWILIO, "price": "0.9"} | changes)


def once(point: str, act: Act) -> Callable[[str, int], Act | None]:
    """A behaviour that acts the first time this point is reached."""
    left = [act]
    return lambda reached, _: left.pop() if reached == point and left else None


def always(point: str, act: Act) -> Callable[[str, int], Act | None]:
    return lambda reached, _: act if reached == point else None


@dataclass
class Rig:
    """A channel, and a grip on whatever stands behind it."""

    channel: Channel
    message: Callable[[str], Outgoing]
    accepted: Callable[[], list[str]]
    """References, in order."""
    provoke: Callable[[str], None]
    """The next send is `refused`, `later` or `lost`."""


@asynccontextmanager
async def memory_rig() -> AsyncIterator[Rig]:
    channel = MemoryChannel()
    answers = {
        "refused": Outcome(State.FAILED, "no_such_address", "5.1.1"),
        "later": Outcome(State.RETRY, "greylisted", "4.7.1"),
        "lost": Outcome(State.UNKNOWN, "connection_lost"),
    }
    yield Rig(channel, mail, lambda: [m.reference for m in channel.accepted], lambda what: channel.will(answers[what]))


@asynccontextmanager
async def smtp_rig() -> AsyncIterator[Rig]:
    acts = {
        "refused": ("rcpt", Act("550 5.1.1 <anna@exempel.example>: unknown")),
        "later": ("rcpt", Act("451 4.7.1 Greylisted")),
        "lost": ("done", Act(drop=True)),
    }
    async with smtp_sink() as sink:
        channel = SmtpChannel(smtp_options(sink.port))

        def provoke(what: str) -> None:
            sink.behaviour = once(*acts[what])

        yield Rig(channel, mail, lambda: [m.message_id[1:].partition("@")[0] for m in sink.accepted], provoke)
        await channel.close()


@asynccontextmanager
async def elks46_rig() -> AsyncIterator[Rig]:
    acts = {"refused": Act("400 Invalid to number"), "later": Act("503 later"), "lost": Act(drop=True)}
    async with sms_sink() as sink:
        channel = Elks46Channel(elks_options(sink.url))

        def provoke(what: str) -> None:
            sink.behaviour = once("sms", acts[what])

        yield Rig(channel, sms, lambda: [s.reference for s in sink.accepted], provoke)
        await channel.close()


@asynccontextmanager
async def twilio_rig() -> AsyncIterator[Rig]:
    acts = {"refused": Act('400 {"code": 21614, "status": 400}'), "later": Act("503 later"), "lost": Act(drop=True)}
    async with twilio_sink() as sink:
        channel = TwilioChannel(twilio_options(sink.url))

        def provoke(what: str) -> None:
            sink.behaviour = once("sms", acts[what])

        yield Rig(channel, sms, lambda: [s.reference for s in sink.accepted], provoke)
        await channel.close()


@asynccontextmanager
async def smtp_sink(**options: object) -> AsyncIterator[SmtpSink]:
    sink = SmtpSink(**options)  # type: ignore[arg-type]
    await sink.start()
    try:
        yield sink
    finally:
        await sink.stop()


@asynccontextmanager
async def sms_sink(**options: object) -> AsyncIterator[SmsSink]:
    sink = SmsSink(**options)  # type: ignore[arg-type]
    await sink.start()
    try:
        yield sink
    finally:
        await sink.stop()


@asynccontextmanager
async def twilio_sink(**options: object) -> AsyncIterator[TwilioSink]:
    sink = TwilioSink(**options)  # type: ignore[arg-type]
    await sink.start()
    try:
        yield sink
    finally:
        await sink.stop()


@pytest.fixture(params=[memory_rig, smtp_rig, elks46_rig, twilio_rig], ids=["memory", "smtp", "elks46", "twilio"])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    async with request.param() as ready:
        yield ready


# The contract


async def test_a_message_is_accepted_once(rig: Rig) -> None:
    outcome = await rig.channel.send(rig.message("m1"))
    assert (outcome.state, outcome.code) == (State.SENT, "accepted")
    assert outcome.provider_ref
    assert rig.accepted() == ["m1"]


@pytest.mark.parametrize(("what", "state"), [("refused", State.FAILED), ("later", State.RETRY)])
async def test_what_is_not_accepted_says_so_and_the_next_goes_through(rig: Rig, what: str, state: State) -> None:
    rig.provoke(what)
    outcome = await rig.channel.send(rig.message("m1"))
    assert outcome.state is state
    assert "@" not in repr(outcome)
    assert rig.accepted() == []
    assert (await rig.channel.send(rig.message("m2"))).state is State.SENT


async def test_a_lost_answer_is_unknown_though_the_message_is_there(rig: Rig) -> None:
    rig.provoke("lost")
    assert (await rig.channel.send(rig.message("m1"))).state is State.UNKNOWN
    assert rig.accepted() == ["m1"]
    assert (await rig.channel.send(rig.message("m2"))).state is State.SENT


async def test_two_hundred_at_once_are_accepted_once_each(rig: Rig) -> None:
    references = [f"m{number}" for number in range(200)]
    outcomes = await asyncio.gather(*(rig.channel.send(rig.message(reference)) for reference in references))
    assert {outcome.state for outcome in outcomes} == {State.SENT}
    assert Counter(rig.accepted()) == Counter(references)


async def test_a_closed_channel_sends_nothing(rig: Rig) -> None:
    await rig.channel.send(rig.message("m1"))
    await rig.channel.close()
    assert (await rig.channel.send(rig.message("m2"))).state is State.NOT_SENT
    assert rig.accepted() == ["m1"]


@pytest.mark.parametrize("kind", ["smtp", "elks46", "twilio"])
async def test_nobody_listening_is_trouble_of_the_channel(kind: str) -> None:
    channel: Channel
    async with smtp_sink() as gone:
        pass
    if kind == "smtp":
        channel, message = SmtpChannel(smtp_options(gone.port)), mail()
    elif kind == "elks46":
        channel, message = Elks46Channel(elks_options(f"http://127.0.0.1:{gone.port}")), sms()
    else:
        channel, message = TwilioChannel(twilio_options(f"http://127.0.0.1:{gone.port}")), sms()
    assert await channel.send(message) == Outcome(State.NOT_SENT, "connection_lost")
    await channel.close()


async def test_the_fake_answers_as_scripted_and_can_be_asked() -> None:
    channel = MemoryChannel("sms", can_be_asked=True)
    channel.will(Outcome(State.UNKNOWN, "timeout"), accept=False)
    assert (await channel.send(sms("lost"))).state is State.UNKNOWN
    assert await channel.look_up(sms("lost")) is None
    channel.will(Outcome(State.UNKNOWN, "timeout"))
    await channel.send(sms("there"))
    found = await channel.look_up(sms("there"))
    assert found is not None
    assert found.state is State.SENT


# SMTP: the mail itself


async def test_the_bytes_arrive_as_given_and_the_envelope_is_ours() -> None:
    async with smtp_sink() as sink, smtp_channel(sink) as channel:
        message = mail()
        await channel.send(message)
        [got] = sink.accepted
        assert (got.raw, got.mail_from, got.recipients) == (message.body, "studs@kommun.example", (message.address,))
        assert await channel.look_up(message) is None


async def test_a_message_with_a_return_path_of_its_own_goes_under_it_and_the_next_under_ours() -> None:
    async with smtp_sink() as sink, smtp_channel(sink) as channel:
        await channel.send(replace(mail("m1"), return_path="studs+1.2@kommun.example"))
        await channel.send(mail("m2"))
        assert [got.mail_from for got in sink.accepted] == ["studs+1.2@kommun.example", "studs@kommun.example"]


@pytest.mark.parametrize("body", [b"A: b\n\nx\n.\ny", b"A: b\r\rx\r.\ry\r", b"A: b\r\n\r\nx\r\n.\r\ny\r\n"])
async def test_a_dot_in_the_body_ends_nothing_whatever_its_line_ends(body: bytes) -> None:
    async with smtp_sink() as sink, smtp_channel(sink) as channel:
        await channel.send(mail(body=body))
        assert [got.raw for got in sink.accepted] == [b"A: b\r\n\r\nx\r\n.\r\ny\r\n"]


async def test_a_plus_in_an_address_is_kept() -> None:
    async with smtp_sink() as sink, smtp_channel(sink) as channel:
        await channel.send(mail(address="kontakt+bygg@exempel.example"))
        assert sink.accepted[0].recipients == ("kontakt+bygg@exempel.example",)


async def test_a_swedish_domain_goes_as_a_label_without_smtputf8() -> None:
    async with smtp_sink(smtputf8=False) as sink, smtp_channel(sink) as channel:
        assert (await channel.send(mail(address="info@ångbåten.example"))).state is State.SENT
        assert sink.accepted[0].recipients == ("info@xn--ngbten-huad.example",)


async def test_a_swedish_local_part_goes_only_with_smtputf8() -> None:
    async with smtp_sink(smtputf8=False) as sink, smtp_channel(sink) as channel:
        outcome = await channel.send(mail(address="åsa@exempel.example"))
        assert outcome == Outcome(State.FAILED, "needs_smtputf8")
        assert (await channel.send(mail())).state is State.SENT
        assert sink.connections == 1
    async with smtp_sink() as sink, smtp_channel(sink) as channel:
        assert (await channel.send(mail(address="åsa@exempel.example"))).state is State.SENT
        assert sink.accepted[0].recipients == ("åsa@exempel.example",)
        assert "SMTPUTF8" in sink.accepted[0].options


@pytest.mark.parametrize("address", ["a@b@exempel.example> NOTIFY=NEVER", "a\r\nDATA@x.example", "ingen", "a@..å"])
async def test_what_is_no_address_is_refused_before_any_connection(address: str) -> None:
    async with smtp_sink() as sink, smtp_channel(sink) as channel:
        assert await channel.send(mail(address=address)) == Outcome(State.FAILED, "bad_address")
        assert sink.connections == 0


@pytest.mark.parametrize(
    ("point", "reply", "expected"),
    [
        (
            "done",
            "550 5.7.1 blocked",
            Outcome(State.RETRY, "policy", "5.7.1", alarm=True, retry_after=14_400.0, most_tries=2),
        ),
        ("rcpt", "550 5.1.1 unknown", Outcome(State.FAILED, "no_such_address", "5.1.1", suppress=True)),
        ("rcpt", "451 4.7.1 wait", Outcome(State.RETRY, "greylisted", "4.7.1", retry_after=300.0)),
        ("data", "451 4.3.0 no", Outcome(State.RETRY, "try_later", "4.3.0")),
        ("mail", "550 5.1.1 who", Outcome(State.NOT_SENT, "sender_refused", "5.1.1", alarm=True)),
    ],
)
async def test_a_refusal_is_told_by_its_phase_and_spares_the_connection(
    point: str, reply: str, expected: Outcome
) -> None:
    async with smtp_sink() as sink, smtp_channel(sink) as channel:
        sink.behaviour = once(point, Act(reply))
        assert await channel.send(mail("m1")) == expected
        assert (await channel.send(mail("m2"))).state is State.SENT
        assert (sink.connections, len(sink.accepted)) == (1, 1)


# SMTP: the pool


@asynccontextmanager
async def smtp_channel(sink: SmtpSink, **changes: object) -> AsyncIterator[SmtpChannel]:
    channel = SmtpChannel(smtp_options(sink.port, **changes))
    try:
        yield channel
    finally:
        await channel.close()


async def test_connections_are_kept_and_recycled() -> None:
    async with smtp_sink() as sink, smtp_channel(sink, pool_size=3, messages_per_connection=50) as channel:
        await asyncio.gather(*(channel.send(mail(f"m{number}")) for number in range(300)))
        assert len(sink.accepted) == 300
        assert 6 <= sink.connections <= 9


@pytest.mark.parametrize("point", ["mail", "rcpt", "done"])
async def test_the_pool_survives_a_421(point: str) -> None:
    async with smtp_sink() as sink, smtp_channel(sink, pool_size=1) as channel:
        await channel.send(mail("m1"))
        sink.behaviour = once(point, Act("421 4.3.2 shutting down"))
        outcome = await channel.send(mail("m2"))
        # Before MAIL was taken a new connection is tried at once; later it is the channel's trouble.
        assert outcome.state is (State.SENT if point == "mail" else State.NOT_SENT)
        assert (await channel.send(mail("m3"))).state is State.SENT
        assert sink.connections == 2
        assert len(sink.accepted) == (3 if point == "mail" else 2)


async def test_a_relay_that_restarted_costs_nothing() -> None:
    async with smtp_sink() as sink, smtp_channel(sink) as channel:
        await channel.send(mail("m1"))
        await sink.stop()
        await sink.start()
        assert (await channel.send(mail("m2"))).state is State.SENT


@pytest.mark.parametrize("point", ["mail", "rcpt", "data"])
async def test_closed_before_the_data_is_not_sent(point: str) -> None:
    async with smtp_sink() as sink, smtp_channel(sink) as channel:
        sink.behaviour = once(point, Act(drop=True))
        assert await channel.send(mail("m1")) == Outcome(State.NOT_SENT, "connection_lost")
        assert (await channel.send(mail("m2"))).state is State.SENT
        assert len(sink.accepted) == 1


@pytest.mark.parametrize(("point", "state"), [("rcpt", State.NOT_SENT), ("done", State.UNKNOWN)])
async def test_silence_is_told_by_its_phase(point: str, state: State) -> None:
    async with smtp_sink() as sink, smtp_channel(sink, answer_timeout=1) as channel:
        sink.behaviour = once(point, Act(delay=30))
        assert await channel.send(mail("m1")) == Outcome(state, "timeout")
        assert (await channel.send(mail("m2"))).state is State.SENT
        assert sink.connections == 2


@pytest.mark.parametrize("point", ["rcpt", "done"])
async def test_a_cancelled_send_leaves_no_half_used_connection(point: str) -> None:
    reached = asyncio.Event()

    def behaviour(at: str, _: int) -> Act | None:
        if at != point or reached.is_set():
            return None
        reached.set()
        return Act(delay=30)

    async with smtp_sink() as sink, smtp_channel(sink, pool_size=1) as channel:
        sink.behaviour = behaviour
        under_way = asyncio.create_task(channel.send(mail("m1", address="forst@exempel.example")))
        await reached.wait()
        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way
        assert (await channel.send(mail("m2"))).state is State.SENT
        assert sink.connections == 2
        assert sink.accepted[-1].recipients == ("anna@exempel.example",)


async def test_closing_lets_the_message_under_way_end() -> None:
    reached = asyncio.Event()
    let_go = asyncio.Event()

    async def hold(_: object) -> None:
        reached.set()
        await let_go.wait()

    async with smtp_sink(on_accept=hold) as sink, smtp_channel(sink) as channel:
        under_way = asyncio.create_task(channel.send(mail()))
        await reached.wait()
        await channel.close()
        let_go.set()
        assert (await under_way).state is State.SENT


# SMTP: what only a scripted relay does


class Relay:
    """Answers each command with a line by its first word, and remembers the commands."""

    def __init__(self, answers: dict[str, str], *, greeting: str = "220 relay", cut_during_data: bool = False) -> None:
        self.answers = {"EHLO": "250 relay", "DATA": "354 go on", ".": "250 2.0.0 Ok", "QUIT": "221 bye"} | answers
        self.greeting = greeting
        self.commands: list[str] = []
        self.talks: list[asyncio.Task[None] | None] = []
        self.cut_during_data = cut_during_data

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.talks.append(asyncio.current_task())
        try:
            writer.write(self.greeting.encode() + b"\r\n")
            while line := (await reader.readline()).decode().strip():
                await self.answer(line, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client is gone, or was cut
        finally:
            writer.transport.abort()

    async def answer(self, line: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.commands.append(line)
        answer = self.answers.get(line, self.answers.get(line.split()[0], "250 2.0.0 Ok"))
        writer.write(answer.encode() + b"\r\n")
        if not answer.startswith("354"):
            return
        if self.cut_during_data:
            for _ in range(1000):  # turns of our own loop, in which a client that did not wait would end its data
                await asyncio.sleep(0)
            raise ConnectionAbortedError
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(self.answers["."].encode() + b"\r\n")


@asynccontextmanager
async def listening(relay: Relay, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    server = await asyncio.start_server(relay.talk, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*filter(None, relay.talks))
        await server.wait_closed()


async def through(
    relay: Relay, message: Outgoing, server_tls: ssl.SSLContext | None = None, **changes: object
) -> Outcome:
    async with listening(relay, server_tls) as port:
        channel = SmtpChannel(smtp_options(port, **changes))
        outcome = await channel.send(message)
        await channel.close()
    return outcome


async def test_cut_in_the_midst_of_the_data_is_not_sent() -> None:
    outcome = await through(Relay({}, cut_during_data=True), mail(body=BIG))
    assert outcome == Outcome(State.NOT_SENT, "connection_lost")


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"MAIL": "hello"}, Outcome(State.NOT_SENT, "unreadable_answer", "-1", alarm=True)),
        ({"DATA": "250 what"}, Outcome(State.NOT_SENT, "unreadable_answer", "250", alarm=True)),
        ({".": "hello"}, Outcome(State.UNKNOWN, "unreadable_answer", "-1")),
        ({"EHLO": "550 5.7.1 no"}, Outcome(State.NOT_SENT, "relay_refuses", "5.7.1", alarm=True)),
    ],
)
async def test_nonsense_is_sent_by_nobody(answers: dict[str, str], expected: Outcome) -> None:
    assert await through(Relay(answers), mail()) == expected


async def test_a_greeting_that_refuses_is_the_channels_trouble() -> None:
    outcome = await through(Relay({}, greeting="554 5.7.1 go away"), mail())
    assert outcome == Outcome(State.NOT_SENT, "relay_refuses", "5.7.1", alarm=True)


async def test_delivery_reports_are_asked_for_where_offered() -> None:
    relay = Relay({"EHLO": "250-relay\r\n250-SIZE 1000000\r\n250 DSN"})
    assert (await through(relay, mail("runda+1=a"))).state is State.SENT
    size = len(MAIL % b"runda+1=a")
    assert relay.commands[1:3] == [
        f"MAIL FROM:<studs@kommun.example> SIZE={size} RET=HDRS ENVID=runda+2B1+3Da",
        "RCPT TO:<anna@exempel.example> NOTIFY=FAILURE,DELAY",
    ]


async def test_delivery_reports_refused_after_all_are_dropped_once() -> None:
    refused = "RCPT TO:<anna@exempel.example> NOTIFY=FAILURE,DELAY"
    relay = Relay({"EHLO": "250-relay\r\n250 DSN", refused: "555 5.5.4 unsupported"})
    assert (await through(relay, mail())).state is State.SENT
    assert [command.split()[0] for command in relay.commands[1:6]] == ["MAIL", "RCPT", "RSET", "MAIL", "RCPT"]
    assert relay.commands[5] == "RCPT TO:<anna@exempel.example>"


async def test_eight_bit_bodies_are_announced_or_refused() -> None:
    body = MAIL % b"m1" + "Mörby\r\n".encode()
    relay = Relay({"EHLO": "250-relay\r\n250 8BITMIME"})
    assert (await through(relay, mail(body=body))).state is State.SENT
    assert relay.commands[1] == "MAIL FROM:<studs@kommun.example> BODY=8BITMIME"
    assert await through(Relay({}), mail(body=body)) == Outcome(State.FAILED, "needs_8bitmime", alarm=True)


async def test_a_relay_without_tls_gets_neither_password_nor_mail() -> None:
    relay = Relay({})
    outcome = await through(relay, mail(), tls="starttls", username="u", password="p")
    assert outcome == Outcome(State.NOT_SENT, "tls_not_offered", alarm=True)
    assert relay.commands == ["EHLO test.example"]


# SMTP: TLS


class Certified:
    """A relay's certificate, and the authority that vouches for it alone."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        self._certificate = authority.issue_cert("127.0.0.1")

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._certificate.configure_cert(context)
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Certified, Certified]:
    """The relay's, and a stranger's."""
    return Certified(tmp_path_factory.mktemp("relay")), Certified(tmp_path_factory.mktemp("stranger"))


@pytest.mark.filterwarnings("ignore:Requiring AUTH:UserWarning")  # aiosmtpd does not see implicit TLS
@pytest.mark.parametrize("kind", ["starttls", "implicit"])
async def test_tls_and_login(kind: str, certificates: tuple[Certified, Certified]) -> None:
    relay, _ = certificates
    secured = {"tls": relay.server_context(), "implicit_tls": kind == "implicit", "credentials": ("u", "hemlig")}
    trusting = {"tls": kind, "ca_file": relay.ca_file, "username": "u"}
    async with smtp_sink(**secured) as sink:
        async with smtp_channel(sink, **trusting, password=SecretStr("hemlig")) as channel:
            outcomes = await asyncio.gather(*(channel.send(mail(f"m{number}")) for number in range(20)))
            assert {outcome.state for outcome in outcomes} == {State.SENT}
            assert sink.connections <= 4
        async with smtp_channel(sink, **trusting, password=SecretStr("fel")) as channel:
            outcome = await channel.send(mail())
            assert (outcome.state, outcome.code, outcome.alarm) == (State.NOT_SENT, "credentials", True)
        assert len(sink.accepted) == 20


@pytest.mark.parametrize("kind", ["starttls", "implicit"])
async def test_a_stranger_with_another_certificate_gets_nothing(
    kind: str, certificates: tuple[Certified, Certified]
) -> None:
    relay, stranger = certificates
    asyncio.get_running_loop().set_debug(False)  # in debug mode asyncio calls the client's refusal a server error
    async with (
        smtp_sink(tls=stranger.server_context(), implicit_tls=kind == "implicit") as sink,
        smtp_channel(sink, tls=kind, ca_file=relay.ca_file) as channel,
    ):
        assert await channel.send(mail()) == Outcome(State.NOT_SENT, "tls_failed", alarm=True)
        assert not sink.accepted


@pytest.mark.parametrize("kind", ["starttls", "implicit"])
async def test_an_answer_lost_under_tls_is_unknown(kind: str, certificates: tuple[Certified, Certified]) -> None:
    relay, _ = certificates
    async with (
        smtp_sink(tls=relay.server_context(), implicit_tls=kind == "implicit") as sink,
        smtp_channel(sink, tls=kind, ca_file=relay.ca_file) as channel,
    ):
        sink.behaviour = once("done", Act(drop=True))
        assert (await channel.send(mail("m1"))).state is State.UNKNOWN
        sink.behaviour = once("data", Act(drop=True))
        assert (await channel.send(mail("m2"))).state is State.NOT_SENT
        assert len(sink.accepted) == 1


async def test_cut_in_the_midst_of_the_data_under_tls_is_not_sent(
    certificates: tuple[Certified, Certified],
) -> None:
    relay, _ = certificates
    secure = {"tls": "implicit", "ca_file": relay.ca_file}
    outcome = await through(Relay({}, cut_during_data=True), mail(body=BIG), relay.server_context(), **secure)
    assert outcome == Outcome(State.NOT_SENT, "connection_lost")


@pytest.mark.parametrize("kind", ["none", "starttls", "implicit"])
async def test_a_big_mail_arrives_whole(kind: str, certificates: tuple[Certified, Certified]) -> None:
    relay, _ = certificates
    secure = {} if kind == "none" else {"tls": relay.server_context(), "implicit_tls": kind == "implicit"}
    async with (
        smtp_sink(**secure) as sink,
        smtp_channel(sink, tls=kind, ca_file=relay.ca_file) as channel,
    ):
        assert (await channel.send(mail(body=BIG))).state is State.SENT
        assert sink.accepted[0].raw == BIG


async def test_settings_that_would_leak_or_fail_are_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="needs tls"):
        smtp_options(25, username="u", password="p")
    with pytest.raises(ValidationError, match="together"):
        smtp_options(25, tls="starttls", username="u")
    with pytest.raises(Fault, match="ca_file"):
        SmtpChannel(smtp_options(25, tls="starttls", ca_file=tmp_path / "missing.pem"))
    with pytest.raises(ValidationError, match="sender"):
        elks_options("http://127.0.0.1:1", sender="Danderyds kommun")


# 46elks


async def test_the_request_is_in_46elks_shape() -> None:
    async with sms_sink(credentials=("u", "p")) as sink, elks_channel(sink) as channel:
        outcome = await channel.send(sms("runda 1/anna"))
        [got] = sink.accepted
        assert outcome == Outcome(
            State.SENT, "accepted", "200", provider_ref=got.id, segments=1, cost=3500, currency="SEK"
        )
        assert (got.sender, got.to, got.text) == ("Danderyd", "+46700000000", "Hej från Mörby")
        assert (got.receipt_url, got.reference) == (f"{RECEIPTS}/runda%201%2Fanna", "runda 1/anna")
        assert not got.logged


@asynccontextmanager
async def elks_channel(sink: SmsSink, **changes: object) -> AsyncIterator[Elks46Channel]:
    channel = Elks46Channel(elks_options(sink.url, **changes))
    try:
        yield channel
    finally:
        await channel.close()


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (Act("400 bad"), Outcome(State.FAILED, "bad_request", "400", alarm=True)),
        (Act("401 who"), Outcome(State.NOT_SENT, "credentials", "401", alarm=True)),
        (Act("403 no credits"), Outcome(State.NOT_SENT, "credentials", "403", alarm=True)),
        (Act("404 where"), Outcome(State.NOT_SENT, "unexpected_answer", "404", alarm=True)),
        (Act("302 there"), Outcome(State.NOT_SENT, "unexpected_answer", "302", alarm=True)),
        (Act("429 slow", retry_after=7), Outcome(State.NOT_SENT, "too_fast", "429", retry_after=7.0)),
        (Act("429 slow"), Outcome(State.NOT_SENT, "too_fast", "429", retry_after=60.0)),
        (Act("500 oops"), Outcome(State.RETRY, "try_later", "500")),
        (Act("503 later"), Outcome(State.RETRY, "try_later", "503")),
        (Act("502 gateway"), Outcome(State.UNKNOWN, "gateway", "502")),
        (Act("504 gateway"), Outcome(State.UNKNOWN, "gateway", "504")),
        (Act("200 <html>Welcome to the hotel"), Outcome(State.UNKNOWN, "unreadable_answer", "200")),
    ],
)
async def test_each_answer_of_46elks(act: Act, expected: Outcome) -> None:
    async with sms_sink() as sink, elks_channel(sink) as channel:
        sink.behaviour = once("sms", act)
        assert await channel.send(sms()) == expected


async def test_wrong_credentials_stop_the_channel() -> None:
    async with sms_sink(credentials=("u", "annat")) as sink, elks_channel(sink) as channel:
        assert await channel.send(sms()) == Outcome(State.NOT_SENT, "credentials", "401", alarm=True)
        assert await channel.look_up(sms()) == Outcome(State.UNKNOWN, "not_asked")


@pytest.mark.parametrize("act", [Act(drop=True), Act(delay=30)])
@pytest.mark.parametrize("echo", [True, False])
async def test_a_message_whose_answer_was_lost_is_found(act: Act, echo: bool) -> None:
    async with sms_sink(echo_receipts=echo) as sink, elks_channel(sink, timeout=1) as channel:
        sink.behaviour = once("sms", act)
        message = sms("m1")
        assert (await channel.send(message)).state is State.UNKNOWN
        there = Outcome(
            State.SENT, "accepted", "200", provider_ref=sink.accepted[0].id, segments=1, cost=3500, currency="SEK"
        )
        assert await channel.look_up(message) == there


async def test_another_message_is_not_taken_for_the_lost_one() -> None:
    async with sms_sink(echo_receipts=True) as sink, elks_channel(sink) as channel:
        sink.behaviour = once("sms", Act(drop=True, accept=False))
        lost = sms("m1")
        assert (await channel.send(lost)).state is State.UNKNOWN
        await channel.send(sms("m2"))
        await channel.send(sms("m1", address="+46700000001"))
        assert await channel.look_up(lost) is None


async def test_an_older_message_to_the_same_number_is_not_taken_for_the_lost_one() -> None:
    async with sms_sink() as sink, elks_channel(sink) as channel:
        await channel.send(sms("m1"))
        later = Outgoing("m2", "+46700000000", b"Hej", "m2", datetime.now(UTC) + timedelta(seconds=5))
        assert await channel.look_up(later) is None
        much_earlier = Outgoing("m0", "+46700000000", b"Hej", "m0", datetime.now(UTC) - timedelta(hours=1))
        assert await channel.look_up(much_earlier) is None


@pytest.mark.parametrize("act", [Act(drop=True), Act("500 oops"), Act("200 nonsense"), Act(delay=30)])
async def test_a_history_that_cannot_be_read_says_neither_yes_nor_no(act: Act) -> None:
    async with sms_sink() as sink, elks_channel(sink, timeout=1) as channel:
        message = sms()
        await channel.send(message)
        sink.behaviour = always("history", act)
        assert await channel.look_up(message) == Outcome(State.UNKNOWN, "not_asked")


# Twilio


@asynccontextmanager
async def twilio_channel(sink: TwilioSink, **changes: object) -> AsyncIterator[TwilioChannel]:
    channel = TwilioChannel(twilio_options(sink.url, **changes))
    try:
        yield channel
    finally:
        await channel.close()


async def test_the_request_is_in_twilios_shape() -> None:
    async with twilio_sink(credentials=(ACCOUNT, "p")) as sink, twilio_channel(sink) as channel:
        outcome = await channel.send(sms("runda 1/anna"))
        [got] = sink.accepted
        assert outcome == Outcome(
            State.SENT, "accepted", "201", provider_ref=got.id, segments=1, cost=9000, currency="SEK"
        )
        assert (got.sender, got.to, got.text) == ("Danderyd", "+46700000000", "Hej från Mörby")
        assert (got.receipt_url, got.reference) == (f"{RECEIPTS_OF_TWILIO}/runda%201%2Fanna", "runda 1/anna")


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (Act('400 {"code": 21211}'), Outcome(State.FAILED, "no_such_address", "21211", suppress=True)),
        (Act('400 {"code": 21610}'), Outcome(State.FAILED, "opted_out", "21610", suppress=True)),
        (Act('400 {"code": 21614}'), Outcome(State.FAILED, "not_mobile", "21614", suppress=True)),
        (Act('400 {"code": 21408}'), Outcome(State.FAILED, "not_routed", "21408", alarm=True)),
        (Act('400 {"code": 21606}'), Outcome(State.NOT_SENT, "sender_refused", "21606", alarm=True)),
        (Act('400 {"code": 29999}'), Outcome(State.FAILED, "bad_request", "29999", alarm=True)),
        (Act("400 bad"), Outcome(State.FAILED, "bad_request", "400", alarm=True)),
        (Act('401 {"code": 20003}'), Outcome(State.NOT_SENT, "credentials", "20003", alarm=True)),
        (Act("403 no"), Outcome(State.NOT_SENT, "credentials", "403", alarm=True)),
        (Act("404 where"), Outcome(State.NOT_SENT, "unexpected_answer", "404", alarm=True)),
        (Act('429 {"code": 20429}'), Outcome(State.NOT_SENT, "too_fast", "20429", retry_after=60.0)),
        (Act("429 slow", retry_after=7), Outcome(State.NOT_SENT, "too_fast", "429", retry_after=7.0)),
        (Act("503 later"), Outcome(State.RETRY, "try_later", "503")),
        (Act("502 gateway"), Outcome(State.UNKNOWN, "gateway", "502")),
        (Act("200 <html>Welcome to the hotel"), Outcome(State.UNKNOWN, "unreadable_answer", "200")),
        (Act("201 <html>Welcome to the hotel"), Outcome(State.UNKNOWN, "unreadable_answer", "201")),
    ],
)
async def test_each_answer_of_twilio(act: Act, expected: Outcome) -> None:
    async with twilio_sink() as sink, twilio_channel(sink) as channel:
        sink.behaviour = once("sms", act)
        assert await channel.send(sms()) == expected


@pytest.mark.parametrize("redact", [False, True])
async def test_a_message_whose_answer_was_lost_is_found_at_twilio(redact: bool) -> None:
    async with twilio_sink(redact=redact) as sink, twilio_channel(sink) as channel:
        sink.behaviour = once("sms", Act(drop=True))
        message = sms("m1")
        assert (await channel.send(message)).state is State.UNKNOWN
        id_ = sink.accepted[0].id
        there = Outcome(State.SENT, "accepted", "200", provider_ref=id_, segments=1, cost=9000, currency="SEK")
        assert await channel.look_up(message) == there


async def test_another_text_to_the_same_number_is_not_taken_for_the_lost_one_at_twilio() -> None:
    async with twilio_sink() as sink, twilio_channel(sink) as channel:
        sink.behaviour = once("sms", Act(drop=True, accept=False))
        lost = sms("m1")
        await channel.send(lost)
        await channel.send(replace(sms("m2"), body=b"Hej igen"))
        await channel.send(sms("m3", address="+46700000001"))
        assert await channel.look_up(lost) is None
        later = replace(sms("m2"), body=b"Hej igen", intent_at=datetime.now(UTC) + timedelta(seconds=5))
        assert await channel.look_up(later) is None


@asynccontextmanager
async def answering(page: dict[str, object]) -> AsyncIterator[str]:
    """A server that answers every question with this page."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(page)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_message_that_46elks_gave_up_is_found_as_failed() -> None:
    message = sms()
    created = message.intent_at.replace(tzinfo=None).isoformat()
    record = {"id": "s1", "status": "failed", "from": "Danderyd", "to": message.address, "created": created}
    async with answering({"data": [record]}) as url:
        channel = Elks46Channel(elks_options(url))
        assert await channel.look_up(message) == Outcome(State.FAILED, "undelivered")
        await channel.close()


async def test_a_message_that_twilio_gave_up_is_found_as_failed_with_its_reason() -> None:
    message = sms()
    record = {"sid": "SM1", "status": "undelivered", "to": message.address, "error_code": 30005, "body": ""}
    async with answering({"messages": [record | {"date_created": format_datetime(message.intent_at)}]}) as url:
        channel = TwilioChannel(twilio_options(url))
        assert await channel.look_up(message) == Outcome(State.FAILED, "no_such_address", "30005", suppress=True)
        await channel.close()


# The sinks as a program


async def test_the_sinks_run_as_a_process_and_log_what_they_accept(tmp_path: Path) -> None:
    log = tmp_path / "accepted.jsonl"
    program = [sys.executable, "-m", "services.notifier.channels.sinks", "--smtp", "0", "--sms", "0", "--log", str(log)]
    process = await asyncio.create_subprocess_exec(*program, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        ports = json.loads(await process.stdout.readline())
        post, text = (
            SmtpChannel(smtp_options(ports["smtp"])),
            Elks46Channel(elks_options(f"http://127.0.0.1:{ports['sms']}")),
        )
        assert (await post.send(mail("m1"))).state is State.SENT
        assert (await text.send(sms("m2"))).state is State.SENT
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        await asyncio.gather(post.close(), text.close())
    finally:
        process.terminate()
        assert await process.wait() == 0
    assert [(line["n"], line["channel"]) for line in lines] == [(1, "email"), (2, "sms")]
    assert (lines[0]["id"], lines[1]["reference"]) == ("<m1@kommun.example>", "m2")
    assert "exempel" not in json.dumps(lines)

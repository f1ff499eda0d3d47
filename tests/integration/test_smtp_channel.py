"""Mail over SMTP, by both ways to talk: commands one by one, with aiosmtplib as the reader of replies, and pipelined.
What is true of the first must be true of the second: every test here runs on both.
"""

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from services.notifier.channels.port import Outcome, Outgoing, State
from services.notifier.channels.sink_behaviour import Act
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.channels.smtp_sink import SmtpSink
from services.runtime.errors import Fault
from tests import mail_sinks
from tests.mail_sinks import MAIL, Certified, mail, once, smtp_options

pytestmark = pytest.mark.anyio

BIG = MAIL % b"big" + (b"x" * 900 + b"\r\n") * 8_000


PIPELINING = True
"""Whether the relays of a test offer it."""


@pytest.fixture(params=[True, False], ids=["pipelining", "one_by_one"], autouse=True)
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PIPELINING", request.param)


def smtp_sink(**options: object) -> AbstractAsyncContextManager[SmtpSink]:
    return mail_sinks.smtp_sink(pipelining=PIPELINING, **options)


# The mail itself


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


# The pool


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


# What only a scripted relay does


class Relay:
    """Answers each command with a line by its first word, and remembers the commands."""

    def __init__(self, answers: dict[str, str], *, greeting: str = "220 relay", cut_during_data: bool = False) -> None:
        usual = {"EHLO": "250 relay", "DATA": "354 go on", ".": "250 2.0.0 Ok", "QUIT": "221 bye"}
        self.answers = usual | answers
        if PIPELINING and self.answers["EHLO"].startswith("250"):
            self.answers["EHLO"] = "250-relay\r\n250-PIPELINING\r\n" + self.answers["EHLO"]
        self.greeting = greeting
        self.commands: list[str] = []
        self.bodies: list[bytes] = []
        self._writer: asyncio.StreamWriter | None = None
        self.talks: list[asyncio.Task[None] | None] = []
        self.cut_during_data = cut_during_data

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.talks.append(asyncio.current_task())
        self._writer = writer
        try:
            writer.write(self.greeting.encode() + b"\r\n")
            while line := (await reader.readline()).decode().strip():
                await self.answer(line, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client is gone, or was cut
        finally:
            writer.transport.abort()

    async def say(self, line: str) -> None:
        """Something that nobody asked, and turns of our own loop in which it arrives."""
        assert self._writer is not None
        self._writer.write(line.encode() + b"\r\n")
        for _ in range(1000):
            await asyncio.sleep(0)

    async def answer(self, command: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.commands.append(command)
        answer = self.answers.get(command, self.answers.get(command.split()[0], "250 2.0.0 Ok"))
        writer.write(answer.encode() + b"\r\n")
        if not answer.startswith("354"):
            return
        if self.cut_during_data:
            for _ in range(1000):  # turns of our own loop, in which a client that did not wait would end its data
                await asyncio.sleep(0)
            raise ConnectionAbortedError
        body = b""
        while (line := await reader.readuntil(b"\r\n")) != b".\r\n":
            body += line.removeprefix(b".")
        self.bodies.append(body)
        self.commands.append(".")
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
    said = [command.split()[0] for command in relay.commands[1:-1]]
    refused_group = ["MAIL", "RCPT", "DATA", "."] if PIPELINING else ["MAIL", "RCPT"]
    assert said == [*refused_group, "RSET", "MAIL", "RCPT", "DATA", "."]
    assert "RCPT TO:<anna@exempel.example>" in relay.commands


async def test_a_refused_recipient_gets_no_body_though_the_relay_says_yes_to_data() -> None:
    """RFC 2920 §3.1: the yes to DATA is answered with a lone dot, and the connection goes on."""
    relay = Relay({"RCPT": "550 5.1.1 unknown", ".": "554 5.5.1 no valid recipients"})
    async with listening(relay) as port:
        channel = SmtpChannel(smtp_options(port, pool_size=1))
        refused = await channel.send(mail())
        relay.answers |= {"RCPT": "250 2.1.5 Ok", ".": "250 2.0.0 Ok"}
        taken = await channel.send(mail("m2"))
        await channel.close()
    assert refused == Outcome(State.FAILED, "no_such_address", "5.1.1", suppress=True)
    assert taken.state is State.SENT
    assert relay.bodies == ([b"", MAIL % b"m2"] if PIPELINING else [MAIL % b"m2"])
    assert len(relay.talks) == 1


async def test_a_word_between_messages_is_nobodys_answer() -> None:
    """A relay that says goodbye to an idle connection: the next message goes over a new one."""
    relay = Relay({})
    async with listening(relay) as port:
        channel = SmtpChannel(smtp_options(port, pool_size=1))
        assert (await channel.send(mail("m1"))).state is State.SENT
        await relay.say("250 2.0.0 Ok: queued as STRAY0")
        assert (await channel.send(mail("m2"))).provider_ref != "STRAY0"
        assert (await channel.send(mail("m3"))).state is State.SENT
        await channel.close()
    assert relay.bodies == [MAIL % b"m1", MAIL % b"m2", MAIL % b"m3"]


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


# TLS


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

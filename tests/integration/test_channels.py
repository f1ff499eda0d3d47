"""One contract for every channel, run on the fake and on the real ones against the sinks; then what each adds."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from aiohttp import web
from pydantic import SecretStr

from services.notifier.channels.elks46 import Elks46Channel, Elks46Options
from services.notifier.channels.memory import MemoryChannel
from services.notifier.channels.port import Channel, Outcome, Outgoing, State
from services.notifier.channels.sink_behaviour import Act
from services.notifier.channels.sms_sinks import SmsSink, TwilioSink
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.channels.twilio import TwilioChannel, TwilioOptions
from tests.mail_sinks import Certified, always, mail, once, smtp_options, smtp_sink

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:Requiring AUTH:UserWarning"),  # aiosmtpd does not see implicit TLS
]

RECEIPTS = "https://kommun.example/receipts/46elks"
RECEIPTS_OF_TWILIO = "https://kommun.example/receipts/twilio"
ACCOUNT = "AC" + "0123456789abcdef" * 2


def sms(reference: str = "m1", address: str = "+46700000000") -> Outgoing:
    return Outgoing(reference, address, "Hej från Mörby".encode(), reference, datetime.now(UTC))


def elks_options(url: str, **changes: object) -> Elks46Options:
    plain = {"base_url": url, "username": "u", "password": "p", "sender": "Danderyd", "receipt_base": RECEIPTS}
    return Elks46Options.model_validate(plain | changes)


def twilio_options(url: str, **changes: object) -> TwilioOptions:
    plain = {"base_url": url, "account_sid": ACCOUNT, "auth_token": "p", "sender": "Danderyd"}
    return TwilioOptions.model_validate(plain | {"receipt_base": RECEIPTS_OF_TWILIO, "price": "0.9"} | changes)


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
async def pipelining_rig() -> AsyncIterator[Rig]:
    async with smtp_rig(pipelining=True) as rig:
        yield rig


@asynccontextmanager
async def one_by_one_rig() -> AsyncIterator[Rig]:
    async with smtp_rig(pipelining=False) as rig:
        yield rig


@asynccontextmanager
async def starttls_rig() -> AsyncIterator[Rig]:
    async with secured_rig("starttls") as rig:
        yield rig


@asynccontextmanager
async def implicit_tls_rig() -> AsyncIterator[Rig]:
    async with secured_rig("implicit") as rig:
        yield rig


@asynccontextmanager
async def secured_rig(kind: str) -> AsyncIterator[Rig]:
    """A relay that wants TLS and a log-in, and whose certificate is vouched for by one authority alone."""
    with TemporaryDirectory() as folder:
        certified = Certified(Path(folder))
        wanted = {"tls": certified.server_context(), "implicit_tls": kind == "implicit", "credentials": ("u", "hemlig")}
        given = {"tls": kind, "ca_file": certified.ca_file, "username": "u", "password": SecretStr("hemlig")}
        async with smtp_rig(pipelining=True, wanted=wanted, given=given) as rig:
            yield rig


@asynccontextmanager
async def smtp_rig(
    *, pipelining: bool, wanted: Mapping[str, object] | None = None, given: Mapping[str, object] | None = None
) -> AsyncIterator[Rig]:
    acts = {
        "refused": ("rcpt", Act("550 5.1.1 <anna@exempel.example>: unknown")),
        "later": ("rcpt", Act("451 4.7.1 Greylisted")),
        "lost": ("done", Act(drop=True)),
    }
    async with smtp_sink(pipelining=pipelining, **(wanted or {})) as sink:
        channel = SmtpChannel(smtp_options(sink.port, **(given or {})))

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


@pytest.fixture(
    params=[memory_rig, pipelining_rig, one_by_one_rig, starttls_rig, implicit_tls_rig, elks46_rig, twilio_rig],
    ids=["memory", "pipelining", "one_by_one", "starttls", "implicit_tls", "elks46", "twilio"],
)
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
async def answering(body: dict[str, object] | str, status: int = 200) -> AsyncIterator[str]:
    """A server that has one answer, an object or a text, to everything."""

    async def answer(_: web.Request) -> web.Response:
        if isinstance(body, str):
            return web.Response(status=status, text=body)
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
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

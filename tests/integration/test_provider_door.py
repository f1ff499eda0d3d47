"""The notifier's public port: receipts that come early, late, twice or from nowhere, and what people write back."""

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from pydantic import SecretStr
from sqlalchemy import select

from schemas.round import EXAMPLE as ROUND
from services.notifier.app import build
from services.notifier.channels.elks46 import Elks46Channel, Elks46Options
from services.notifier.channels.elks46_callbacks import Elks46Callbacks
from services.notifier.channels.memory import MemoryChannel
from services.notifier.channels.port import Outcome, Outgoing, State
from services.notifier.channels.sink_behaviour import Act
from services.notifier.channels.twilio import TwilioOptions
from services.notifier.channels.twilio_callbacks import SIGNATURE, TwilioCallbacks, signature
from services.notifier.composing import cases_of
from services.notifier.ledger.tables import MESSAGES, NOTICES
from services.notifier.outcomes.answers import Answers
from services.notifier.outcomes.dead_addresses import DeadAddresses
from services.notifier.outcomes.late import LateOutcomes
from services.notifier.outcomes.passing_on import Ours
from services.notifier.outcomes.receipts import Receipts
from services.notifier.provider_door import ProviderDoor, answers_url
from services.notifier.settings import NotifierOptions, NotifierSettings
from services.runtime.clock import SystemClock
from services.runtime.link_tokens import Purpose, mint
from services.runtime.metrics import PROVIDER_CALLS
from services.runtime.sealing import Vault
from tests.integration.test_channels import elks_options, sms_sink
from tests.mail_sinks import once
from tests.notifier_house import INDEX, VAULT, House, Plain

pytestmark = pytest.mark.anyio

KEY, OLD_KEY = b"k" * 32, b"o" * 32
OURS = Ours("Exempel kommun", "naringsliv@kommun.example", "svar@kommun.example", ["naringsliv@kommun.example"])
PUBLIC = "https://svar.kommun.example"
TOKEN = "12345"
UNKNOWN = Outcome(State.UNKNOWN, "timeout")
STRANGER = 2**62
TEXTS: dict[str, Any] = dict(ROUND["texts"])  # type: ignore[call-overload]
OFFICIAL = "bygglov@kommun.example"
TEXTS["official"] = {**TEXTS["official"], "email": OFFICIAL}


class Telling(MemoryChannel):
    """A provider that may do something between taking a message and answering."""

    def __init__(self, provider: str) -> None:
        super().__init__("sms", provider=provider, can_be_asked=True)
        self.then: Callable[[Outgoing], Awaitable[None]] | None = None

    async def send(self, message: Outgoing) -> Outcome:
        outcome = await super().send(message)
        if self.then is not None:
            await self.then(message)
        return outcome


class Answered(House):
    """A notifier with an open door, and two providers that can use it."""

    receipt_key = KEY

    def __init__(self, url: str) -> None:
        self.elks, self.twilio = Telling("46elks"), Telling("twilio")
        super().__init__(url)
        self.providers = (self.elks, self.twilio)
        self.sender = self.new_sender()
        elks = Elks46Options(
            username="u", password=SecretStr("p"), sender="+46766860000", receipt_base=f"{PUBLIC}/receipts/46elks"
        )
        self.twilio_options = TwilioOptions(
            account_sid="AC" + "0" * 32,
            auth_token=SecretStr(TOKEN),
            sender="+46766860000",
            receipt_base=f"{PUBLIC}/receipts/twilio",
        )
        self.door = ProviderDoor(
            "127.0.0.1",
            0,
            PUBLIC,
            [KEY, OLD_KEY],
            [Elks46Callbacks(elks), TwilioCallbacks(self.twilio_options)],
            Receipts(self.database, LateOutcomes(self.outbox, DeadAddresses(self.outbox, INDEX)), self.clock),
            Answers(self.database, self.outbox, Vault(VAULT), INDEX, self.clock, OURS),
        )

    async def reach(self, phone: str = "+46701740605") -> None:
        await self.round(texts=TEXTS)
        await self.company("w-r1", "r1")
        await self.contact("r1", phone, "sms")
        await self.invite("r1", "w-r1")

    async def post(self, path: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None) -> int:
        url = f"http://127.0.0.1:{self.door.port}{path}"
        async with aiohttp.ClientSession() as session, session.post(url, data=form, headers=headers) as response:
            assert await response.read() == b"" or response.status == 404
            return response.status

    async def elks_says(self, reference: str, status: str) -> int:
        return await self.post(f"/receipts/46elks/{reference}", {"id": "s1", "status": status})

    async def twilio_says(self, reference: str, status: str, code: str = "", token: str = TOKEN) -> int:
        form = {"MessageSid": "SM1", "MessageStatus": status, **({"ErrorCode": code} if code else {})}
        url = self.twilio_options.receipt_url(reference)
        signed = {SIGNATURE: signature(token, url, form).decode()}
        return await self.post(f"/receipts/twilio/{reference}", form, signed)

    async def wrote(self, text: str, phone: str = "+46701740605", id_: str = "s9") -> int:
        form = {"direction": "incoming", "id": id_, "from": phone, "to": "+46766860000", "message": text}
        return await self.post(urlsplit(answers_url(PUBLIC, "46elks", KEY)).path, form)

    async def message(self) -> Any:
        [row] = await self.messages()
        return row

    async def flushed(self) -> list[str]:
        await self.outbox.flush()
        return self.states()


def counted(provider: str, kind: str, outcome: str) -> float:
    value: float = PROVIDER_CALLS.labels(provider, kind, outcome)._value.get()
    return value


@pytest.fixture
async def answered(ledger_url: str) -> AsyncIterator[Answered]:
    made = Answered(ledger_url)
    await made.door.start()
    yield made
    await made.door.stop()
    await made.database.close()


async def test_a_receipt_moves_a_sent_message_to_delivered_and_tells_it(answered: Answered) -> None:
    await answered.reach()
    await answered.sender.turn()
    [taken] = answered.elks.accepted
    assert await answered.elks_says(taken.reference, "delivered") == 204
    assert await answered.flushed() == ["composed", "sent", "delivered"]
    assert [event.attempt for event in answered.told()] == [1, 1, 1]
    assert (await answered.message()).state == "delivered"


async def test_fc_030_a_receipt_that_comes_before_our_own_outcome_stands(answered: Answered) -> None:
    """FC-030: what the message costs is noted all the same."""

    async def at_once(message: Outgoing) -> None:
        assert await answered.elks_says(message.reference, "delivered") == 204

    await answered.reach()
    answered.elks.will(Outcome(State.SENT, "accepted", provider_ref="s1", segments=2, cost=7000, currency="SEK"))
    answered.elks.then = at_once
    await answered.sender.turn()
    answered.clock.moment += timedelta(hours=1)
    await answered.sender.turn()
    assert await answered.flushed() == ["composed", "delivered"]
    message = await answered.message()
    assert (message.state, message.cost, message.segments) == ("delivered", 7000, 2)
    assert message.sent_at is not None  # and so it counts against the month's cap
    assert len(answered.elks.accepted) == 1


async def test_fc_031_a_state_only_moves_forward_and_the_same_receipt_twice_is_one(answered: Answered) -> None:
    """FC-031."""
    await answered.reach()
    await answered.sender.turn()
    [taken] = answered.elks.accepted
    for status in ("delivered", "sent", "delivered", "failed"):
        assert await answered.elks_says(taken.reference, status) == 204
    assert await answered.flushed() == ["composed", "sent", "delivered"]


async def test_fc_031_a_receipt_for_a_number_that_was_never_drawn_is_counted_and_answered(answered: Answered) -> None:
    """FC-031."""
    before = counted("46elks", "receipt", "unknown")
    assert await answered.elks_says(mint(STRANGER, KEY, Purpose.RECEIPT), "delivered") == 204
    assert counted("46elks", "receipt", "unknown") == before + 1


async def test_delivered_wins_over_failed_and_failed_is_told(answered: Answered) -> None:
    await answered.reach()
    await answered.sender.turn()
    [taken] = answered.elks.accepted
    for status in ("failed", "delivered"):
        await answered.elks_says(taken.reference, status)
    assert await answered.flushed() == ["composed", "sent", "failed", "delivered"]


@pytest.mark.parametrize("status", ["delivered", "sent"])
async def test_an_unknown_outcome_with_a_receipt_within_ten_minutes_is_neither_asked_about_nor_sent_again(
    answered: Answered, status: str
) -> None:
    await answered.reach()
    answered.elks.will(UNKNOWN)
    await answered.sender.turn()
    assert answered.states() == ["composed", "unknown"]
    answered.clock.moment += timedelta(minutes=9)
    assert await answered.elks_says(answered.elks.accepted[0].reference, status) == 204
    answered.elks.cannot_be_asked_now = True
    answered.clock.moment += timedelta(hours=1)
    await answered.sender.turn()
    assert answered.states() == ["composed", "unknown", status]
    assert len(answered.elks.accepted) == 1


async def test_a_provider_that_failed_and_had_taken_the_message_all_the_same_is_not_given_it_again(
    answered: Answered,
) -> None:
    await answered.reach()
    answered.elks.will(Outcome(State.RETRY, "try_later", "500"), accept=True)
    await answered.sender.turn()
    assert await answered.elks_says(answered.elks.accepted[0].reference, "delivered") == 204
    answered.clock.moment += timedelta(hours=1)
    await answered.sender.turn()
    assert len(answered.elks.accepted) == 1
    assert answered.states() == ["composed", "retry", "delivered"]


async def test_a_text_whose_price_was_lost_is_counted_as_its_providers_latest(answered: Answered) -> None:
    await answered.reach()
    answered.elks.will(Outcome(State.SENT, "accepted", segments=1, cost=3500, currency="SEK"))
    await answered.sender.turn()
    await answered.round(round_id="0" * 32)
    await answered.invite("r1", "w-r1", round_id="0" * 32, invitation_id="1" * 32)
    answered.elks.will(UNKNOWN)
    await answered.sender.turn()
    await answered.elks_says(answered.elks.accepted[1].reference, "delivered")
    assert [(row.state, row.cost, row.sent_at is not None) for row in await answered.messages()] == [
        ("sent", 3500, True),
        ("delivered", 3500, True),
    ]


async def test_fc_027_a_provider_that_answers_too_late_leaves_unknown_and_its_receipt_resolves_it(
    answered: Answered,
) -> None:
    """FC-027: over HTTP: the sink takes the message and answers long after the client has given up."""
    async with sms_sink() as sink:
        base = f"http://127.0.0.1:{answered.door.port}/receipts/46elks"
        channel = Elks46Channel(elks_options(sink.url, timeout=0.5, receipt_base=base))
        answered.providers = (channel,)
        answered.sender = answered.new_sender()
        sink.behaviour = once("sms", Act(delay=60))
        await answered.reach()
        await answered.sender.turn()
        assert answered.states() == ["composed", "unknown"]
        [taken] = sink.accepted
        async with aiohttp.ClientSession() as session:
            await session.post(taken.receipt_url, data={"id": taken.id, "status": "delivered"})
        answered.clock.moment += timedelta(hours=1)
        await answered.sender.turn()
        assert answered.states() == ["composed", "unknown", "delivered"]
        assert len(sink.accepted) == 1
        await channel.close()


async def test_twilios_receipt_counts_when_it_is_signed_and_says_why_a_number_is_dead(answered: Answered) -> None:
    answered.providers = (answered.twilio,)
    answered.sender = answered.new_sender()
    await answered.reach()
    await answered.sender.turn()
    reference = answered.twilio.accepted[0].reference
    assert await answered.twilio_says(reference, "undelivered", "30005", token="another") == 403
    assert (await answered.message()).state == "sent"
    assert await answered.twilio_says(reference, "undelivered", "30005") == 204
    message = await answered.message()
    assert (message.state, message.code) == ("failed", "no_such_address")
    await answered.outbox.flush()
    assert [(stop.kind, stop.scope) for stop in answered.suppressions()] == [("bounce", "all")]


async def test_a_call_without_our_proof_changes_nothing(answered: Answered) -> None:
    await answered.reach()
    await answered.sender.turn()
    number = (await answered.message()).number
    for forged in (
        mint(number, b"x" * 32, Purpose.RECEIPT),
        mint(number, KEY, Purpose.ANSWER),  # it stands in the message itself
        mint(number, KEY, Purpose.STOP),
        str(number),
    ):
        assert await answered.elks_says(forged, "failed") == 403
    assert (await answered.message()).state == "sent"


async def test_a_receipt_by_another_provider_than_the_message_went_by_is_unknown(answered: Answered) -> None:
    await answered.reach()
    await answered.sender.turn()
    assert await answered.twilio_says(answered.elks.accepted[0].reference, "undelivered", "30005") == 204
    assert (await answered.message()).state == "sent"


async def test_what_is_no_small_form_is_refused(answered: Answered) -> None:
    token = mint(1, KEY, Purpose.RECEIPT)
    url = f"http://127.0.0.1:{answered.door.port}/receipts/46elks/{token}"
    async with aiohttp.ClientSession() as session:
        for data, status in ((b"{}", 400), (b"x" * 20_000, 400)):
            async with session.post(url, data=data, headers={"Content-Type": "application/json"}) as response:
                assert response.status == status
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        async with session.post(url, data=b"x" * 20_000, headers=form) as response:
            assert response.status == 413
        async with session.post(url, data=b"\xff\xfe", headers=form) as response:
            assert response.status == 400
        async with session.get(url) as response:
            assert response.status == 405
        async with session.post(url.replace("46elks", "telia"), data={}) as response:
            assert response.status == 404


async def test_a_ledger_that_does_not_answer_makes_the_provider_call_again(answered: Answered) -> None:
    async with answered.database.transaction() as connection:
        await connection.run_sync(MESSAGES.drop)
    assert await answered.elks_says(mint(1, KEY, Purpose.RECEIPT), "delivered") == 503


async def test_stopp_by_sms_stops_everything_to_that_number_at_once_and_twice_is_once(answered: Answered) -> None:
    await answered.reach()
    await answered.sender.turn()
    assert await answered.wrote(" Stopp!", "070-174 06 05") == 204
    assert await answered.wrote("STOPP") == 204
    await answered.outbox.flush()
    assert [(stop.kind, stop.scope, stop.reason) for stop in answered.suppressions()] == [
        ("stop", "all", "stopped by SMS")
    ]
    await answered.round(round_id="0" * 32)
    await answered.invite("r1", "w-r1", round_id="0" * 32, invitation_id="1" * 32)
    await answered.sender.turn()
    assert len(answered.elks.accepted) == 1
    assert answered.states()[-1] == "suppressed"


async def test_what_a_person_answers_by_sms_goes_by_mail_to_the_case_and_stops_nothing(answered: Answered) -> None:
    """Told twice by the provider it goes once, through a relay that was down at first, and is forgotten then."""
    await answered.reach()
    await answered.sender.turn()
    words = "Stopp för bygget är fel väg, säger vi på bageriet"
    for _ in range(2):
        assert await answered.wrote(words) == 204
    assert answered.suppressions() == []
    async with answered.database.transaction() as connection:
        rows = (await connection.execute(select(NOTICES))).all()
    assert "bageriet" not in repr(rows)
    assert "1740605" not in repr(rows)
    answered.email.will(Outcome(State.NOT_SENT, "connection_lost"))
    await answered.sender.turn()
    answered.clock.moment += timedelta(minutes=1)
    await answered.sender.turn()
    [mail] = answered.email.accepted
    assert mail.address == OFFICIAL
    said = json.loads(mail.body)
    assert (said["kind"], said["path"]) == ("answer_by_sms", f"+46701740605\n{words}")
    assert cases_of(said["parameters"]) == [(TEXTS["title"], TEXTS.get("diary_number", ""))]
    await answered.wrote(words)
    await answered.sender.turn()
    assert len(answered.email.accepted) == 1
    async with answered.database.transaction() as connection:
        assert (await connection.execute(select(NOTICES))).all() == []


async def test_an_answer_that_nobody_is_named_for_is_counted(answered: Answered) -> None:
    await answered.reach()
    await answered.sender.turn()
    answered.door._answers._ours = replace(OURS, replies_to="", read_by_us=[OFFICIAL])
    before = counted("46elks", "answers", "nobody")
    assert await answered.wrote("Vi kommer") == 204
    assert counted("46elks", "answers", "nobody") == before + 1


async def test_a_receipt_that_was_asked_for_with_the_token_key_before_this_one_is_believed(answered: Answered) -> None:
    await answered.reach()
    await answered.sender.turn()
    old = mint((await answered.message()).number, OLD_KEY, Purpose.RECEIPT)
    assert await answered.elks_says(old, "delivered") == 204
    assert (await answered.message()).state == "delivered"


async def test_a_stop_from_a_number_that_we_never_wrote_to_is_counted(answered: Answered) -> None:
    before = counted("46elks", "answers", "stranger")
    assert await answered.wrote("STOPP", "+46701740699") == 204
    assert await answered.wrote("STOPP", "Telia") == 204
    assert counted("46elks", "answers", "stranger") == before + 2


async def test_twilios_word_that_the_reader_opted_out_is_a_stop_and_no_dead_number(answered: Answered) -> None:
    await answered.reach()
    answered.elks.will(Outcome(State.FAILED, "opted_out", "21610", suppress=True))
    await answered.sender.turn()
    assert [(stop.kind, stop.scope) for stop in answered.suppressions()] == [("stop", "all")]


async def test_the_notifier_as_it_is_run_opens_the_door_where_a_public_address_is_set(
    answered: Answered,
) -> None:
    """And asks for receipts at that address."""
    await answered.reach()
    await answered.sender.turn()
    keys = {name: base64.b64encode(KEY).decode() for name in ("vault_key", "index_key", "token_key")}
    account = {"username": "u", "password": "p", "sender": "+46766860000"}
    given = {"database": answered.url, **keys, "sms": account, "receipts": {"public_url": PUBLIC, "port": 0}}
    options = NotifierOptions.model_validate(given)
    app = build(NotifierSettings(notifier=options), SystemClock(), composer=Plain())
    elks = options.elks46_options()
    assert elks is not None
    assert elks.receipt_url("x") == f"{PUBLIC}/receipts/46elks/x"
    await app.door.start()
    try:
        url = f"http://127.0.0.1:{app.door.port}/receipts/46elks/{answered.elks.accepted[0].reference}"
        form = {"id": "s1", "status": "delivered"}
        async with aiohttp.ClientSession() as session, session.post(url, data=form) as response:
            assert response.status == 204
    finally:
        await app.door.stop()
        await app.database.close()
    assert (await answered.message()).state == "delivered"

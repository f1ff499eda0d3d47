"""What SMS cost, and what still goes when the month's cap is reached."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import update

from schemas.round import EXAMPLE as ROUND
from services.notifier.channels.memory import MemoryChannel
from services.notifier.channels.port import Outcome, State
from services.notifier.channels.sms_sinks import SmsSink, TwilioSink
from services.notifier.ledger import provider_states
from services.notifier.ledger.provider_states import ProviderState
from services.notifier.ledger.tables import INVITATIONS, MESSAGES, MIGRATIONS
from services.notifier.policy.month_cap import Standing, month_of, standing
from services.notifier.provider_commands import addresses, status, try_out
from services.notifier.settings import NotifierOptions
from services.runtime.link_tokens import Purpose, verify
from services.runtime.metrics import ALARMS
from services.runtime.sealing import new_key
from services.runtime.store.database import micros, migrate
from tests.notifier_house import House

pytestmark = pytest.mark.anyio

PLAN: dict[str, Any] = dict(ROUND["plan"])  # type: ignore[call-overload]


class Capped(House):
    """A notifier that may spend one crown a month on SMS; each costs seventy öre."""

    month_cap = Decimal("1.00")

    async def reach(self, recipient: str, number: int, **changes: Any) -> None:
        identity = f"{number:032d}"
        await self.round(round_id=identity, plan={**PLAN, **changes})
        await self.company(f"w-{recipient}", recipient)
        await self.contact(recipient, f"+46701740{600 + number}", "sms")
        await self.invite(recipient, f"w-{recipient}", round_id=identity, invitation_id=f"{number:032x}")
        self.sms.will(Outcome(State.SENT, "accepted", segments=1, cost=7000, currency="SEK"))


@pytest.fixture
async def capped(ledger_url: str) -> AsyncIterator[Capped]:
    made = Capped(ledger_url)
    yield made
    await made.database.close()


async def spend_it_all(capped: Capped) -> None:
    for number in (1, 2):
        await capped.reach(f"r{number}", number)
        await capped.sender.turn()
    assert len(capped.sms.accepted) == 2


async def test_at_the_cap_nothing_more_is_sent_this_month_and_it_goes_when_the_next_begins(capped: Capped) -> None:
    await spend_it_all(capped)
    await capped.reach("r3", 3)
    await capped.sender.turn()
    assert len(capped.sms.accepted) == 2
    begins = month_of(capped.clock.now())[1]
    capped.clock.moment = begins + timedelta(days=1, hours=9)
    await capped.sender.turn()
    assert len(capped.sms.accepted) == 3


async def test_an_urgent_text_goes_whatever_it_costs(capped: Capped) -> None:
    await spend_it_all(capped)
    await capped.reach("r3", 3, urgent=True)
    await capped.sender.turn()
    assert len(capped.sms.accepted) == 3


async def test_what_cannot_wait_for_the_next_month_ends_at_once_with_its_reason(capped: Capped) -> None:
    await spend_it_all(capped)
    capped.clock.moment += timedelta(days=1)
    await capped.reach("r3", 3)
    async with capped.database.transaction() as connection:
        soon = update(INVITATIONS).where(INVITATIONS.c.recipient_id == "r3")
        await connection.execute(soon.values(expires_at=micros(capped.clock.now() + timedelta(days=2))))
    await capped.sender.turn()
    assert len(capped.sms.accepted) == 2
    assert [(event.state.value, event.code) for event in capped.told()][-1] == ("failed", "sms_month_cap")


async def test_a_cap_that_is_near_and_one_that_is_reached_ring_once_each_while_they_last(capped: Capped) -> None:
    def rung() -> list[float]:
        return [ALARMS.labels("sms", code)._value.get() for code in ("sms_month_cap_near", "sms_month_cap")]

    near, reached = rung()
    capped.month_cap = Decimal("1.50")
    capped.sender = capped.new_sender()
    await spend_it_all(capped)
    await capped.sender.turn()
    await capped.sender.turn()
    assert rung() == [near + 1, reached]
    await capped.reach("r3", 3)
    await capped.sender.turn()
    await capped.sender.turn()
    assert rung() == [near + 1, reached + 1]


async def test_at_the_cap_whoever_has_a_mailbox_too_is_written_to_by_mail_though_the_plan_says_sms(
    capped: Capped,
) -> None:
    await spend_it_all(capped)
    await capped.contact("r3", "anna@exempel.test")
    await capped.reach("r3", 3, channel="sms")
    await capped.sender.turn()
    assert [mail.address for mail in capped.email.accepted] == ["anna@exempel.test"]
    await capped.contact("r4", "bo@exempel.test")
    await capped.reach("r4", 4, channel="sms", urgent=True)
    await capped.sender.turn()
    assert (len(capped.email.accepted), len(capped.sms.accepted)) == (1, 3)


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_moment_lies_in_its_month_and_months_follow_each_other(at: datetime) -> None:
    now = at
    begins, ends = month_of(now)
    assert begins <= now < ends
    assert month_of(ends)[0] == ends
    assert (begins.day, begins.hour, ends.day, ends.hour) == (1, 0, 1, 0)


def test_the_cap_is_near_at_four_fifths_and_reached_at_all_of_it() -> None:
    stands = [standing(spent, 100) for spent in (0, 79, 80, 99, 100, 101)]
    assert stands == [Standing.BELOW, Standing.BELOW, *[Standing.NEAR] * 2, *[Standing.REACHED] * 2]
    assert standing(10**9, None) is Standing.BELOW
    assert standing(0, 0) is Standing.REACHED


ELKS = {"username": "u", "password": "p", "sender": "Exempel"}
TWILIO = {"account_sid": "AC" + "0" * 32, "auth_token": "t", "sender": "Exempel", "price": "0.9"}


def test_a_cap_needs_one_currency_and_a_price_where_the_provider_says_none() -> None:
    NotifierOptions.model_validate({"sms": ELKS, "twilio": TWILIO, "sms_month_cap": "100"})
    for wrong in ({**TWILIO, "currency": "USD"}, {**TWILIO, "price": "0"}):
        with pytest.raises(ValidationError, match="sms_month_cap"):
            NotifierOptions.model_validate({"sms": ELKS, "twilio": wrong, "sms_month_cap": "100"})


def test_a_way_to_stop_by_answer_is_offered_only_where_an_answer_is_heard() -> None:
    number, heard = {**ELKS, "sender": "+46766860000"}, {"public_url": "https://svar.kommun.example"}
    NotifierOptions.model_validate({"sms": number, "sms_two_way": True, "receipts": heard})
    with pytest.raises(ValidationError, match="a name cannot receive"):
        NotifierOptions.model_validate({"sms": number, "twilio": TWILIO, "sms_two_way": True, "receipts": heard})
    long = {"portal_url": "https://naringslivsdialog.kommun.example"}
    with pytest.raises(ValidationError, match="do not fit"):
        NotifierOptions.model_validate({"sms": number, "sms_two_way": True, "receipts": heard, **long})
    with pytest.raises(ValidationError, match="nobody would hear"):
        NotifierOptions.model_validate({"sms": number, "sms_two_way": True})


# The commands


@pytest.fixture
def set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite+aiosqlite:///{tmp_path}/ledger.db"
    monkeypatch.setenv("NARDIALOG_NOTIFIER__DATABASE", url)
    monkeypatch.setenv("NARDIALOG_NOTIFIER__SMS_MONTH_CAP", "500")
    monkeypatch.setenv("NARDIALOG_NOTIFIER__SMS_FIRST", "twilio")
    for section, account in (("SMS", ELKS), ("TWILIO", TWILIO)):
        for name, value in account.items():
            monkeypatch.setenv(f"NARDIALOG_NOTIFIER__{section}__{name.upper()}", value)
    return url


async def test_status_shows_providers_in_their_order_with_what_the_month_cost(
    set_up: str, capsys: pytest.CaptureFixture[str]
) -> None:
    house, now = Capped(set_up), datetime.now(UTC)
    await migrate(house.database, MIGRATIONS)
    house.sms = MemoryChannel("sms", provider="twilio")
    house.providers = (house.sms,)
    house.sender = house.new_sender()
    await house.reach("r1", 1)
    await house.sender.turn()
    async with house.database.transaction() as connection:
        await connection.execute(update(MESSAGES).values(sent_at=micros(now)))
        trouble = ProviderState("sms", "46elks", 1, now + timedelta(minutes=5), "credentials")
        await provider_states.note(connection, trouble, now)
    await house.database.close()
    assert await status(json_=True) == 0
    twilio, elks = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (twilio["provider"], twilio["state"], twilio["messages"], twilio["segments"]) == ("twilio", "well", 1, 1)
    assert (twilio["cost"], twilio["cap"], twilio["per_minute"]) == (0.7, 500.0, 100.0)
    assert (elks["provider"], elks["state"], elks["reason"]) == ("46elks", "left alone", "credentials")


async def test_a_test_goes_to_ones_own_number_by_each_provider_and_only_when_it_was_agreed_to(
    set_up: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    elks, twilio = SmsSink(), TwilioSink()
    for sink, section in ((elks, "SMS"), (twilio, "TWILIO")):
        await sink.start()
        monkeypatch.setenv(f"NARDIALOG_NOTIFIER__{section}__BASE_URL", sink.url)
    try:
        assert await try_out(to="070-174 06 05") == 2
        assert await try_out(to="08-123 456 78", yes=True) == 2
        assert not [*elks.accepted, *twilio.accepted]
        assert await try_out(to="070-174 06 05", yes=True) == 0
        assert [(sms.to, sms.receipt_url) for sms in (*elks.accepted, *twilio.accepted)] == [("+46701740605", "")] * 2
    finally:
        await elks.stop()
        await twilio.stop()
    assert "701740605" not in capsys.readouterr().err


def test_the_addresses_for_answers_hold_a_proof_and_are_shown_where_somebody_listens(
    set_up: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert addresses() == 2
    key = new_key()
    monkeypatch.setenv("NARDIALOG_NOTIFIER__TOKEN_KEY", base64.b64encode(key).decode())
    monkeypatch.setenv("NARDIALOG_NOTIFIER__RECEIPTS__PUBLIC_URL", "https://svar.kommun.example")
    assert addresses() == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [name for name, _ in lines] == ["46elks", "twilio"]
    for name, url in lines:
        assert url.startswith(f"https://svar.kommun.example/answers/{name}/")
        assert verify(url.rpartition("/")[2], [key], Purpose.ANSWERS) == 0

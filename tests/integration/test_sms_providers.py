"""Two SMS providers behind one channel: in order, never twice, each asked about its own."""

import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from services.notifier.channels.elks46 import Elks46Channel
from services.notifier.channels.memory import MemoryChannel
from services.notifier.channels.pacing import paced
from services.notifier.channels.port import Outcome, State
from services.notifier.channels.sink_behaviour import Act
from services.notifier.channels.sms_sinks import SmsSink, TwilioSink
from services.notifier.channels.twilio import TwilioChannel
from services.notifier.ledger.tables import MIGRATIONS
from services.runtime.store.database import migrate
from tests.integration.test_channels import elks_options, sms, twilio_options
from tests.mail_sinks import once
from tests.notifier_house import House

pytestmark = pytest.mark.anyio

NOT_SENT = Outcome(State.NOT_SENT, "connection_lost")
UNKNOWN = Outcome(State.UNKNOWN, "timeout")


class TwoProviders(House):
    """A notifier with two SMS providers; `first` and `second` keep what they accepted."""

    def __init__(self, url: str) -> None:
        self.first = MemoryChannel("sms", provider="first", can_be_asked=True)
        self.second = MemoryChannel("sms", provider="second", can_be_asked=True)
        super().__init__(url)
        self.providers = (self.first, self.second)
        self.sender = self.new_sender()

    async def reach(self, *recipients: str) -> None:
        await self.round(counts={"invitations": len(recipients)})
        for recipient in recipients:
            await self.company(f"w-{recipient}", recipient)
            await self.contact(recipient, f"+46701740{600 + int(recipient[1:])}", "sms")
            await self.invite(recipient, f"w-{recipient}")

    def accepted(self) -> tuple[int, int]:
        return len(self.first.accepted), len(self.second.accepted)


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[TwoProviders]:
    made = TwoProviders(f"sqlite+aiosqlite:///{tmp_path}/ledger.db")
    await migrate(made.database, MIGRATIONS)
    yield made
    await made.database.close()


async def test_the_first_provider_is_used_while_it_is_well_and_stands_on_the_row(two: TwoProviders) -> None:
    await two.reach("r1")
    await two.sender.turn()
    assert two.accepted() == (1, 0)
    assert [message.provider for message in await two.messages()] == ["first"]


async def test_a_provider_in_trouble_is_passed_over_by_the_next_one(two: TwoProviders) -> None:
    await two.reach("r1", "r2")
    two.first.will(NOT_SENT, NOT_SENT)
    await two.sender.turn()
    await two.sender.turn()
    assert two.accepted() == (0, 2)
    assert {message.provider for message in await two.messages()} == {"second"}


async def test_a_provider_that_was_in_trouble_is_tried_again_first(two: TwoProviders) -> None:
    await two.reach("r1")
    two.first.will(NOT_SENT)
    await two.sender.turn()
    two.clock.moment += timedelta(minutes=1)
    await two.sender.turn()
    assert two.accepted() == (1, 0)


async def test_a_message_that_the_first_may_have_is_never_given_to_the_second(two: TwoProviders) -> None:
    """The first is down when the time has come to send again: it is waited for, while others go by the second."""
    await two.reach("r1")
    two.first.will(UNKNOWN, accept=False)
    await two.sender.turn()
    two.clock.moment += timedelta(minutes=10) - timedelta(seconds=1)
    await two.reach("r2")
    two.first.will(NOT_SENT)
    await two.sender.turn()
    two.clock.moment += timedelta(seconds=1)
    await two.sender.turn()
    assert two.accepted() == (0, 1)
    two.clock.moment += timedelta(minutes=1)
    await two.sender.turn()
    assert two.accepted() == (1, 1)
    assert {message.provider for message in await two.messages()} == {"first", "second"}


async def test_an_unknown_outcome_is_asked_of_the_provider_that_it_was_tried_at(two: TwoProviders) -> None:
    await two.reach("r1")
    two.first.will(NOT_SENT)
    two.second.will(UNKNOWN)
    await two.sender.turn()
    await two.sender.turn()
    two.clock.moment += timedelta(minutes=10)
    await two.sender.turn()
    assert two.accepted() == (0, 1)
    assert two.states()[-1] == "sent"


async def test_a_question_that_failed_is_asked_again_and_nothing_is_sent_meanwhile(two: TwoProviders) -> None:
    await two.reach("r1")
    two.first.will(UNKNOWN)
    two.first.cannot_be_asked_now = True
    await two.sender.turn()
    two.clock.moment += timedelta(minutes=10)
    await two.sender.turn()
    assert two.states() == ["composed", "unknown"]
    two.first.cannot_be_asked_now = False
    two.clock.moment += timedelta(minutes=5)
    await two.sender.turn()
    assert two.states() == ["composed", "unknown", "sent"]
    assert two.accepted() == (1, 0)


async def test_a_message_that_could_never_be_asked_about_ends_as_unknown(two: TwoProviders) -> None:
    await two.reach("r1")
    two.first.will(UNKNOWN)
    two.first.cannot_be_asked_now = True
    await two.sender.turn()
    two.clock.moment += timedelta(days=60)
    await two.sender.turn()
    [message] = await two.messages()
    assert (message.state, message.code) == ("failed", "unknown_outcome")
    assert two.accepted() == (1, 0)


async def test_what_a_message_costs_stands_in_the_ledger(two: TwoProviders) -> None:
    await two.reach("r1")
    two.first.will(Outcome(State.SENT, "accepted", segments=2, cost=7000, currency="SEK"))
    await two.sender.turn()
    [message] = await two.messages()
    assert (message.segments, message.cost, message.currency) == (2, 7000, "SEK")


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "not taken"])
@pytest.mark.parametrize("kind", ["46elks", "twilio"])
async def test_the_window_in_which_nobody_knows_is_closed_over_http(two: TwoProviders, kind: str, taken: bool) -> None:
    """The answer is lost. After ten minutes, not before, the provider is asked; what it does not know goes again."""
    sink = SmsSink(clock=two.clock) if kind == "46elks" else TwilioSink(clock=two.clock)
    await sink.start()
    made = Elks46Channel(elks_options(sink.url)) if kind == "46elks" else TwilioChannel(twilio_options(sink.url))
    two.providers = (made, two.second)
    two.sender = two.new_sender()
    sink.behaviour = once("sms", Act(drop=True, accept=taken))
    await two.reach("r1")
    await two.sender.turn()
    two.clock.moment += timedelta(minutes=9)
    await two.sender.turn()
    assert two.states() == ["composed", "unknown"]
    two.clock.moment += timedelta(minutes=1)
    await two.sender.turn()
    await made.close()
    await sink.stop()
    [message] = await two.messages()
    assert [kept.reference for kept in sink.accepted] == [message.message_id]
    assert (message.state, message.provider, message.resent_unknown) == ("sent", kind, int(not taken))
    assert two.states() == ["composed", "unknown", *([] if taken else ["composed"]), "sent"]
    assert not two.second.accepted


async def test_a_paced_provider_is_never_given_two_at_once() -> None:
    """A hundred a minute is one each 0.6 s, not a hundred in the first second."""
    channel = paced(MemoryChannel("sms"), per_minute=1200)
    assert channel.at_once == 20
    begun = time.monotonic()
    for number in range(4):
        await channel.send(sms(f"m{number}"))
    assert time.monotonic() - begun >= 3 * 0.05 - 0.01  # a lower bound: a slow machine only takes longer
    assert paced(MemoryChannel("sms"), per_minute=100).at_once == 1
    unpaced = MemoryChannel("sms")
    assert paced(unpaced, per_minute=0) is unpaced

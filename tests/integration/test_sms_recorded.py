"""Both SMS adapters on answers in the shapes that the providers document; the values are invented."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from services.notifier.channels.elks46 import Elks46Channel
from services.notifier.channels.port import Channel, Outcome, Outgoing, State
from services.notifier.channels.twilio import TwilioChannel
from tests.integration.test_channels import answering, elks_options, twilio_options

pytestmark = pytest.mark.anyio

FOLDER = Path(__file__).parents[1] / "recorded_sms"
RECORDED: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))
}
MESSAGE = Outgoing("m1", "+46701740605", b"Hej", "m1", datetime.fromisoformat("2027-02-01T08:00:01+00:00"))


@pytest.mark.parametrize("recorded", RECORDED.values(), ids=RECORDED.keys())
async def test_what_a_recorded_answer_means(recorded: dict[str, Any]) -> None:
    async with answering(recorded["body"], recorded["status"]) as url:
        channel: Channel
        if recorded["provider"] == "46elks":
            channel = Elks46Channel(elks_options(url))
        else:
            channel = TwilioChannel(twilio_options(url))
        outcome = await (channel.send(MESSAGE) if recorded["call"] == "send" else channel.look_up(MESSAGE))
        await channel.close()
    told = recorded["outcome"]
    assert outcome == (None if told is None else Outcome(**{**told, "state": State(told["state"])}))


def test_each_call_of_each_provider_is_recorded() -> None:
    calls = {(found["provider"], found["call"]) for found in RECORDED.values()}
    assert calls == {(provider, call) for provider in ("46elks", "twilio") for call in ("send", "look_up")}

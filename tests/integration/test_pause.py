"""Sending is paused and resumed from the command line, as a whole or by channel."""

import pytest

from tests.integration.test_history import asked
from tests.notifier_house import House, house

pytestmark = pytest.mark.anyio
__all__ = ["house"]


async def test_one_channel_is_paused_and_the_other_goes_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.round(counts={"invitations": 2})
    await house.reachable("r1")
    await house.company("w-r2", "r2")
    await house.contact("r2", "+46701740605", "sms")
    await house.invite("r2", "w-r2")
    assert await asked(house, monkeypatch, "sending", "pause", "--channel", "sms", "--reason", "no credit") == 0
    await house.sender.turn()
    assert (len(house.email.accepted), len(house.sms.accepted)) == (1, 0)
    assert house.sender.alarm.note == "sending by sms is paused: no credit"
    assert await asked(house, monkeypatch, "sending", "resume", "--channel", "sms") == 0
    await house.sender.turn()
    assert len(house.sms.accepted) == 1


async def test_status_says_what_stands_and_its_exit_code_too(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asked(house, monkeypatch, "sending", "status") == 0
    assert await asked(house, monkeypatch, "sending", "pause", "--reason", "the relay moves") == 0
    assert await asked(house, monkeypatch, "sending", "pause", "--reason", "no credit", "--channel", "sms") == 0
    capsys.readouterr()
    assert await asked(house, monkeypatch, "sending", "status") == 3
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("sending is paused since ")
    assert second.endswith(": no credit")
    assert await asked(house, monkeypatch, "sending", "resume", "--channel", "sms") == 3
    assert await asked(house, monkeypatch, "sending", "resume") == 0


@pytest.mark.parametrize(
    "reason", ["anna@exempel.test complains", "070-174 06 05 complains", "ring +46701740605", "  "]
)
async def test_the_reason_of_a_pause_says_something_and_names_nobody(
    house: House, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    assert await asked(house, monkeypatch, "sending", "pause", "--reason", reason) == 2
    assert await asked(house, monkeypatch, "sending", "status") == 0

"""A pause is said at once, again every five minutes, and no more when it is over."""

from collections.abc import MutableMapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from services.notifier.ledger.pauses import Pause
from services.notifier.pause_alarm import PauseAlarm

START = datetime.fromisoformat("2025-11-10T10:00:00+01:00")
ALL, SMS = Pause(None, "the relay moves", START), Pause("sms", "no credit", START)


def paused(channel: str) -> float | None:
    return REGISTRY.get_sample_value("nardialog_sending_paused", {"channel": channel})


def test_a_pause_is_said_again_until_it_is_over(logged: list[MutableMapping[str, Any]]) -> None:
    alarm = PauseAlarm(["email", "sms"])
    for minutes in range(0, 12):
        alarm.see([ALL], START + timedelta(minutes=minutes))
    alarm.see([], START + timedelta(minutes=12))
    alarm.see([ALL], START + timedelta(minutes=13))
    assert [line["seconds"] for line in logged] == [0, 300, 600, 780]
    assert {line["reason"] for line in logged} == {"the relay moves"}


@pytest.mark.parametrize(("pauses", "email", "sms"), [([ALL], 1, 1), ([SMS], 0, 1), ([], 0, 0)])
def test_the_metric_tells_which_channel_is_paused(pauses: list[Pause], email: int, sms: int) -> None:
    PauseAlarm(["email", "sms"]).see(pauses, START)
    assert (paused("email"), paused("sms")) == (email, sms)


def test_whoever_asks_whether_the_service_is_ready_hears_of_a_pause() -> None:
    alarm = PauseAlarm(["email", "sms"])
    alarm.see([ALL, SMS], START)
    assert alarm.note == "sending is paused: the relay moves; sending by sms is paused: no credit"
    alarm.see([], START)
    assert alarm.note == ""

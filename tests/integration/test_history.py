"""Every step of a message stands in the ledger with its time and its reason, and no address does."""

import asyncio
import json
from datetime import timedelta

import pytest
from sqlalchemy import text

from services.cli import main
from services.notifier.channels.port import Outcome, State
from services.notifier.ledger import steps
from services.notifier.ledger.second_try import try_again
from services.notifier.ledger.steps import Step
from services.runtime.errors import Rejected, Transient
from services.runtime.store.database import moment_of
from tests.notifier_house import MONDAY, ROUND_ID, House, house

pytestmark = pytest.mark.anyio
__all__ = ["house"]


async def taken(house: House, *about: str) -> list[Step]:
    async with house.database.transaction() as connection:
        return await steps.history(connection, about)


async def the_message(house: House) -> str:
    [row] = await house.messages()
    return str(row.message_id)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [("--state", "delayed", "permanent-failure"), ("--limit", "9" * 20, "1000000"), ("--limit", "0", "1")],
)
async def test_what_no_list_can_hold_is_said_and_not_an_empty_list(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: str,
    value: str,
    told: str,
) -> None:
    assert await asked(house, monkeypatch, "deliveries", "list", option, value) == 2
    printed = capsys.readouterr()
    assert told in printed.out + printed.err


async def test_the_steps_of_a_message_are_kept_with_time_reason_and_attempt(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.RETRY, "greylisted", "4.7.1"))
    await house.sender.turn()
    house.clock.moment += timedelta(minutes=10)
    await house.sender.turn()
    found = await taken(house, await the_message(house))
    assert [(step.state, step.code, step.detail, step.attempt) for step in found] == [
        ("pending", "addressed", "due 2025-11-10T09:00:00+00:00", 0),
        ("composed", "ok", "", 1),
        ("retry", "greylisted", "4.7.1", 1),
        ("composed", "ok", "", 2),
        ("sent", "accepted", "", 2),
    ]
    assert [step.at for step in found] == [MONDAY] * 3 + [MONDAY + timedelta(minutes=10)] * 2


async def test_a_channel_in_trouble_is_a_step_that_nobody_else_is_told_of(
    house: House,
) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.NOT_SENT, "service_unavailable", "421"))
    await house.sender.turn()
    told = house.states()
    assert [step.state for step in await taken(house, await the_message(house))] == ["pending", "composed", "not_sent"]
    assert told == ["composed"]


async def test_an_invitation_that_led_to_no_message_has_a_history_of_its_own(house: House) -> None:
    await house.round()
    await house.company("w1", "r1")
    invitation = await house.invite("r1", "w1")
    await house.sender.turn()
    assert [(step.state, step.code) for step in await taken(house, invitation)] == [("not_reachable", "no_contact")]


async def test_an_intent_taken_back_is_a_step_with_its_reason(house: House) -> None:
    await house.round()
    await house.reachable()
    house.published.down = True
    with pytest.raises(Transient):
        await house.sender.turn()
    found = await taken(house, await the_message(house))
    assert [(step.state, step.code) for step in found][-1] == ("put_back", "not_announced")


async def test_no_address_stands_in_the_history(house: House) -> None:
    await house.round()
    await house.reachable(address="anna.hemlig@exempel.test")
    await house.sender.turn()
    async with house.database.transaction() as connection:
        rows = (await connection.execute(text("SELECT * FROM steps"))).all()
    assert rows
    assert "hemlig" not in str(rows)


async def asked(house: House, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The command's exit code, on this ledger, in a thread because it runs a loop of its own."""
    monkeypatch.setenv("NARDIALOG_NOTIFIER__DATABASE", house.url)
    monkeypatch.setenv("NARDIALOG_NOTIFIER__WINDOWS", "always")

    def run() -> int:
        with pytest.raises(SystemExit) as ended:
            main(words)
        return int(ended.value.code or 0)

    return await asyncio.to_thread(run)


async def test_show_takes_a_messages_id_its_number_or_an_invitations_id(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await house.round()
    invitation = await house.reachable()
    await house.sender.turn()
    [row] = await house.messages()
    for name in (row.message_id, str(row.number), invitation):
        assert await asked(house, monkeypatch, "deliveries", "show", name, "--json") == 0
        shown = json.loads(capsys.readouterr().out)
        assert [step["state"] for step in shown["steps"]] == ["pending", "composed", "sent"]
        assert [shown["messages"][0]["state"], shown["invitations"][0]["invitation_id"]] == ["sent", invitation]
    assert await asked(house, monkeypatch, "deliveries", "show", "12345") == 1


async def test_the_list_is_narrowed_by_case_round_state_and_channel(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await house.round(counts={"invitations": 3})
    await house.reachable("r1", "anna@exempel.test")
    await house.reachable("r2", "bo@exempel.test")
    await house.company("w3", "r3")
    silent = await house.invite("r3", "w3")
    house.email.will(Outcome(State.FAILED, "content", "5.6.0"))
    await house.sender.turn()
    expected = {
        (): 3,
        ("--case", "EX-2"): 3,
        ("--case", "0162/exempel/EX-2", "--round", ROUND_ID): 3,
        ("--round", "another"): 0,
        ("--state", "sent"): 1,
        ("--state", "technical-failure"): 1,
        ("--state", "permanent-failure"): 0,
        ("--state", "not reachable"): 1,
        ("--channel", "sms"): 0,
        ("--limit", "2"): 2,
    }
    for words, count in expected.items():
        assert await asked(house, monkeypatch, "deliveries", "list", *words, "--json") == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert (words, len(lines)) == (words, count)
        assert words[-1:] != ("not reachable",) or lines[0]["invitation_id"] == silent
    assert await asked(house, monkeypatch, "deliveries", "list", "--case", "EX-9") == 1
    assert await asked(house, monkeypatch, "deliveries", "list", "--state", "sent") == 0
    assert len(capsys.readouterr().out.split("\t")) == 7


async def test_a_technical_failure_is_sent_again_when_an_operator_says_why(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.FAILED, "content", "5.6.0"))
    await house.sender.turn()
    message = await the_message(house)
    async with house.database.transaction() as connection:
        due = await try_again(connection, message, MONDAY, "always", by="ops", because="the template is mended")
    assert due == MONDAY
    await house.sender.turn()
    assert house.states() == ["composed", "failed", "composed", "sent"]
    assert len({event.delivery_id for event in house.told()}) == 4
    assert len(house.email.accepted) == 1
    assert ("tried_again", "ops: the template is mended") in [
        (step.code, step.detail) for step in await taken(house, message)
    ]


async def test_a_second_try_needs_a_reason_that_names_nobody(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asked(house, monkeypatch, "deliveries", "retry", "m1", "--because", "  ") == 2
    assert await asked(house, monkeypatch, "deliveries", "retry", "m1", "--because", "ask anna@exempel.test") == 2
    capsys.readouterr()
    assert await asked(house, monkeypatch, "deliveries", "retry", "m1", "--because", "mended") == 1
    assert "no message is called 'm1'" in capsys.readouterr().err


@pytest.mark.parametrize("code", ["no_such_address", "unknown_outcome"])
async def test_a_dead_address_and_what_may_have_been_taken_are_not_sent_again(house: House, code: str) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.FAILED, code))
    await house.sender.turn()
    message = await the_message(house)
    with pytest.raises(Rejected, match="surely was not taken"):
        async with house.database.transaction() as connection:
            await try_again(connection, message, MONDAY, "always", by="ops", because="mended")


async def test_nothing_is_sent_again_after_its_last_day(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.FAILED, "content"))
    await house.sender.turn()
    [row] = await house.messages()
    late = moment_of(row.expires_at)
    with pytest.raises(Rejected, match="after its last day"):
        async with house.database.transaction() as connection:
            await try_again(connection, row.message_id, late, "always", by="ops", because="mended")

"""An operator looks at suppressions and releases one: by id, with a reason, never by an address on a command line."""

import base64
import io
import json
from datetime import timedelta
from typing import Any

import pytest

from schemas.suppression import message_stop_id
from services.notifier.channels.port import Outcome, State
from services.notifier.ledger import lifting
from services.notifier.stops import stop_by_message
from services.runtime.errors import Rejected
from tests.integration.test_history import asked
from tests.integration.test_late_outcomes import late
from tests.notifier_house import INDEX, House, house

pytestmark = pytest.mark.anyio
__all__ = ["house"]

GONE = Outcome(State.FAILED, "no_such_address", "5.1.1", suppress=True)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NARDIALOG_NOTIFIER__INDEX_KEY", base64.b64encode(INDEX).decode())


async def bounced(house: House) -> None:
    """The address of `reachable` is dead."""
    await house.round()
    await house.reachable()
    house.email.will(GONE)
    await house.sender.turn()


async def sent_again(house: House, number: int = 2) -> None:
    await house.round(round_id=f"round{number}")
    await house.invite("r1", "w-r1", round_id=f"round{number}", invitation_id=f"i{number}")
    await house.sender.turn()


async def listed(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *given: str
) -> list[dict[str, Any]]:
    assert await asked(house, monkeypatch, "suppressions", "list", "--json", *given) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


async def test_a_suppression_is_shown_with_its_reason_and_no_address(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await bounced(house)
    [shown] = await listed(house, monkeypatch, capsys)
    assert (shown["kind"], shown["scope"], shown["reason"], shown["lifted"]) == (
        "bounce", "all", "no_such_address", False,
    )  # fmt: skip
    assert "anna" not in json.dumps(shown)
    assert await listed(house, monkeypatch, capsys, "--kind", "stop") == []


@pytest.mark.parametrize(("typed", "count"), [(" Anna@EXEMPEL.test\n", 1), ("bo@exempel.test\n", 0)])
async def test_it_is_found_by_an_address_that_is_typed_in(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, count: int
) -> None:
    await bounced(house)
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert len(await listed(house, monkeypatch, capsys, "--email")) == count


async def test_what_is_no_address_is_told_so_and_not_repeated(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("anna at exempel\n"))
    assert await asked(house, monkeypatch, "suppressions", "list", "--email") == 2
    assert "anna" not in capsys.readouterr().err


async def test_a_release_is_an_event_with_who_and_why_and_the_address_is_written_to_again(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await bounced(house)
    [shown] = await listed(house, monkeypatch, capsys)
    told = "--because", "the mailbox is back", "--by", "registrator"
    assert await asked(house, monkeypatch, "suppressions", "lift", shown["suppression_id"], *told) == 0
    await house.outbox.flush()
    event = house.suppressions()[-1]
    assert (event.lifted, event.reason, event.by) == (True, "the mailbox is back", "registrator")
    assert await listed(house, monkeypatch, capsys) == []
    [lifted] = await listed(house, monkeypatch, capsys, "--all")
    assert (lifted["by"], lifted["reason"]) == ("registrator", "the mailbox is back")
    await sent_again(house)
    assert len(house.email.accepted) == 1


@pytest.mark.parametrize("because", ["  ", "anna@exempel.test asked for it"])
async def test_a_release_says_why_and_names_no_person(
    house: House, monkeypatch: pytest.MonkeyPatch, because: str
) -> None:
    assert await asked(house, monkeypatch, "suppressions", "lift", "s1", "--because", because) == 2


async def test_a_stop_is_released_wherever_it_was_said(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.turn()
    [row] = await house.messages()
    async with house.database.transaction() as connection:
        message = await late(house).by_number(connection, row.number)
        assert message is not None
        await stop_by_message(connection, house.outbox, INDEX, message, house.clock.now())
    at_the_page = message_stop_id(row.number, "all")
    later = house.clock.now() + timedelta(seconds=1)
    async with house.database.transaction() as connection:
        assert (
            await lifting.lift(connection, house.outbox, at_the_page, by="r", reason="asked by phone", now=later) == 2
        )
        assert await lifting.lift(connection, house.outbox, at_the_page, by="r", reason="again", now=later) == 0
    await sent_again(house)
    assert len(house.email.accepted) == 2


@pytest.mark.parametrize(("kind", "code"), [("erased", "not_lifted_here"), (None, "no_such_suppression")])
async def test_an_erasure_is_released_by_nobody(house: House, kind: str | None, code: str) -> None:
    if kind:
        await house.stop_all(kind=kind, address_index="b" * 32)
    async with house.database.transaction() as connection:
        with pytest.raises(Rejected, match=code):
            await lifting.lift(connection, house.outbox, "s1", by="r", reason="x", now=house.clock.now())

"""Kill -9 in the middle of the work, of each process in turn, and of the notifier at each of its steps; a provider, a
disk and a clock that misbehave: nothing lost, nothing doubled.

Here with 200 invitations a kind (1,000 with TESTS_EVERYTHING), two kills each, so that it fits into every test run. The
promise is stated for 5,000, and `python -m tests.faults` kills in the middle of so many; it takes some minutes a kind.
Each step and each mood is tried here on one of the two ledgers in turn; with TESTS_EVERYTHING on both.
"""

from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from tests.everything import EVERYTHING, RECIPIENTS
from tests.faults import disk, receipts, several, steps, troubles
from tests.faults.__main__ import DATABASES, KINDS, WRONG, run
from tests.faults.accounts import Accounts, balance
from tests.faults.dying import AFTER_ACCEPTANCE, STEPS
from tests.faults.troubles import TROUBLES

pytestmark = pytest.mark.anyio
MESSAGES = 200
WAYS_AT_ONCE = 10
"""Connections to the relay, at most."""


def _each(kinds: tuple[str, ...]) -> list[tuple[str, str]]:
    if EVERYTHING:
        return [(kind, database) for kind in kinds for database in DATABASES]
    return list(zip(kinds, cycle(DATABASES), strict=False))


@pytest.fixture
def ledger(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty ledger's address."""
    if database == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite+aiosqlite:///{tmp_path}/ledger.db"


def wrong(result: dict[str, Any]) -> dict[str, Any]:
    """What is not nought and must be."""
    return {name: result[name] for name in WRONG if result.get(name)}


def test_what_was_sent_again_and_what_came_twice_are_counted_apart() -> None:
    """After a crash nobody knows which calls had begun: all are sent again, and few of them are second copies."""
    books = Accounts()
    books.resent.update({"a": 1, "b": 1, "c": 1})
    found = balance(set(), books, {"a": 1, "b": 2, "c": 1})
    assert (found["resent_unknown"], found["copies"], found["doubled"]) == (3, 1, 0)
    assert balance(set(), books, {"d": 2})["doubled"] == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_killed_process_loses_nothing_and_doubles_nothing(kind: str) -> None:
    result = await run(kind, seed=1, recipients=RECIPIENTS)
    print(result)
    assert result["injected"] == 2
    assert 0 < min(result["killed_at"]) < result["invitations"], "no kill came in the middle of the work"
    assert not wrong(result), result


async def test_two_of_each_killed_in_turn_while_partitions_move_lose_nothing_and_double_nothing() -> None:
    result = await several.run(seed=1, recipients=12, per_wave=6)
    print(result)
    assert result["injected"] == 4
    assert not wrong(result), result


@pytest.mark.parametrize(("step", "database"), _each(STEPS))
async def test_a_notifier_killed_at_any_step_loses_nothing_and_resends_only_what_is_unknown(
    step: str, ledger: str
) -> None:
    result = await steps.run(step, ledger, seed=1, messages=MESSAGES, kills=1)
    print(result)
    assert result["injected"] == 1
    assert result["resolved"] == f"{MESSAGES} sent"
    assert step == "before_intent" or result["resent_unknown"] > 0, "nothing was on its way when it died"
    assert not wrong(result), result


@pytest.mark.parametrize("database", DATABASES if EVERYTHING else DATABASES[:1])
async def test_fc028_of_five_hundred_the_other_three_hundred_and_eighty_leave_when_it_is_killed_after_120(
    ledger: str,
) -> None:
    """FC-028: only whose outcome was not written yet at that moment may have it twice, as is stated."""
    result = await steps.run(AFTER_ACCEPTANCE, ledger, seed=1, messages=500, kills=1, at=120)
    print(result)
    assert (result["injected"], result["resolved"]) == (1, "500 sent")
    assert result["copies"] <= 4 * WAYS_AT_ONCE
    assert not wrong(result), result


@pytest.mark.parametrize(("kind", "database"), _each(tuple(TROUBLES)))
async def test_a_provider_or_a_clock_that_misbehaves_loses_nothing_and_doubles_nothing_unseen(
    kind: str, ledger: str
) -> None:
    result = await troubles.run(kind, ledger, seed=1, messages=MESSAGES)
    print(result)
    assert result["injected"] > 3
    assert not wrong(result), result


@pytest.mark.parametrize("database", DATABASES if EVERYTHING else DATABASES[:1])
async def test_receipts_that_come_twice_early_and_for_nobody_say_once_what_became_of_a_message(ledger: str) -> None:
    result = await receipts.run(ledger, seed=1)
    print(result)
    assert result["injected"] > 4 * receipts.MOST
    assert result["resolved"] == f"{receipts.MOST} delivered"
    assert result["resent_unknown"] == 0, "a receipt answers what was unknown: nothing is sent again"
    assert not wrong(result), result


@pytest.mark.skipif(not disk.MOUNTABLE, reason="only root may make a disk that is full")
@pytest.mark.parametrize("database", DATABASES)
async def test_a_full_disk_stops_sending_and_nothing_else(database: str) -> None:
    result = await disk.run(database, seed=1, messages=MESSAGES)
    print(result)
    assert result["failed"] >= disk.FAILURES
    assert result["resolved"] == f"{MESSAGES} sent"
    assert not wrong(result), result

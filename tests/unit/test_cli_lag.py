"""The words of `nardialog lag`, and `run all`."""

import asyncio

import pytest

from services.ops.dead_letters import Address, BadAddress
from services.ops.lag import Verdict, standings, too_far, verdict
from services.processes import together
from services.runtime.clock import Clock, SystemClock
from services.runtime.errors import Fault
from services.runtime.topic_admin import LagRow


def row(committed: int | None, end: int, log_start: int = 0) -> LagRow:
    return LagRow("g", "t", 0, committed, log_start, end)


@pytest.mark.parametrize(
    ("now", "before", "word"),
    [
        (row(5, 5), None, Verdict.CAUGHT_UP),
        (row(None, 0), None, Verdict.CAUGHT_UP),
        (row(None, 5), None, Verdict.NEVER_READ),
        (row(2, 5), None, Verdict.BEHIND),
        (row(2, 5), row(2, 4), Verdict.STANDS_STILL),
        (row(3, 9), row(2, 4), Verdict.FALLING_BEHIND),
        (row(4, 5), row(2, 4), Verdict.CATCHING_UP),
        (row(2, 9, log_start=9), row(2, 4), Verdict.LOST),
    ],
)
def test_a_row_is_told_in_words(now: LagRow, before: LagRow | None, word: Verdict) -> None:
    assert verdict(now, before) is word


def test_a_limit_is_broken_by_records_by_age_by_an_unknown_age_and_by_loss() -> None:
    (found,) = standings([row(2, 5)], {("t", 0, 2): 40.0})
    (unknown,) = standings([row(2, 5)], {})
    (lost,) = standings([row(2, 9, log_start=9)], {})
    assert too_far([found, lost], None, None) == []
    assert too_far([found], 3, 40) == []
    assert too_far([found], 2, None) == [found]
    assert too_far([found], None, 39) == [found]
    assert too_far([unknown, lost], None, 39) == [unknown, lost]


@pytest.mark.parametrize(
    "text", ["", "cases/0/1", "cases.dlq/0", "cases.dlq/-1/0", "cases.dlq/0/1\n", "cases.dlq/x/1", "cases.dlq/٣/1"]
)
def test_what_is_no_address_of_a_dead_letter_is_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        Address.parse(text)


def test_an_address_is_read_as_it_is_printed() -> None:
    assert str(Address.parse("p-cases.dlq/3/12")) == "p-cases.dlq/3/12"


async def test_one_service_that_fails_takes_the_others_down_with_it() -> None:
    stopped = []

    async def lives(_: Clock, stop: asyncio.Event) -> None:
        await stop.wait()
        stopped.append("lives")

    async def fails(_: Clock, __: asyncio.Event) -> None:
        raise Fault("the ledger is gone")

    with pytest.raises(Fault, match="the ledger is gone"):
        await asyncio.wait_for(together([lives, fails], SystemClock(), asyncio.Event()), 5)
    assert stopped == ["lives"]


async def test_services_end_when_they_are_asked_to() -> None:
    stop = asyncio.Event()

    async def lives(_: Clock, stop: asyncio.Event) -> None:
        await stop.wait()

    stop.set()
    await asyncio.wait_for(together([lives, lives], SystemClock(), stop), 5)

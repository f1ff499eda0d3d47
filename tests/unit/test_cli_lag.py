"""The words of `nardialog lag`, and `run all`."""

import asyncio
from collections.abc import Sequence

import pytest

from services.ops.dead_letters import Address, BadAddress
from services.ops.lag import WINDOW, History, Place, Reader, Trend, Verdict, missing, too_far, verdict
from services.processes import together
from services.runtime.clock import Clock, SystemClock
from services.runtime.errors import Fault
from services.runtime.topic_admin import LagRow


def row(committed: int | None, end: int, log_start: int = 0, *, partition: int = 0, topic: str = "t") -> LagRow:
    return LagRow("g", topic, partition, committed, log_start, end)


def readers(*looks: Sequence[LagRow], ages: dict[Place, float | None] | None = None) -> list[Reader]:
    history = History()
    return [history.readers(rows, ages or {}) for rows in looks][-1]


@pytest.mark.parametrize(
    ("window", "word"),
    [
        ([row(5, 5)], Verdict.KEEPS_UP),
        ([row(None, 0)], Verdict.KEEPS_UP),
        ([row(None, 5)], Verdict.NEVER_READ),
        ([row(2, 5)], Verdict.BEHIND),
        ([row(2, 9, log_start=9)], Verdict.LOST),
        ([row(2, 5)] * WINDOW, Verdict.STANDS_STILL),
        ([row(2, 5 + n) for n in range(WINDOW)], Verdict.STANDS_STILL),
        ([row(2 + n, 9 + 2 * n) for n in range(WINDOW)], Verdict.FALLS_BEHIND),
        ([row(2 + n, 9 + n) for n in range(WINDOW)], Verdict.FALLS_BEHIND),
        ([row(2 + 2 * n, 90) for n in range(WINDOW)], Verdict.CATCHING_UP),
        ([row(2, 5), row(3, 9), *[row(4 + n, 9 + n) for n in range(WINDOW - 2)]], Verdict.BEHIND),
        ([row(5, 5), *[row(5, 9)] * (WINDOW - 1)], Verdict.KEEPS_UP),
    ],
)
def test_a_partition_is_told_in_words_over_a_window(window: list[LagRow], word: Verdict) -> None:
    assert verdict(window, full=len(window) == WINDOW) is word


def test_before_the_window_is_full_nobody_is_said_to_stand_still_or_to_fall_behind() -> None:
    assert verdict([row(2, 5)] * (WINDOW - 1), full=False) is Verdict.BEHIND
    assert verdict([row(2 + n, 9 + 2 * n) for n in range(WINDOW - 1)], full=False) is Verdict.BEHIND


def test_a_look_that_has_left_the_window_no_longer_counts() -> None:
    once_caught_up = [[row(5, 5)], *[[row(5, 9)]] * WINDOW]
    assert readers(*once_caught_up)[0].verdict is Verdict.STANDS_STILL
    assert readers(*once_caught_up[:-1])[0].verdict is Verdict.KEEPS_UP


def test_a_group_is_as_well_off_on_a_topic_as_on_its_worst_partition() -> None:
    ages: dict[Place, float | None] = {("t", 1, 2): 40.0, ("t", 2, 1): 7.0}
    (found,) = readers([row(5, 5), row(2, 5, partition=1), row(1, 2, partition=2)], ages=ages)
    assert (found.lag, found.seconds, found.verdict) == (4, 40.0, Verdict.BEHIND)


def test_never_committed_is_not_zero() -> None:
    never, some, none = readers(
        [row(None, 3, topic="a"), row(None, 3, topic="b"), row(0, 0, partition=1, topic="b"), row(3, 3, topic="c")]
    )
    assert [(item.lag, item.unread) for item in (never, some, none)] == [(None, 3), (3, 3), (0, 0)]
    assert never.verdict is Verdict.NEVER_READ


@pytest.mark.parametrize(
    ("first", "last", "arrow"), [(row(2, 5), row(3, 9), "↑"), (row(2, 5), row(4, 5), "↓"), (row(2, 5), row(3, 6), "→")]
)
def test_the_trend_is_the_change_since_the_windows_first_look(first: LagRow, last: LagRow, arrow: str) -> None:
    assert readers([first])[0].trend is None
    assert readers([first], [last])[0].trend == Trend(arrow)


def test_a_limit_is_broken_by_records_by_age_by_an_unknown_age_and_by_loss() -> None:
    found = readers([row(2, 5)], ages={("t", 0, 2): 40.0})
    unknown = readers([row(2, 5)])
    lost = readers([row(2, 9, log_start=9)])
    assert too_far(found + lost, None, None) == []
    assert too_far(found, 3, 40) == []
    assert too_far(found, 2, None) == found
    assert too_far(found, None, 39) == found
    assert too_far(unknown + lost, None, 39) == unknown + lost


def test_a_group_that_nobody_knows_is_not_caught_up() -> None:
    assert missing(readers([row(5, 5)]), ["g", "matcher"]) == ["matcher"]


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

"""Several cases at a time: a failure is heard, and nothing goes on behind it."""

import asyncio

import pytest

from services.matcher.service import AT_A_TIME, _side_by_side

pytestmark = pytest.mark.anyio


async def test_after_a_failure_nothing_is_begun_and_what_was_begun_ends_before_it_is_raised() -> None:
    begun, ended = list[int](), list[int]()

    async def work(number: int) -> None:
        begun.append(number)
        await asyncio.sleep(0)
        if number == 2:
            raise ConnectionError
        await asyncio.sleep(0.01)
        ended.append(number)

    with pytest.raises(ConnectionError):
        await _side_by_side(work(number) for number in range(50))
    assert begun == list(range(AT_A_TIME))
    assert sorted([*ended, 2]) == begun


async def test_all_that_waits_is_done_and_no_more_than_some_at_a_time() -> None:
    now, most, done = 0, 0, list[int]()

    async def work(number: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        done.append(number)

    await _side_by_side(work(number) for number in range(50))
    assert (sorted(done), most) == (list(range(50)), AT_A_TIME)

"""Several cases at a time: a failure is heard, nothing goes on behind it, and what is in memory is bounded."""

import asyncio

import pytest

from services.matcher.service import AT_A_TIME, Room, _side_by_side

pytestmark = pytest.mark.anyio
MANY = 3 * AT_A_TIME


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
        await _side_by_side((work(number) for number in range(MANY)), Room(1))
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

    await _side_by_side((work(number) for number in range(MANY)), Room(1))
    assert (sorted(done), most) == (list(range(MANY)), AT_A_TIME)


async def test_beside_what_fills_the_room_nothing_is_begun_until_it_has_ended() -> None:
    room, now, beside, done = Room(10), 0, list[int](), list[int]()

    async def work(number: int) -> None:
        nonlocal now
        with room.taken(10 if number % 7 == 0 else 1):
            now += 1
            for _ in range(5):
                await asyncio.sleep(0)
            beside.append(now)
            now -= 1
        done.append(number)

    await _side_by_side((work(number) for number in range(MANY)), room)
    assert sorted(done) == list(range(MANY))
    assert max(beside) <= 10

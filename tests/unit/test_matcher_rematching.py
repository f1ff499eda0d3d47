"""Held rounds are looked at again for as long as the matcher runs."""

import asyncio

import pytest

from services.matcher.rematching import Due, Rematching
from services.runtime.errors import Transient

pytestmark = pytest.mark.anyio
OURS = frozenset({0, 2})
FIRST = Due(1, OURS)


class Work:
    """What is due, and a rematch that fails as often as told."""

    def __init__(self, *failures: Exception, due: Due = FIRST) -> None:
        self.now = due
        self.done: list[frozenset[int]] = []
        self.failures = list(failures)
        self.loop = Rematching(lambda: self.now, self.rematch, self.close)
        self.failed_before: list[int] = []
        self.closed = asyncio.Event()
        self.closing_fails: list[Exception] = []

    async def rematch(self, owned: frozenset[int]) -> None:
        self.failed_before.append(self.loop.failures)
        if self.failures:
            raise self.failures.pop(0)
        self.done.append(owned)

    async def close(self, owned: frozenset[int]) -> None:
        if self.closing_fails:
            raise self.closing_fails.pop(0)
        self.closed.set()

    async def until_done(self, times: int) -> None:
        running = asyncio.create_task(self.loop.run())
        async with asyncio.timeout(10):
            while len(self.done) < times and not running.done():
                await asyncio.sleep(0.01)
                if len(self.done) == 1:
                    self.now = Due(2, OURS)
        running.cancel()


@pytest.mark.parametrize("error", [Transient("no broker"), TypeError("nobody foresaw this")])
async def test_an_error_of_any_kind_is_counted_waited_for_and_tried_again(error: Exception) -> None:
    work = Work(error)
    await work.until_done(1)
    assert (work.done, work.failed_before, work.loop.failures) == ([OURS], [0, 1], 0)


async def test_the_same_import_and_assignment_are_rematched_once_and_a_new_import_again() -> None:
    work = Work()
    await work.until_done(2)
    assert work.done == [OURS, OURS]


async def test_nothing_is_rematched_while_no_partition_is_ours() -> None:
    work = Work(due=Due(1))
    running = asyncio.create_task(work.loop.run())
    await asyncio.sleep(0)
    assert (work.done, running.done()) == ([], False)
    running.cancel()


async def test_a_close_that_fails_is_tried_again_without_a_rematch_and_the_matcher_is_ready_again() -> None:
    work = Work()
    work.closing_fails = [Transient("no broker")]
    running = asyncio.create_task(work.loop.run())
    async with asyncio.timeout(10):
        await work.closed.wait()
    assert (work.done, work.loop.failures) == ([OURS], 0)
    running.cancel()

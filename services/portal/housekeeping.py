"""Housekeeping: what may no longer be kept is deleted, once an hour. Nothing else depends on it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from services.runtime.errors import Transient
from services.runtime.logs import logger

EVERY: Final = 3600.0
"""Seconds."""


async def keep_house(
    tidy: Sequence[Callable[[], Awaitable[int]]], stopping: asyncio.Event, every: float = EVERY
) -> None:
    """Tidies until `stopping`; a database that does not answer is asked again next time."""
    while not stopping.is_set():
        try:
            if count := sum([await forget() for forget in tidy]):
                logger().info("no longer kept", count=count)
        except Transient as error:
            logger().error("housekeeping failed", error=type(error).__name__)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), every)

"""What a provider, a disk and a clock do to a notifier that lives through it: on a real relay's wire, in injected time.

Each trouble is a behaviour of the sink, or something that happens at a stated number of accepted messages. The clock
stands still while the notifier works and is moved on to the next moment at which something is due.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, select

from services.notifier.channels.sink_behaviour import Act
from services.notifier.ledger.tables import MESSAGES
from services.runtime.clock import ManualClock
from services.runtime.store.database import moment_of
from tests.faults import house
from tests.notifier_offline import UNDER_WAY, OfflineNotifier
from tests.topics_offline import Log

LONGEST: Final = timedelta(days=4)
"""In injected time: past the last attempt that policy allows."""
HANG: Final = 0.6
"""Seconds: twice as long as we wait for an answer."""
STEP: Final = timedelta(minutes=5)


@dataclass
class Scene:
    """What a trouble may look at and move."""

    draw: random.Random
    clock: ManualClock
    injected: int = 0

    def strikes(self, share: float) -> bool:
        """Whether it happens this time; it is counted."""
        struck = self.draw.random() < share
        self.injected += struck
        return struck


Trouble = Callable[[Scene], Callable[[str, int], Act | None]]


def hangs(scene: Scene) -> Callable[[str, int], Act | None]:
    """The relay does not answer for longer than we wait: before the message, or after it, taken or not."""

    def behaviour(point: str, _: int) -> Act | None:
        if point == "done" and scene.strikes(0.04):
            return Act(delay=HANG, accept=scene.draw.random() < 0.5)
        return Act(delay=HANG) if point == "mail" and scene.strikes(0.02) else None

    return behaviour


def drops_after_data(scene: Scene) -> Callable[[str, int], Act | None]:
    """The connection breaks after the last byte and before the answer, taken or not."""

    def behaviour(point: str, _: int) -> Act | None:
        if point == "done" and scene.strikes(0.1):
            return Act(drop=True, accept=scene.draw.random() < 0.5)
        return None

    return behaviour


def refuses_for_an_hour(scene: Scene) -> Callable[[str, int], Act | None]:
    """4xx for an hour: some mailboxes are greylisted, some connections are told to come back."""
    until = scene.clock.now() + timedelta(hours=1)

    def behaviour(point: str, _: int) -> Act | None:
        if scene.clock.now() >= until:
            return None
        if point == "rcpt":
            scene.injected += 1
            return Act(reply="451 4.7.1 Greylisted, come back later")
        return Act(reply="421 4.3.2 Closing for maintenance") if point == "mail" and scene.strikes(0.2) else None

    return behaviour


def clock_jumps(scene: Scene) -> Callable[[str, int], Act | None]:
    """While messages are on their way the clock goes an hour forward, and later back."""
    jumps = [(140, 1), (100, -1), (60, -1), (20, 1)]

    def behaviour(point: str, number: int) -> Act | None:
        if point == "data" and jumps and number >= jumps[-1][0]:
            scene.injected += 1
            scene.clock.moment += timedelta(hours=jumps.pop()[1])
        return None

    return behaviour


TROUBLES: Final[dict[str, Trouble]] = {
    "provider_hangs": hangs,
    "drops_after_data": drops_after_data,
    "refuses_for_an_hour": refuses_for_an_hour,
    "clock_jumps": clock_jumps,
}


async def run(kind: str, database: str, *, seed: int, messages: int = 200) -> dict[str, Any]:
    """One trouble on one ledger."""
    scene = Scene(random.Random(f"{kind}{seed}"), ManualClock(house.MONDAY))
    log, began = Log(), time.monotonic()
    house.town(log, messages, scene.clock.now())
    async with house.sink(TROUBLES[kind](scene)) as (relay, taken):
        way = house.channel(relay.port, answer_timeout=0.3)
        notifier = OfflineNotifier(log, scene.clock, house.options(database), channels=[way])
        await notifier.start()
        await settle(notifier, scene.clock, house.MONDAY + LONGEST)
        owed = await notifier.under_way()
        await notifier.close()
    result = await house.reckon(log, messages, taken.copies)
    seconds = round(time.monotonic() - began, 1)
    return {"kind": kind, "injected": scene.injected, **result, "owed": owed, "seconds": seconds}


async def settle(notifier: OfflineNotifier, clock: ManualClock, latest: datetime) -> None:
    """Works, and moves the clock on whenever nothing is left to do at this moment, until nothing is owed."""
    while clock.now() < latest:
        while await notifier.turn():
            pass
        if not await notifier.under_way():
            return
        clock.moment = max(clock.now() + timedelta(seconds=1), min(await _next(notifier), clock.now() + STEP))


async def _next(notifier: OfflineNotifier) -> datetime:
    waiting = select(func.min(MESSAGES.c.due)).where(MESSAGES.c.state.in_(UNDER_WAY))
    async with notifier.app.database.transaction() as connection:
        due: int | None = await connection.scalar(waiting)
    return moment_of(due or 0)

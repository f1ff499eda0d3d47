"""Looks at the month's SMS against their cap, says so while it is near or reached, and ends what cannot wait."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.ledger.messages import Message
from services.notifier.ledger.spending import cannot_wait, spent_since
from services.notifier.policy.month_cap import CODE, Standing, month_of, standing
from services.runtime.logs import logger
from services.runtime.metrics import ALARMS, SMS_SPENT

CHANNEL: Final = "sms"
UNIT: Final = 10_000
_AGAIN: Final = timedelta(hours=1)
"""How often it is said while it lasts."""


class SmsBudget:
    """`cap` is in whole units of the providers' currency; None sets none."""

    def __init__(self, cap: Decimal | None) -> None:
        self._cap = int(cap * UNIT) if cap is not None else None
        self._said: tuple[Standing, datetime] | None = None

    @property
    def capped(self) -> bool:
        """Whether there is a cap at all."""
        return self._cap is not None

    async def reached(self, connection: AsyncConnection, now: datetime) -> bool:
        """Whether only what is urgent or asked for may go now."""
        return self.capped and await self._standing(connection, now) is Standing.REACHED

    async def too_late(self, connection: AsyncConnection, now: datetime, limit: int) -> Sequence[Message]:
        """What cannot wait for the next month, while the cap is reached."""
        if not await self.reached(connection, now):
            return ()
        return await cannot_wait(connection, CHANNEL, month_of(now)[1], limit)

    async def _standing(self, connection: AsyncConnection, now: datetime) -> Standing:
        spent = sum(item.cost for item in await spent_since(connection, CHANNEL, month_of(now)[0]))
        SMS_SPENT.set(spent / UNIT)
        found = standing(spent, self._cap)
        self._say(found, spent, now)
        return found

    def _say(self, found: Standing, spent: int, now: datetime) -> None:
        if found is Standing.BELOW:
            self._said = None
        elif self._said is None or self._said[0] is not found or now - self._said[1] >= _AGAIN:
            self._said = (found, now)
            ALARMS.labels(CHANNEL, CODE if found is Standing.REACHED else f"{CODE}_near").inc()
            log = logger().error if found is Standing.REACHED else logger().warning
            log("the month's cap on SMS", standing=found.value, spent=spent / UNIT, cap=(self._cap or 0) / UNIT)

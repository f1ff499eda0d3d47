"""Receipts of SMS providers, written into the ledger: early, late, twice, in any order, or about nothing of ours.

A state only moves forward (policy/late). A receipt answers an outcome that was unknown, so that nobody need be asked
and nothing is sent again. One that names a message which this ledger does not have, or which never went by that
provider, is counted and otherwise nothing: the provider shall not call again because of it.
"""

from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.channels.callbacks import Receipt
from services.notifier.ledger.messages import Message
from services.notifier.ledger.spending import assume
from services.notifier.outcomes.late import LateOutcomes
from services.runtime.clock import Clock
from services.runtime.store.database import Database

Taken = Literal["applied", "nothing_new", "unknown"]


class Receipts:
    """Takes one receipt at a time."""

    def __init__(self, database: Database, late: LateOutcomes, clock: Clock) -> None:
        self._database = database
        self._late = late
        self._clock = clock

    async def take(self, provider: str, number: int, receipt: Receipt) -> Taken:
        """What came of it. Raises `Transient`."""
        async with self._database.transaction() as connection:
            message = await self._late.by_number(connection, number)
            if message is None or message.provider != provider:
                return "unknown"
            moved = await self._say(connection, message, receipt)
            if moved and message.state in ("unknown", "retry"):
                await assume(connection, message, self._clock.now())
        return "applied" if moved else "nothing_new"

    async def _say(self, connection: AsyncConnection, message: Message, receipt: Receipt) -> bool:
        now = self._clock.now()
        if receipt.failure is not None:
            return await self._late.failed(connection, message, receipt.failure, now)
        if receipt.said == "delivered":
            return await self._late.delivered(connection, message, receipt.detail, now)
        return await self._late.accepted(connection, message, receipt.detail, now)

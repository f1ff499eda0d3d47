"""A late word about a message, written down: by a provider's receipt, or by a report that came back by mail.

Guaranteed: the same word said twice changes nothing the second time, and the sender's own outcome, if it comes later,
finds the message no longer its own (its lease is gone) and is dropped.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.delivery import DeliveryState
from services.notifier.channels.port import Outcome
from services.notifier.ledger.endings import become
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.messages import Message, message_of
from services.notifier.ledger.tables import MESSAGES
from services.notifier.outcomes.dead_addresses import DeadAddresses
from services.notifier.policy.late import moves
from services.runtime.store.database import micros


class LateOutcomes:
    """Moves messages by what is said of them afterwards. Every function works inside the caller's transaction."""

    def __init__(self, outbox: Outbox, dead: DeadAddresses) -> None:
        self._outbox = outbox
        self._dead = dead

    async def by_id(self, connection: AsyncConnection, message_id: str) -> Message | None:
        """The message with this id, locked, or None."""
        return await _locked(connection, MESSAGES.c.message_id == message_id)

    async def by_number(self, connection: AsyncConnection, number: int) -> Message | None:
        """The message with this number, locked, or None."""
        return await _locked(connection, MESSAGES.c.number == number) if number < 2**63 else None

    async def delivered(self, connection: AsyncConnection, message: Message, detail: str, now: datetime) -> bool:
        """A person has it, or their mailbox. False when that changes nothing."""
        if not moves(message.state, "delivered"):
            return False
        await self._become(connection, message, DeliveryState.DELIVERED, "delivered", detail, now)
        return True

    async def accepted(self, connection: AsyncConnection, message: Message, detail: str, now: datetime) -> bool:
        """Somebody has taken it on: that answers an outcome that was unknown."""
        if not moves(message.state, "sent"):
            return False
        await self._become(connection, message, DeliveryState.SENT, "accepted", detail, now, sent_at=micros(now))
        return True

    async def failed(self, connection: AsyncConnection, message: Message, outcome: Outcome, now: datetime) -> bool:
        """It will never come through, and what that says of its address."""
        if not moves(message.state, "failed"):
            return False
        await self._become(connection, message, DeliveryState.FAILED, outcome.code, outcome.detail, now)
        await self._dead.failed(connection, message, outcome, now)
        return True

    async def _become(
        self,
        connection: AsyncConnection,
        message: Message,
        state: DeliveryState,
        code: str,
        detail: str,
        now: datetime,
        **values: Any,
    ) -> None:
        about = message if message.state == "sending" else replace(message, attempts=message.attempts - 1)
        await become(connection, self._outbox, about, state, code, now, detail, **values)


async def _locked(connection: AsyncConnection, which: ColumnElement[bool]) -> Message | None:
    row = (await connection.execute(select(MESSAGES).where(which).with_for_update())).one_or_none()
    return message_of(row) if row is not None else None

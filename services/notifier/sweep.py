"""What ends or changes without being sent: whatever died in the middle, is too late, or is called off."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.delivery import DeliveryState
from services.notifier.ledger import claims
from services.notifier.ledger.endings import end, leave_unknown
from services.notifier.ledger.events import Outbox
from services.notifier.outcomes.dead_addresses import address_anew
from services.notifier.policy import month_cap
from services.notifier.sms_budget import SmsBudget

_MOST: Final = 500
"""Messages of each sort in one transaction."""


async def sweep(
    connection: AsyncConnection, outbox: Outbox, sms_budget: SmsBudget, alive: Collection[str], now: datetime
) -> None:
    """`alive` are the messages that this process is at work on, however late their leases are renewed."""
    for message in await claims.abandoned(connection, now, alive, _MOST):
        await leave_unknown(connection, outbox, message, "sender_died", now)
    for message in await sms_budget.too_late(connection, now, _MOST):
        await end(connection, outbox, message, DeliveryState.FAILED, month_cap.CODE, now)
        await address_anew(connection, message)
    for message in await claims.overdue(connection, now, _MOST):
        await end(connection, outbox, message, DeliveryState.EXPIRED, "expired", now)
    for message in await claims.called_off(connection, now, _MOST):
        await end(connection, outbox, message, DeliveryState.CANCELLED, "round_ended", now)

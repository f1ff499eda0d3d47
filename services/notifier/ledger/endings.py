"""What a message comes to."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.delivery import DeliveryState
from services.notifier.ledger import deliveries, transitions
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.messages import Message
from services.notifier.policy.unknown import resolution
from services.runtime.store.database import micros


async def leave_unknown(
    connection: AsyncConnection, outbox: Outbox, message: Message, code: str, now: datetime
) -> None:
    """Nobody knows whether it was taken: the channel's policy says when that is resolved."""
    await deliveries.tell(connection, outbox, [message], DeliveryState.UNKNOWN, code, now)
    due = now + resolution(message.channel, message.unknowns + 1).wait
    counted = {"unknowns": message.unknowns + 1, "attempts": message.attempts + 1}
    await transitions.change(connection, message, "unknown", code=code, due=micros(due), **counted)

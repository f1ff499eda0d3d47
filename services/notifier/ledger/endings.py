"""What a message comes to, told in the transaction that writes it: an end with its reason, or nobody knows."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.delivery import DeliveryState
from services.notifier.ledger import deliveries, transitions
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.messages import Message
from services.notifier.ledger.notices import forget_notices
from services.notifier.policy.unknown import UNKNOWN_OUTCOME, resolution
from services.runtime.store.database import micros


async def end(
    connection: AsyncConnection,
    outbox: Outbox,
    message: Message,
    state: DeliveryState,
    code: str,
    now: datetime,
    detail: str = "",
) -> None:
    """The message's end. One that may have been taken says so, whatever ended it."""
    if message.repeats and state is not DeliveryState.FAILED:
        state, code = DeliveryState.FAILED, UNKNOWN_OUTCOME
    emptied: dict[str, Any] = unwritten(message) if state is DeliveryState.CANCELLED else {}
    if code == "erased":
        emptied = {"address_encrypted": b"", "body_encrypted": None}
    await become(connection, outbox, message, state, code, now, detail, **emptied)


async def become(
    connection: AsyncConnection,
    outbox: Outbox,
    message: Message,
    state: DeliveryState,
    code: str,
    now: datetime,
    detail: str = "",
    **values: Any,
) -> None:
    """What became of this attempt, told and written; a notice needs its words no more."""
    await deliveries.tell(connection, outbox, [message], state, code, now, detail=detail)
    await transitions.change(connection, message, state.value, code=code, attempts=message.attempts + 1, **values)
    await forget_notices(connection, [message])


async def leave_unknown(
    connection: AsyncConnection, outbox: Outbox, message: Message, code: str, now: datetime
) -> None:
    """Nobody knows whether it was taken: the channel's policy says when that is resolved."""
    await deliveries.tell(connection, outbox, [message], DeliveryState.UNKNOWN, code, now)
    due = now + resolution(message.channel, message.unknowns + 1).wait
    counted = {"unknowns": message.unknowns + 1, "attempts": message.attempts + 1}
    await transitions.change(connection, message, "unknown", code=code, due=micros(due), **counted)


def unwritten(message: Message) -> dict[str, Any]:
    """What was surely not taken has not left: its next bytes are made of what is known then. Where an attempt's outcome
    stayed unknown the bytes stay, for a resend must be the same.
    """
    return {} if message.repeats else {"intent_at": None, "body_encrypted": None}

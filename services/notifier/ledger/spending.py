"""What messages cost, by provider, from the ledger's rows; and what waits while no more may be spent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.ledger.messages import NOTICE, WAITING, Message, message_of
from services.notifier.ledger.tables import MESSAGES
from services.runtime.store.database import micros


@dataclass(frozen=True, slots=True)
class Spent:
    """What one provider's messages came to. `cost` is in ten-thousandths of `currency`."""

    provider: str
    currency: str
    messages: int
    segments: int
    cost: int


async def spent_since(connection: AsyncConnection, channel: str, since: datetime) -> list[Spent]:
    """By provider and currency, of all that a provider took since then."""
    rows = await connection.execute(
        select(
            MESSAGES.c.provider,
            MESSAGES.c.currency,
            func.count().label("messages"),
            func.sum(MESSAGES.c.segments).label("segments"),
            func.sum(MESSAGES.c.cost).label("cost"),
        )
        .where(MESSAGES.c.channel == channel, MESSAGES.c.sent_at >= micros(since))
        .group_by(MESSAGES.c.provider, MESSAGES.c.currency)
        .order_by(MESSAGES.c.provider, MESSAGES.c.currency)
    )
    return [Spent(row.provider, row.currency, row.messages, int(row.segments), int(row.cost)) for row in rows]


async def assume(connection: AsyncConnection, message: Message, now: datetime) -> None:
    """Counts a text whose price nobody told us, because the answer to the call was lost: as much as its provider's
    latest one.
    """
    latest = (
        select(MESSAGES.c.segments, MESSAGES.c.cost, MESSAGES.c.currency)
        .where(MESSAGES.c.channel == message.channel, MESSAGES.c.provider == message.provider, MESSAGES.c.cost > 0)
        .order_by(MESSAGES.c.sent_at.desc())
        .limit(1)
    )
    known = (await connection.execute(latest)).mappings().one_or_none()
    untold = update(MESSAGES).where(MESSAGES.c.message_id == message.message_id, MESSAGES.c.cost == 0)
    values = {"sent_at": micros(now)} | ({str(name): value for name, value in known.items()} if known else {})
    await connection.execute(untold.values(**values))


async def cannot_wait(connection: AsyncConnection, channel: str, until: datetime, limit: int) -> Sequence[Message]:
    """Messages that wait, are neither urgent nor asked for, and expire by then, locked."""
    rows = await connection.execute(
        select(MESSAGES)
        .where(MESSAGES.c.channel == channel, MESSAGES.c.state.in_(WAITING), MESSAGES.c.expires_at <= micros(until))
        .where(MESSAGES.c.urgent.is_(False), MESSAGES.c.kind != NOTICE, MESSAGES.c.lease_owner.is_(None))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [message_of(row) for row in rows]

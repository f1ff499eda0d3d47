"""Whose a message is for the moment. Every function works inside the caller's transaction.

A claim is a lease, not a state: a message whose sender died before the intent is simply claimed again. Only `sending`
means that the provider may have been called; when its lease runs out, its outcome is unknown.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.ledger.messages import DIGEST, NOTICE, UNSENT, WAITING, Message, message_of
from services.notifier.ledger.open_rounds import ENDED_ROUNDS, round_is_open
from services.notifier.ledger.tables import MESSAGES, ROUNDS
from services.runtime.store.database import micros


async def take(
    connection: AsyncConnection,
    channel: str,
    owner: str,
    now: datetime,
    lease_until: datetime,
    limit: int,
    *,
    notices_only: bool = False,
    urgent_only: bool = False,
) -> list[Message]:
    """Leases due messages of one channel, urgent first, skipping those that another notifier holds. `urgent_only`: and
    notices, and those whose outcome is to be found out.
    """
    at = micros(now)
    may_leave = and_(
        MESSAGES.c.state.in_(WAITING),
        or_(MESSAGES.c.kind == DIGEST, round_is_open()),  # a digest leaves off the rounds that are not
    )
    if urgent_only:
        may_leave = and_(may_leave, MESSAGES.c.urgent)
    notices = MESSAGES.c.kind == NOTICE
    rows = await connection.execute(
        select(MESSAGES)
        .where(MESSAGES.c.channel == channel, MESSAGES.c.due <= at, unleased(at))
        .where(MESSAGES.c.state.in_((*WAITING, "unknown")))
        .where(notices if notices_only else or_(may_leave, notices, MESSAGES.c.state == "unknown"))
        .order_by(MESSAGES.c.urgent.desc(), MESSAGES.c.due, MESSAGES.c.message_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    claimed = [message_of(row) for row in rows]
    await _set_leases(connection, claimed, lease_owner=owner, lease_until=micros(lease_until))
    return claimed


async def renew(connection: AsyncConnection, owner: str, alive: Collection[str], lease_until: datetime) -> None:
    """Keeps what this owner is at work on; what it has let go of by failing runs out. Locked in the order of their ids,
    as by whoever writes down what became of them: else each could wait for the other.
    """
    held = select(MESSAGES.c.message_id).where(MESSAGES.c.lease_owner == owner, MESSAGES.c.message_id.in_(list(alive)))
    in_order = held.order_by(MESSAGES.c.message_id).with_for_update()
    renewed = update(MESSAGES).where(MESSAGES.c.message_id.in_(in_order.scalar_subquery()))
    await connection.execute(renewed.values(lease_until=micros(lease_until)))


async def still_held(
    connection: AsyncConnection, messages: Sequence[Message], owner: str, *, state: str | None = None
) -> list[Message]:
    """Those of these messages that this owner still holds, locked, in the order of their ids."""
    asked = _held(select(MESSAGES.c.message_id), messages, owner)
    if state is not None:
        asked = asked.where(MESSAGES.c.state == state)
    known = {message.message_id: message for message in messages}
    return [known[message_id] for message_id in (await connection.execute(asked)).scalars()]


async def read_again(connection: AsyncConnection, messages: Sequence[Message], owner: str) -> list[Message]:
    """The same, as they are by now, in the order in which they were claimed: urgent first."""
    rows = await connection.execute(_held(select(MESSAGES), messages, owner))
    claimed = {message.message_id: position for position, message in enumerate(messages)}
    return sorted((message_of(row) for row in rows), key=lambda message: claimed[message.message_id])


def _held(columns: Select[Any], messages: Sequence[Message], owner: str) -> Select[Any]:
    ids = [message.message_id for message in messages]
    held = columns.where(MESSAGES.c.message_id.in_(ids), MESSAGES.c.lease_owner == owner)
    return held.order_by(MESSAGES.c.message_id).with_for_update()


async def release(connection: AsyncConnection, messages: Sequence[Message], due: datetime | None = None) -> None:
    """Gives claimed messages back as they were."""
    values: dict[str, Any] = {} if due is None else {"due": micros(due)}
    await _set_leases(connection, messages, lease_owner=None, lease_until=None, **values)


async def abandoned(connection: AsyncConnection, now: datetime, alive: Collection[str], limit: int) -> list[Message]:
    """Messages in `sending` whose sender let the lease run out: it died, or lost the ledger."""
    return await _locked(
        connection,
        select(MESSAGES).where(
            MESSAGES.c.state == "sending",
            MESSAGES.c.lease_until < micros(now),
            MESSAGES.c.message_id.not_in(list(alive)),
        ),
        limit,
    )


async def overdue(connection: AsyncConnection, now: datetime, limit: int) -> list[Message]:
    """Messages that wait past their expiry."""
    at = micros(now)
    statement = select(MESSAGES).where(MESSAGES.c.state.in_(UNSENT), MESSAGES.c.expires_at <= at, unleased(at))
    return await _locked(connection, statement, limit)


async def called_off(connection: AsyncConnection, now: datetime, limit: int) -> list[Message]:
    """Messages that wait for a round that has ended."""
    ended = select(ROUNDS.c.round_id).where(ROUNDS.c.state.in_(ENDED_ROUNDS))
    statement = select(MESSAGES).where(
        MESSAGES.c.state.in_(UNSENT), MESSAGES.c.round_id.in_(ended), unleased(micros(now))
    )
    return await _locked(connection, statement, limit)


async def _locked(connection: AsyncConnection, statement: Select[Any], limit: int) -> list[Message]:
    rows = await connection.execute(statement.limit(limit).with_for_update(skip_locked=True))
    return [message_of(row) for row in rows]


def unleased(at: int) -> ColumnElement[bool]:
    """No sender has it."""
    return or_(MESSAGES.c.lease_until.is_(None), MESSAGES.c.lease_until < at)


async def _set_leases(connection: AsyncConnection, messages: Sequence[Message], **values: Any) -> None:
    if messages:
        ids = [message.message_id for message in messages]
        await connection.execute(update(MESSAGES).where(MESSAGES.c.message_id.in_(ids)).values(**values))

"""Digests: what waits for one address becomes one message when its time has come.

In the ledger a digest is a message of its own; the first messages that it carries, one of each round, name it and
become what it becomes. So an invitation is on one digest only, an address has still one first message per round, and
whatever asks whether a round's message left finds the answer where it always was. The digest's id derives from what it
carries: to gather twice makes one. Nothing is gathered but what waits, so no digest is empty, and one whose time was
missed is made when a notifier is back. Whatever would be sent to the address within the merge window goes along. What
waited and has become one too many meanwhile (`reckoning`) is left for a later digest.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.delivery import DeliveryState
from schemas.identity import derived
from services.notifier.ledger import steps
from services.notifier.ledger.addressing_turn import alone
from services.notifier.ledger.claims import unleased
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.messages import DIGEST
from services.notifier.ledger.open_rounds import round_is_open
from services.notifier.ledger.steps import Step
from services.notifier.ledger.tables import MESSAGES
from services.notifier.numbers import message_id, new_number
from services.notifier.policy.digest import MOST_ROUNDS, next_run
from services.notifier.policy.timing import IN_CASE, Rules
from services.notifier.policy.windows import next_open
from services.notifier.reckoning import reckon
from services.runtime.store.database import Database, chunks, micros, upsert

_ADDRESSES: Final = 200
"""Addresses whose messages are gathered in one transaction."""
_OTHERS: Final = MESSAGES.alias()


async def gather(database: Database, outbox: Outbox, rules: Rules, now: datetime) -> None:
    """Makes the digests whose time has come."""
    async with database.transaction() as connection:
        if await alone(connection):
            await reckon(connection, outbox, rules, await _asking(connection, rules, now), now)
            await _let_go(connection, rules, now)
    more = True
    while more:
        async with database.transaction() as connection:
            indexes = await _due(connection, now) if await alone(connection) else []
            for rows in (await _waiting(connection, indexes, rules, now)).values():
                await _gather(connection, rows[:MOST_ROUNDS], rules, now)
                await _leave(connection, rows[MOST_ROUNDS:], next_run(rules.burden.digest, now, daily=True))
        more = len(indexes) == _ADDRESSES


async def _asking(connection: AsyncConnection, rules: Rules, now: datetime) -> Sequence[Row[Any]]:
    """What has waited, asks something, and would leave now; first what has its last day first."""
    due = select(MESSAGES.c.address_index).where(_ready(now)).correlate(None)
    asks = (
        MESSAGES.c.waits.in_(IN_CASE),
        MESSAGES.c.asks + MESSAGES.c.minutes > 0,
        MESSAGES.c.created_at < micros(now),
    )
    found = select(MESSAGES).where(MESSAGES.c.address_index.in_(due), *asks, *_going(rules, now))
    ordered = found.order_by(MESSAGES.c.expires_at, MESSAGES.c.message_id)
    return (await connection.execute(ordered.with_for_update())).all()


async def _let_go(connection: AsyncConnection, rules: Rules, now: datetime) -> None:
    """Whatever waited only in case others came, and is still by itself, leaves as it is."""
    lonely = (
        select(_OTHERS.c.address_index)
        .where(_OTHERS.c.state == DeliveryState.WAITING.value, _OTHERS.c.due <= _until(rules, now))
        .group_by(_OTHERS.c.address_index)
        .having(func.count() == 1)
    )
    by_itself = update(MESSAGES).where(_ready(now), MESSAGES.c.waits.in_(IN_CASE), MESSAGES.c.address_index.in_(lonely))
    await connection.execute(by_itself.values(state="pending"))


def _ready(now: datetime) -> ColumnElement[bool]:
    waited = and_(MESSAGES.c.state == DeliveryState.WAITING.value, MESSAGES.c.due <= micros(now))
    return and_(waited, unleased(micros(now)), round_is_open())


def _going(rules: Rules, now: datetime) -> tuple[ColumnElement[bool], ...]:
    """What goes when its address is due: its own time comes within the merge window."""
    soon = (MESSAGES.c.state == DeliveryState.WAITING.value, MESSAGES.c.due <= _until(rules, now))
    return *soon, unleased(micros(now)), round_is_open()


def _until(rules: Rules, now: datetime) -> int:
    return micros(now + timedelta(hours=rules.burden.merge_window_hours))


async def _due(connection: AsyncConnection, now: datetime) -> list[str]:
    """Addresses for which something has waited long enough."""
    found = (
        select(MESSAGES.c.address_index)
        .where(_ready(now))
        .distinct()
        .order_by(MESSAGES.c.address_index)
        .limit(_ADDRESSES)
    )
    return list((await connection.execute(found)).scalars())


async def _waiting(
    connection: AsyncConnection, indexes: Sequence[str], rules: Rules, now: datetime
) -> Mapping[tuple[str, str, str], list[Row[Any]]]:
    """What goes now, by address, channel and municipality; first what has its last day first."""
    found: dict[tuple[str, str, str], list[Row[Any]]] = defaultdict(list)
    statement = (
        select(MESSAGES)
        .where(MESSAGES.c.address_index.in_(indexes), *_going(rules, now))
        .order_by(MESSAGES.c.expires_at, MESSAGES.c.message_id)
    )
    for row in await connection.execute(statement.with_for_update()):
        found[row.address_index, row.channel, row.municipality].append(row)
    return {key: rows for key, rows in found.items() if any(row.due <= micros(now) for row in rows)}


async def _gather(connection: AsyncConnection, rows: Sequence[Row[Any]], rules: Rules, now: datetime) -> None:
    of_them = MESSAGES.c.message_id.in_([row.message_id for row in rows])
    if len(rows) == 1 and rows[0].waits in IN_CASE:
        await connection.execute(update(MESSAGES).where(of_them).values(state="pending"))
        return
    digest = _digest(rows, rules, now)
    await upsert(connection, MESSAGES, [digest])
    carried = {"state": DeliveryState.MERGED.value, "digest_id": digest["message_id"]}
    await connection.execute(update(MESSAGES).where(of_them).values(**carried))
    taken = [Step(row.message_id, now, "merged", "gathered", f"on {digest['message_id']}") for row in rows]
    await steps.take(connection, [Step(digest["message_id"], now, "pending", "gathered"), *taken])


async def _leave(connection: AsyncConnection, rows: Sequence[Row[Any]], due: datetime) -> None:
    """What is too much for one digest waits for another."""
    for chunk in chunks([row.message_id for row in rows]):
        await connection.execute(update(MESSAGES).where(MESSAGES.c.message_id.in_(chunk)).values(due=micros(due)))


def _digest(rows: Sequence[Row[Any]], rules: Rules, now: datetime) -> dict[str, Any]:
    first = rows[0]
    digest_id = derived("digest", first.address_index, *sorted(row.message_id for row in rows))
    return {
        "message_id": message_id(digest_id, first.address_index, DIGEST),
        "number": new_number(),
        "round_id": digest_id,
        "address_index": first.address_index,
        "kind": DIGEST,
        "channel": first.channel,
        "municipality": first.municipality,
        "language": first.language,
        "state": "pending",
        "urgent": False,
        "due": micros(next_open(first.channel, now, rules.windows)),
        "attempts": 0,
        "unknowns": 0,
        "resent_unknown": 0,
        "address_encrypted": first.address_encrypted,
        "provider_ref": "",
        "code": "",
        "created_at": micros(now),
        "expires_at": max(row.expires_at for row in rows),
    }

"""Suppressions, kept in the ledger: who must not be written to, and which rounds are held."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.suppression import SUPPRESSION_CHANGED, Suppression, message_stop_id
from schemas.types import Event
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.messages import Message
from services.notifier.ledger.tables import MESSAGES, SUPPRESSIONS, sortable
from services.notifier.numbers import known_number
from services.runtime.records import Record
from services.runtime.sealing import blind_index
from services.runtime.store.database import micros, moment_of, upsert
from services.runtime.store.feeding import NEWER, Feed, Row, keyed_event


class SuppressionFeed(Feed):
    """`suppressions`: one that names a message is resolved to that message's address, and said again by the address.

    What is said again has an id of its own, a keyed hash of the address's index and of what is stopped, so that a
    ledger that never knew the message, and next week's import, meet it. It is lifted with the last page's stop of the
    same thing.
    """

    table = SUPPRESSIONS

    def __init__(self, outbox: Outbox, index_key: bytes) -> None:
        self._outbox = outbox
        self._index_key = index_key

    def row(self, record: Record) -> Row | None:
        types: dict[str, type[Event]] = {SUPPRESSION_CHANGED: Suppression}
        event: Suppression | None = keyed_event(record, types, "se.nardialog.suppression.", "suppression_id")
        if event is None:
            return None
        known_number(event.message_number)
        return _suppression_row(event)

    async def applied(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        for row in rows:
            if row["message_number"] is not None and row["address_index"] is None:
                await self._resolve(connection, row["suppression_id"], row["message_number"])
            if row["kind"] == "erased" and not row["lifted"]:
                await _empty(connection, row["suppression_id"])

    async def _resolve(self, connection: AsyncConnection, suppression_id: str, number: int) -> None:
        index = await connection.scalar(select(MESSAGES.c.address_index).where(MESSAGES.c.number == number))
        if index is None:
            return
        itself = SUPPRESSIONS.c.suppression_id == suppression_id
        await connection.execute(update(SUPPRESSIONS).where(itself).values(address_index=index))
        page = (await connection.execute(select(SUPPRESSIONS).where(itself))).one()
        said = Suppression(
            municipality=page.municipality,
            suppression_id=self._id(page),
            kind=page.kind,
            scope=page.scope,
            address_index=index,
            case_key=page.case_key,
            case_type=page.case_type,
            subscription_id=page.subscription_id,
            lifted=page.lifted and not await _stands_elsewhere(connection, page),
            reason="undone at the page" if page.lifted else "stopped at the page",
            at=moment_of(page.at),
        )
        await say(connection, self._outbox, said)

    def _id(self, page: Any) -> str:
        about = page.case_key or page.case_type or page.subscription_id or ""
        return suppression_id(self._index_key, page.kind, page.scope, page.address_index, page.municipality, about)


def suppression_id(
    index_key: bytes, kind: str, scope: str, address_index: str, municipality: str = "", about: str = ""
) -> str:
    """Names what is stopped for an address, in a municipality or everywhere, and no address."""
    return blind_index(index_key, "suppression", f"{address_index}:{kind}:{scope}:{municipality}:{about}")


async def suppress_address(
    connection: AsyncConnection,
    outbox: Outbox,
    index_key: bytes,
    *,
    kind: Literal["bounce", "complaint", "stop"],
    municipality: str,
    address_index: str,
    reason: str,
    now: datetime,
) -> None:
    """Nothing more goes to this address: of a stop, from this municipality; else from anybody. Known here at once, and
    to the others by the topic.
    """
    identity = suppression_id(index_key, kind, "all", address_index, municipality if kind == "stop" else "")
    standing = select(SUPPRESSIONS.c.suppression_id).where(
        SUPPRESSIONS.c.suppression_id == identity, SUPPRESSIONS.c.lifted.is_(False)
    )
    if (await connection.execute(standing)).one_or_none() is not None:
        return
    event = Suppression(
        municipality=municipality,
        suppression_id=identity,
        kind=kind,
        scope="all",
        address_index=address_index,
        reason=reason,
        at=now,
    )
    await say(connection, outbox, event)


async def stop_by_message(
    connection: AsyncConnection, outbox: Outbox, index_key: bytes, message: Message, now: datetime
) -> None:
    """Stops all for the address of a message, as its page does: there it is shown, and can be undone."""
    await suppress_address(
        connection,
        outbox,
        index_key,
        kind="stop",
        municipality=message.municipality,
        address_index=message.address_index,
        reason="stopped by mail",
        now=now,
    )
    at_the_page = Suppression(
        municipality=message.municipality,
        suppression_id=message_stop_id(message.number, "all"),
        kind="stop",
        scope="all",
        address_index=message.address_index,
        message_number=message.number,
        reason="stopped by mail",
        at=now,
    )
    await say(connection, outbox, at_the_page)


async def say(connection: AsyncConnection, outbox: Outbox, event: Suppression) -> None:
    """Known here at once, and to the others by the topic."""
    await upsert(connection, SUPPRESSIONS, [_suppression_row(event)], newer=SUPPRESSIONS.info[NEWER])
    await outbox.suppression(connection, event)


def _suppression_row(event: Suppression) -> Row:
    return {
        "suppression_id": event.suppression_id,
        "kind": event.kind,
        "scope": event.scope,
        "municipality": event.municipality,
        "address_index": event.address_index,
        "message_number": event.message_number,
        "round_id": event.round_id,
        "case_key": event.case_key,
        "case_type": event.case_type,
        "subscription_id": event.subscription_id,
        "basis": sortable(event.basis) if event.basis else None,
        "lifted": event.lifted,
        "reason": event.reason,
        "by": event.by,
        "at": micros(event.at),
    }


async def _stands_elsewhere(connection: AsyncConnection, page: Any) -> bool:
    """Whether the same thing is stopped at another message to the same address."""
    same = [
        SUPPRESSIONS.c[name].is_not_distinct_from(getattr(page, name))
        for name in ("address_index", "kind", "scope", "municipality", "case_key", "case_type", "subscription_id")
    ]
    standing = select(SUPPRESSIONS.c.suppression_id).where(
        *same, SUPPRESSIONS.c.message_number.is_not(None), SUPPRESSIONS.c.lifted.is_(False)
    )
    return (await connection.execute(standing.limit(1))).one_or_none() is not None


async def _empty(connection: AsyncConnection, suppression_id: str) -> None:
    """An erased person's messages keep neither address nor words; those still waiting lose them when they end."""
    erased = select(SUPPRESSIONS.c.address_index).where(SUPPRESSIONS.c.suppression_id == suppression_id)
    await connection.execute(
        update(MESSAGES)
        .where(MESSAGES.c.address_index.in_(erased))
        .where(MESSAGES.c.state.not_in(("pending", "retry", "sending", "unknown")))
        .values(address_encrypted=b"", body_encrypted=None)
    )

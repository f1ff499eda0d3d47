"""The outbox: what is to be published is written in the transaction that decides it, and deleted once acknowledged.

Publishing is at least once; ids of events derive from what they say, so a reader that has seen one skips it.
"""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.delivery import DELIVERY_RECORDED, Delivery, DeliveryState
from schemas.identity import derived
from schemas.suppression import SUPPRESSION_CHANGED, Suppression
from services.notifier.ledger.database import Database
from services.notifier.ledger.tables import OUTBOX
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing, Publisher

SOURCE: Final = "/nardialog/notifier"
_PAGE: Final = 500


class Topics:
    """The names of the topics that the notifier writes."""

    def __init__(self, deliveries: str = "deliveries", suppressions: str = "suppressions") -> None:
        self.deliveries = deliveries
        self.suppressions = suppressions


class Outbox:
    """Writes events inside a transaction; `flush` publishes everything that is committed, in order."""

    def __init__(self, database: Database, publisher: Publisher, topics: Topics) -> None:
        self._database = database
        self._publisher = publisher
        self._topics = topics
        self._flushing = asyncio.Lock()

    async def deliveries(self, connection: AsyncConnection, events: Sequence[Delivery]) -> None:
        """Notes what became of messages and invitations."""
        await _put(connection, [self._delivery(event) for event in events])

    async def suppression(self, connection: AsyncConnection, event: Suppression) -> None:
        """Notes that an address is dead."""
        key = event.suppression_id
        record = outgoing(
            self._topics.suppressions, key, event, type=SUPPRESSION_CHANGED, id=key, source=SOURCE, time=event.at
        )
        await _put(connection, [record])

    async def flush(self) -> int:
        """Publishes until nothing is left; returns how many. Raises `Transient`; what was not published stays."""
        count = 0
        async with self._flushing:
            while rows := await self._page():
                await self._publisher.publish([record for _, record in rows])
                async with self._database.transaction() as connection:
                    await connection.execute(delete(OUTBOX).where(OUTBOX.c.id.in_([number for number, _ in rows])))
                count += len(rows)
        return count

    async def _page(self) -> list[tuple[int, Outgoing]]:
        async with self._database.transaction() as connection:
            rows = (await connection.execute(select(OUTBOX).order_by(OUTBOX.c.id).limit(_PAGE))).all()
        return [(row.id, Outgoing(row.topic, row.key, row.body, json.loads(row.headers))) for row in rows]

    def _delivery(self, event: Delivery) -> Outgoing:
        key = event.message_id or event.invitation_ids[0]
        identity, at = event.delivery_id, event.at
        return outgoing(
            self._topics.deliveries, key, event, type=DELIVERY_RECORDED, id=identity, source=SOURCE, time=at
        )


async def _put(connection: AsyncConnection, records: Sequence[Outgoing]) -> None:
    if not records:
        return
    rows = [
        {"topic": record.topic, "key": record.key, "headers": json.dumps(dict(record.headers)), "body": record.value}
        for record in records
    ]
    await connection.execute(insert(OUTBOX), rows)


def invitation_ended(
    state: DeliveryState,
    code: str,
    at: datetime,
    *,
    municipality: str,
    invitation_id: str,
    round_id: str,
    recipient_id: str,
    revision: int,
) -> Delivery:
    """An invitation that came to its end without a message of its own."""
    return Delivery(
        municipality=municipality,
        delivery_id=derived("delivery", invitation_id, state, code, str(revision)),
        invitation_ids=[invitation_id],
        round_ids=[round_id],
        recipient_ids=[recipient_id],
        state=state,
        code=code,
        at=at,
    )

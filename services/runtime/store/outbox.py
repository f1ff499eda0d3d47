"""The outbox: what is to be published is written in the transaction that decides it, and deleted once acknowledged.

Publishing is at least once; ids of events derive from what they say, so a reader that has seen one skips it.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Final

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, String, Table, Text, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.runtime.records import Outgoing, Publisher
from services.runtime.store.database import Database

_PAGE: Final = 500
SERIAL: Final = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows by themselves only for INTEGER."""


def outbox_table(metadata: MetaData) -> Table:
    """Records that are decided and not yet acknowledged by the broker."""
    return Table(
        "outbox",
        metadata,
        Column("id", SERIAL, primary_key=True, autoincrement=True),
        Column("topic", String(300), nullable=False),
        Column("key", String(300), nullable=False),
        Column("headers", Text, nullable=False),
        Column("body", LargeBinary),
    )


class Outbox:
    """`put` writes records inside a transaction; `flush` publishes everything that is committed, in order."""

    def __init__(self, database: Database, table: Table, publisher: Publisher) -> None:
        self._database = database
        self._table = table
        self._publisher = publisher
        self._flushing = asyncio.Lock()

    async def put(self, connection: AsyncConnection, records: Sequence[Outgoing]) -> None:
        """Notes what is to be published once this transaction is committed."""
        if not records:
            return
        rows = [
            {
                "topic": record.topic,
                "key": record.key,
                "headers": json.dumps(dict(record.headers)),
                "body": record.value,
            }
            for record in records
        ]
        await connection.execute(insert(self._table), rows)

    async def flush(self) -> int:
        """Publishes until nothing is left; returns how many. Raises `Transient`; what was not published stays."""
        count = 0
        published: list[int] = []
        async with self._flushing:
            while rows := await self._next(published):
                await self._publisher.publish([record for _, record in rows])
                published = [number for number, _ in rows]
                count += len(rows)
        return count

    async def _next(self, published: Sequence[int]) -> list[tuple[int, Outgoing]]:
        """Crosses off what was acknowledged; what is to be published after it."""
        number = self._table.c.id
        async with self._database.transaction() as connection:
            if published:
                await connection.execute(delete(self._table).where(number.in_(published)))
            if 0 < len(published) < _PAGE:
                return []  # that was the last page
            rows = (await connection.execute(select(self._table).order_by(number).limit(_PAGE))).all()
        return [(row.id, Outgoing(row.topic, row.key, row.body, json.loads(row.headers))) for row in rows]

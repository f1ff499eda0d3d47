"""The outbox: what is to be published is written in the transaction that decides it, and deleted once acknowledged.

Publishing is at least once; ids of events derive from what they say, so a reader that has seen one skips it. What one
`put` was given is one row, so that an event costs no row of its own. Several instances may share one outbox: each
publishes what it has written, what a command has, and what an instance has left behind that is not there any more.
"""

import asyncio
import json
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, Text, delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.runtime.records import Outgoing, Publisher, Unpublished
from services.runtime.store.database import Database, micros

_PAGE: Final = 50
"""Rows read at once."""
_ROW: Final = 500
"""Records in a row."""
_LEFT_BEHIND: Final = timedelta(minutes=1)
"""After so long a row is published by whoever sees it: its writer is gone, or has no broker. Shorter than any lease, so
that what a dead instance had to tell of its work goes before what others tell of it."""
_ANYBODY: Final = ""
"""Owns what was written by who does not publish."""
SERIAL: Final = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows by themselves only for INTEGER."""


def outbox_table(metadata: MetaData) -> Table:
    """Records that are decided and not yet acknowledged by the broker."""
    return Table(
        "outbox",
        metadata,
        Column("id", SERIAL, primary_key=True, autoincrement=True),
        Column("owner", String(80), nullable=False),
        Column("at", BigInteger, nullable=False),
        Column("records", Text, nullable=False),
    )


class Outbox:
    """`put` writes records inside a transaction; `flush` publishes everything that is committed, in order."""

    def __init__(self, database: Database, table: Table, publisher: Publisher) -> None:
        self._database = database
        self._table = table
        self._publisher = publisher
        self._flushing = asyncio.Lock()
        self._owner = _ANYBODY if isinstance(publisher, Unpublished) else uuid.uuid4().hex
        self._begun = False

    async def put(self, connection: AsyncConnection, records: Sequence[Outgoing]) -> None:
        """Notes what is to be published once this transaction is committed."""
        rows = [
            {"owner": self._owner, "at": micros(datetime.now(UTC)), "records": _written(records[start : start + _ROW])}
            for start in range(0, len(records), _ROW)
        ]
        if rows:
            await connection.execute(insert(self._table), rows)

    async def flush(self) -> int:
        """Publishes until nothing of this instance is left; returns how many records. Raises `Transient`; what was not
        published stays. The first time, all that stands there: this instance may be a dead one's successor.
        """
        count = 0
        published: list[int] = []
        async with self._flushing:
            while rows := await self._next(published):
                records = [record for _, text in rows for record in _read(text)]
                await self._publisher.publish(records)
                published = [number for number, _ in rows]
                count += len(records)
            self._begun = True
        return count

    async def _next(self, published: Sequence[int]) -> list[tuple[int, str]]:
        """Crosses off what was acknowledged; what is to be published after it."""
        number, owner = self._table.c.id, self._table.c.owner
        page = select(number, self._table.c.records).order_by(number).limit(_PAGE)
        if self._begun:
            left_behind = self._table.c.at < micros(datetime.now(UTC) - _LEFT_BEHIND)
            page = page.where(or_(owner.in_((self._owner, _ANYBODY)), left_behind))
        async with self._database.transaction() as connection:
            if published:
                await connection.execute(delete(self._table).where(number.in_(published)))
            if 0 < len(published) < _PAGE:
                return []  # that was the last page
            return [(row.id, row.records) for row in await connection.execute(page)]


def _written(records: Sequence[Outgoing]) -> str:
    parts = [[r.topic, r.key, dict(r.headers), None if r.value is None else r.value.decode()] for r in records]
    return json.dumps(parts, ensure_ascii=False)


def _read(text: str) -> Iterator[Outgoing]:
    for topic, key, headers, value in json.loads(text):
        yield Outgoing(topic, key, None if value is None else value.encode(), headers)

"""Facts from whole topics, kept in a service's own database with the offsets they came from.

A record takes effect only if its offset is at or past the stored position of its partition, and the position moves in
the same transaction; so a fact is never older than one already applied, whichever of several instances reads it, and a
tombstone that one has applied is not undone by another that lags.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.types import Event
from services.runtime.errors import Rejected
from services.runtime.parsing import parse
from services.runtime.records import Record
from services.runtime.store.database import Database, upsert

Row = dict[str, Any]
"""A table's columns; what else stands in it is for `Feed.applied` alone."""
NEWER: Final = "newer"
"""In a table's `info`: the column that orders a fact's versions, where the log alone does not. A lower one never
overwrites a higher one."""
DeadLetter = Callable[[Record, Rejected], Awaitable[None]]


def positions_table(metadata: MetaData) -> Table:
    """Where each partition is read on from."""
    return Table(
        "positions",
        metadata,
        Column("topic", String(300), primary_key=True),
        Column("partition", Integer, primary_key=True, autoincrement=False),
        Column("next_offset", BigInteger, nullable=False),
    )


class Feed(Protocol):
    """One topic's way into one table. Feeds name it as their base."""

    table: Table

    def row(self, record: Record) -> Row | None:
        """The row that a record says, or None for a type to skip. Raises `Rejected`."""
        ...

    async def applied(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        """What follows from rows that were written; nothing, where a feed says nothing else."""
        return


class Feeder:
    """Applies batches of all the table topics; `topics` maps a topic's name on the broker to its feed."""

    def __init__(
        self, database: Database, positions: Table, topics: Mapping[str, Feed], dead_letter: DeadLetter
    ) -> None:
        self._database = database
        self._positions = positions
        self._topics = topics
        self._dead_letter = dead_letter

    async def positions(self) -> dict[tuple[str, int], int]:
        """Where to read on from."""
        table = self._positions
        async with self._database.transaction() as connection:
            rows = (await connection.execute(select(table).where(table.c.topic.in_(self._topics)))).all()
        return {(row.topic, row.partition): row.next_offset for row in rows}

    async def apply(self, records: Sequence[Record]) -> None:
        """One batch of one partition. Bad records are dead letters before the position moves."""
        first, last = records[0], records[-1]
        feed = self._topics[first.topic]
        changes: dict[str, tuple[int, Row | None]] = {}
        for record in records:
            await self._read(feed, record, changes)
        async with self._database.transaction() as connection:
            position = await _locked_position(connection, self._positions, first)
            fresh = {key: row for key, (offset, row) in changes.items() if offset >= position}
            await _write(connection, feed, fresh)
            await connection.execute(
                update(self._positions)
                .where(self._positions.c.topic == first.topic, self._positions.c.partition == first.partition)
                .values(next_offset=max(position, last.offset + 1))
            )

    async def _read(self, feed: Feed, record: Record, changes: dict[str, tuple[int, Row | None]]) -> None:
        try:
            if record.value is None:
                changes[record_key(record)] = (record.offset, None)
            elif (row := feed.row(record)) is not None:
                _keep(changes, feed.table, record.offset, row)
        except Rejected as error:
            await self._dead_letter(record, error)


def _keep(changes: dict[str, tuple[int, Row | None]], table: Table, offset: int, row: Row) -> None:
    """The newest row of each fact; a topic's key may be wider than the fact, such as a case's for its invitations."""
    key, newer = str(row[next(iter(table.primary_key)).name]), table.info.get(NEWER)
    known = changes.get(key, (0, None))[1]
    if newer is None or known is None or row[newer] >= known[newer]:
        changes[key] = (offset, row)


def record_key(record: Record) -> str:
    """A record's key as text. Raises `Rejected`."""
    try:
        return (record.key or b"").decode()
    except UnicodeDecodeError:
        raise Rejected("bad_key", "the key is not UTF-8; send it as UTF-8 text") from None


async def _locked_position(connection: AsyncConnection, positions: Table, record: Record) -> int:
    row = {"topic": record.topic, "partition": record.partition, "next_offset": 0}
    await upsert(connection, positions, [row], keep=True)
    where = (positions.c.topic == record.topic, positions.c.partition == record.partition)
    found = await connection.execute(select(positions.c.next_offset).where(*where).with_for_update())
    position: int = found.scalar_one()
    return position


async def _write(connection: AsyncConnection, feed: Feed, fresh: Mapping[str, Row | None]) -> None:
    primary = next(iter(feed.table.primary_key))
    gone = [key for key, row in fresh.items() if row is None]
    for start in range(0, len(gone), 500):
        await connection.execute(delete(feed.table).where(primary.in_(gone[start : start + 500])))
    rows = [row for row in fresh.values() if row is not None]
    columns = feed.table.columns.keys()
    stored = [{name: row[name] for name in columns if name in row} for row in rows]
    await upsert(connection, feed.table, stored, newer=feed.table.info.get(NEWER))
    await feed.applied(connection, rows)


def keyed_event(record: Record, types: Mapping[str, type[Event]], family: str, identity: str) -> Any:
    """The event in a record whose key must be the event's `identity`; None for a type to skip. Raises `Rejected`."""
    parsed = parse(record, types, family)
    if parsed is None:
        return None
    if getattr(parsed.event, identity, None) != record_key(record):
        raise Rejected("key_mismatch", f"the record's key is not the event's {identity}; key it so", f"/{identity}")
    return parsed.event

"""The ledger under a new key: everything encrypted is opened with whichever key fits and written again with the newest.

The blind index is not: its key is never changed, or no stop would meet its address again.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, LargeBinary, Row, Table, bindparam, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.ledger.tables import METADATA
from services.runtime.errors import Fault
from services.runtime.sealing import Vault
from services.runtime.store.database import Database

PAGE: Final = 500
ENCRYPTED: Final = {
    table: columns
    for table in METADATA.sorted_tables
    if (columns := [c for c in table.columns if c.name.endswith("_encrypted") and isinstance(c.type, LargeBinary)])
}
"""What is encrypted in the ledger, by table."""


@dataclass(frozen=True, slots=True)
class Renewed:
    """What came of one page of rows. `closed` is how many values no key opens."""

    table: str
    rows: int
    written: int
    closed: int


async def renew(database: Database, vault: Vault) -> AsyncIterator[Renewed]:
    """Page by page, each in a transaction of its own, while notifiers work. Doing it again does what was left."""
    for table, columns in ENCRYPTED.items():
        last: Row[Any] | None = None
        while True:
            async with database.transaction() as connection:
                rows = await _page(connection, table, columns, last)
                if rows:
                    yield await _renew(connection, table, columns, rows, vault)
            if len(rows) < PAGE:
                break
            last = rows[-1]


async def _page(
    connection: AsyncConnection, table: Table, columns: list[Column[Any]], last: Row[Any] | None
) -> list[Row[Any]]:
    keys = list(table.primary_key.columns)
    statement = select(*keys, *columns).order_by(*keys).limit(PAGE).with_for_update()
    if last is not None:
        statement = statement.where(tuple_(*keys) > tuple(getattr(last, key.name) for key in keys))
    return list((await connection.execute(statement)).all())


async def _renew(
    connection: AsyncConnection, table: Table, columns: list[Column[Any]], rows: list[Row[Any]], vault: Vault
) -> Renewed:
    written = closed = 0
    keys = list(table.primary_key.columns)
    itself = [key == bindparam(f"of_{key.name}") for key in keys]
    for column in columns:
        changes = []
        for row in rows:
            try:
                fresh = vault.renewed(getattr(row, column.name)) if getattr(row, column.name) else None
            except Fault:
                closed += 1
                continue
            if fresh is not None:
                changes.append({**{f"of_{key.name}": getattr(row, key.name) for key in keys}, "fresh": fresh})
        if changes:
            await connection.execute(update(table).where(*itself).values({column: bindparam("fresh")}), changes)
        written += len(changes)
    return Renewed(table.name, len(rows), written, closed)

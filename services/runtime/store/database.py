"""A service's database: one code path for SQLite and PostgreSQL.

SQLite runs in WAL with synchronous=FULL: NORMAL can lose the last commits on power loss, and a lost outcome is a
message sent twice. Each transaction begins with BEGIN IMMEDIATE, which does there what SKIP LOCKED does on PostgreSQL.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Executable, Table, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from services.runtime.errors import Transient

_CHUNK: Final = 500
_T = TypeVar("_T")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOCK: Final = 0x6E617264  # an advisory lock of our own, so that two instances starting at once migrate once

_ROOM: Final = ("cache_size=-32768", "wal_autocheckpoint=4000")
"""Thirty-two MiB of pages in memory, where 2 are the rule: what is looked up by address or id lies all over the file.
The journal is folded in at every 16 MiB, so that a row that is written three times on its way is folded in once.
"""

_MIGRATING: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]] = WeakKeyDictionary()


class Database:
    """One engine. `transaction` commits on leaving, or rolls back."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Raises `Transient` for what the database or the way to it does."""
        try:
            async with self._engine.begin() as connection:
                yield connection
        except (DBAPIError, PoolTimeout, OSError) as error:
            raise Transient(f"the database did not answer ({type(error).__name__}); it is tried again") from error

    async def close(self) -> None:
        """Lets go of the connections."""
        await self._engine.dispose()


async def migrate(database: Database, migrations: Path) -> None:
    """Brings the schema to the newest revision in the folder `migrations` (Alembic).

    One at a time in a process: Alembic keeps what it works on in a module, and two services that share an event loop
    would write into each other's database.
    """
    one_at_a_time = _MIGRATING.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    async with one_at_a_time, database.transaction() as connection:
        if connection.dialect.name == "postgresql":
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        await connection.run_sync(_upgrade, migrations)


def _upgrade(connection: Any, migrations: Path) -> None:
    from alembic import command  # slow to import, and needed once
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _engine(url: str) -> AsyncEngine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_async_engine(
            parsed.set(drivername="postgresql+asyncpg"), pool_size=5, pool_pre_ping=True, hide_parameters=True
        )
    # One connection: tasks queue for it in turn instead of spinning on SQLite's single write lock.
    engine = create_async_engine(
        parsed.set(drivername="sqlite+aiosqlite"), pool_size=1, max_overflow=0, hide_parameters=True
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_immediate)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    cursor = connection.cursor()
    for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL", *_ROOM):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


async def upsert(
    connection: AsyncConnection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    keep: bool = False,
    newer: str | None = None,
) -> None:
    """Inserts rows; where the primary key (or, with `keep`, any unique key) is there, overwrites or keeps what is.

    With `newer`, a row overwrites only one whose column of that name is not higher.
    """
    if not rows:
        return
    statement = _upserting(table, connection.dialect.name, tuple(rows[0]), keep, newer)
    await connection.execute(statement, [dict(row) for row in rows])


@cache
def _upserting(table: Table, dialect: str, columns: tuple[str, ...], keep: bool, newer: str | None) -> Executable:
    """Made once: building it, with a column of `excluded` for each of the table's, takes longer than running it."""
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    if keep:
        return insert.on_conflict_do_nothing()
    keys = [column.name for column in table.primary_key]
    changed = {name: insert.excluded[name] for name in columns if name not in keys}
    where = None if newer is None else insert.excluded[newer] >= table.c[newer]
    return insert.on_conflict_do_update(index_elements=keys, set_=changed, where=where)


def chunks(items: Sequence[_T]) -> Iterable[Sequence[_T]]:
    """Pieces small enough for one statement's parameters."""
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))


def micros(moment: datetime) -> int:
    """A moment as it is stored."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment_of(stored: int) -> datetime:
    """A moment as it was."""
    return _EPOCH + timedelta(microseconds=stored)

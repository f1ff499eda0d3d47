"""The ledger of the environment's settings, for commands."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.notifier.ledger.tables import MIGRATIONS
from services.notifier.settings import NotifierSettings
from services.runtime.settings import load
from services.runtime.store.database import Database, migrate


@asynccontextmanager
async def opened_ledger() -> AsyncIterator[Database]:
    """At this program's revision, and closed on leaving."""
    database = Database(load(NotifierSettings).notifier.database)
    try:
        await migrate(database, MIGRATIONS)
        yield database
    finally:
        await database.close()

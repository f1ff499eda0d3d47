"""The portal's store is the same on both databases, and its migrations lead to the schema in the code."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from services.notifier.ledger import tables
from services.portal.store.tables import METADATA, MIGRATIONS
from services.runtime.store.database import Database, migrate

pytestmark = pytest.mark.anyio
OPTIONS = {"compare_type": True, "version_table": "portal_version"}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_the_migrations_lead_to_the_schema_in_the_code(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = (
        f"sqlite+aiosqlite:///{tmp_path / 'portal.db'}" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    )
    database = Database(url)
    try:
        await migrate(database, MIGRATIONS)
        async with database.transaction() as connection:
            assert await connection.run_sync(_differences) == []
    finally:
        await database.close()


async def test_two_services_that_start_at_once_in_one_process_migrate_each_its_own(tmp_path: Path) -> None:
    ledger = Database(f"sqlite+aiosqlite:///{tmp_path / 'ledger.db'}")
    store = Database(f"sqlite+aiosqlite:///{tmp_path / 'portal.db'}")
    try:
        await asyncio.gather(migrate(ledger, tables.MIGRATIONS), migrate(store, MIGRATIONS))
        for database, metadata in ((ledger, tables.METADATA), (store, METADATA)):
            async with database.transaction() as connection:
                names = set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
                assert set(metadata.tables) <= names
    finally:
        await ledger.close()
        await store.close()


def _differences(connection: Any) -> list[Any]:
    return list(compare_metadata(MigrationContext.configure(connection, opts=OPTIONS), METADATA))

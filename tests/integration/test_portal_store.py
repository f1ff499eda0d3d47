"""The portal's store is the same on both databases, and its migrations lead to the schema in the code."""

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

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


def _differences(connection: Any) -> list[Any]:
    return list(compare_metadata(MigrationContext.configure(connection, opts=OPTIONS), METADATA))

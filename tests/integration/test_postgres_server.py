"""The test database itself: each test has its own, on a real PostgreSQL."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.postgres_server import PostgresServer


async def run(url: str, statement: str) -> list[int]:
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            found = await connection.execute(text(statement))
            return [int(row[0]) for row in found] if found.returns_rows else []
    finally:
        await engine.dispose()


@pytest.mark.parametrize("_", [1, 2])
async def test_a_database_is_fresh_for_each_test(postgres_url: str, _: int) -> None:
    assert not await run(postgres_url, "SELECT 1 FROM pg_tables WHERE tablename = 'mark'")
    await run(postgres_url, "CREATE TABLE mark (id int)")


async def test_rows_survive_a_kill() -> None:
    server = PostgresServer().start()
    try:
        url = server.create_database("kept")
        await run(url, "CREATE TABLE mark AS SELECT 7 AS id")
        server.kill()
        server.start()
        assert await run(url, "SELECT id FROM mark") == [7]
    finally:
        server.stop()

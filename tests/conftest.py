"""Real servers for tests, each started once and only when a test asks for it. If one cannot run, the test errors."""

import asyncio
import uuid
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
from hypothesis import settings
from structlog.testing import capture_logs

from services.notifier.ledger.tables import MIGRATIONS
from services.runtime import logs
from services.runtime.local_kafka import LocalKafka
from services.runtime.settings import LogSettings
from services.runtime.store.database import Database, migrate
from tests.postgres_server import PostgresServer

settings.register_profile("untimed", deadline=None)  # how fast a machine is, is no property of ours
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio."""
    return "asyncio"


@pytest.fixture
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged from here on, whatever level an earlier test of this process set."""
    logs.configure(LogSettings(level="info"), "test")
    with capture_logs() as lines:
        yield lines


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """One real broker for the session: use `topic_prefix`, and never kill this one."""
    with LocalKafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def topic_prefix() -> str:
    """Begins the names of topics and groups that no other test uses."""
    return f"t{uuid.uuid4().hex[:10]}-"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One real PostgreSQL for the session: use `postgres_url`, and never kill this one."""
    server = PostgresServer()
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A fresh, empty database."""
    name = f"t{uuid.uuid4().hex[:10]}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def sqlite_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger that knows nothing yet, to copy."""
    path = tmp_path_factory.mktemp("ledger") / "empty.db"
    asyncio.run(_migrated(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres_ledger(postgres: PostgresServer) -> str:
    """The same as a database, by its name."""
    name = "empty_ledger"
    asyncio.run(_migrated(postgres.create_database(name)))
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh ledger, on each of the two databases: what a test says of a ledger, it says of both."""
    if request.param == "sqlite":
        copy(request.getfixturevalue("sqlite_ledger"), tmp_path / "ledger.db")
        yield f"sqlite+aiosqlite:///{tmp_path}/ledger.db"
        return
    server, name = request.getfixturevalue("postgres"), f"t{uuid.uuid4().hex[:10]}"
    yield server.create_database(name, request.getfixturevalue("postgres_ledger"))
    server.drop_database(name)


async def _migrated(url: str) -> None:
    database = Database(url)
    await migrate(database, MIGRATIONS)
    await database.close()

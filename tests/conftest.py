"""Real servers for tests, each started once and only when a test asks for it. If one cannot run, the test errors."""

import uuid
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from hypothesis import settings
from structlog.testing import capture_logs

from services.runtime import logs
from services.runtime.local_kafka import LocalKafka
from services.runtime.settings import LogSettings
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

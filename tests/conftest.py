"""Real servers for tests, each started once and only when a test asks for it. If one cannot run, the test errors."""

import uuid
from collections.abc import Iterator

import pytest
from hypothesis import settings

from services.runtime.local_kafka import LocalKafka
from tests.postgres_server import PostgresServer

settings.register_profile("untimed", deadline=None)  # how fast a machine is, is no property of ours
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio."""
    return "asyncio"


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

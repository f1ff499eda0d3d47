"""A whole installation for one test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.runtime.local_kafka import LocalKafka
from tests.journeys.installation import Installation


@pytest.fixture
async def installation(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Installation]:
    """Not started, so that a test may say how many partitions it has."""
    made = Installation(kafka, topic_prefix, tmp_path, monkeypatch.setenv)
    yield made
    await made.stop()

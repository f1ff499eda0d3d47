"""Schemathesis against the running API of case systems: every check, positive and negative, and it finds nothing."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from services.portal.store import keys
from services.runtime.local_kafka import LocalKafka
from services.runtime.settings import KafkaSettings
from tests.portal_world import World, api_key

pytestmark = pytest.mark.anyio
ROOT: Final = Path(__file__).resolve().parents[2]
EXAMPLES: Final = 6
"""Of each operation in each mode, besides some hundreds that are enumerated from the schema."""
CONFIGURATION: Final = """\
[checks.negative_data_rejection]
# With 413, for lists and texts that are longer than any list or text may be.
expected-statuses = [400, 401, 403, 404, 405, 409, 413, 415, 422]

[checks.positive_data_acceptance]
# With 422, for what fits the schema and breaks a rule: `refused_by_a_rule_alone` looks at which. Without 5xx.
expected-statuses = ["2xx", 401, 403, 404, 409, 422]
"""


@pytest.fixture
async def world(kafka: LocalKafka, topic_prefix: str, tmp_path: Path) -> AsyncIterator[World]:
    made = World(KafkaSettings(bootstrap=(kafka.bootstrap,), topic_prefix=topic_prefix), tmp_path)
    await made.start()
    yield made
    await made.stop()


async def test_schemathesis_finds_nothing(world: World, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    token, key = api_key(sources=frozenset({"*"}), municipalities=frozenset({"*"}))
    async with world.portal(case_vertices=50) as app:  # a narrow door: its limits are tried, and small to send
        async with app.database.transaction() as connection:
            await keys.add(connection, key)
        running = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("schemathesis")),
            "--config-file", "schemathesis.toml",
            "run", f"http://127.0.0.1:{world.port}/api/v1/openapi.json",
            "--header", f"Authorization: Bearer {token}",
            "--checks", "all",
            "--max-examples", str(EXAMPLES),
            "--suppress-health-check", "all",  # of how long it takes to invent something
            "--warnings", "off",
            "--no-color",
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.integration.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await running.communicate()
    told = "\n".join(line[:400] for line in said.decode(errors="replace").splitlines())
    assert running.returncode == 0, told
    assert "4 selected / 4 total" in told
    await world.all_read()
    assert world.seen, "what fits the schema and the rules was sent"

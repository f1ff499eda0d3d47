"""A case by the command line alone, with the real matcher: sent, looked at, released, undone, released, withdrawn."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from schemas.round import Purpose, RoundState
from schemas.suppression import Suppression
from schemas.topics import SUPPRESSIONS, Topic
from services.matcher.app import build
from services.matcher.settings import MatcherOptions, MatcherSettings
from services.runtime.clock import ManualClock
from services.runtime.local_kafka import LocalKafka
from services.runtime.records import Record
from services.runtime.tables import TableReader
from services.runtime.topic_admin import TopicAdmin
from tests.integration.test_dlq_edit_journey import command
from tests.matcher_cases import content
from tests.matcher_world import NOW, PARTITIONS, World, company, made_settings

pytestmark = pytest.mark.anyio
KEY = "0162/prov/A"


@pytest.fixture
def settings(kafka: LocalKafka, topic_prefix: str) -> MatcherSettings:
    made = made_settings(kafka, topic_prefix, MatcherOptions(release={"*": "review"}))
    with TopicAdmin(kafka.bootstrap) as admin:
        admin.create([Topic(made.kafka.topic(SUPPRESSIONS), "id", SUPPRESSIONS.cleanup)], PARTITIONS, replication=1)
    return made


@pytest.fixture
async def world(settings: MatcherSettings) -> AsyncIterator[World]:
    made = World(settings.kafka)
    await made.broker.connect()
    await made.reader.start()
    yield made
    await made.reader.stop()
    await made.broker.stop()


async def suppressions(settings: MatcherSettings) -> list[Suppression]:
    found: list[Suppression] = []

    async def see(records: Sequence[Record]) -> None:
        found.extend(Suppression.model_validate_json(record.value or b"") for record in records)

    reader = TableReader(settings.kafka, [settings.kafka.topic(SUPPRESSIONS)], see)
    await reader.start()
    await reader.caught_up()
    await reader.stop()
    return sorted(found, key=lambda item: item.at)


async def test_a_case_is_released_undone_released_again_and_withdrawn(
    world: World, settings: MatcherSettings, tmp_path: Path
) -> None:
    file = tmp_path / "case.json"
    file.write_text(json.dumps(content(), indent=2))
    matcher = build(settings, ManualClock(NOW))
    await matcher.start()
    try:
        await world.send_register([company("W1", 18.03), company("W2", 18.03)])
        await command(settings, "case", "submit", str(file))
        await world.until_last(RoundState.HELD, "review")
        assert world.invitations() == []

        await command(settings, "case", "release", "--yes", "A")
        first = await world.until_last(RoundState.OPEN)
        await command(settings, "case", "undo", "--yes", "--reason", "fel väg", "A")
        await world.until_last(RoundState.HELD, "undone", purpose=Purpose.ASK)
        [held] = await suppressions(settings)
        assert held.basis is not None
        assert first.basis.order <= held.basis.order, "what was open is held"

        await command(settings, "case", "release", "--yes", KEY)
        again = await world.until_last(RoundState.OPEN, purpose=Purpose.ASK)
        assert again.basis.order > held.basis.order, "what the next release opened is not held"

        await command(settings, "case", "withdraw", "--yes", KEY)
        await world.until_last(RoundState.WITHDRAWN, "withdrawn", purpose=Purpose.ASK)
        gone = [item for item in await suppressions(settings) if item.kind == "withdrawn"]
        assert again.round_id in {item.round_id for item in gone}
        assert all(item.basis is not None and again.basis.order < item.basis.order for item in gone)
    finally:
        await matcher.stop()

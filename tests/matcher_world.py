"""A matcher's world in a test: topics of its own on a real broker, what is sent to them, and all that was written."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.case import CASE_CHANGED, Case
from schemas.company import COMPANY_CHANGED, IMPORT_COMPLETED, MARKER_PREFIX, Company, ImportCompleted
from schemas.dialogue import DIALOGUE_CHANGED, Decision, Dialogue
from schemas.identity import DEMO_RECIPIENT_KEY, recipient_id
from schemas.invitation import Invitation
from schemas.round import Round, RoundState
from schemas.topics import CASES, COMPANIES, DIALOGUES, INVITATIONS, ROUNDS, SUBSCRIPTIONS, Topic
from services.matcher.settings import MatcherOptions, MatcherSettings
from services.matcher.workplaces import content_hash
from services.runtime.broker import Broker
from services.runtime.local_kafka import LocalKafka
from services.runtime.parsing import outgoing
from services.runtime.records import Record
from services.runtime.settings import KafkaSettings
from services.runtime.tables import TableReader
from services.runtime.topic_admin import TopicAdmin
from tests.matcher_cases import content

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
PARTITIONS = 3


def company(workplace_id: str, lon: float, **changes: Any) -> Company:
    """A company with one workplace, on the latitude of the tests' case."""
    return Company(
        municipality="0162",
        workplace_id=workplace_id,
        recipient_id=recipient_id(workplace_id, DEMO_RECIPIENT_KEY),
        name=workplace_id,
        lon=lon,
        lat=59.4,
        **({"import_number": 1} | changes),
    )


def case(**changes: Any) -> Case:
    """Street works near 18.03 E."""
    return Case.model_validate(content("road", case_id="A 1", title="Vägen byggs om") | changes)


def decisions(item: Case, *made: dict[str, Any]) -> Dialogue:
    """All decisions on a case, each what is not said."""
    return Dialogue(
        municipality=item.municipality,
        case_id=item.case_id,
        source=item.source,
        decisions=[
            Decision.model_validate({"number": number, "at": NOW, "by": "näringslivskontoret"} | one)
            for number, one in enumerate(made, 1)
        ],
    )


def made_settings(kafka: LocalKafka, prefix: str, options: MatcherOptions | None = None) -> MatcherSettings:
    """A matcher's settings, and its topics."""
    made = KafkaSettings(bootstrap=(kafka.bootstrap,), topic_prefix=prefix, session_timeout_ms=6000)
    sources = (CASES, DIALOGUES, COMPANIES, SUBSCRIPTIONS, ROUNDS, INVITATIONS)
    topics = [Topic(made.topic(t), t.key, t.cleanup) for t in sources]
    with TopicAdmin(kafka.bootstrap) as admin:
        admin.create([*topics, *(t.dead_letters for t in topics[:2])], partitions=PARTITIONS, replication=1)
    return MatcherSettings(kafka=made, matcher=options or MatcherOptions())


class World:
    """Topics of one test, a publisher, and everything that was written."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self.kafka = kafka
        self.broker = Broker(kafka, service="test")
        self.seen: list[Record] = []
        topics = [kafka.topic(t) for t in (ROUNDS, INVITATIONS)] + [f"{kafka.topic(t)}.dlq" for t in (CASES, DIALOGUES)]
        self.reader = TableReader(kafka, topics, self._apply)

    async def _apply(self, records: Sequence[Record]) -> None:
        self.seen.extend(records)

    def values(self, topic: Topic) -> list[bytes]:
        return [r.value or b"" for r in self.seen if r.topic == self.kafka.topic(topic)]

    def rounds(self) -> list[Round]:
        return [Round.model_validate_json(value) for value in self.values(ROUNDS)]

    def invitations(self) -> list[Invitation]:
        return [Invitation.model_validate_json(value) for value in self.values(INVITATIONS)]

    def dead(self) -> list[Record]:
        return [r for r in self.seen if r.topic.endswith(".dlq")]

    def count(self, topic: Topic) -> int:
        """How many records a topic ever had."""
        with TopicAdmin(self.kafka.bootstrap[0]) as admin:
            return sum(admin.ends([self.kafka.topic(topic)]).values())

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(40):
            while not condition():
                await self.reader.caught_up()
                await asyncio.sleep(0.05)

    async def until_last(self, state: RoundState, reason: str | None = None, **content: Any) -> Round:
        """Waits until the last round with that content has that state, and returns it."""

        def last() -> Round | None:
            found = [r for r in self.rounds() if all(getattr(r, name) == value for name, value in content.items())]
            return found[-1] if found and (found[-1].state, found[-1].reason) == (state, reason) else None

        await self.until(last)
        found = last()
        assert found is not None
        return found

    async def send_case(
        self, item: Case, *, partition: int | None = None, at: datetime = NOW, extensions: dict[str, str] | None = None
    ) -> None:
        record = outgoing(
            self.kafka.topic(CASES), item.key, item, type=CASE_CHANGED, id=f"{item.key}/{item.version}",
            source="prov", time=at, partition=partition,
        )  # fmt: skip
        marks = {f"ce_{name}": value for name, value in (extensions or {}).items()}
        await self.broker.publish([replace(record, headers={**record.headers, **marks})])

    async def send_decisions(self, item: Dialogue, *, partition: int | None = None) -> None:
        await self.broker.publish(
            [
                outgoing(
                    self.kafka.topic(DIALOGUES), item.key, item, type=DIALOGUE_CHANGED, id=f"{item.key}/{item.number}",
                    source="prov", time=NOW, partition=partition,
                )
            ]
        )  # fmt: skip

    async def send_register(
        self, companies: list[Company], *, partitions: Sequence[int] = range(PARTITIONS), number: int = 1
    ) -> None:
        topic, version = self.kafka.topic(COMPANIES), content_hash(companies)
        rows = [
            outgoing(topic, c.workplace_id, c, type=COMPANY_CHANGED, id=c.workplace_id, source="prov", time=NOW)
            for c in companies
        ]
        markers = [
            outgoing(
                topic,
                f"{MARKER_PREFIX}{p}",
                ImportCompleted(
                    municipality="0162", import_id=f"import-{number}", import_number=number, source="register",
                    partition=p, partitions=PARTITIONS, rows=len(companies), content_hash=version, completed_at=NOW,
                ),
                type=IMPORT_COMPLETED, id=f"{number}/{p}", source="prov", time=NOW, partition=p,
            )
            for p in partitions
        ]  # fmt: skip
        await self.broker.publish(rows)
        await self.broker.publish(markers)


@pytest.fixture
def settings(kafka: LocalKafka, topic_prefix: str) -> MatcherSettings:
    return made_settings(kafka, topic_prefix)


@pytest.fixture
async def world(settings: MatcherSettings) -> AsyncIterator[World]:
    made = World(settings.kafka)
    await made.broker.connect()
    await made.reader.start()
    yield made
    await made.reader.stop()
    await made.broker.stop()

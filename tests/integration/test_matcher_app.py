"""The matcher on real Kafka: held without a register, opened by an import, and nothing done twice."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.case import CASE_CHANGED, Case
from schemas.company import COMPANY_CHANGED, IMPORT_COMPLETED, MARKER_PREFIX, Company, ImportCompleted
from schemas.envelope import Envelope
from schemas.identity import DEMO_RECIPIENT_KEY, recipient_id
from schemas.invitation import Invitation
from schemas.model import default
from schemas.round import ROUND_CHANGED, Round, RoundState
from schemas.topics import CASES, COMPANIES, INVITATIONS, ROUNDS, Topic
from schemas.types import Basis
from services.matcher.app import MatcherApp, build
from services.matcher.dialogue.working_days import local_day
from services.matcher.rounds import derive
from services.matcher.settings import MatcherSettings
from services.matcher.workplaces import content_hash, snapshot
from services.runtime.broker import Broker
from services.runtime.clock import ManualClock
from services.runtime.local_kafka import LocalKafka
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing, Record
from services.runtime.settings import KafkaSettings
from services.runtime.tables import TableReader
from services.runtime.topic_admin import TopicAdmin
from tests.matcher_cases import content

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
PARTITIONS = 3


def company(workplace_id: str, lon: float, **changes: Any) -> Company:
    return Company(
        municipality="0162",
        workplace_id=workplace_id,
        recipient_id=recipient_id(workplace_id, DEMO_RECIPIENT_KEY),
        name=workplace_id,
        lon=lon,
        lat=59.4,
        import_number=1,
        **changes,
    )


def case(**changes: Any) -> Case:
    return Case.model_validate(content("road", case_id="A 1", title="Vägen byggs om") | changes)


class World:
    """Topics of one test, a publisher, and everything that was written."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self.kafka = kafka
        self.broker = Broker(kafka, service="test", clock=ManualClock(NOW))
        self.seen: list[Record] = []
        topics = [kafka.topic(t) for t in (ROUNDS, INVITATIONS)] + [f"{kafka.topic(CASES)}.dlq"]
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

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(40):
            while not condition():
                await self.reader.caught_up()
                await asyncio.sleep(0.05)

    async def send_case(self, item: Case) -> None:
        await self.broker.publish(
            [
                outgoing(
                    self.kafka.topic(CASES), item.key, item, type=CASE_CHANGED, id=f"{item.key}/{item.version}",
                    source="prov", time=NOW,
                )
            ]
        )  # fmt: skip

    async def send_register(self, companies: list[Company], *, partitions: Sequence[int] = range(PARTITIONS)) -> None:
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
                    municipality="0162", import_id="one", import_number=1, source="register", partition=p,
                    partitions=PARTITIONS, rows=len(companies), content_hash=version, completed_at=NOW,
                ),
                type=IMPORT_COMPLETED, id=f"one/{p}", source="prov", time=NOW, partition=p,
            )
            for p in partitions
        ]  # fmt: skip
        await self.broker.publish(rows)
        await self.broker.publish(markers)


@pytest.fixture
def settings(kafka: LocalKafka, topic_prefix: str) -> MatcherSettings:
    made = KafkaSettings(bootstrap=(kafka.bootstrap,), topic_prefix=topic_prefix, session_timeout_ms=6000)
    topics = [Topic(made.topic(t), t.key, t.cleanup) for t in (CASES, COMPANIES, ROUNDS, INVITATIONS)]
    with TopicAdmin(kafka.bootstrap) as admin:
        admin.create([*topics, topics[0].dead_letters], partitions=PARTITIONS, replication=1)
    return MatcherSettings(kafka=made)


@pytest.fixture
async def world(settings: MatcherSettings) -> AsyncIterator[World]:
    made = World(settings.kafka)
    await made.broker.connect()
    await made.reader.start()
    yield made
    await made.reader.stop()
    await made.broker.stop()


@pytest.fixture
async def app(settings: MatcherSettings, world: World) -> AsyncIterator[MatcherApp]:
    made = build(settings, ManualClock(NOW))
    await made.start()
    yield made
    await made.stop()


async def test_a_case_waits_for_the_register_and_opens_when_every_partition_has_its_marker(
    world: World, app: MatcherApp
) -> None:
    await world.send_case(case())
    await world.until(lambda: world.rounds())
    assert [(r.state, r.reason) for r in world.rounds()] == [(RoundState.HELD, "no_register")]
    await world.send_register([company("W1", 18.03), company("W9", 18.2)], partitions=[0, 1])
    await world.send_case(case(case_id="A 2"))
    await world.until(lambda: len(world.rounds()) == 2)
    assert world.invitations() == []
    await world.send_register([company("W1", 18.03), company("W9", 18.2)], partitions=[2])
    await world.until(lambda: sum(r.state is RoundState.OPEN for r in world.rounds()) == 2)
    assert {i.workplaces[0].workplace_id for i in world.invitations()} == {"W1"}
    assert len(world.invitations()) == 2


async def test_matching_comes_before_the_invitations_and_a_repeated_case_leads_to_nothing_more(
    world: World, app: MatcherApp
) -> None:
    await world.send_register([company("W1", 18.03)])
    await world.send_case(case())
    await world.until(lambda: any(r.state is RoundState.OPEN for r in world.rounds()))
    await world.send_case(case())
    await world.send_case(case(case_id="later"))
    await world.until(lambda: sum(r.state is RoundState.OPEN for r in world.rounds()) == 2)
    first = [r.state for r in world.rounds() if r.case_id == "A 1"]
    assert [state for state in first if state is not RoundState.HELD] == [RoundState.MATCHING, RoundState.OPEN]
    assert len({i.invitation_id for i in world.invitations()}) == len(world.invitations()) == 2


async def test_a_newer_stage_closes_the_older_round_and_a_withdrawal_ends_the_case(
    world: World, app: MatcherApp
) -> None:
    await world.send_register([company("W1", 18.03)])
    await world.send_case(case())
    await world.send_case(case(version=2, stage="ta_plan"))
    await world.until(lambda: any(r.state is RoundState.OPEN and r.stage == "ta_plan" for r in world.rounds()))
    older = [r for r in world.rounds() if r.stage == "projektering"][-1]
    assert (older.state, older.reason) == (RoundState.CLOSED, "newer_stage")
    await world.send_case(case(version=3, stage="ta_plan", state="withdrawn"))
    await world.until(lambda: world.rounds()[-1].state is RoundState.WITHDRAWN)
    await world.send_case(case(version=2, stage="ta_plan"))
    await world.send_case(case(case_id="B"))
    await world.until(lambda: any(r.case_id == "B" and r.state is RoundState.OPEN for r in world.rounds()))
    assert [r.state for r in world.rounds() if r.stage == "ta_plan"][-1] is RoundState.WITHDRAWN


async def test_bad_input_goes_to_the_dead_letters_and_a_confidential_case_without_its_value(
    world: World, app: MatcherApp
) -> None:
    await world.send_register([company("W1", 18.03)])
    headers = Envelope(id="1", source="prov", type=CASE_CHANGED).headers()
    topic = world.kafka.topic(CASES)
    secret = b'{"confidential": true, "title": "hemligt'
    await world.broker.publish(
        [Outgoing(topic, "k", secret, headers), Outgoing(topic, "k", b"\xff\x00", headers), Outgoing(topic, "k", b"{}")]
    )
    await world.send_case(case())
    await world.until(lambda: len(world.dead()) == 3 and any(r.state is RoundState.OPEN for r in world.rounds()))
    reasons = {dict(r.headers)["dlq_reason"]: r.value for r in world.dead()}
    assert reasons == {b"confidential": b"", b"broken_json": b"\xff\x00", b"bad_header": b"{}"}


async def test_a_round_that_was_cut_off_while_matching_is_finished_at_the_next_start(
    world: World, settings: MatcherSettings
) -> None:
    register = [company("W1", 18.03)]
    await world.send_register(register)
    basis = Basis(case_version=1, import_number=1)
    cut = derive(case(), snapshot(register), default(), local_day(NOW), basis, key=DEMO_RECIPIENT_KEY).round.model_copy(
        update={"state": RoundState.MATCHING}
    )
    await world.broker.publish(
        [outgoing(world.kafka.topic(ROUNDS), cut.round_id, cut, type=ROUND_CHANGED, id="cut", source="prov", time=NOW)]
    )
    await world.send_case(case())
    app = build(settings, ManualClock(NOW))
    await app.start()
    await world.until(lambda: world.rounds()[-1].state is RoundState.OPEN)
    await app.stop()
    assert len({i.invitation_id for i in world.invitations()}) == 1
    assert world.rounds()[-1].basis == basis


def held(item: Case) -> Round:
    basis = Basis(case_version=item.version, import_number=0)
    return derive(item, None, default(), local_day(NOW), basis, key=DEMO_RECIPIENT_KEY).round


async def test_a_stored_case_that_cannot_be_computed_stops_no_other_round_at_an_import(
    world: World, settings: MatcherSettings
) -> None:
    waiting = held(case(case_id="never"))  # as another release left it; ours cannot compute that case's dates
    topic = world.kafka.topic(ROUNDS)
    await world.broker.publish(
        [outgoing(topic, waiting.round_id, waiting, type=ROUND_CHANGED, id="left", source="prov", time=NOW)]
    )
    app = build(settings, ManualClock(NOW))
    await app.start()
    try:
        await world.send_case(case(case_id="never", respond_by="2100-12-31"))  # ends in 2101: refused
        await world.send_case(case())
        await world.until(lambda: len(world.rounds()) == 2 and world.dead())
        await world.send_register([company("W1", 18.03)])
        await world.until(lambda: any(r.state is RoundState.OPEN for r in world.rounds()))
    finally:
        await app.stop()
    assert [r.case_id for r in world.rounds() if r.state is RoundState.OPEN] == ["A 1"]

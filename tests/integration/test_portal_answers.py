"""What the portal promises about topics, on real Kafka: one answer is one event, a stop is there before the page says
so, a GET changes nothing, and an answer that was received is told, whatever dies in between.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy import select

from schemas.invitation import Invitation
from schemas.notice import Notice
from schemas.response import Response
from schemas.subscription import Following
from schemas.suppression import Suppression
from schemas.topics import ALL_TOPICS, NOTICES, RESPONSES, SUBSCRIPTIONS, SUPPRESSIONS, Topic
from services.portal import stops
from services.portal.app import PortalApp
from services.portal.store.tables import METADATA
from services.runtime.child_process import spawn
from services.runtime.clock import SystemClock
from services.runtime.link_tokens import Purpose, mint
from services.runtime.local_kafka import LocalKafka
from services.runtime.records import Outgoing
from services.runtime.settings import KafkaSettings
from tests.portal_world import (
    PATIENCE,
    TOKEN_KEY,
    World,
    answer_path,
    case,
    company,
    delivery,
    free_port,
    invitation,
    round_of,
    stop_path,
)

pytestmark = pytest.mark.anyio
STARTS_WITHIN = 180
"""Seconds for a process of its own: on a busy machine most of it is Python reading its modules."""
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
async def world(kafka: LocalKafka, topic_prefix: str, tmp_path: Path) -> AsyncIterator[World]:
    made = World(KafkaSettings(bootstrap=(kafka.bootstrap,), topic_prefix=topic_prefix), tmp_path)
    await made.start()
    yield made
    await made.stop()


async def invited(world: World, *names: str, first: int = 1) -> list[Invitation]:
    """One company each, invited by a message of its own."""
    last_day = (SystemClock().now() + timedelta(days=30)).date()
    of = round_of(case(), respond_by=last_day)
    companies = [company(name) for name in names]
    items = [invitation(to, of) for to in companies]
    messages = [delivery(first + n, item) for n, item in enumerate(items)]
    await world.publish(case(), of, *companies, *items, *messages)
    return items


def form(item: Invitation, answer: str = "ja", key: str = "k" * 22) -> dict[str, str]:
    return {f"svar-{item.invitation_id}": answer, f"text-{item.invitation_id}": "Våra ord", "nyckel": key}


def responses(world: World) -> list[Response]:
    return [Response.model_validate_json(value) for value in world.values(RESPONSES)]


def by_id(world: World) -> dict[str, Response]:
    """Answers as a reader counts them: an event that is told again is the same."""
    return {answer.response_id: answer for answer in responses(world)}


async def ends(world: World, topics: tuple[Topic, ...] = ALL_TOPICS) -> dict[tuple[str, int], int]:
    """Where each topic ends now: as the broker says, not as somebody has read."""
    consumer = AIOKafkaConsumer(bootstrap_servers=list(world.kafka.bootstrap))
    await consumer.start()
    try:
        partitions = [TopicPartition(world.kafka.topic(topic), p) for topic in topics for p in range(2)]
        return {(tp.topic, tp.partition): end for tp, end in (await consumer.end_offsets(partitions)).items()}
    finally:
        await consumer.stop()


async def stored(app: PortalApp) -> dict[str, list[str]]:
    """Every row of the store."""
    async with app.database.transaction() as connection:
        return {
            name: sorted(str(row) for row in await connection.execute(select(table)))
            for name, table in METADATA.tables.items()
        }


async def test_an_answer_is_exactly_one_event_and_one_receipt_however_often_it_is_sent(world: World) -> None:
    (item,) = await invited(world, "Exempelbageriet")
    async with world.portal(), world.client() as client:
        sent = await asyncio.gather(
            *(client.post(answer_path(1) + "/svar", data=form(item)) for _ in range(4)), return_exceptions=False
        )
        assert {answer.status_code for answer in sent} == {303}
        await world.until(lambda: bool(responses(world)) and bool(world.values(NOTICES)))
        receipt = (await client.get(answer_path(1) + "/tack")).text
    await world.all_read()
    (answer,) = responses(world)
    (notice,) = [Notice.model_validate_json(value) for value in world.values(NOTICES)]
    assert (answer.invitation_id, answer.answer, answer.sequence) == (item.invitation_id, "ja", 1)
    assert answer.reference in receipt
    assert (notice.kind, notice.message_number, notice.sealed) == ("receipt", 1, None)
    (follows,) = [Following.model_validate_json(value) for value in world.values(SUBSCRIPTIONS)]
    assert (follows.case_key, follows.recipient_id) == (item.case_key, item.recipient_id)
    assert follows.workplaces == [place.workplace_id for place in item.workplaces]


async def test_a_portal_that_stops_tells_first_what_its_outbox_holds(world: World) -> None:
    async with world.portal(relay_seconds=60) as app:
        await world.until(lambda: app.tables.read)
        record = stop_record(app)
        async with app.database.transaction() as connection:
            await app.portal.outbox.put(connection, [record])  # and nobody wakes the relay
    await world.all_read()
    assert [Suppression.model_validate_json(value).message_number for value in world.values(SUPPRESSIONS)] == [7]


def stop_record(app: PortalApp) -> Outgoing:
    return stops.suppression(app.portal, None, 7, stops.ALL)


async def test_a_stop_is_on_the_topic_before_the_page_says_so(world: World) -> None:
    await invited(world, "Exempelbageriet", "Exempelsalongen")
    async with world.portal(), world.client() as client:
        for number, data in ((1, ONE_CLICK), (2, {"omfattning": "all"})):
            before = sum((await ends(world, (SUPPRESSIONS,))).values())
            answer = await client.post(stop_path(number), data=data)
            after = sum((await ends(world, (SUPPRESSIONS,))).values())
            assert (answer.status_code, after - before) == (200, 1)
            assert "set-cookie" not in answer.headers
        await world.until(lambda: len(world.values(NOTICES)) == 2)
    said = [Suppression.model_validate_json(value) for value in world.values(SUPPRESSIONS)]
    assert {(stop.message_number, stop.scope, stop.lifted) for stop in said} == {(1, "all", False), (2, "all", False)}


async def test_a_scanner_changes_nothing_however_often_it_comes(world: World) -> None:
    """FC-059, FC-061: every address that a mail or a page holds, by GET and HEAD, three times."""
    await invited(world, "Exempelbageriet")
    answer, stop = answer_path(1), stop_path(1)
    urls = [answer, f"{answer}?svar=ja", f"{answer}?svar=nej", f"{answer}?svar=vet-inte", f"{answer}?andra=ja"]
    urls += [f"{answer}/granska", f"{answer}/svar", f"{answer}/tack", stop, f"{stop}/angra", f"{stop}?omfattning=all"]
    urls += ["/", "/arenden/EX-2", "/arenden/KS%202025/0123", "/personuppgifter", "/tillganglighet", "/mina"]
    async with world.portal() as app, world.client() as client:
        await app.tables.caught_up()
        store, topics = await stored(app), await ends(world)
        seen: Counter[int] = Counter()
        for url in urls * 3:
            for method in ("GET", "HEAD"):
                seen[(await client.request(method, url)).status_code] += 1
        assert await stored(app) == store
        assert await ends(world) == topics
    assert set(seen) <= {200, 303, 404}
    assert seen[200] > 60


async def test_a_message_that_the_portal_has_not_read_is_one_moment_and_then_a_page(world: World) -> None:
    async with world.portal() as app, world.client() as client:
        assert (await client.get(answer_path(1))).status_code == 503
        await invited(world, "Exempelbageriet")
        await app.tables.caught_up()
        assert (await client.get(answer_path(1))).status_code == 200


async def test_two_portals_on_one_postgresql_count_the_answers_of_one_invitation_together(
    world: World, postgres_url: str
) -> None:
    (item,) = await invited(world, "Exempelbageriet")
    other = free_port()
    async with (
        world.portal(database=postgres_url),
        world.portal(database=postgres_url, port=other),
        world.client() as client,
    ):
        keys = [f"{n:022}" for n in range(8)]
        ways = [f"http://127.0.0.1:{port}{answer_path(1)}/svar" for port in (world.port, other)]
        sends = [client.post(ways[n % 2], data=form(item, key=key)) for n, key in enumerate(keys)]
        sends += [client.post(ways[1 - n % 2], data=form(item, key=key)) for n, key in enumerate(keys)]
        assert {answer.status_code for answer in await asyncio.gather(*sends)} == {303}
        await world.until(lambda: len(by_id(world)) == len(keys))
    assert sorted(answer.sequence for answer in by_id(world).values()) == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_a_store_that_was_lost_knows_again_what_was_answered(world: World) -> None:
    (item,) = await invited(world, "Exempelbageriet")
    async with world.portal(), world.client() as client:
        await client.post(answer_path(1) + "/svar", data=form(item, "nej"))
        await world.until(lambda: len(responses(world)) == 1)
    async with world.portal(database=f"sqlite+aiosqlite:///{world.folder / 'other.db'}"), world.client() as client:
        assert "Nej, vi påverkas inte" in (await client.get(answer_path(1))).text


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A broker that may be frozen and killed, and is whole again when a test ends."""
    with LocalKafka(tmp_path_factory.mktemp("own-kafka")) as broker:
        yield broker


class PortalProcess:
    """`nardialog run portal`, to be killed."""

    def __init__(self, world: World) -> None:
        self.world = world
        options = world.settings().portal
        self.environment = os.environ | {
            "NARDIALOG_INSTALLATION__RECIPIENT_KEY": "a recipient key for tests only",
            "NARDIALOG_KAFKA__BOOTSTRAP": ",".join(world.kafka.bootstrap),
            "NARDIALOG_KAFKA__TOPIC_PREFIX": world.kafka.topic_prefix,
            "NARDIALOG_PORTAL__DATABASE": options.database,
            "NARDIALOG_PORTAL__TOKEN_KEYS": options.token_keys[0].get_secret_value(),
            "NARDIALOG_PORTAL__PORT": str(options.port),
            "NARDIALOG_PORTAL__PUBLISH_SECONDS": "3",
        }
        self.log = world.folder / "portal.log"
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Returns when it serves."""
        self.process = spawn(
            [sys.executable, "-m", "services.cli", "run", "portal"], log=self.log, env=self.environment
        )
        async with asyncio.timeout(STARTS_WITHIN), self.world.client() as client:
            while True:
                try:
                    await client.get("/personuppgifter")
                    return
                except httpx.TransportError:
                    assert self.process.poll() is None, self.log.read_text()
                    await asyncio.sleep(0.05)

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
async def killable(own_kafka: LocalKafka, topic_prefix: str, tmp_path: Path) -> AsyncIterator[PortalProcess]:
    made = World(KafkaSettings(bootstrap=(own_kafka.bootstrap,), topic_prefix=topic_prefix), tmp_path)
    await made.start()
    process = PortalProcess(made)
    yield process
    process.kill()
    await made.stop()


async def test_an_answer_that_was_stored_is_told_after_a_kill_between_the_store_and_its_event(
    killable: PortalProcess, own_kafka: LocalKafka
) -> None:
    world = killable.world
    (item,) = await invited(world, "Exempelbageriet")
    await killable.start()
    assert own_kafka.pid
    os.kill(own_kafka.pid, signal.SIGSTOP)  # the event can't leave; the answer can be stored
    try:
        async with world.client() as client:
            assert (await client.post(answer_path(1) + "/svar", data=form(item))).status_code == 303
            assert "Tack!" in (await client.get(answer_path(1) + "/tack")).text
        killable.kill()
    finally:
        os.kill(own_kafka.pid, signal.SIGCONT)
    await world.all_read()
    assert responses(world) == []
    await killable.start()
    await world.until(lambda: bool(responses(world)) and bool(world.values(NOTICES)))
    async with world.client() as client:  # the browser tries again, as browsers do
        assert (await client.post(answer_path(1) + "/svar", data=form(item))).status_code == 303
        again = await client.post(answer_path(1) + "/svar", data=form(item, "nej", key="z" * 22))
        assert again.status_code == 303
    await world.until(lambda: len(responses(world)) >= 2)
    assert [(answer.answer, answer.sequence) for answer in responses(world)] == [("ja", 1), ("nej", 2)]


async def test_kills_in_the_middle_of_many_answers_lose_and_double_none(killable: PortalProcess) -> None:
    world, count = killable.world, 60
    items = await invited(world, *(f"Exempel {n:02}" for n in range(count)))
    await killable.start()
    received: set[str] = set()
    more = asyncio.Event()

    async def answers() -> None:
        async with world.client() as client:
            for number, item in enumerate(items, start=1):
                while item.invitation_id not in received:
                    try:
                        sent = await client.post(answer_path(number) + "/svar", data=form(item, key=f"{number:022}"))
                    except httpx.TransportError:
                        await asyncio.sleep(0.05)
                        continue
                    assert sent.status_code == 303
                    received.add(item.invitation_id)
                    more.set()

    async def kills() -> None:
        for at in (15, 35):
            async with asyncio.timeout(PATIENCE):
                while len(received) < at:
                    await more.wait()
                    more.clear()
            killable.kill()
            await killable.start()

    await asyncio.gather(answers(), kills())
    await world.until(lambda: {answer.invitation_id for answer in responses(world)} >= received)
    told = by_id(world)
    assert len(received) == count
    assert Counter(answer.invitation_id for answer in told.values()) == Counter(item.invitation_id for item in items)
    assert {answer.sequence for answer in told.values()} == {1}


async def test_a_stop_while_the_broker_is_away_is_never_promised_and_works_when_it_is_back(
    killable: PortalProcess, own_kafka: LocalKafka
) -> None:
    world = killable.world
    await invited(world, "Exempelbageriet")
    await killable.start()
    async with world.client() as client:
        own_kafka.kill()
        began = time.monotonic()
        said = await client.post(stop_path(1), data={"omfattning": "all"})
        assert (said.status_code, "Klart" in said.text) == (503, False)
        assert (await client.post(stop_path(1), data=ONE_CLICK)).status_code == 503
        assert time.monotonic() - began < 15
        assert "Varför får ni detta?" in (await client.get(answer_path(1))).text
        own_kafka.start()
        tried = [await client.post(stop_path(1), data={"omfattning": "all"}) for _ in range(2)]
        while tried[-1].status_code != 200 and len(tried) < 20:  # each try waits for the broker by itself
            tried.append(await client.post(stop_path(1), data={"omfattning": "all"}))
        assert tried[-1].status_code == 200
    await world.until(lambda: bool(world.values(SUPPRESSIONS)))
    assert {Suppression.model_validate_json(value).message_number for value in world.values(SUPPRESSIONS)} == {1}


async def test_neither_a_token_nor_what_was_written_is_logged(killable: PortalProcess) -> None:
    world = killable.world
    (item,) = await invited(world, "Exempelbageriet")
    await killable.start()
    async with world.client() as client:
        await client.get(answer_path(1))
        await client.post(answer_path(1) + "/svar", data=form(item))
        await client.get(f"/i/{mint(1, TOKEN_KEY, Purpose.STOP)}")
        await client.post(stop_path(1), data=ONE_CLICK)
    await world.until(lambda: bool(responses(world)))
    assert killable.process
    killable.process.terminate()
    assert await asyncio.to_thread(killable.process.wait, PATIENCE) == 0
    text = killable.log.read_text()
    for secret in (answer_path(1)[3:], stop_path(1).rsplit("/", 1)[1], "Våra ord", json.dumps("Våra ord")):
        assert secret not in text

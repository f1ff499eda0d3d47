"""The portal on real Kafka: what it reads, that it serves, and that it leaves nothing behind when it stops."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Table, select

from schemas.invitation import InvitationState
from services.portal.app import PortalApp
from services.portal.store.tables import CASES, INVITATIONS, MESSAGE_INVITATIONS, OUTCOMES
from services.portal.views import CONFIDENTIAL
from services.runtime.local_kafka import LocalKafka
from services.runtime.records import Outgoing
from services.runtime.settings import KafkaSettings
from tests.portal_world import World, case, company, delivery, invitation, round_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(kafka: LocalKafka, topic_prefix: str, tmp_path: Path) -> AsyncIterator[World]:
    made = World(KafkaSettings(bootstrap=(kafka.bootstrap,), topic_prefix=topic_prefix), tmp_path)
    await made.start()
    yield made
    await made.stop()


async def rows(app: PortalApp, table: Table) -> list[dict[str, object]]:
    await app.tables.caught_up()
    async with app.database.transaction() as connection:
        return [dict(row._mapping) for row in await connection.execute(select(table))]


async def test_the_portal_serves_pages_with_the_headers_that_keep_a_token_to_itself(world: World) -> None:
    async with world.portal(), world.client() as client:
        answer = await client.get("/")
        missing = await client.get("/i/whatever")
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert missing.status_code == 404
    for name, value in {
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
        "x-robots-tag": "noindex, nofollow",
    }.items():
        assert missing.headers[name] == value


async def test_what_is_too_large_is_refused_before_anything_reads_it(world: World) -> None:
    async with world.portal(), world.client() as client:
        said = await client.post("/", content=b"x" * 1_000_001)

        async def unsaid() -> AsyncIterator[bytes]:
            for _ in range(11):
                yield b"x" * 100_000

        streamed = await client.post("/api/v1/cases", content=unsaid())
    assert said.status_code == 413
    assert streamed.status_code == 413
    assert streamed.headers["content-type"] == "application/problem+json"


async def test_an_older_revision_never_overwrites_a_newer_one(world: World) -> None:
    to, of = company("Exempelbageriet"), round_of(case())
    new, old = (invitation(to, of, revision=n, state=InvitationState.REVISED) for n in (2, 1))
    await world.publish(new, old)
    async with world.portal() as app:
        assert [row["revision"] for row in await rows(app, INVITATIONS)] == [2]
        await world.publish(old)
        assert [row["revision"] for row in await rows(app, INVITATIONS)] == [2]


async def test_a_message_carries_what_each_of_its_events_names(world: World) -> None:
    of = round_of(case())
    one, two = (invitation(company(name), of) for name in ("Exempelbageriet", "Exempelsalongen"))
    late = delivery(7, two, state="merged", at="2026-11-25T09:00:00+01:00")
    await world.publish(delivery(7, one), late)
    async with world.portal() as app:
        carried = {row["invitation_id"] for row in await rows(app, MESSAGE_INVITATIONS)}
        outcomes = {row["invitation_id"]: row["state"] for row in await rows(app, OUTCOMES)}
    assert carried == {one.invitation_id, two.invitation_id}
    assert outcomes == {one.invitation_id: "composed", two.invitation_id: "merged"}


async def test_of_a_case_that_became_confidential_nothing_is_kept(world: World) -> None:
    secret = case(version=2).model_dump_json().replace('"confidential":false', '"confidential": true')
    headers = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "x", "ce_type": "se.nardialog.case.changed.v1"}
    async with world.portal() as app:
        await world.publish(case())
        assert "Stockholmsvägen" in str(await rows(app, CASES))
        topic = world.kafka.topic_prefix + "cases"
        await world.broker.publish([Outgoing(topic, case().key, secret.encode(), headers)])
        await world.publish(case())
        (row,) = await rows(app, CASES)
    assert row["state"] == CONFIDENTIAL
    assert "Stockholmsvägen" not in str(row)

"""The notifier as it is wired, on a real Kafka."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from schemas.identity import invitation_id
from schemas.topics import ALL_TOPICS
from services.notifier.app import build
from services.notifier.channels.memory import MemoryChannel
from services.notifier.ledger.tables import MESSAGES
from services.runtime.clock import SystemClock
from services.runtime.local_kafka import LocalKafka
from services.runtime.store.database import Database
from services.runtime.topic_admin import TopicAdmin
from tests.notifier_house import ROUND_ID, Announcing, Plain
from tests.notifier_wired import wired_settings, wired_story
from tests.returned_mails import report

pytestmark = pytest.mark.anyio


async def test_the_wired_notifier_takes_an_invitation_from_kafka_to_a_mail_and_reads_what_comes_back(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    settings = wired_settings(kafka, topic_prefix, tmp_path)
    maildir = tmp_path / "mail"
    topics = [replace(topic, name=topic_prefix + topic.name) for topic in ALL_TOPICS]
    with TopicAdmin(kafka.bootstrap) as admin:
        admin.create(topics, partitions=2, replication=1)
    clock, email = SystemClock(), Announcing("email")
    app = build(settings, clock, channels=[email], composer=Plain())
    await app.start()
    try:
        await app.broker.publish(wired_story(topic_prefix))
        await asyncio.wait_for(email.took.wait(), 30)
        (maildir / "new" / "1.host").write_bytes(report(to=email.accepted[0].return_path))
        async with asyncio.timeout(30):
            while not list(maildir.glob(".Handled/cur/*")):  # noqa: ASYNC110 - a folder tells nobody
                await asyncio.sleep(0.02)
    finally:
        await app.stop()
    async with Database(settings.notifier.database).transaction() as connection:
        assert (await connection.execute(select(MESSAGES.c.state))).scalars().all() == ["failed"]
    assert json.loads(email.accepted[0].body)["ids"] == [invitation_id(ROUND_ID, "r1")]
    again = build(settings, clock, channels=[second := MemoryChannel("email")], composer=Plain())
    await again.start()
    await again.stop()
    assert not second.accepted

"""Somebody says stop while no notifier runs: when one is back, nothing more goes to that person, and that is told."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from schemas.delivery import Delivery
from schemas.identity import derived
from schemas.invitation import EXAMPLE as INVITATION
from schemas.invitation import INVITATION_CHANGED, Invitation
from schemas.round import EXAMPLE as ROUND
from schemas.round import ROUND_CHANGED, Round
from schemas.suppression import SUPPRESSION_CHANGED, Suppression
from schemas.topics import ALL_TOPICS
from schemas.types import Event
from services.notifier.app import NotifierApp, build
from services.notifier.channels.memory import MemoryChannel
from services.notifier.ledger.tables import MESSAGES
from services.runtime.clock import SystemClock
from services.runtime.local_kafka import LocalKafka
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing, Record
from services.runtime.tables import TableReader
from services.runtime.topic_admin import TopicAdmin
from tests.notifier_house import Plain
from tests.notifier_wired import wired_settings, wired_story

pytestmark = pytest.mark.anyio

PATIENCE = 30


class Watched:
    """What the notifier told on two topics."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._records: list[Record] = []
        self._changed = asyncio.Event()

    async def see(self, records: Sequence[Record]) -> None:
        self._records += records
        self._changed.set()

    def deliveries(self) -> list[Delivery]:
        return [Delivery.model_validate_json(value) for value in self._values("deliveries")]

    def suppressions(self) -> list[Suppression]:
        return [Suppression.model_validate_json(value) for value in self._values("suppressions")]

    def _values(self, topic: str) -> list[bytes]:
        return [record.value or b"" for record in self._records if record.topic == self._prefix + topic]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


@pytest.mark.parametrize(
    ("scope", "named"),
    [("all", {}), ("case", {"case_key": ROUND["case_key"]}), ("kind", {"case_type": ROUND["case_type"]})],
)
async def test_a_stop_made_while_the_notifier_was_down_stops_what_waits_for_it(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path, scope: str, named: dict[str, Any]
) -> None:
    settings = wired_settings(kafka, topic_prefix, tmp_path)
    with TopicAdmin(kafka.bootstrap) as admin:
        admin.create(
            [replace(topic, name=topic_prefix + topic.name) for topic in ALL_TOPICS], partitions=2, replication=1
        )
    watched = Watched(topic_prefix)
    reader = TableReader(settings.kafka, [topic_prefix + name for name in ("deliveries", "suppressions")], watched.see)
    await reader.start()
    first = build(settings, SystemClock(), channels=[MemoryChannel("email")], composer=Plain())
    await first.start()
    await first.broker.publish(wired_story(topic_prefix))
    await watched.until(lambda: [event.state.value for event in watched.deliveries()] == ["composed", "sent"])
    number = await _number(first)
    await first.stop()

    email = MemoryChannel("email")
    back = build(settings, SystemClock(), channels=[email], composer=Plain())
    await back.broker.connect()
    await back.broker.publish([*_second_round(topic_prefix), _stop(topic_prefix, number, scope, named)])
    await back.start()
    try:
        await watched.until(lambda: watched.deliveries()[-1].state.value == "suppressed")
        await watched.until(lambda: any(said.address_index for said in watched.suppressions()))
    finally:
        await back.stop()
        await reader.stop()
    assert not email.accepted
    assert (watched.deliveries()[-1].invitation_ids, watched.deliveries()[-1].code) == (["i2"], "stop")
    by_address = [said for said in watched.suppressions() if said.address_index]
    assert {(said.scope, said.lifted, said.message_number) for said in by_address} == {(scope, False, None)}


async def _number(app: NotifierApp) -> int:
    async with app.database.transaction() as connection:
        return int((await connection.execute(select(MESSAGES.c.number))).scalar_one())


def _second_round(prefix: str) -> list[Outgoing]:
    """Another stage of the same case, open, with an invitation to the same recipient."""
    story = {record.topic.removeprefix(prefix): record for record in wired_story(prefix)}
    round_ = Round.model_validate_json(story["rounds"].value or b"").model_copy(update={"round_id": "second"})
    invited = Invitation.model_validate_json(story["invitations"].value or b"")
    invitation = invited.model_copy(update={"round_id": "second", "invitation_id": "i2"})
    return [
        _published(prefix, "rounds", "second", round_, ROUND_CHANGED),
        _published(prefix, "invitations", str(INVITATION["case_key"]), invitation, INVITATION_CHANGED),
    ]


def _stop(prefix: str, number: int, scope: str, named: dict[str, Any]) -> Outgoing:
    """As the portal says it at the page of a message."""
    key = derived("suppression", "message", str(number), scope, "".join(named.values()))
    given = {"suppression_id": key, "kind": "stop", "scope": scope, "message_number": number, **named}
    event = Suppression.model_validate({"municipality": "0162", "at": SystemClock().now(), **given})
    return _published(prefix, "suppressions", key, event, SUPPRESSION_CHANGED)


def _published(prefix: str, topic: str, key: str, event: Event, type_: str) -> Outgoing:
    now = SystemClock().now()
    return outgoing(prefix + topic, key, event, type=type_, id=f"second-{topic}", source="/test", time=now)

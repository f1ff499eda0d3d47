"""What officials decide, on real Kafka: review, release, undo, and marks that hold; after a restart as before it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from schemas.dialogue import DIALOGUE_CHANGED
from schemas.envelope import HELD, Envelope
from schemas.identity import round_id
from schemas.invitation import InvitationState
from schemas.round import Purpose, RoundState
from schemas.topics import CASES, DIALOGUES
from schemas.types import Basis
from services.matcher.app import MatcherApp, build
from services.matcher.settings import MatcherOptions, MatcherSettings
from services.runtime.clock import ManualClock
from services.runtime.local_kafka import LocalKafka
from services.runtime.records import Outgoing
from tests.matcher_world import NOW, PARTITIONS, World, case, company, decisions, made_settings, world

pytestmark = pytest.mark.anyio
__all__ = ["world"]
REVIEW = MatcherOptions(release={"*": "auto", "prov/gatuarbete": "review"})
FOOD = {"code": "56", "version": "2025"}
TWO = [company("W1", 18.03), company("W2", 18.03)]


@pytest.fixture
def settings(kafka: LocalKafka, topic_prefix: str) -> MatcherSettings:
    return made_settings(kafka, topic_prefix, REVIEW)


@asynccontextmanager
async def running(settings: MatcherSettings, now: datetime = NOW) -> AsyncIterator[MatcherApp]:
    app = build(settings, ManualClock(now))
    await app.start()
    try:
        yield app
    finally:
        await app.stop()


def asking(world: World, case_id: str = "A 1") -> list[tuple[RoundState, str | None]]:
    return [(r.state, r.reason) for r in world.rounds() if r.case_id == case_id and r.purpose is Purpose.ASK]


async def test_a_round_in_review_opens_with_the_release_of_the_set_that_was_looked_at(
    world: World, settings: MatcherSettings
) -> None:
    send_at = NOW + timedelta(days=3)
    async with running(settings):
        await world.send_register(TWO)
        await world.send_case(case())
        held = await world.until_last(RoundState.HELD, "review")
        assert held.counts.invitations == 2
        release = {"kind": "release", "round_id": held.round_id, "set_hash": held.set_hash, "send_at": send_at}
        await world.send_decisions(decisions(case(), release))
        opened = await world.until_last(RoundState.OPEN)
    assert (opened.set_hash, opened.not_before, opened.basis.decision) == (held.set_hash, send_at, 1)
    assert (opened.opened_at, opened.round_id) == (NOW, held.round_id)
    assert len(world.invitations()) == 2


async def test_a_release_for_another_set_asks_again_and_an_import_that_changes_the_set_asks_again(
    world: World, settings: MatcherSettings
) -> None:
    async with running(settings):
        await world.send_register(TWO)
        await world.send_case(case())
        held = await world.until_last(RoundState.HELD, "review")
        wrong = {"kind": "release", "round_id": held.round_id, "set_hash": "0" * 32}
        await world.send_decisions(decisions(case(), wrong))
        await world.until_last(RoundState.HELD, "set_changed")
        right = wrong | {"set_hash": held.set_hash}
        await world.send_decisions(decisions(case(), wrong, right))
        await world.until_last(RoundState.OPEN)
    async with running(settings):  # another instance, or the same after a crash
        more = [*TWO, company("W3", 18.03)]
        await world.send_register([c.model_copy(update={"import_number": 2}) for c in more], number=2)
        changed = await world.until_last(RoundState.HELD, "set_changed")
        assert (changed.counts.invitations, len(world.invitations())) == (3, 2)
        new = right | {"set_hash": changed.set_hash}
        await world.send_decisions(decisions(case(), wrong, right, new))
        await world.until_last(RoundState.OPEN)
    assert [(i.state, i.revision) for i in world.invitations()] == [(InvitationState.ISSUED, 1)] * 3


async def test_what_is_undone_waits_for_a_later_release_also_after_a_restart(
    world: World, settings: MatcherSettings
) -> None:
    item = case(case_type="taxa", stage="forslag", geometries=[], area="municipality", industries=[FOOD])
    async with running(settings):
        await world.send_register([company("W1", 18.03, sni=[{"code": "56110", "version": "2025"}])])
        await world.send_case(item)
        opened = await world.until_last(RoundState.OPEN, purpose=Purpose.ASK)
        undo = {"kind": "undo", "round_id": opened.round_id, "reason": "fel datum"}
        await world.send_decisions(decisions(item, undo))
        held = await world.until_last(RoundState.HELD, "undone", purpose=Purpose.ASK)
        assert "fel datum" in held.detail
        told = await world.until_last(RoundState.OPEN, purpose=Purpose.CHANGE)
        assert (told.change, told.follows, told.number) == ("undone", opened.round_id, 1)
    async with running(settings, NOW + timedelta(hours=1)):
        again = {"kind": "release", "round_id": opened.round_id, "set_hash": held.set_hash, "at": NOW}
        await world.send_decisions(decisions(item, undo, again))
        await world.until_last(RoundState.OPEN, purpose=Purpose.ASK)
        await world.until_last(RoundState.CLOSED, "superseded", purpose=Purpose.CHANGE)
    assert len([i for i in world.invitations() if i.purpose is Purpose.ASK]) == 1
    assert len([i for i in world.invitations() if i.purpose is Purpose.CHANGE]) == 1


async def test_an_edited_case_is_held_until_it_is_released_and_the_mark_survives_a_restart(
    world: World, settings: MatcherSettings
) -> None:
    item = case(case_type="taxa", stage="forslag", geometries=[], area="municipality", industries=[FOOD])
    place = company("W1", 18.03, sni=[{"code": "56110", "version": "2025"}])
    async with running(settings):
        await world.send_register([place])
        await world.send_case(item, extensions={HELD: "edited"})
        await world.until_last(RoundState.HELD, "edited")
    async with running(settings):
        await world.send_register([place.model_copy(update={"import_number": 2})], number=2)
        await world.until(lambda: world.rounds()[-1].basis.import_number == 2)
        held = await world.until_last(RoundState.HELD, "edited")
        await world.send_decisions(
            decisions(item, {"kind": "release", "round_id": held.round_id, "set_hash": held.set_hash})
        )
        await world.until_last(RoundState.OPEN)


async def test_what_was_decided_before_the_case_was_here_is_used_when_it_comes(
    world: World, settings: MatcherSettings
) -> None:
    async with running(settings):
        await world.send_register(TWO)
        await world.send_case(case())
        held = await world.until_last(RoundState.HELD, "review")
    other = case(case_id="A 2")
    release = {"kind": "release", "round_id": round_id(other.key, other.stage, 1, "ask"), "set_hash": held.set_hash}
    await world.send_decisions(decisions(other, release))
    async with running(settings):
        await world.send_case(other)
        await world.until_last(RoundState.OPEN, case_id="A 2")


async def test_a_record_on_another_partition_than_its_keys_is_moved_and_handled_once(
    world: World, settings: MatcherSettings
) -> None:
    async with running(settings):
        await world.send_register(TWO)
        home = await world.broker.home(world.kafka.topic(CASES), case().key.encode())
        for shift in range(PARTITIONS):
            item = case(version=shift + 1)
            await world.send_case(item, partition=(home + shift) % PARTITIONS)
            held = await world.until_last(
                RoundState.HELD, "review", basis=Basis(case_version=shift + 1, import_number=1)
            )
        release = {"kind": "release", "round_id": held.round_id, "set_hash": held.set_hash}
        await world.send_decisions(decisions(case(), release), partition=(home + 1) % PARTITIONS)
        await world.until_last(RoundState.OPEN)
        await world.until(lambda: world.count(CASES) >= PARTITIONS + (PARTITIONS - 1) and world.count(DIALOGUES) >= 2)
    assert (world.count(CASES), world.count(DIALOGUES)) == (PARTITIONS + (PARTITIONS - 1), 2)
    assert len(world.invitations()) == 2
    assert world.dead() == []


async def test_malformed_decisions_go_to_their_dead_letters_and_stop_nobody(
    world: World, settings: MatcherSettings
) -> None:
    async with running(settings):
        headers = Envelope(id="1", source="prov", type=DIALOGUE_CHANGED).headers()
        await world.broker.publish([Outgoing(world.kafka.topic(DIALOGUES), case().key, b'{"decisions": []}', headers)])
        await world.send_register(TWO)
        await world.send_case(case())
        await world.until_last(RoundState.HELD, "review")
        await world.until(lambda: world.dead())
    assert [r.topic for r in world.dead()] == [f"{world.kafka.topic(DIALOGUES)}.dlq"]

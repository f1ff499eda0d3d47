"""A matcher that begins from its register file knows what one knows that reads the whole topic."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from schemas.topics import COMPANIES
from services.matcher.app import MatcherApp, build
from services.matcher.replay_command import Kept, replayed
from services.matcher.settings import MatcherOptions, MatcherSettings
from services.runtime.clock import ManualClock
from services.runtime.errors import Permanent
from services.runtime.local_kafka import LocalKafka
from services.runtime.records import Outgoing
from services.runtime.topic_admin import TopicAdmin
from tests.matcher_world import NOW, World, case, company, made_settings, world

pytestmark = pytest.mark.anyio
__all__ = ["world"]


@pytest.fixture
def settings(kafka: LocalKafka, topic_prefix: str, tmp_path: Path) -> MatcherSettings:
    return made_settings(kafka, topic_prefix, MatcherOptions(register_folder=tmp_path))


@asynccontextmanager
async def running(settings: MatcherSettings, clock: ManualClock | None = None) -> AsyncIterator[MatcherApp]:
    app = build(settings, clock or ManualClock(NOW))
    await app.start()
    try:
        yield app
    finally:
        await app.stop()


def known(app: MatcherApp) -> set[str]:
    register = app._register.snapshot()
    return set() if register is None else {register.workplace_id(row) for row in register.everywhere(None).tolist()}


def kept(folder: Path) -> Path:
    return max(folder.glob("*.register"), key=lambda path: path.stat().st_mtime)


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def taken(app: MatcherApp) -> int:
    """How many records of the register this process has read itself."""
    assert app._keeping is not None
    reader = app._keeping._reader
    return sum(reader.positions.values()) - sum(reader._start_at.values())


async def test_it_reads_only_what_came_since_and_an_erasure_or_an_import_that_came_meanwhile_is_seen(
    settings: MatcherSettings, world: World, tmp_path: Path
) -> None:
    await world.send_register([company(f"W{i}", 18.03) for i in range(9)])
    async with running(settings) as app:
        assert known(app) == {f"W{i}" for i in range(9)}
    first = kept(tmp_path)
    await world.broker.publish([Outgoing(settings.kafka.topic(COMPANIES), "W1", None, {})])
    async with running(settings) as app:
        assert (known(app), taken(app)) == ({f"W{i}" for i in range(9)} - {"W1"}, 1)
    await world.send_register([company("W10", 18.03, import_number=2)], number=2)
    async with running(settings) as app:
        assert (known(app), taken(app)) == ({f"W{i}" for i in (0, *range(2, 9), 10)}, 4)
        await world.send_case(case())
        await world.until(lambda: len(world.invitations()) == 9)
    assert kept(tmp_path) != first
    again = await replayed("A 1", None, Kept(), settings)
    assert (again.same, again.missing, again.new) == (True, (), ())
    with pytest.raises(Permanent, match="the round was derived from"):
        await replayed("A 1", None, Kept(register=first), settings)


async def test_half_an_import_is_never_kept(settings: MatcherSettings, world: World, tmp_path: Path) -> None:
    await world.send_register([company("W1", 18.03)])
    clock = ManualClock(NOW)
    async with running(settings, clock) as app:
        await world.send_register([], partitions=[0], number=2)
        await app._readers[0].caught_up()
        await clock.sleep(2 * 3600)  # what is kept is due to be written anew
    async with running(settings, clock) as app:
        await world.send_register([], partitions=[1, 2], number=2)
        await world.until(lambda: app._register.import_number == 2)


async def test_a_file_of_a_topic_that_was_made_anew_or_is_damaged_is_not_used(
    settings: MatcherSettings, world: World, tmp_path: Path
) -> None:
    await world.send_register([company(f"W{i}", 18.03) for i in range(9)])
    async with running(settings):
        pass
    damage(kept(tmp_path))
    async with running(settings) as app:
        assert (len(known(app)), taken(app)) == (9, 12)
    topic = settings.kafka.topic(COMPANIES)
    with TopicAdmin(settings.kafka.bootstrap) as admin:
        before = admin.topic_id(topic)
        admin._client.delete_topics([topic])
        while admin.topic_id(topic) == before:
            pass
        admin.create([COMPANIES.__class__(topic, COMPANIES.key, COMPANIES.cleanup)], partitions=3, replication=1)
    await world.send_register([company(f"N{i}", 18.03) for i in range(20)])
    async with running(settings) as app:
        assert known(app) == {f"N{i}" for i in range(20)}

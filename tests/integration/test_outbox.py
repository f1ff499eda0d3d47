"""What is decided is told, whoever dies, and told once where nobody does."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Table, column, func, insert, select, update
from sqlalchemy import table as sql_table

from services.notifier.ledger import tables as ledger
from services.portal.store import tables as portal
from services.portal.store.tables import OUTBOX
from services.runtime.errors import Transient
from services.runtime.records import Outgoing, Publisher, Unpublished
from services.runtime.store.database import Database, micros, migrate
from services.runtime.store.outbox import Outbox
from tests.migrating import migrate_to
from tests.notifier_house import Kept

pytestmark = pytest.mark.anyio
GONE = Outgoing("responses", "k0", None, {"ce_id": "e0"})


@pytest.fixture(params=["sqlite", "postgresql"])
async def empty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    is_file = request.param == "sqlite"
    url = f"sqlite+aiosqlite:///{tmp_path}/o.db" if is_file else request.getfixturevalue("postgres_url")
    made = Database(url)
    yield made
    await made.close()


@pytest.fixture
async def database(empty: Database) -> Database:
    await migrate(empty, portal.MIGRATIONS)
    return empty


class Instance(Outbox):
    """One of several that share an outbox."""

    def __init__(self, database: Database, publisher: Publisher | None = None) -> None:
        self.kept = Kept()
        self._shared = database
        super().__init__(database, OUTBOX, publisher or self.kept)

    async def say(self, *keys: str) -> None:
        async with self._shared.transaction() as connection:
            await self.put(connection, [record(key) for key in keys])

    def told(self) -> list[str]:
        return [each.key for each in self.kept.records]


def record(key: str) -> Outgoing:
    return Outgoing("responses", key, '{"ö":1}'.encode(), {"ce_id": key})


async def rows(database: Database) -> int:
    async with database.transaction() as connection:
        return await connection.scalar(select(func.count()).select_from(OUTBOX)) or 0


async def test_what_was_put_is_published_as_it_was_in_order_and_once(database: Database) -> None:
    one = Instance(database)
    async with database.transaction() as connection:
        await one.put(connection, [record("k1"), GONE])
        await one.put(connection, [])
    await one.say(*(f"n{number}" for number in range(1200)))
    assert await one.flush() == 1202
    assert one.kept.records[:2] == [record("k1"), GONE]
    assert one.told()[2:] == [f"n{number}" for number in range(1200)]
    assert (await one.flush(), await rows(database)) == (0, 0)


async def test_more_rows_than_a_page_are_published_in_order(database: Database) -> None:
    one = Instance(database)
    for number in range(120):
        await one.say(f"k{number}")
    assert await one.flush() == 120
    assert one.told() == [f"k{number}" for number in range(120)]


async def test_what_a_broker_did_not_acknowledge_stays(database: Database) -> None:
    one = Instance(database)
    await one.say("k1")
    one.kept.down = True
    with pytest.raises(Transient):
        await one.flush()
    one.kept.down = False
    assert await one.flush() == 1


async def test_each_instance_publishes_what_it_has_written(database: Database) -> None:
    one, other = Instance(database), Instance(database)
    assert (await one.flush(), await other.flush()) == (0, 0)
    await one.say("k1")
    await other.say("k2")
    await one.flush()
    await other.flush()
    assert (one.told(), other.told()) == (["k1"], ["k2"])


async def test_a_new_instance_publishes_what_the_one_before_it_left(database: Database) -> None:
    await Instance(database).say("k1")
    successor = Instance(database)
    assert await successor.flush() == 1


async def test_what_a_dead_instance_left_is_published_by_another_after_a_minute(database: Database) -> None:
    dead, other = Instance(database), Instance(database)
    await other.flush()
    await dead.say("k1")
    assert await other.flush() == 0
    async with database.transaction() as connection:
        await connection.execute(update(OUTBOX).values(at=micros(datetime.now(UTC) - timedelta(seconds=61))))
    await other.say("k2")
    await other.flush()
    assert other.told() == ["k1", "k2"]


async def test_what_a_command_wrote_is_published_at_once_by_whoever_looks(database: Database) -> None:
    service, command = Instance(database), Instance(database, Unpublished())
    await service.flush()
    await command.say("k1")
    assert await service.flush() == 1


@pytest.mark.parametrize(
    ("migrations", "before", "table"),
    [(portal.MIGRATIONS, "0004", portal.OUTBOX), (ledger.MIGRATIONS, "0010", ledger.OUTBOX)],
    ids=["portal", "notifier"],
)
async def test_what_an_earlier_version_had_written_is_published_too(
    empty: Database, migrations: Path, before: str, table: Table
) -> None:
    old = sql_table("outbox", *(column(name) for name in ("topic", "key", "headers", "body")))
    like = {"topic": "responses", "headers": '{"ce_id": "k1"}'}
    async with empty.transaction() as connection:
        await connection.run_sync(migrate_to, migrations, before)
        await connection.execute(insert(old).values(**like, key="k1", body=record("k1").value))
        await connection.execute(insert(old).values(**like, key="k0", body=None))
    await migrate(empty, migrations)
    kept = Kept()
    await Outbox(empty, table, kept).flush()
    assert kept.records == [record("k1"), Outgoing("responses", "k0", None, {"ce_id": "k1"})]

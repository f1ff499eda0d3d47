"""The ledger's schema, facts and admission, the same on SQLite and PostgreSQL."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import column, select
from sqlalchemy import insert as sql_insert
from sqlalchemy import table as sql_table

from schemas.company import COMPANY_CHANGED, Company
from schemas.company import EXAMPLE as COMPANY
from schemas.round import EXAMPLE as ROUND
from schemas.round import Round
from schemas.types import Basis
from services.notifier.ledger.open_rounds import undone_rounds
from services.notifier.ledger.tables import (
    ANSWERS,
    COMPANIES,
    CONTACTS,
    METADATA,
    MIGRATIONS,
    POSITIONS,
    ROUNDS,
    sortable,
)
from services.runtime.errors import Transient
from services.runtime.store.database import Database, micros, migrate, moment_of
from tests.migrating import migrate_to
from tests.notifier_house import MONDAY, ROUND_ID, House, house
from tests.transitions import WATCHED

pytestmark = pytest.mark.anyio
__all__ = ["house"]


async def test_the_migrations_lead_to_the_schema_in_the_code(house: House) -> None:
    async with house.database.transaction() as connection:
        assert await connection.run_sync(_differences) == []


def _differences(connection: Any) -> list[Any]:
    ours = {"compare_type": True, "include_name": lambda name, *_: name != WATCHED}
    return list(compare_metadata(MigrationContext.configure(connection, opts=ours), METADATA))


async def test_migrating_again_changes_nothing(house: House) -> None:
    await migrate(house.database, MIGRATIONS)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_ledger_of_before_keeps_its_rounds_and_what_holds_them(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else f"sqlite+aiosqlite:///{tmp_path}/l.db"
    old = House(url)
    given = {**ROUND, "basis": {"case_version": 1, "decision": 2}, "remind_at": "2025-12-01T09:00:00+01:00"}
    body = Round.model_validate(given).model_dump_json()
    kept = {"suppression_id": "s1", "kind": "undone", "scope": "round", "municipality": "0162", "round_id": ROUND_ID}
    async with old.database.transaction() as connection:
        await connection.run_sync(migrate_to, MIGRATIONS, "0001")
        await connection.execute(_insert("rounds", round_id=ROUND_ID, state="open", body=body))
        await connection.execute(_insert("suppressions", **kept, lifted=False))
    await migrate(old.database, MIGRATIONS)
    async with old.database.transaction() as connection:
        [row] = (await connection.execute(select(ROUNDS))).all()
        assert row.basis == sortable(Basis(case_version=1, decision=2))
        assert moment_of(row.remind_at) == datetime.fromisoformat("2025-12-01T09:00:00+01:00")
        assert await undone_rounds(connection, [ROUND_ID]) == {ROUND_ID}
    await old.stop_all(kind="undone", scope="round", round_id=ROUND_ID, basis=ROUND["basis"], lifted=True)
    async with old.database.transaction() as connection:
        assert await undone_rounds(connection, [ROUND_ID]) == set()
    await old.database.close()


def _insert(table: str, **values: Any) -> Any:
    """Into a table as it was then."""
    return sql_insert(sql_table(table, *(column(name) for name in values))).values(**values)


def test_a_basis_as_text_has_the_order_of_the_basis() -> None:
    parts = [
        Basis(case_version=a, decision=b, import_number=c) for a in (1, 2, 10) for b in (0, 9, 10) for c in (0, 100)
    ]
    assert sorted(parts, key=sortable) == sorted(parts, key=lambda basis: basis.order)
    assert {len(sortable(basis)) for basis in parts} == {40}


async def test_sqlite_writes_ahead_and_fully_synchronised(house: House) -> None:
    if "sqlite" not in house.url:
        return
    async with house.database.transaction() as connection:
        assert (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar_one() == "wal"
        assert (await connection.exec_driver_sql("PRAGMA synchronous")).scalar_one() == 2


async def test_a_database_that_cannot_be_reached_is_a_passing_trouble() -> None:
    database = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    with pytest.raises(Transient):
        async with database.transaction():
            pass
    await database.close()


async def test_positions_move_with_what_was_applied_and_reading_goes_on_from_them(house: House) -> None:
    await house.company("w1", "r1")
    await house.company("w2", "r1")
    assert await house.feeder.positions() == {("companies", 0): house.offset + 1}


async def test_an_older_record_never_overwrites_nor_undoes_a_tombstone(house: House) -> None:
    event = Company.model_validate({**COMPANY, "workplace_id": "w1", "name": "Old"})
    old = house.record("companies", "w1", event, COMPANY_CHANGED)
    await house.company("w1", "r1", name="New")
    await house.feeder.apply([old])
    assert [row.workplace_id for row in await _rows(house, COMPANIES)] == ["w1"]
    assert json.loads((await _rows(house, COMPANIES))[0].body)["name"] == "New"
    await house.feeder.apply([house.record("companies", "w1", None, "")])
    await house.feeder.apply([old])
    assert await _rows(house, COMPANIES) == []


async def test_the_last_of_a_batch_wins(house: House) -> None:
    records = [
        house.record("companies", "w1", Company.model_validate({**COMPANY, "workplace_id": "w1", "name": name}), type_)
        for name, type_ in (("One", COMPANY_CHANGED), ("Two", COMPANY_CHANGED))
    ]
    await house.feeder.apply(records)
    [row] = await _rows(house, COMPANIES)
    assert json.loads(row.body)["name"] == "Two"


async def test_a_contact_with_a_bad_address_is_a_dead_letter_and_the_position_moves(house: House) -> None:
    await house.contact("r1", "not an address")
    assert [error.reason for error in house.dead] == ["bad_address"]
    assert "not an address" not in str(house.dead[0])
    assert await _rows(house, CONTACTS) == []
    assert len(await _rows(house, POSITIONS)) == 1


async def test_an_erased_contact_leaves_the_store(house: House) -> None:
    identity = await house.contact("r1", "anna@exempel.test")
    await house.feeder.apply([house.record("contacts", identity, None, "")])
    assert await _rows(house, CONTACTS) == []


async def test_a_key_that_is_not_the_events_id_is_a_dead_letter(house: House) -> None:
    event = Company.model_validate({**COMPANY, "workplace_id": "w1"})
    await house.feeder.apply([house.record("companies", "w2", event, COMPANY_CHANGED)])
    assert [error.reason for error in house.dead] == ["key_mismatch"]


async def test_a_broken_invitation_is_a_dead_letter_and_delays_nobody_behind_it(house: House) -> None:
    good = house.record("companies", "w1", Company.model_validate(COMPANY), COMPANY_CHANGED)
    await house.admission.handle([good])
    await house.invite("r1", "w1")
    assert [error.reason for error in house.dead] == ["unknown_type"]
    assert await house.invitation_states() == {"admitted": 1}


async def test_a_lower_revision_changes_nothing(house: House) -> None:
    await house.invite("r1", "w1", revision=3, state="revoked")
    await house.invite("r1", "w1", revision=2)
    assert await house.invitation_states() == {"cancelled": 1}


async def test_the_outbox_keeps_what_was_not_acknowledged(house: House) -> None:
    await house.invite("r1", "w1", revision=3, state="revoked")
    house.published.down = True
    with pytest.raises(Transient):
        await house.outbox.flush()
    house.published.down = False
    assert await house.outbox.flush() == 1
    assert await house.outbox.flush() == 0
    assert house.states() == ["cancelled"]


def test_a_moment_comes_back_as_it_was_stored() -> None:
    assert moment_of(micros(MONDAY)) == MONDAY


async def _rows(house: House, table: Any) -> list[Any]:
    async with house.database.transaction() as connection:
        return list((await connection.execute(select(table))).all())


async def test_of_answers_the_ledger_keeps_that_there_is_one_and_not_what_it_says(house: House) -> None:
    await house.answer("i1", answer="ja", text="Leveranser kommer 05.30.")
    await house.answer("i1", response_id="second", sequence=2, answer="nej")
    await house.answer("i2", kind="registered", via="registrar")
    assert {row.invitation_id for row in await _rows(house, ANSWERS)} == {"i1", "i2"}
    assert "05.30" not in str(await _rows(house, ANSWERS))


async def test_an_answer_that_cannot_be_read_is_put_aside_and_the_next_is_kept(house: House) -> None:
    await house.feeder.apply([replace(house.record("responses", "0162/x/1", None, ""), value=b"{")])
    await house.answer("i1")
    assert [error.reason for error in house.dead] == ["bad_header"]
    assert len(await _rows(house, ANSWERS)) == 1

"""Facts that the sender needs, kept in the ledger: rounds, companies, contacts, suppressions.

A record takes effect only if its offset is at or past the stored position of its partition, and the position moves in
the same transaction; so a fact is never older than one already applied, whichever of several notifiers reads it, and a
tombstone that one has applied is not undone by another that lags. Addresses are opened and at once encrypted again with
the ledger's own key.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from pydantic import ValidationError
from sqlalchemy import Table, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.company import COMPANY_CHANGED, IMPORT_COMPLETED, MARKER_PREFIX, Company, ImportCompleted
from schemas.contact import CONTACT_CHANGED, Address, Contact
from schemas.round import ROUND_CHANGED, Round
from schemas.suppression import SUPPRESSION_CHANGED, Suppression
from schemas.types import Event
from services.notifier.addresses import normal
from services.notifier.ledger.database import Database, micros, upsert
from services.notifier.ledger.tables import (
    COMPANIES,
    CONTACTS,
    INVITATIONS,
    MESSAGES,
    POSITIONS,
    ROUNDS,
    SUPPRESSIONS,
)
from services.runtime.clock import Clock
from services.runtime.errors import Rejected
from services.runtime.parsing import parse
from services.runtime.records import Record
from services.runtime.sealing import Opener, Vault, blind_index

GROUP: Final = "notifier-tables"
"""Named in dead letters; table readers have no group of their own."""
Row = dict[str, Any]
DeadLetter = Callable[[Record, Rejected], Awaitable[None]]


class Feed(Protocol):
    """One topic's way into one table."""

    table: Table

    def row(self, record: Record) -> Row | None:
        """The row that a record says, or None for a type to skip. Raises `Rejected`."""
        ...

    async def applied(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        """What follows from rows that were written."""
        ...


class Feeder:
    """Applies batches of all the table topics; `topics` maps a topic's name on the broker to its feed."""

    def __init__(self, database: Database, topics: Mapping[str, Feed], dead_letter: DeadLetter) -> None:
        self._database = database
        self._topics = topics
        self._dead_letter = dead_letter

    async def positions(self) -> dict[tuple[str, int], int]:
        """Where to read on from."""
        async with self._database.transaction() as connection:
            rows = (await connection.execute(select(POSITIONS).where(POSITIONS.c.topic.in_(self._topics)))).all()
        return {(row.topic, row.partition): row.next_offset for row in rows}

    async def apply(self, records: Sequence[Record]) -> None:
        """One batch of one partition. Bad records are dead letters before the position moves."""
        first, last = records[0], records[-1]
        feed = self._topics[first.topic]
        changes: dict[str, tuple[int, Row | None]] = {}
        for record in records:
            await self._read(feed, record, changes)
        async with self._database.transaction() as connection:
            position = await _locked_position(connection, first)
            fresh = {key: row for key, (offset, row) in changes.items() if offset >= position}
            await _write(connection, feed, fresh)
            await connection.execute(
                update(POSITIONS)
                .where(POSITIONS.c.topic == first.topic, POSITIONS.c.partition == first.partition)
                .values(next_offset=max(position, last.offset + 1))
            )

    async def _read(self, feed: Feed, record: Record, changes: dict[str, tuple[int, Row | None]]) -> None:
        try:
            key = _key(record)
            if record.value is None:
                changes[key] = (record.offset, None)
            elif (row := feed.row(record)) is not None:
                changes[key] = (record.offset, row)
        except Rejected as error:
            await self._dead_letter(record, error)


def _key(record: Record) -> str:
    try:
        return (record.key or b"").decode()
    except UnicodeDecodeError:
        raise Rejected("bad_key", "the key is not UTF-8") from None


async def _locked_position(connection: AsyncConnection, record: Record) -> int:
    row = {"topic": record.topic, "partition": record.partition, "next_offset": 0}
    await upsert(connection, POSITIONS, [row], keep=True)
    where = (POSITIONS.c.topic == record.topic, POSITIONS.c.partition == record.partition)
    found = await connection.execute(select(POSITIONS.c.next_offset).where(*where).with_for_update())
    position: int = found.scalar_one()
    return position


async def _write(connection: AsyncConnection, feed: Feed, fresh: Mapping[str, Row | None]) -> None:
    primary = next(iter(feed.table.primary_key))
    gone = [key for key, row in fresh.items() if row is None]
    for start in range(0, len(gone), 500):
        await connection.execute(delete(feed.table).where(primary.in_(gone[start : start + 500])))
    rows = [row for row in fresh.values() if row is not None]
    await upsert(connection, feed.table, rows)
    await feed.applied(connection, rows)


def _event(record: Record, types: Mapping[str, type[Event]], family: str, identity: str) -> Any:
    parsed = parse(record, types, family)
    if parsed is None:
        return None
    if getattr(parsed.event, identity, None) != _key(record):
        raise Rejected("key_mismatch", f"the record's key is not the event's {identity}", f"/{identity}")
    return parsed.event


class RoundFeed:
    """`rounds`: the newest record of each; its one owner in the matcher orders them by basis."""

    table = ROUNDS

    def row(self, record: Record) -> Row | None:
        event: Round | None = _event(record, {ROUND_CHANGED: Round}, "se.nardialog.round.", "round_id")
        if event is None:
            return None
        return {"round_id": event.round_id, "state": event.state.value, "body": event.model_dump_json()}

    async def applied(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        return


class CompanyFeed:
    """`companies`. Import markers are skipped: the notifier needs no complete imports."""

    table = COMPANIES

    def row(self, record: Record) -> Row | None:
        if _key(record).startswith(MARKER_PREFIX):
            return None
        types: dict[str, type[Event]] = {COMPANY_CHANGED: Company, IMPORT_COMPLETED: ImportCompleted}
        event: Company | None = _event(record, types, "se.nardialog.company.", "workplace_id")
        if event is None:
            return None
        return {
            "workplace_id": event.workplace_id,
            "recipient_id": event.recipient_id,
            "status": event.status,
            "body": event.model_dump_json(exclude_none=True),
        }

    async def applied(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        return


class ContactFeed:
    """`contacts`: opened, checked, encrypted, indexed. A contact that comes before expiry reopens *not reachable*."""

    table = CONTACTS

    def __init__(self, opener: Opener, vault: Vault, index_key: bytes, clock: Clock) -> None:
        self._opener = opener
        self._vault = vault
        self._index_key = index_key
        self._clock = clock

    def row(self, record: Record) -> Row | None:
        event: Contact | None = _event(record, {CONTACT_CHANGED: Contact}, "se.nardialog.contact.", "contact_id")
        if event is None:
            return None
        try:
            inside = Address.model_validate_json(self._opener.open(event.sealed))
        except ValidationError:
            raise Rejected(
                "wrong_shape", "what is sealed is not an address; seal the Address schema", "/sealed"
            ) from None
        address, indexed = normal(event.channel, inside.address)
        return {
            "contact_id": event.contact_id,
            "recipient_id": event.recipient_id,
            "workplace_id": event.workplace_id,
            "channel": event.channel,
            "role": event.role,
            "language": event.language,
            "address_encrypted": self._vault.encrypt(address.encode()),
            "address_index": blind_index(self._index_key, event.channel, indexed),
        }

    async def applied(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        recipients = sorted({row["recipient_id"] for row in rows})
        now = micros(self._clock.now())
        for start in range(0, len(recipients), 500):
            await connection.execute(
                update(INVITATIONS)
                .where(INVITATIONS.c.recipient_id.in_(recipients[start : start + 500]))
                .where(INVITATIONS.c.state == "not_reachable", INVITATIONS.c.expires_at > now)
                .values(state="admitted")
            )


class SuppressionFeed:
    """`suppressions`: one that names a message is resolved to that message's address."""

    table = SUPPRESSIONS

    def row(self, record: Record) -> Row | None:
        types: dict[str, type[Event]] = {SUPPRESSION_CHANGED: Suppression}
        event: Suppression | None = _event(record, types, "se.nardialog.suppression.", "suppression_id")
        if event is None:
            return None
        return {
            "suppression_id": event.suppression_id,
            "kind": event.kind,
            "scope": event.scope,
            "municipality": event.municipality,
            "address_index": event.address_index,
            "message_number": event.message_number,
            "round_id": event.round_id,
            "case_key": event.case_key,
            "case_type": event.case_type,
            "lifted": event.lifted,
        }

    async def applied(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        for row in rows:
            if row["message_number"] is not None and row["address_index"] is None:
                await _resolve(connection, row)
            if row["kind"] == "erased" and not row["lifted"]:
                await _empty(connection, row["suppression_id"])


async def _resolve(connection: AsyncConnection, row: Row) -> None:
    found = select(MESSAGES.c.address_index).where(MESSAGES.c.number == row["message_number"])
    await connection.execute(
        update(SUPPRESSIONS)
        .where(SUPPRESSIONS.c.suppression_id == row["suppression_id"])
        .values(address_index=found.scalar_subquery())
    )


async def _empty(connection: AsyncConnection, suppression_id: str) -> None:
    """An erased person's messages keep neither address nor words; those still waiting lose them when they end."""
    erased = select(SUPPRESSIONS.c.address_index).where(SUPPRESSIONS.c.suppression_id == suppression_id)
    await connection.execute(
        update(MESSAGES)
        .where(MESSAGES.c.address_index.in_(erased))
        .where(MESSAGES.c.state.not_in(("pending", "retry", "sending", "unknown")))
        .values(address_encrypted=b"", body_encrypted=None)
    )

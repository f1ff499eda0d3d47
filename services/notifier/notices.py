"""Notices are admitted into the ledger as messages of their own, and sent by the same way as invitations.

A notice is sent at once: no hold, no windows, not stopped by `sending pause`. It is asked for by its reader, so a stop
does not stop it; a dead or erased address does. Each takes effect once (message id = notice id), and it is not sent
past its expiry. Its address comes sealed, or is that of the message whose number it names: the ledger made that number
before the message left, so one that it does not know is somebody else's and is a dead letter. What cannot be read as a
notice is put aside without its value, because nobody can say that what is personal in it is sealed.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.notice import CONFIRM, MAGIC_LINK, NOTICE_REQUESTED, RECEIPT, STOPPED, Notice, SealedNotice
from schemas.types import Event
from services.notifier.ledger.tables import MESSAGES, NOTICES
from services.notifier.numbers import known_number, message_id, new_number
from services.runtime.addresses import normal
from services.runtime.clock import Clock
from services.runtime.errors import Rejected
from services.runtime.metrics import RECORDS
from services.runtime.parsing import parse
from services.runtime.records import Record
from services.runtime.sealing import Opener, Vault, blind_index
from services.runtime.store.database import Database, micros, upsert

GROUP: Final = "notifier-notices"
FAMILY: Final = "se.nardialog.notice."
LINKED: Final = frozenset({CONFIRM, MAGIC_LINK})
"""Kinds whose link is a secret of their own: it comes sealed with the address."""
KINDS: Final = LINKED | {RECEIPT, STOPPED}
KIND: Final = "notice"


class Notices:
    """Takes batches of `notices`."""

    def __init__(
        self,
        database: Database,
        opener: Opener,
        vault: Vault,
        index_key: bytes,
        clock: Clock,
        dead_letter: Callable[[Record, Rejected], Awaitable[None]],
    ) -> None:
        self._database = database
        self._opener = opener
        self._vault = vault
        self._index_key = index_key
        self._clock = clock
        self._dead_letter = dead_letter

    async def handle(self, records: Sequence[Record]) -> None:
        """Returns when all are in the ledger, skipped and counted, or put aside with their reason."""
        for record in records:
            try:
                event = self._read(record)
                if event is not None:
                    async with self._database.transaction() as connection:
                        await self._admit(connection, event)
            except Rejected as error:
                await self._dead_letter(record, error)

    def _read(self, record: Record) -> Notice | None:
        types: dict[str, type[Event]] = {NOTICE_REQUESTED: Notice}
        try:
            if record.value is None:
                raise Rejected("tombstone", "a notice is not taken back: it ends at its expiry")
            parsed = parse(record, types, FAMILY)
        except Rejected as error:
            raise Rejected(error.reason, error.detail, error.pointer, drop_value=True) from None
        event = parsed.event if parsed else None
        if not isinstance(event, Notice) or event.kind not in KINDS:
            RECORDS.labels("notifier", record.topic, "skipped").inc()
            return None
        known_number(event.message_number)
        if event.kind in LINKED and event.sealed is None:
            raise Rejected("no_link", f"a notice of kind {event.kind} needs its link, sealed", "/sealed")
        return event

    async def _admit(self, connection: AsyncConnection, event: Notice) -> None:
        message = message_id(event.notice_id, "", KIND)
        known = select(MESSAGES.c.message_id).where(MESSAGES.c.message_id == message)
        if (await connection.execute(known)).one_or_none() is not None:
            return
        address = await self._sealed(event) if event.sealed else await _address_of(connection, event)
        path = address.pop("path", None)
        now = micros(self._clock.now())
        row = {
            "message_id": message,
            "number": new_number(),
            "round_id": event.notice_id,
            "kind": KIND,
            "municipality": event.municipality,
            "language": event.language,
            "state": "pending",
            "urgent": True,
            "due": now,
            "attempts": 0,
            "unknowns": 0,
            "resent_unknown": 0,
            "provider_ref": "",
            "code": "",
            "created_at": now,
            "expires_at": micros(event.expires_at),
            **address,
        }
        said = {
            "message_id": message,
            "kind": event.kind,
            "recipient_id": event.recipient_id,
            "parameters": json.dumps(event.parameters, ensure_ascii=False),
            "path_encrypted": path,
            "about_number": event.message_number,
        }
        await upsert(connection, MESSAGES, [row], keep=True)
        await upsert(connection, NOTICES, [said], keep=True)

    async def _sealed(self, event: Notice) -> dict[str, Any]:
        assert event.sealed is not None
        try:
            inside = SealedNotice.model_validate_json(self._opener.open(event.sealed))
        except ValidationError:
            raise Rejected(
                "wrong_shape", "what is sealed is not a notice's address; seal the SealedNotice schema", "/sealed"
            ) from None
        address, indexed = normal(event.channel, inside.address)
        return {
            "channel": event.channel,
            "address_encrypted": self._vault.encrypt(address.encode()),
            "address_index": blind_index(self._index_key, event.channel, indexed),
            "path": self._vault.encrypt(inside.path.encode()),
        }


async def _address_of(connection: AsyncConnection, event: Notice) -> dict[str, Any]:
    columns = (MESSAGES.c.channel, MESSAGES.c.address_encrypted, MESSAGES.c.address_index)
    found = await connection.execute(select(*columns).where(MESSAGES.c.number == event.message_number))
    row = found.one_or_none()
    if row is None:
        raise Rejected("no_such_message", "no message has this number in this ledger", "/message_number")
    return dict(row._mapping)

"""A request that comes again: with an Idempotency-Key it is answered as it was, for some days, and done once.

Only hashes of its name and body are kept, and of what was taken the ids. A refusal does not use a key up.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Header
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.portal.api.problems import problem
from services.portal.portal import Portal
from services.portal.store.tables import REPEATS
from services.runtime.store.database import micros, upsert

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]+$",
        description="The same key with the same body is answered the same; with another body it is refused.",
    ),
]


def reused_key() -> Exception:
    """A key stood for another request."""
    return problem(
        422, "idempotency-key-reused", "The Idempotency-Key stood for another request",
        "Send another request with a key of its own.",
    )  # fmt: skip


@dataclass(frozen=True)
class Receipt:
    """What was taken, as one event: a version of a case, or a decision on it by its number."""

    case_key: str
    version: int
    event_id: str


@dataclass(frozen=True)
class Repeatable:
    """A request that may come again: whose it is, what it calls itself, and what it said."""

    key_id: str
    name_hash: str
    body_hash: str

    @classmethod
    def of(cls, key_id: str, name: str | None, body: bytes) -> "Repeatable | None":
        """The request of a key; None where it bears no Idempotency-Key."""
        if name is None:
            return None
        return cls(key_id, hashlib.sha256(name.encode()).hexdigest(), hashlib.sha256(body).hexdigest())


class Repeats:
    """What was answered before."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._kept = timedelta(days=portal.settings.portal.idempotency_days)

    async def find(self, request: Repeatable | None) -> tuple[Receipt | None, bool]:
        """What was answered to this request, and whether its name was used for another one."""
        if request is None:
            return None, False
        async with self._portal.database.transaction() as connection:
            row = (
                await connection.execute(
                    select(REPEATS).where(
                        REPEATS.c.key_id == request.key_id,
                        REPEATS.c.name_hash == request.name_hash,
                        REPEATS.c.at > micros(self._portal.clock.now() - self._kept),
                    )
                )
            ).first()
        if row is None:
            return None, False
        if row.body_hash != request.body_hash:
            return None, True
        return Receipt(row.case_key, row.version, row.event_id), False

    async def keep(self, connection: AsyncConnection, request: Repeatable | None, receipt: Receipt) -> None:
        """Notes what is answered."""
        if request is None:
            return
        answered = {
            "key_id": request.key_id, "name_hash": request.name_hash, "body_hash": request.body_hash,
            "case_key": receipt.case_key, "version": receipt.version, "event_id": receipt.event_id,
            "at": micros(self._portal.clock.now()),
        }  # fmt: skip
        await upsert(connection, REPEATS, [answered])

    async def forget(self) -> int:
        """Deletes what is past the days that a request may come again; returns how many."""
        async with self._portal.database.transaction() as connection:
            old = micros(self._portal.clock.now() - self._kept)
            return (await connection.execute(delete(REPEATS).where(REPEATS.c.at < old))).rowcount

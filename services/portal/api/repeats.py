"""A request that comes again: with an Idempotency-Key it is answered as it was, for some days, and done once.

A name is claimed before its request is carried out, so that of two at once the second waits for what becomes of the
first: the same body is answered the same, another is refused. A refusal does not use a name up. One whose end nobody
knows (a timeout, a crash) does: it may have had its effect, so only the same body may be sent again by that name.
Only hashes of name and body are kept, and of what was taken the ids.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final, TypeVar

from fastapi import Header
from fastapi_problem.error import Problem
from sqlalchemy import ColumnElement, Row, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.portal.api.problems import problem
from services.portal.portal import Portal
from services.portal.store.tables import REPEATS
from services.runtime.errors import Transient
from services.runtime.store.database import micros, moment_of, upsert

LOOK_SECONDS: Final = 0.05
_Wanted = TypeVar("_Wanted")

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
    """What was answered before, and what is under way."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._kept = timedelta(days=portal.settings.portal.idempotency_days)
        self._lease = timedelta(seconds=3 * portal.settings.portal.publish_seconds)

    async def once(
        self,
        request: Repeatable | None,
        read: Callable[[], _Wanted],
        carry_out: Callable[[_Wanted], Awaitable[Receipt]],
    ) -> Receipt:
        """What was answered to this request, or what is answered now: what is wanted is read and carried out, which
        keeps the receipt. Raises a problem, that of `read` before 422 for a name that stands for another body, or
        `Transient`.
        """
        if request is None:
            return await carry_out(read())
        if (before := await self._answered(request)) is not None:
            return before
        wanted = read()
        if (before := await self._claimed(request)) is not None:
            return before
        try:
            return await carry_out(wanted)
        except Problem:
            await self._give_back(request)
            raise
        except BaseException:
            await self._let_go(request)
            raise

    async def keep(self, connection: AsyncConnection, request: Repeatable | None, receipt: Receipt) -> None:
        """Notes what is answered."""
        if request is not None:
            answered = {"case_key": receipt.case_key, "version": receipt.version, "event_id": receipt.event_id}
            await upsert(connection, REPEATS, [{**self._row(request), **answered}])

    async def forget(self) -> int:
        """Deletes what is past the days that a request may come again; returns how many."""
        async with self._portal.database.transaction() as connection:
            old = micros(self._portal.clock.now() - self._kept)
            return (await connection.execute(delete(REPEATS).where(REPEATS.c.at < old))).rowcount

    async def _answered(self, request: Repeatable) -> Receipt | None:
        async with self._portal.database.transaction() as connection:
            row = (await connection.execute(select(REPEATS).where(*_named(request)))).first()
        return _receipt(row) if row is not None and self._is_of(row, request) else None

    async def _claimed(self, request: Repeatable) -> Receipt | None:
        """None when this request is to be carried out now: no other of its name is until it has ended. Waits for one
        that is under way, whatever its body.
        """
        try:
            async with asyncio.timeout(self._lease.total_seconds()):
                while True:
                    async with self._portal.database.transaction() as connection:
                        row = await self._locked(connection, request)
                        if self._is_of(row, request) and (receipt := _receipt(row)) is not None:
                            return receipt
                        if not self._is_under_way(row):
                            await self._claim(connection, request, row)
                            return None
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise Transient("another request with the same Idempotency-Key is still under way") from None

    async def _locked(self, connection: AsyncConnection, request: Repeatable) -> Row[Any]:
        nothing = {**self._row(request), "body_hash": "", "at": 0}
        await upsert(connection, REPEATS, [nothing], keep=True)
        found = await connection.execute(select(REPEATS).where(*_named(request)).with_for_update())
        return found.one()

    async def _claim(self, connection: AsyncConnection, request: Repeatable, row: Row[Any]) -> None:
        if self._is_known(row) and row.body_hash != request.body_hash:
            raise reused_key()
        until = micros(self._portal.clock.now() + self._lease)
        await upsert(connection, REPEATS, [{**self._row(request), "lease_until": until}])

    def _row(self, request: Repeatable) -> dict[str, Any]:
        return {
            "key_id": request.key_id, "name_hash": request.name_hash, "body_hash": request.body_hash,
            "case_key": "", "version": 0, "event_id": "", "at": micros(self._portal.clock.now()), "lease_until": 0,
        }  # fmt: skip

    def _is_known(self, row: Row[Any]) -> bool:
        """Within the days that a request may come again."""
        return bool(row.body_hash) and moment_of(row.at) > self._portal.clock.now() - self._kept

    def _is_of(self, row: Row[Any], request: Repeatable) -> bool:
        return self._is_known(row) and row.body_hash == request.body_hash

    def _is_under_way(self, row: Row[Any]) -> bool:
        return self._is_known(row) and moment_of(row.lease_until) > self._portal.clock.now()

    async def _give_back(self, request: Repeatable) -> None:
        """A refusal had no effect."""
        async with self._portal.database.transaction() as connection:
            await connection.execute(delete(REPEATS).where(*_is_ours(request)))

    async def _let_go(self, request: Repeatable) -> None:
        """Nobody knows its end: the same may be sent again at once, and nothing else by this name."""
        async with self._portal.database.transaction() as connection:
            await connection.execute(update(REPEATS).where(*_is_ours(request)).values(lease_until=0))


def _named(request: Repeatable) -> tuple[ColumnElement[bool], ...]:
    return REPEATS.c.key_id == request.key_id, REPEATS.c.name_hash == request.name_hash


def _is_ours(request: Repeatable) -> tuple[ColumnElement[bool], ...]:
    return *_named(request), REPEATS.c.body_hash == request.body_hash, REPEATS.c.event_id == ""


def _receipt(row: Row[Any]) -> Receipt | None:
    return Receipt(row.case_key, row.version, row.event_id) if row.event_id else None

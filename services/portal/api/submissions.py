"""Taking a case: once, in order, and only when the broker has it.

A version is claimed in the store, published, and then marked as accepted: of two requests at once one publishes, and
the other waits for its outcome. Nothing is held open in the store while the broker is waited for. A claim whose outcome
is not known (a timeout, a crash) may have reached the broker: the same content may be sent again at once and is the
same event; other content of that version is refused until the doubt is over and the view of `cases` says that it never
came.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from enum import Enum
from typing import Any, Final

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.applicant import keyed
from schemas.case import Case
from schemas.round import Round
from services.portal.api.problems import problem
from services.portal.api.repeats import Receipt, Repeatable, Repeats
from services.portal.case_orders import Standing, content_hash, event_id, refusal, standing, submission
from services.portal.portal import Portal
from services.portal.store.tables import CASES, ROUNDS, SUBMISSIONS
from services.portal.views import CONFIDENTIAL
from services.runtime.errors import Transient
from services.runtime.store.database import micros, moment_of, upsert

DOUBT: Final = timedelta(minutes=2)
"""A client of the broker may still deliver what it could not for so long; longer than its own request timeout."""
LOOK_SECONDS: Final = 0.05


class Claim(Enum):
    """What a request found in the store."""

    OURS = "ours"
    ANOTHERS = "another's"
    """The same content is being published by another request."""
    DONE = "done"


class Submissions:
    """The door's memory and its way to the broker."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._repeats = Repeats(portal)
        self._lease = timedelta(seconds=3 * portal.settings.portal.publish_seconds)

    async def take(self, case: Case, request: Repeatable | None) -> Receipt:
        """Returns when the broker has the case. Raises a problem (409), or `Transient`."""
        case = keyed(case, self._portal.settings.installation.key)
        await self._portal.caught_up()
        if await self._claimed(case) is Claim.OURS:
            await self._publish(case)
        receipt = Receipt(case.key, case.version, event_id(case))
        await self._accept(case, receipt, request)
        return receipt

    async def _claimed(self, case: Case) -> Claim:
        """Waits for another request that is publishing the same."""
        try:
            async with asyncio.timeout(self._lease.total_seconds()):
                while True:
                    claim = await self._claim(case)
                    if claim is not Claim.ANOTHERS:
                        return claim
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise Transient("another request for the same version is still under way") from None

    async def _claim(self, case: Case) -> Claim:
        now = self._portal.clock.now()
        claimed = {
            "case_key": case.key, "version": case.version, "content_hash": content_hash(case), "accepted": False,
            "at": micros(now), "lease_until": micros(now + self._lease),
        }  # fmt: skip
        async with self._portal.database.transaction() as connection:
            nothing = {**claimed, "version": 0, "content_hash": "", "at": 0, "lease_until": 0}
            await upsert(connection, SUBMISSIONS, [nothing], keep=True)
            row: Any = (
                await connection.execute(
                    select(SUBMISSIONS).where(SUBMISSIONS.c.case_key == case.key).with_for_update()
                )
            ).one()
            seen_version, seen_hash = await _seen(connection, case.key)
            if not row.accepted and moment_of(row.at) + DOUBT < now:
                known = (seen_version, seen_hash)  # what was in doubt is not on the topic by now: it never came
            else:
                known = max((row.version, row.content_hash), (seen_version, seen_hash), key=lambda item: item[0])
            what = standing(case, *known)
            if what in (Standing.CONFLICT, Standing.STALE):
                raise _refused(case, what, known[0])
            if what is Standing.KNOWN and (row.accepted or seen_version == case.version):
                return Claim.DONE
            if what is Standing.KNOWN and row.lease_until > micros(now):
                return Claim.ANOTHERS
            await upsert(connection, SUBMISSIONS, [claimed])
        return Claim.OURS

    async def _publish(self, case: Case) -> None:
        before, rounds = await self._known(case)
        try:
            for group in submission(case, before, rounds, self._portal.settings.kafka, self._portal.clock.now()):
                if group:
                    await self._portal.publish(group)
        except BaseException:
            await self._let_go(case)
            raise

    async def _known(self, case: Case) -> tuple[Case | None, Sequence[Round]]:
        async with self._portal.database.transaction() as connection:
            before = await _on_topic(connection, case.key)
            rows = await connection.execute(select(ROUNDS.c.body).where(ROUNDS.c.case_key == case.key))
            return before, [Round.model_validate_json(row.body, extra="ignore") for row in rows]

    async def _let_go(self, case: Case) -> None:
        """The same content may be sent again at once."""
        async with self._portal.database.transaction() as connection:
            await connection.execute(update(SUBMISSIONS).where(*_is(case)).values(lease_until=0))

    async def _accept(self, case: Case, receipt: Receipt, request: Repeatable | None) -> None:
        now = self._portal.clock.now()
        async with self._portal.database.transaction() as connection:
            await connection.execute(update(SUBMISSIONS).where(*_is(case)).values(accepted=True, at=micros(now)))
            await self._repeats.keep(connection, request, receipt)

    async def forget(self) -> int:
        """Deletes what is past the days that a request may come again; returns how many."""
        old = micros(self._portal.clock.now() - timedelta(days=self._portal.settings.portal.idempotency_days))
        async with self._portal.database.transaction() as connection:
            claims = await connection.execute(delete(SUBMISSIONS).where(SUBMISSIONS.c.at < old))
        return claims.rowcount + await self._repeats.forget()


async def _seen(connection: AsyncConnection, case_key: str) -> tuple[int, str]:
    """The version that stands on the topic, and its content; 0 where none does."""
    known = await _on_topic(connection, case_key)
    return (known.version, content_hash(known)) if known else (0, "")


async def _on_topic(connection: AsyncConnection, case_key: str) -> Case | None:
    row: Any = (await connection.execute(select(CASES).where(CASES.c.case_key == case_key))).first()
    if row is None or row.state == CONFIDENTIAL:
        return None
    return Case.model_validate_json(row.body, extra="ignore")


def _is(case: Case) -> tuple[Any, ...]:
    return (
        SUBMISSIONS.c.case_key == case.key,
        SUBMISSIONS.c.version == case.version,
        SUBMISSIONS.c.content_hash == content_hash(case),
    )


def _refused(case: Case, what: Standing, known: int) -> Exception:
    complaint = refusal(what, case.version, known)
    title = "An older version" if what is Standing.STALE else "Another content of the same version"
    kind = complaint.code.replace("_", "-")
    return problem(409, kind, title, complaint.detail, faults=[complaint], current_version=known)

"""Invitations are admitted into the ledger and committed; nothing is sent from here.

Each (id, revision) takes effect once: a replay changes nothing, and neither does a lower revision or a lower basis. A
newer one updates what has not left; of what has left only the content that its page shows. *Revoked* cancels what has
not left; *issued* after *revoked* reopens it.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.delivery import DeliveryState
from schemas.invitation import INVITATION_CHANGED, Invitation, InvitationState
from services.notifier.ledger.events import Outbox, invitation_ended
from services.notifier.ledger.messages import REMINDER
from services.notifier.ledger.tables import INVITATIONS, MESSAGE_INVITATIONS, MESSAGES
from services.runtime.clock import Clock
from services.runtime.errors import Rejected
from services.runtime.parsing import parse
from services.runtime.records import Record
from services.runtime.store.database import Database, chunks, micros, upsert

GROUP: Final = "notifier"
FAMILY: Final = "se.nardialog.invitation."
_CHUNK: Final = 500


class Admission:
    """Takes batches of `invitations`."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        clock: Clock,
        dead_letter: Callable[[Record, Rejected], Awaitable[None]],
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._dead_letter = dead_letter

    async def handle(self, records: Sequence[Record]) -> None:
        """Returns when all are committed, or put aside with their reason."""
        newest: dict[str, Invitation] = {}
        for record in records:
            event = await self._read(record)
            if event and (event.invitation_id not in newest or _newer(event, newest[event.invitation_id])):
                newest[event.invitation_id] = event
        events = [newest[key] for key in sorted(newest)]
        for start in range(0, len(events), _CHUNK):
            async with self._database.transaction() as connection:
                await self._admit(connection, events[start : start + _CHUNK])

    async def _read(self, record: Record) -> Invitation | None:
        try:
            if record.value is None:
                raise Rejected("tombstone", "invitations are revoked by an event, never by a tombstone")
            parsed = parse(record, {INVITATION_CHANGED: Invitation}, FAMILY)
        except Rejected as error:
            await self._dead_letter(record, error)
            return None
        return parsed.event if parsed else None

    async def _admit(self, connection: AsyncConnection, events: Sequence[Invitation]) -> None:
        ids = [event.invitation_id for event in events]
        columns = (INVITATIONS.c.invitation_id, INVITATIONS.c.body)
        in_order = select(*columns).where(INVITATIONS.c.invitation_id.in_(ids)).order_by(INVITATIONS.c.invitation_id)
        known_rows = await connection.execute(in_order.with_for_update())
        known = {row.invitation_id: Invitation.model_validate_json(row.body, extra="ignore") for row in known_rows}
        fresh = [e for e in events if e.invitation_id not in known or _newer(e, known[e.invitation_id])]
        changed = [event.invitation_id for event in fresh if event.invitation_id in known]
        left = await _unlink(connection, changed)
        rows = [self._row(event) for event in fresh]
        await upsert(connection, INVITATIONS, rows)
        await self._outbox.deliveries(
            connection,
            [
                invitation_ended(
                    DeliveryState.CANCELLED,
                    "revoked",
                    self._clock.now(),
                    municipality=event.municipality,
                    invitation_id=event.invitation_id,
                    round_id=event.round_id,
                    recipient_id=event.recipient_id,
                    revision=event.revision,
                )
                for event in fresh
                if event.state is InvitationState.REVOKED and event.invitation_id not in left
            ],
        )

    def _row(self, event: Invitation) -> dict[str, Any]:
        return {
            "invitation_id": event.invitation_id,
            "revision": event.revision,
            "round_id": event.round_id,
            "recipient_id": event.recipient_id,
            "municipality": event.municipality,
            "state": "cancelled" if event.state is InvitationState.REVOKED else "admitted",
            "body": event.model_dump_json(exclude_none=True),
            "admitted_at": micros(self._clock.now()),
            "expires_at": micros(event.expires_at),
        }


def _newer(event: Invitation, known: Invitation) -> bool:
    """Neither the revision nor the basis may fall, and one of them must rise."""
    order, before = (event.revision, event.basis.order), (known.revision, known.basis.order)
    return order != before and order[0] >= before[0] and order[1] >= before[1]


async def _unlink(connection: AsyncConnection, changed: Sequence[str]) -> set[str]:
    """Takes changed invitations off messages that have no intent yet: addressing decides anew. Returns those that are
    on a message with an intent: they left, or may have. The messages are locked against a sender that is about to
    write one.
    """
    if not changed:
        return set()
    on = select(MESSAGE_INVITATIONS.c.message_id).where(MESSAGE_INVITATIONS.c.invitation_id.in_(changed))
    carrying = select(MESSAGES.c.message_id, MESSAGES.c.intent_at).where(MESSAGES.c.message_id.in_(on))
    carrying = carrying.where(MESSAGES.c.kind != REMINDER)  # addressing has no say in whom a reminder is for
    rows = (await connection.execute(carrying.order_by(MESSAGES.c.message_id).with_for_update())).all()
    for chunk in chunks([row.message_id for row in rows if row.intent_at is None]):
        await connection.execute(
            delete(MESSAGE_INVITATIONS)
            .where(MESSAGE_INVITATIONS.c.invitation_id.in_(changed))
            .where(MESSAGE_INVITATIONS.c.message_id.in_(chunk))
        )
    links = select(MESSAGE_INVITATIONS.c.invitation_id).where(MESSAGE_INVITATIONS.c.invitation_id.in_(changed))
    return set((await connection.execute(links)).scalars())

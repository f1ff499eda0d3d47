"""A message that failed for a technical reason is sent again because an operator says so, and why.

It is written anew from what is known then, and goes the way of every message: a stop, an ended round or its expiry
still keeps it. What may have been taken is never tried again here, and neither is an address that is dead.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.ledger import steps
from services.notifier.ledger.steps import Step
from services.notifier.ledger.tables import INVITATIONS, MESSAGE_INVITATIONS, MESSAGES
from services.notifier.policy.field_words import may_be_tried_again, word
from services.notifier.policy.windows import Mode, next_open
from services.runtime.errors import Rejected
from services.runtime.store.database import micros, moment_of


async def try_again(
    connection: AsyncConnection, message_id: str, now: datetime, windows: Mode, *, by: str, because: str
) -> datetime:
    """When it may leave. Raises `Rejected` with why not."""
    found = await connection.execute(select(MESSAGES).where(MESSAGES.c.message_id == message_id).with_for_update())
    row = found.one_or_none()
    if row is None:
        raise Rejected("no_such_message", f"no message is called '{message_id}': see `nardialog deliveries list`")
    due = next_open(row.channel, now, windows)
    if why := _why_not(row, due):
        raise Rejected("not_tried_again", why)
    fresh = {
        "state": "pending",
        "code": "",
        "due": micros(due),
        "intent_at": None,
        "body_encrypted": None,
        "digest_id": None,
    }
    await connection.execute(update(MESSAGES).where(MESSAGES.c.message_id == message_id).values(**fresh))
    on = select(MESSAGE_INVITATIONS.c.invitation_id).where(MESSAGE_INVITATIONS.c.message_id == message_id)
    late = update(INVITATIONS).where(
        INVITATIONS.c.invitation_id.in_(on), INVITATIONS.c.state.in_(("failed", "not_reachable"))
    )
    await connection.execute(late.values(state="addressed"))
    said = f"{by}: {because}"[:200]
    await steps.take(connection, [Step(message_id, now, "pending", "tried_again", said, row.attempts + 1)])
    return due


def _why_not(row: Row[Any], due: datetime) -> str | None:
    if not may_be_tried_again(row.state, row.code):
        reason = f", {row.code}" if row.code else ""
        return f"it is {word(row.state, row.code)}{reason}: only what failed and surely was not taken is tried again"
    if row.unknowns:
        return "an attempt's outcome stayed unknown: it may have been taken, so another would double it"
    if not row.address_encrypted:
        return "it has no address any more: the person was erased, or the notice has ended"
    if due >= moment_of(row.expires_at):
        return "it would leave after its last day"
    return None

"""What has left for whom, or may have: the ledger's answer before an invitation is addressed."""

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, and_, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.round import CORRECTED, Round
from services.notifier.ledger import grounds
from services.notifier.ledger.messages import FIRST
from services.notifier.ledger.tables import MESSAGE_INVITATIONS, MESSAGES
from services.notifier.policy.channel_choice import Reach
from services.notifier.policy.told import Told, told
from services.notifier.policy.unknown import UNKNOWN_OUTCOME
from services.runtime.store.database import chunks


async def left_by_message(
    connection: AsyncConnection, invitations: Sequence[str], channel: str | None = None, *, reached: bool = False
) -> set[str]:
    """Those of these invitations that are on a message with an intent: they left, or may have. By that channel, if one
    is given; with `reached`, only if that did not fail for certain.
    """
    found: set[str] = set()
    left: ColumnElement[bool] = MESSAGES.c.intent_at.is_not(None)
    if reached:
        left = and_(left, or_(MESSAGES.c.state != "failed", MESSAGES.c.code == UNKNOWN_OUTCOME))
    for chunk in chunks(sorted(invitations)):
        rows = await connection.execute(
            select(MESSAGE_INVITATIONS.c.invitation_id)
            .join(MESSAGES, MESSAGES.c.message_id == MESSAGE_INVITATIONS.c.message_id)
            .where(MESSAGE_INVITATIONS.c.invitation_id.in_(chunk), left)
            .where(true() if channel is None else MESSAGES.c.channel == channel)
        )
        found |= set(rows.scalars())
    return found


async def told_by_earlier(
    connection: AsyncConnection, change: Round, contacts: Mapping[str, Sequence[Reach]]
) -> dict[str, Told]:
    """What the round that this one follows was to each of these addresses. Its messages are locked: a sender that is
    about to write one writes it after this, from the round as it is now. Whoever gets it later than a correction gets
    it right, if the case was corrected too.
    """
    follows = change.follows or ""
    earlier = (await grounds.rounds(connection, [follows])).get(follows)
    corrects = change.change == CORRECTED
    current = earlier is not None and (corrects or earlier.basis.order >= change.basis.order)
    found: dict[str, Told] = {}
    for chunk in chunks(sorted({reach.address_index for reaches in contacts.values() for reach in reaches})):
        rows = await connection.execute(
            select(MESSAGES.c.address_index, MESSAGES.c.state, MESSAGES.c.code)
            .where(MESSAGES.c.round_id == follows, MESSAGES.c.kind == FIRST, MESSAGES.c.address_index.in_(chunk))
            .order_by(MESSAGES.c.message_id)
            .with_for_update()
        )
        found |= {row.address_index: told(row.state, row.code, round_is_current=current) for row in rows}
    return found

"""The invitations that messages carry."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.invitation import Invitation
from services.notifier.ledger.messages import Message
from services.notifier.ledger.tables import INVITATIONS, MESSAGE_INVITATIONS, MESSAGES
from services.runtime.store.database import chunks


@dataclass(frozen=True)
class Link:
    """An invitation that a message carries."""

    invitation_id: str
    recipient_id: str
    round_id: str
    state: str
    body: str

    def invitation(self) -> Invitation:
        """The invitation as it was admitted last."""
        return self._read

    @cached_property
    def _read(self) -> Invitation:
        return Invitation.model_validate_json(self.body, extra="ignore")


async def links_on(connection: AsyncConnection, messages: Sequence[Message]) -> dict[str, list[Link]]:
    """The invitations on each message, in a stable order; on a digest those of the messages that it carries."""
    ids = [message.message_id for message in messages]
    found = await _links(connection, MESSAGE_INVITATIONS.c.message_id, ids)
    if digests := [message.message_id for message in messages if message.is_digest]:
        found |= await _links(connection, MESSAGES.c.digest_id, digests)
    return found


async def _links(connection: AsyncConnection, carrier: ColumnElement[str], ids: Sequence[str]) -> dict[str, list[Link]]:
    found: dict[str, list[Link]] = defaultdict(list)
    rows = await connection.execute(
        select(carrier.label("carrier"), INVITATIONS)
        .select_from(MESSAGE_INVITATIONS)
        .join(MESSAGES, MESSAGES.c.message_id == MESSAGE_INVITATIONS.c.message_id)
        .join(INVITATIONS, INVITATIONS.c.invitation_id == MESSAGE_INVITATIONS.c.invitation_id)
        .where(carrier.in_(ids))
        .order_by(INVITATIONS.c.invitation_id)
    )
    for row in rows:
        found[row.carrier].append(link_of(row))
    return found


async def unlink(connection: AsyncConnection, message: Message, links: Sequence[Link]) -> None:
    """The message is not for these invitations any more."""
    for chunk in chunks([link.invitation_id for link in links]):
        await connection.execute(
            delete(MESSAGE_INVITATIONS)
            .where(MESSAGE_INVITATIONS.c.message_id == message.message_id)
            .where(MESSAGE_INVITATIONS.c.invitation_id.in_(chunk))
        )


def link_of(row: Row[Any]) -> Link:
    """A row of `invitations` as a message carries it."""
    return Link(row.invitation_id, row.recipient_id, row.round_id, row.state, row.body)

"""Addresses that are given up: a suppression for good, by the address's blind index, in the ledger and on its topic.

Written into the ledger in the transaction that ends the message, so that whatever is sent next meets it, and its
invitations are addressed anew, since there may be another way to their company. So are those of a text that reached
nobody, though its address is not given up.
"""

from datetime import datetime
from typing import Final, Literal

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.channels.port import OPTED_OUT, Outcome
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.messages import Message
from services.notifier.ledger.tables import INVITATIONS, MESSAGE_INVITATIONS, MESSAGES, SUPPRESSIONS
from services.notifier.policy.dead_address import Ended, gives_up
from services.notifier.policy.giving_way import gives_way
from services.notifier.stops import suppress_address, suppression_id
from services.runtime.store.database import micros

_LEFT: Final = ("sent", "delivered", "failed", "unknown")
_LOOK_BACK: Final = 20


class DeadAddresses:
    """Every function works inside the caller's transaction."""

    def __init__(self, outbox: Outbox, index_key: bytes) -> None:
        self._outbox = outbox
        self._index_key = index_key

    async def failed(self, connection: AsyncConnection, message: Message, outcome: Outcome, now: datetime) -> None:
        """What a failed message says of its address; and that its owner has said stop to the provider."""
        if outcome.code == OPTED_OUT:
            await self._suppress(connection, message, "stop", outcome.code, now)
            return
        lifted_at = await self._lifted_at(connection, message.address_index, "bounce")
        if gives_up(outcome, await _latest(connection, message, lifted_at)):
            await self.suppress(connection, message, "bounce", outcome.code, now)
        elif gives_way(message.channel, outcome.code):
            await address_anew(connection, message)

    async def suppress(
        self,
        connection: AsyncConnection,
        message: Message,
        kind: Literal["bounce", "complaint"],
        reason: str,
        now: datetime,
    ) -> None:
        """Nothing more goes to this message's address, unless somebody lifted that after the message had left."""
        lifted_at = await self._lifted_at(connection, message.address_index, kind)
        if lifted_at is not None and (message.intent_at is None or micros(message.intent_at) <= lifted_at):
            return
        await self._suppress(connection, message, kind, reason, now)
        if kind == "bounce":
            await address_anew(connection, message)

    async def _suppress(
        self,
        connection: AsyncConnection,
        message: Message,
        kind: Literal["bounce", "complaint", "stop"],
        reason: str,
        now: datetime,
    ) -> None:
        await suppress_address(
            connection,
            self._outbox,
            self._index_key,
            kind=kind,
            municipality=message.municipality,
            address_index=message.address_index,
            reason=reason,
            now=now,
        )

    async def _lifted_at(self, connection: AsyncConnection, address_index: str, kind: str) -> int | None:
        identity = suppression_id(self._index_key, kind, "all", address_index)
        statement = select(SUPPRESSIONS.c.at).where(SUPPRESSIONS.c.suppression_id == identity, SUPPRESSIONS.c.lifted)
        lifted: int | None = await connection.scalar(statement)
        return lifted


async def _latest(connection: AsyncConnection, message: Message, since: int | None) -> list[Ended]:
    """What became of this address's messages, the newest first; `message`'s own end is written already."""
    statement = (
        select(MESSAGES.c.round_id, MESSAGES.c.state, MESSAGES.c.code)
        .where(MESSAGES.c.address_index == message.address_index, MESSAGES.c.channel == message.channel)
        .where(MESSAGES.c.state.in_(_LEFT), MESSAGES.c.intent_at > (since or 0))
        .order_by(MESSAGES.c.intent_at.desc())
        .limit(_LOOK_BACK)
    )
    return [Ended(row.round_id, row.state, row.code) for row in await connection.execute(statement)]


async def address_anew(connection: AsyncConnection, message: Message) -> None:
    """Its invitations, those of a digest too, look for another way."""
    carrying = or_(MESSAGES.c.message_id == message.message_id, MESSAGES.c.digest_id == message.message_id)
    on_it = (
        select(MESSAGE_INVITATIONS.c.invitation_id)
        .join(MESSAGES, MESSAGES.c.message_id == MESSAGE_INVITATIONS.c.message_id)
        .where(carrying)
    )
    await connection.execute(
        update(INVITATIONS)
        .where(INVITATIONS.c.invitation_id.in_(on_it), INVITATIONS.c.state == "addressed")
        .values(state="admitted")
    )

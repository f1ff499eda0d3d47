"""A message as the sender sees it: what leaves, to one address by one channel."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.ledger.tables import MESSAGES
from services.notifier.policy.giving_way import GIVES_WAY
from services.runtime.store.database import chunks, moment_of

WAITING: Final = ("pending", "retry")
UNSENT: Final = (*WAITING, "waiting")
"""States of what has not left: it waits for its time, for the next try, or for others to be sent with it."""
FIRST: Final = "first"
DIGEST: Final = "digest"
NOTICE: Final = "notice"
REMINDER: Final = "reminder"


@dataclass(frozen=True)
class Message:
    """A row of `messages` as the sender sees it."""

    message_id: str
    number: int
    round_id: str
    address_index: str
    kind: str
    channel: str
    municipality: str
    language: str
    state: str
    attempts: int
    unknowns: int
    provider: str
    """Whom it was last tried at; empty before the first intent."""
    address_encrypted: bytes
    body_encrypted: bytes | None
    template_version: str
    """Of the words and templates that the bytes were made with; empty before there are any."""
    intent_at: datetime | None
    created_at: datetime
    expires_at: datetime
    waits: str
    digest_id: str | None
    """The digest that carries it."""

    @property
    def is_digest(self) -> bool:
        """Whether it carries several rounds: the first messages that name it, instead of them."""
        return self.kind == DIGEST

    @property
    def is_notice(self) -> bool:
        """Whether it was asked for by its reader: it carries no invitation and belongs to no round."""
        return self.kind == NOTICE

    @property
    def is_reminder(self) -> bool:
        """Whether it asks those again who have not answered its round."""
        return self.kind == REMINDER

    @property
    def repeats(self) -> bool:
        """Whether sending it now repeats an attempt whose outcome stayed unknown."""
        return self.unknowns > 0


async def messages_there(
    connection: AsyncConnection, round_id: str, kind: str, indexes: Iterable[str]
) -> dict[str, Message]:
    """A round's messages of one kind to these addresses, by address, locked."""
    found: dict[str, Message] = {}
    for chunk in chunks(sorted(set(indexes))):
        rows = await connection.execute(
            select(MESSAGES)
            .where(MESSAGES.c.round_id == round_id, MESSAGES.c.kind == kind, MESSAGES.c.address_index.in_(chunk))
            .order_by(MESSAGES.c.message_id)
            .with_for_update()
        )
        found |= {row.address_index: message_of(row) for row in rows}
    return found


async def failed_texts(connection: AsyncConnection, round_id: str) -> set[str]:
    """The numbers, as blind indexes, that a round's text did not come through to, though another try might."""
    rows = await connection.execute(
        select(MESSAGES.c.address_index)
        .where(MESSAGES.c.round_id == round_id, MESSAGES.c.kind == FIRST, MESSAGES.c.channel == "sms")
        .where(MESSAGES.c.state == "failed", MESSAGES.c.code.in_(sorted(GIVES_WAY)))
    )
    return set(rows.scalars())


async def items_of(connection: AsyncConnection, digests: Sequence[Message]) -> dict[str, list[Message]]:
    """The messages that each digest carries, those that are due first before the others."""
    ids = [message.message_id for message in digests if message.is_digest]
    found: dict[str, list[Message]] = defaultdict(list)
    if ids:
        carried = select(MESSAGES).where(MESSAGES.c.digest_id.in_(ids))
        for row in await connection.execute(carried.order_by(MESSAGES.c.expires_at, MESSAGES.c.message_id)):
            found[row.digest_id].append(message_of(row))
    return found


def message_of(row: Row[Any]) -> Message:
    return Message(
        message_id=row.message_id,
        number=row.number,
        round_id=row.round_id,
        address_index=row.address_index,
        kind=row.kind,
        channel=row.channel,
        municipality=row.municipality,
        language=row.language,
        state=row.state,
        attempts=row.attempts,
        unknowns=row.unknowns,
        provider=row.provider,
        address_encrypted=row.address_encrypted,
        body_encrypted=row.body_encrypted,
        template_version=row.template_version,
        intent_at=moment_of(row.intent_at) if row.intent_at is not None else None,
        created_at=moment_of(row.created_at),
        expires_at=moment_of(row.expires_at),
        waits=row.waits,
        digest_id=row.digest_id,
    )

"""What notices say, as long as they have not ended."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.round import Round
from services.notifier.ledger import grounds
from services.notifier.ledger.messages import Message
from services.notifier.ledger.tables import MESSAGES, NOTICES

ROUND_OF_NOTICE: Final = "round"
"""The parameter of a notice that names its round: a digest has several."""


@dataclass(frozen=True)
class NoticeRow:
    """What a notice says, and the round that it is about."""

    recipient_id: str
    kind: str
    parameters: Mapping[str, str]
    path_encrypted: bytes | None
    about_number: int | None
    round_: Round | None


async def notices_among(connection: AsyncConnection, messages: Sequence[Message]) -> dict[str, NoticeRow]:
    """What each notice among these messages says."""
    ids = [message.message_id for message in messages if message.is_notice]
    if not ids:
        return {}
    found = await connection.execute(
        select(NOTICES, MESSAGES.c.round_id)
        .outerjoin(MESSAGES, MESSAGES.c.number == NOTICES.c.about_number)
        .where(NOTICES.c.message_id.in_(ids))
    )
    rows = [(row, json.loads(row.parameters)) for row in found]
    about = {row.message_id: said.get(ROUND_OF_NOTICE) or row.round_id for row, said in rows}
    known = await grounds.rounds(connection, [round_id for round_id in about.values() if round_id])
    return {
        row.message_id: NoticeRow(
            recipient_id=row.recipient_id,
            kind=row.kind,
            parameters=said,
            path_encrypted=row.path_encrypted,
            about_number=row.about_number,
            round_=known.get(about[row.message_id] or ""),
        )
        for row, said in rows
    }


async def forget_notices(connection: AsyncConnection, messages: Sequence[Message]) -> None:
    """A notice that has ended leaves neither address, link nor words; its id stays, so that it is not sent again."""
    ids = [message.message_id for message in messages if message.is_notice]
    if ids:
        emptied = update(MESSAGES).where(MESSAGES.c.message_id.in_(ids))
        await connection.execute(emptied.values(address_encrypted=b"", body_encrypted=None))
        await connection.execute(delete(NOTICES).where(NOTICES.c.message_id.in_(ids)))

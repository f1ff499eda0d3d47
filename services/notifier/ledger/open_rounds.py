"""Which rounds may be sent from: those that are open, and that nobody has undone or withdrawn at a page."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.ledger.tables import MESSAGES, ROUNDS, SUPPRESSIONS

ENDED_ROUNDS: Final = ("closed", "withdrawn", "silent")
_HELD_ROUNDS: Final = (
    select(ROUNDS.c.round_id)
    .join(SUPPRESSIONS, SUPPRESSIONS.c.round_id == ROUNDS.c.round_id)
    .where(SUPPRESSIONS.c.scope == "round", SUPPRESSIONS.c.lifted.is_(False))
    .where(ROUNDS.c.basis <= SUPPRESSIONS.c.basis)
)
"""Rounds not newer than the undo or withdrawal that names them: the next release has a higher basis and is free."""


def round_is_open() -> ColumnElement[bool]:
    """Whether a message's round is open, and nobody has undone or withdrawn it at a page."""
    is_open = select(ROUNDS.c.round_id).where(ROUNDS.c.state == "open")
    return and_(MESSAGES.c.round_id.in_(is_open), MESSAGES.c.round_id.not_in(_HELD_ROUNDS))


async def undone_rounds(connection: AsyncConnection, ids: Iterable[str]) -> set[str]:
    """Those of these rounds that an undo or a withdrawal made at a page holds, whatever the round itself says."""
    rows = await connection.execute(_HELD_ROUNDS.where(ROUNDS.c.round_id.in_(sorted(set(ids)))))
    return set(rows.scalars())

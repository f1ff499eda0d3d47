"""One notifier addresses at a time."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.ledger.tables import CONTROLS

ADDRESSING: Final = "addressing"
"""A row that whoever addresses holds locked; it says nothing."""


async def alone(connection: AsyncConnection) -> bool:
    """Whether nobody else addresses during this transaction: what one person is sent in all is decided one round after
    the other. SQLite has one writer anyway.
    """
    one = select(CONTROLS.c.name).where(CONTROLS.c.name == ADDRESSING).with_for_update(skip_locked=True)
    return (await connection.execute(one)).one_or_none() is not None

"""A message's history: every step with its time and reason, written in the transaction that takes it.

What is told to the others is a step by itself (`events.Outbox`); what happens inside the ledger alone is noted here. It
holds our own words and a provider's status, never its free text and never an address.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.ledger.tables import STEPS
from services.runtime.store.database import micros, moment_of


@dataclass(frozen=True, slots=True)
class Step:
    """One step of what `about` names: a message, or an invitation that led to none. `code` says why."""

    about: str
    at: datetime
    state: str
    code: str
    detail: str = ""
    attempt: int = 0


async def take(connection: AsyncConnection, steps: Sequence[Step]) -> None:
    """Writes steps down, many in one statement."""
    if steps:
        await connection.execute(insert(STEPS), [_row(step) for step in steps])


def _row(step: Step) -> dict[str, Any]:
    return {
        "about": step.about,
        "at": micros(step.at),
        "state": step.state,
        "code": step.code,
        "detail": step.detail,
        "attempt": step.attempt,
    }


async def history(connection: AsyncConnection, about: Sequence[str]) -> list[Step]:
    """The steps of these messages and invitations, in the order in which they were taken."""
    rows = await connection.execute(select(STEPS).where(STEPS.c.about.in_(about)).order_by(STEPS.c.at, STEPS.c.id))
    return [Step(row.about, moment_of(row.at), row.state, row.code, row.detail, row.attempt) for row in rows]

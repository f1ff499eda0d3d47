"""What came of the answers, shown where the question was: on the pages of the first messages and of the case.

It is shown from when somebody has been told of it. Until then an official may take it back, and later too: what was
taken back is shown no more.
"""

from collections.abc import Iterable

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.delivery import DeliveryState
from schemas.round import Purpose, Round, RoundState
from services.portal.store.tables import OUTCOMES, ROUNDS

_STANDS = (RoundState.OPEN.value, RoundState.CLOSED.value)
_REACHED = (DeliveryState.SENT.value, DeliveryState.DELIVERED.value)


async def what_came(connection: AsyncConnection, rounds: Iterable[Round]) -> dict[str, Round]:
    """The last feedback on each of these rounds, by the round that asked."""
    told = exists().where(OUTCOMES.c.round_id == ROUNDS.c.round_id, OUTCOMES.c.state.in_(_REACHED))
    bodies = await connection.execute(
        select(ROUNDS.c.body)
        .where(ROUNDS.c.case_key.in_({item.case_key for item in rounds}), told)
        .where(ROUNDS.c.purpose == Purpose.FEEDBACK.value, ROUNDS.c.state.in_(_STANDS))
    )
    found = [Round.model_validate_json(body, extra="ignore") for body in bodies.scalars()]
    return {item.follows: item for item in sorted(found, key=lambda item: item.number) if item.follows is not None}

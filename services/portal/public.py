"""What anybody may see: cases that somebody was invited to talk about, with their rounds and counts.

A case is shown from when its first round has opened. Before that an official may still be looking at it; a confidential
one is never here, and one that became so is here no more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.case import Case
from schemas.round import Purpose, Round, RoundState
from services.portal.came import what_came
from services.portal.standing import end_of
from services.portal.store.tables import CASES, INVITATIONS, RESPONSES, ROUNDS
from services.portal.views import CONFIDENTIAL

ASKING = (Purpose.ASK.value, Purpose.INFORM.value)
_OPENED: ColumnElement[bool] = or_(
    ROUNDS.c.state == RoundState.OPEN.value, exists().where(INVITATIONS.c.round_id == ROUNDS.c.round_id)
)


@dataclass(frozen=True)
class PublicRound:
    """A round that has been opened, and how many have answered it."""

    round: Round
    answered: int
    open: bool
    came: Round | None = None
    """What came of it, once that has been told."""


@dataclass(frozen=True)
class PublicCase:
    """A case and its rounds, the latest first."""

    case: Case
    rounds: tuple[PublicRound, ...]


async def open_rounds(connection: AsyncConnection, now: datetime) -> list[PublicCase]:
    """The cases with a round that is open now; the first to end comes first."""
    statement = (
        select(ROUNDS.c.body, CASES.c.body.label("case_body"))
        .join(CASES, CASES.c.case_key == ROUNDS.c.case_key)
        .where(ROUNDS.c.state == RoundState.OPEN.value, ROUNDS.c.purpose.in_(ASKING), CASES.c.state == "open")
    )
    found = [
        PublicCase(
            Case.model_validate_json(row.case_body, extra="ignore"),
            (PublicRound(Round.model_validate_json(row.body, extra="ignore"), 0, True),),
        )
        for row in await connection.execute(statement)
    ]
    return sorted((item for item in found if _is_open(item.rounds[0].round, now)), key=_first_to_end)


def _first_to_end(item: PublicCase) -> tuple[bool, str, str]:
    day = item.rounds[0].round.respond_by
    return day is None, str(day or ""), item.case.title


def _is_open(round_: Round, now: datetime) -> bool:
    if round_.state is not RoundState.OPEN:
        return False
    ends = end_of(round_.respond_by) if round_.respond_by else round_.expires_at
    return ends is None or now < ends


async def find_cases(connection: AsyncConnection, reference: str, source: str) -> list[Case]:
    """Public cases of an id or a diary number; several where two sources use the same."""
    opened = exists().where(ROUNDS.c.case_key == CASES.c.case_key, _OPENED)
    statement = select(CASES.c.body).where(
        or_(CASES.c.case_id == reference, CASES.c.diary_number == reference), CASES.c.state != CONFIDENTIAL, opened
    )
    if source:
        statement = statement.where(CASES.c.source == source)
    found = (await connection.execute(statement.order_by(CASES.c.case_key))).scalars()
    return [Case.model_validate_json(body, extra="ignore") for body in found]


async def with_rounds(connection: AsyncConnection, case: Case, now: datetime) -> PublicCase:
    """A case with its opened rounds."""
    bodies = await connection.execute(
        select(ROUNDS.c.body).where(ROUNDS.c.case_key == case.key, ROUNDS.c.purpose.in_(ASKING), _OPENED)
    )
    rounds = [Round.model_validate_json(body, extra="ignore") for body in bodies.scalars()]
    answered = await _answered(connection, [round_.round_id for round_ in rounds])
    came = await what_came(connection, rounds)
    shown = [
        PublicRound(item, answered.get(item.round_id, 0), _is_open(item, now), came.get(item.round_id))
        for item in rounds
    ]
    return PublicCase(case, tuple(sorted(shown, key=_opened_at, reverse=True)))


def _opened_at(item: PublicRound) -> str:
    return item.round.opened_at.isoformat() if item.round.opened_at else ""


async def _answered(connection: AsyncConnection, round_ids: Sequence[str]) -> Mapping[str, int]:
    """How many recipients have answered each round."""
    counted = await connection.execute(
        select(RESPONSES.c.round_id, func.count(func.distinct(RESPONSES.c.invitation_id)).label("answered"))
        .where(RESPONSES.c.round_id.in_(round_ids))
        .group_by(RESPONSES.c.round_id)
    )
    return {row.round_id: row.answered for row in counted}

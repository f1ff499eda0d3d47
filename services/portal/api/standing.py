"""How a case stands, from the portal's views: its rounds, and in numbers whom they reached and who answered."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import distinct, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.round import Round
from services.portal.api_keys import ApiKey
from services.portal.store.tables import CASES, INVITATIONS, OUTCOMES, RESPONSES, ROUNDS, SUBMISSIONS
from services.portal.views import CONFIDENTIAL


class RoundStanding(BaseModel):
    """One round in numbers."""

    round_id: str
    stage: str
    occurrence: int
    purpose: str
    state: str
    reason: str | None = Field(description="Why it is held, silent, closed or withdrawn.")
    detail: str
    respond_by: str | None
    recipients: int = Field(description="Recipients it is for.")
    workplaces: int = Field(description="Workplaces of these.")
    set_hash: str | None = Field(description="Of the recipients and workplaces: what a release names.")
    invitations: dict[str, int] = Field(description="Invitations by state: issued, revised, revoked.")
    deliveries: dict[str, int] = Field(description="Invitations by what last became of them: composed, sent, failed …")
    responses: int = Field(description="Invitations that were answered.")


class CaseStanding(BaseModel):
    """A case and its rounds."""

    case: str = Field(description="The case's key: municipality/source/case id.")
    version: int = Field(description="The newest version that was taken.")
    matched_version: int = Field(description="The newest version that its rounds know; 0 before the first.")
    state: str | None = Field(description="open, withdrawn or closed; null until the case has been read back.")
    rounds: list[RoundStanding]


async def standing_of(connection: AsyncConnection, asked: str, caller: ApiKey) -> CaseStanding | None:
    """How the case stands that is called so, by key or by an id that only one of the caller's has; else None."""
    found = await _found(connection, asked, caller)
    if found is None:
        return None
    case_key, version, state = found
    rows = await connection.execute(select(ROUNDS.c.body).where(ROUNDS.c.case_key == case_key))
    rounds = [Round.model_validate_json(row.body, extra="ignore") for row in rows]
    ids = [item.round_id for item in rounds]
    invitations = await _counts(connection, _invitations_by_round(ids))
    deliveries = await _counts(connection, _outcomes_by_round(ids))
    answered = await _counts(connection, _responses_by_round(ids))
    return CaseStanding(
        case=case_key,
        version=version,
        matched_version=max((item.basis.case_version for item in rounds), default=0),
        state=state,
        rounds=[
            _in_numbers(item, invitations[item.round_id], deliveries[item.round_id], answered[item.round_id])
            for item in sorted(rounds, key=lambda item: (item.stage, item.occurrence, item.purpose, item.number))
        ],
    )


def _in_numbers(
    round_: Round, invitations: dict[str, int], deliveries: dict[str, int], answered: dict[str, int]
) -> RoundStanding:
    return RoundStanding(
        round_id=round_.round_id,
        stage=round_.stage,
        occurrence=round_.occurrence,
        purpose=round_.purpose.value,
        state=round_.state.value,
        reason=round_.reason,
        detail=round_.detail,
        respond_by=round_.respond_by.isoformat() if round_.respond_by else None,
        recipients=round_.counts.invitations,
        workplaces=round_.counts.workplaces,
        set_hash=round_.set_hash,
        invitations=invitations,
        deliveries=deliveries,
        responses=sum(answered.values()),
    )


async def _found(connection: AsyncConnection, asked: str, caller: ApiKey) -> tuple[str, int, str | None] | None:
    """Key, version and state of the case. What has been taken and not yet been read back has no state."""
    rows = await connection.execute(
        select(CASES).where(or_(CASES.c.case_key == asked, CASES.c.case_id == asked), CASES.c.state != CONFIDENTIAL)
    )
    covered = [row for row in rows if caller.covers(row.municipality, row.source)]
    exact = [row for row in covered if row.case_key == asked] or covered
    key = exact[0].case_key if len(exact) == 1 else asked
    taken: Any = (
        await connection.execute(
            select(SUBMISSIONS).where(SUBMISSIONS.c.case_key == key, SUBMISSIONS.c.accepted.is_(True))
        )
    ).first()
    if len(exact) == 1:
        version = max(exact[0].version, taken.version if taken else 0)
        return exact[0].case_key, version, exact[0].state if version == exact[0].version else None
    if taken is None or not caller.covers(*taken.case_key.split("/", 2)[:2]):
        return None
    return taken.case_key, taken.version, None


def _invitations_by_round(rounds: Sequence[str]) -> Any:
    """Round, state, how many."""
    return (
        select(INVITATIONS.c.round_id, INVITATIONS.c.state, func.count())
        .where(INVITATIONS.c.round_id.in_(rounds))
        .group_by(INVITATIONS.c.round_id, INVITATIONS.c.state)
    )


def _outcomes_by_round(rounds: Sequence[str]) -> Any:
    """Round, state, how many; by the invitation, since a message may carry several rounds'."""
    return (
        select(INVITATIONS.c.round_id, OUTCOMES.c.state, func.count())
        .join(OUTCOMES, OUTCOMES.c.invitation_id == INVITATIONS.c.invitation_id)
        .where(INVITATIONS.c.round_id.in_(rounds))
        .group_by(INVITATIONS.c.round_id, OUTCOMES.c.state)
    )


def _responses_by_round(rounds: Sequence[str]) -> Any:
    """Round, "answered", how many: an answer that was changed is one."""
    return (
        select(RESPONSES.c.round_id, literal("answered"), func.count(distinct(RESPONSES.c.invitation_id)))
        .where(RESPONSES.c.round_id.in_(rounds))
        .group_by(RESPONSES.c.round_id)
    )


async def _counts(connection: AsyncConnection, statement: Any) -> defaultdict[str, dict[str, int]]:
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for round_id, state, count in await connection.execute(statement):
        found[round_id][state] = count
    return found

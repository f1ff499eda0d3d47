"""Invitations from an audience: one per recipient and round, with derived ids, so that working twice gives the same."""

from collections.abc import Iterable

from schemas.identity import invitation_id
from schemas.invitation import Forms, Invitation
from schemas.round import Round
from services.matcher.audience import Member


def invitations(round_: Round, members: Iterable[Member]) -> tuple[Invitation, ...]:
    """The invitations of an open round, in order of recipient."""
    plan, expires_at, version = round_.plan, round_.expires_at, round_.register_version
    if plan is None or expires_at is None or version is None:
        raise ValueError(f"round {round_.round_id} has no plan, expiry or register version; only open rounds invite")
    return tuple(
        Invitation(
            municipality=round_.municipality,
            synthetic=round_.synthetic,
            invitation_id=invitation_id(round_.round_id, member.recipient_id),
            round_id=round_.round_id,
            case_key=round_.case_key,
            case_id=round_.case_id,
            stage=round_.stage,
            occurrence=round_.occurrence,
            purpose=round_.purpose,
            recipient_id=member.recipient_id,
            organisation=member.organisation,
            forms=Forms(primary=plan.primary, offered=plan.forms),
            respond_by=round_.respond_by,
            expires_at=expires_at,
            model_version=round_.model_version,
            register_version=version,
            basis=round_.basis,
            workplaces=list(member.workplaces),
            more_workplaces=member.more,
        )
        for member in members
    )

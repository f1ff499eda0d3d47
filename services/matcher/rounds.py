"""A round and its invitations: one pure function of case, register, model and day.

The same input gives the same output, byte by byte, so a record that is read twice, or by two instances, does no harm.
Refusals come before work: a withdrawn case, a stage that must be silent, a deadline that has passed, a missing
register and the guards each end it with a stated reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from schemas.case import Case, CaseState
from schemas.identity import recipient_id, round_id
from schemas.invitation import Invitation
from schemas.model import DialogueModel
from schemas.round import Counts, Round, RoundState
from schemas.types import Basis
from services.matcher import holds
from services.matcher.audience import Audience, audience
from services.matcher.dialogue.plan import StagePlan, plan
from services.matcher.dialogue.working_days import at
from services.matcher.invitations import invitations
from services.matcher.workplaces import Snapshot


@dataclass(frozen=True)
class Derivation:
    """A round and the invitations it leads to: none unless the round is open."""

    round: Round
    invitations: tuple[Invitation, ...] = ()


def derive(
    case: Case,
    register: Snapshot | None,
    model: DialogueModel,
    day: date,
    basis: Basis,
    *,
    key: bytes,
    limits: holds.Limits | None = holds.Limits(),  # noqa: B008 - frozen
) -> Derivation:
    """What a case leads to on `day`. `key` makes recipient ids; without `limits` no guard holds the round."""
    planned = plan(case, model, day)
    ended = _ended(case, planned, day)
    if ended is not None:
        return Derivation(_round(case, planned, model, basis, register, *ended))
    if register is None:
        return Derivation(_held(case, planned, model, basis, register, holds.NO_REGISTER))
    applicant = recipient_id(case.applicant, key) if case.applicant else None
    reached = audience(case, register, model, applicant)
    held = holds.hold(case, planned, reached, register, limits) if limits else None
    if held is not None:
        return Derivation(_held(case, planned, model, basis, register, held, reached))
    opened = _round(case, planned, model, basis, register, RoundState.OPEN, None, "", reached)
    return Derivation(opened, invitations(opened, reached.members))


def _ended(case: Case, planned: StagePlan, day: date) -> tuple[RoundState, str, str] | None:
    if case.state is CaseState.WITHDRAWN:
        return RoundState.WITHDRAWN, "withdrawn", ""
    if case.state is CaseState.CLOSED:
        return RoundState.CLOSED, "closed", ""
    if planned.silent is not None:
        return RoundState.SILENT, planned.silent, ""
    if case.respond_by is not None and case.respond_by < day:
        return RoundState.CLOSED, "respond_by_passed", f"respond_by {case.respond_by} was before {day}"
    if planned.expires_at <= at(day):
        return RoundState.CLOSED, "event_passed", f"what it is about was before {day}"
    return None


def _held(
    case: Case,
    planned: StagePlan,
    model: DialogueModel,
    basis: Basis,
    register: Snapshot | None,
    held: holds.Hold,
    reached: Audience | None = None,
) -> Round:
    return _round(case, planned, model, basis, register, RoundState.HELD, held.reason, held.detail, reached)


def _round(
    case: Case,
    planned: StagePlan,
    model: DialogueModel,
    basis: Basis,
    register: Snapshot | None,
    state: RoundState,
    reason: str | None,
    detail: str,
    reached: Audience | None = None,
) -> Round:
    excluded: Mapping[str, int] = reached.excluded if reached else {}
    return Round(
        municipality=case.municipality,
        synthetic=case.synthetic,
        round_id=round_id(case.key, case.stage, case.occurrence, planned.purpose.value),
        case_key=case.key,
        case_id=case.case_id,
        source=case.source,
        case_type=case.case_type,
        stage=case.stage,
        occurrence=case.occurrence,
        purpose=planned.purpose,
        state=state,
        reason=reason,
        detail=detail[:200],
        basis=basis,
        plan=planned.plan,
        texts=planned.texts,
        opened_at=planned.opened_at,
        remind_at=planned.remind_at,
        respond_by=planned.respond_by,
        expires_at=planned.expires_at,
        event_at=case.event_at,
        decision_at=case.decision_at,
        counts=Counts(
            invitations=len(reached.members) if reached else 0,
            workplaces=reached.workplaces if reached else 0,
            excluded=dict(excluded),
        ),
        model_version=model.model_version,
        model_hash=model.content_hash or None,
        register_version=register.register_version if register else None,
        register_date=register.register_date if register else None,
    )

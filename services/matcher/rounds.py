"""A round and its invitations: one pure function of case, decisions, register, subscriptions, model and day.

The same input gives the same output, byte by byte, so a record that is read twice, or by two instances, does no harm.
Refusals come before work: a withdrawn case, a stage that must be silent, a deadline that has passed, a missing
register, the guards and an official's decision each end it with a stated reason.
"""

from dataclasses import dataclass
from datetime import date, datetime

from schemas import applicant
from schemas.case import Case, CaseState
from schemas.identity import round_id
from schemas.invitation import Invitation
from schemas.model import DialogueModel
from schemas.round import Counts, Purpose, Reminder, Round, RoundState
from schemas.types import Basis
from services.matcher import holds
from services.matcher.audience import Audience, audience
from services.matcher.counting import Rows
from services.matcher.counting import reached as rows_reached
from services.matcher.dialogue.plan import StagePlan, plan, purpose
from services.matcher.dialogue.working_days import at
from services.matcher.invitations import invitations
from services.matcher.late import reach_hash, too_late
from services.matcher.release import Decided
from services.matcher.subscriptions import NOBODY, Subscribers
from services.matcher.workplaces import Snapshot


@dataclass(frozen=True)
class Derivation:
    """A round and the invitations it leads to: none unless the round is open."""

    round: Round
    invitations: tuple[Invitation, ...] = ()


@dataclass(frozen=True)
class Joining:
    """The recipients of a round that is open, and the moment at which it is looked at again."""

    recipients: frozenset[str]
    now: datetime

    def standing(self, opened_at: datetime, planned: StagePlan, model: DialogueModel) -> frozenset[str] | None:
        """These recipients, where it is too late for others; None where others may come."""
        asks = planned.purpose is Purpose.ASK
        late = asks and too_late(opened_at, planned.expires_at, self.now, model.late_comers)
        return self.recipients if late else None


def derive(
    case: Case,
    register: Snapshot | None,
    model: DialogueModel,
    day: date,
    basis: Basis,
    *,
    key: bytes,
    limits: holds.Limits | None = holds.Limits(),  # noqa: B008 - frozen
    decided: Decided = Decided(),  # noqa: B008 - frozen
    opened_at: datetime | None = None,
    subscribers: Subscribers = NOBODY,
    joining: Joining | None = None,
) -> Derivation:
    """What a case and its decisions lead to on `day`. `key` makes recipient ids; without `limits` no guard holds the
    round. The undo time runs from `opened_at`, by default the day's beginning. `joining` says who is in a round that is
    open already; it is looked at whether others may still come.
    """
    planned = plan(case, model, day)
    draft = _Draft(case, planned, model, basis, register, opened_at or planned.opened_at)
    ended = _ended(case, planned, day)
    if ended is not None:
        return Derivation(draft.round(*ended))
    if register is None:
        return Derivation(draft.held(holds.NO_REGISTER))
    applicant_id = applicant.of(case, key)
    listed = decided.listed(draft.round_id)
    standing = joining.standing(draft.opened_at, planned, model) if joining else None
    reached = audience(case, register, model, applicant_id, subscribers, listed=listed, standing=standing)
    guard = holds.hold(case, planned, reached.parts, reached.by_distance, register, limits, day) if limits else None
    held = decided.hold(draft.round_id, reached.set_hash, guard)
    if held is not None:
        return Derivation(draft.held(held, reached))
    opened = draft.round(RoundState.OPEN, None, "", reached, not_before=decided.not_before(draft.round_id))
    opened = _reminded(opened, decided.reminded_at(opened.round_id, draft.opened_at))
    return Derivation(opened, invitations(opened, reached.members))


@dataclass(frozen=True)
class Forecast:
    """What a round would be, without its invitations: how it goes about it, whether it opens, and whom it is for."""

    planned: StagePlan
    state: RoundState
    reason: str | None
    detail: str
    reached: Rows


def forecast(
    case: Case, register: Snapshot, model: DialogueModel, day: date, *, key: bytes, limits: holds.Limits | None
) -> Forecast:
    """The same as `derive` where nothing was decided and nobody subscribes, for counting: of those reached only their
    rows. What is held is counted too.
    """
    planned = plan(case, model, day)
    if (ended := _ended(case, planned, day)) is not None:
        return Forecast(planned, *ended, reached=Rows.none())
    reached = rows_reached(case, register, model, applicant.of(case, key))
    held = holds.hold(case, planned, reached.parts, reached.by_distance, register, limits, day) if limits else None
    if held is not None:
        return Forecast(planned, RoundState.HELD, held.reason, held.detail, reached)
    return Forecast(planned, RoundState.OPEN, None, "", reached)


def round_of(case: Case, model: DialogueModel) -> str:
    """The id of the round that a case leads to."""
    return round_id(case.key, case.stage, case.occurrence, purpose(case, model).value)


def _reminded(opened: Round, ordered_at: datetime | None) -> Round:
    """The round with the reminder that an official ordered, where that is sooner than the plan's, or the plan has none.
    What has no last day to answer has nobody to remind.
    """
    if ordered_at is None or opened.plan is None or opened.respond_by is None:
        return opened
    reminder = opened.plan.reminder or Reminder(days_before_deadline=0, channel="email")
    at_ = min(ordered_at, opened.remind_at or ordered_at)
    return opened.model_copy(update={"remind_at": at_, "plan": opened.plan.model_copy(update={"reminder": reminder})})


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


@dataclass(frozen=True)
class _Draft:
    """What every state of the round has in common."""

    case: Case
    planned: StagePlan
    model: DialogueModel
    basis: Basis
    register: Snapshot | None
    opened_at: datetime

    @property
    def round_id(self) -> str:
        return round_id(self.case.key, self.case.stage, self.case.occurrence, self.planned.purpose.value)

    def held(self, why: holds.Hold, reached: Audience | None = None) -> Round:
        return self.round(RoundState.HELD, why.reason, why.detail, reached)

    def round(
        self,
        state: RoundState,
        reason: str | None,
        detail: str,
        reached: Audience | None = None,
        *,
        not_before: datetime | None = None,
    ) -> Round:
        case, planned, register = self.case, self.planned, self.register
        return Round(
            municipality=case.municipality,
            synthetic=case.synthetic,
            round_id=self.round_id,
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
            basis=self.basis,
            plan=planned.plan,
            deviations=list(planned.deviations),
            deviation_reason=planned.deviation_reason,
            texts=planned.texts,
            opened_at=self.opened_at,
            not_before=not_before,
            remind_at=planned.remind_at,
            respond_by=planned.respond_by,
            expires_at=planned.expires_at,
            event_at=case.event_at,
            decision_at=case.decision_at,
            counts=_counts(reached),
            set_hash=reached.set_hash if reached else None,
            reach_hash=reach_hash(case),
            model_version=self.model.model_version,
            model_hash=self.model.content_hash or None,
            register_version=register.register_version if register is not None else None,
            register_date=register.register_date if register is not None else None,
        )


def _counts(reached: Audience | None) -> Counts:
    if reached is None:
        return Counts()
    return Counts(invitations=len(reached.members), workplaces=reached.workplaces, excluded=dict(reached.excluded))

"""How a stage's dialogue is carried out: what is asked, in which form, until when, through which channel.

The influence gate (dialogue rule 1): where nothing can be influenced there is no question, only information;
where the model says `none` there is silence. A case may lower the model's influence and never raise it. Where a single
party's matter is decided no elected representative has a part in it, whatever the model says (RF 12:2). Times are
`deadlines`, departures from the model are `deviations`.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from schemas.case import Case
from schemas.model import LADDER, NOTICE, DialogueModel, Stage
from schemas.round import Deviation, Plan, Purpose, Reminder, Texts
from services.matcher.dialogue import deadlines, deviations, working_days

MEETING_LEAD_DAYS: Final = 14
"""A form that needs so much preparation is a meeting: it is offered when the case has one."""
CUT: Final = "sms+email"
"""The channel of stages that tell of a cut in access, water or collection (dialogue rule 6)."""
NO_ROLE: Final = "none"


@dataclass(frozen=True)
class StagePlan:
    """A stage's plan with its times. `silent` is the reason where nothing may be sent."""

    plan: Plan
    purpose: Purpose
    texts: Texts
    opened_at: datetime
    expires_at: datetime
    respond_by: date | None = None
    remind_at: datetime | None = None
    earliest_respond_by: date | None = None
    """What the law's floor allows; None where there is none."""
    silent: str | None = None
    deviations: tuple[Deviation, ...] = ()
    """Where the case departs from the model."""
    deviation_reason: str = ""
    """Why; empty where nothing departs, or nothing was written."""

    @property
    def unexplained(self) -> tuple[Deviation, ...]:
        """The departures that need a reason and have none."""
        if self.deviation_reason:
            return ()
        return tuple(item for item in self.deviations if item.kind in deviations.NEED_A_REASON)


def plan(case: Case, model: DialogueModel, day: date) -> StagePlan:
    """The plan of a case's stage if its round opens on `day`. The case has passed the door."""
    stage, influence, forms = _leading(case, model)
    asks = model.forms[forms[0]].asks
    answers = deadlines.answer_time(case, stage, model, day) if asks else None
    respond_by = answers.respond_by if answers else None
    departs = deviations.deviations(case, stage, model, day, forms[0], answers)
    opened_at = working_days.at(day)
    reminder = stage.reminder if asks and stage.reminder and stage.reminder.max else None
    statutory = asks and any("right to appeal" in legal.rule for legal in stage.legal)
    return StagePlan(
        plan=Plan(
            primary=forms[0],
            forms=list(forms),
            asks=asks,
            minutes=model.forms[forms[0]].minutes,
            influence=influence,
            channel=stage.channel,
            urgent=deadlines.is_urgent(case, stage),
            exempt=deadlines.is_urgent(case, stage) or statutory or stage.channel == CUT,
            reminder=Reminder(days_before_deadline=reminder.days_before_deadline, channel=reminder.channel)
            if reminder
            else None,
            feedback_days=stage.feedback.within_days if stage.feedback else None,
            statutory=statutory,
            contact_roles=model.forms[forms[0]].contact_roles,
            any_hour=f"{case.case_type}.{stage.id}" in model.burden_policy.any_hour,
            leave_by=deadlines.leave_by(case, stage, model, day, respond_by) if respond_by and answers else None,
            elected=_elected(case, stage, model),
            meeting_from=deadlines.earliest_meeting(stage, day),
            feedback_after=stage.feedback.after if stage.feedback else None,
            feedback_by=deadlines.feedback_by(case, stage, respond_by),
        ),
        purpose=_purpose(forms, model),
        texts=_texts(case, stage, model, forms[0], asks),
        opened_at=opened_at,
        expires_at=deadlines.expires_at(case, stage, model, respond_by, opened_at),
        respond_by=respond_by,
        remind_at=deadlines.remind_at(respond_by, reminder.days_before_deadline, opened_at)
        if reminder and respond_by
        else None,
        earliest_respond_by=answers.floor if answers else None,
        silent=_silent(case, stage, model) if influence == "none" else None,
        deviations=tuple(departs),
        deviation_reason=deviations.reason(case, departs),
    )


def purpose(case: Case, model: DialogueModel) -> Purpose:
    """What the round of a case's stage is for, whenever it opens."""
    return _purpose(_leading(case, model)[2], model)


def _purpose(forms: tuple[str, ...], model: DialogueModel) -> Purpose:
    return Purpose.ASK if model.forms[forms[0]].asks else Purpose.INFORM


def _leading(case: Case, model: DialogueModel) -> tuple[Stage, str, tuple[str, ...]]:
    """The stage, how much can be influenced, and the forms with the leading one first."""
    stage = model.stage(case.case_type, case.stage)
    if stage is None:
        raise ValueError(f"{case.case_type}/{case.stage} is not in the model; let the case pass the door first")
    influence = _influence(case, stage)
    return stage, influence, _forms(case, stage, model, influence)


def _influence(case: Case, stage: Stage) -> str:
    return min(stage.influence, case.influence or stage.influence, key=LADDER.index)


def _silent(case: Case, stage: Stage, model: DialogueModel) -> str:
    if stage.influence != "none":
        return "no_influence"
    case_type = model.case_type(case.case_type)
    individual = case_type is not None and case_type.is_individual(stage)
    if individual or any(legal.cite.startswith("RF 12:2") for legal in stage.legal):
        return "individual_authority"
    return "tender_period"


def _elected(case: Case, stage: Stage, model: DialogueModel) -> str:
    case_type = model.case_type(case.case_type)
    return NO_ROLE if case_type is None or case_type.is_individual(stage) else stage.elected


def _forms(case: Case, stage: Stage, model: DialogueModel, influence: str) -> tuple[str, ...]:
    """The forms offered, the leading one first."""
    if influence in ("none", "inform"):
        return tuple(form for form in stage.forms if not model.forms[form].asks) or (NOTICE,)
    chosen = case.form or (case.meeting.form if case.meeting else None)
    asking = [form for form in stage.forms if model.forms[form].asks]
    lead = {form: model.forms[form].lead_days for form in asking}
    meetings = [form for form in asking if lead[form] >= MEETING_LEAD_DAYS]
    # What can be answered at once leads; a call-back needs a person's time and stands beside it.
    ready = sorted((form for form in asking if form not in meetings), key=lambda form: lead[form] > 0)
    offered = [*meetings[:1], *ready] if case.meeting else ready
    first = [chosen] if chosen else []
    return tuple(dict.fromkeys([*first, *offered])) or tuple(asking[:1]) or (NOTICE,)


def _texts(case: Case, stage: Stage, model: DialogueModel, form: str, asks: bool) -> Texts:
    case_type = model.case_type(case.case_type)
    question, question_en = case.question, case.question_en
    if not question and stage.ask:
        question, question_en = stage.ask.sv, stage.ask.en
    return Texts(
        title=case.title,
        title_en=case.title_en,
        summary=case.summary,
        summary_en=case.summary_en,
        question=question if asks else "",
        question_en=question_en if asks else "",
        case_type=case_type.sv if case_type else "",
        case_type_en=case_type.en if case_type else "",
        stage=stage.sv,
        stage_en=stage.en,
        form=model.forms[form].sv,
        form_en=model.forms[form].en,
        place=case.meeting.place if case.meeting else "",
        diary_number=case.diary_number,
        unit=case.unit,
        decision_body=case.decision_body,
        open_questions=case.open_questions,
        already_decided=case.already_decided,
        urgent_reason=case.urgent_reason,
        official=case.official,
        meeting=case.meeting,
        documents=case.documents,
    )

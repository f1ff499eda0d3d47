"""How a stage's dialogue is carried out: what is asked, in which form, until when, through which channel.

The influence gate (SKR's rule, DIALOGUE §2): where nothing can be influenced there is no question, only information;
where the model says `none` there is silence. A case may lower the model's influence and never raise it. A deadline is
never sooner than the law's floor for the case's procedure (DIALOGUE §3, `procedure_variant`) and never falls on a day
when nobody works.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from schemas.case import Case
from schemas.model import DialogueModel, Legal, Stage
from schemas.round import Plan, Purpose, Reminder, Texts
from services.matcher.dialogue import working_days

LADDER: Final = ("none", "inform", "consult", "involve", "collaborate", "empower")
NOTICE: Final = "informationsnotis"
MEETING_LEAD_DAYS: Final = 14
"""A form that needs so much preparation is a meeting: it is offered when the case has one."""
DEFAULT_LIFE: Final = timedelta(days=14)
REMINDER_HOUR: Final = 9


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


def plan(case: Case, model: DialogueModel, day: date) -> StagePlan:
    """The plan of a case's stage if its round opens on `day`. The case has passed the door."""
    stage = model.stage(case.case_type, case.stage)
    if stage is None:
        raise ValueError(f"{case.case_type}/{case.stage} is not in the model; let the case pass the door first")
    influence = _influence(case, stage)
    forms = _forms(case, stage, model, influence)
    asks = model.forms[forms[0]].asks
    respond_by = _respond_by(case, stage, day) if asks else None
    opened_at = working_days.at(day)
    reminder = stage.reminder if asks else None
    statutory = asks and any("right to appeal" in legal.rule for legal in stage.legal)
    return StagePlan(
        plan=Plan(
            primary=forms[0],
            forms=list(forms),
            asks=asks,
            minutes=model.forms[forms[0]].minutes,
            influence=influence,
            channel=stage.channel,
            urgent=case.urgent,
            exempt=case.urgent or statutory,
            reminder=Reminder(days_before_deadline=reminder.days_before_deadline, channel=reminder.channel)
            if reminder
            else None,
            feedback_days=stage.feedback.within_days if stage.feedback else None,
            statutory=statutory,
        ),
        purpose=Purpose.ASK if asks else Purpose.INFORM,
        texts=_texts(case, stage, model, forms[0], asks),
        opened_at=opened_at,
        expires_at=_expires_at(case, respond_by, opened_at),
        respond_by=respond_by,
        remind_at=_remind_at(respond_by, reminder.days_before_deadline, opened_at) if reminder and respond_by else None,
        earliest_respond_by=floor(case, stage, day) if asks else None,
        silent=_silent(case, stage, model) if influence == "none" else None,
    )


def floor(case: Case, stage: Stage, day: date) -> date | None:
    """The first day that the law allows as the last day to answer; None where the law is silent."""
    days = [_counted(day, legal) for legal in _binding(case, stage) if legal.min_days or legal.min_months]
    return max(days, default=None)


def _binding(case: Case, stage: Stage) -> list[Legal]:
    """The law's entries for the case's procedure; without a procedure all, so that the strictest decides."""
    law = [legal for legal in stage.legal if legal.basis == "law"]
    if case.procedure is None:
        return law
    return [legal for legal in law if legal.variant in (None, case.procedure)]


def _counted(day: date, legal: Legal) -> date:
    if legal.min_months:
        return working_days.add_months(day, legal.min_months)
    return day + timedelta(days=legal.min_days or 0)


def _influence(case: Case, stage: Stage) -> str:
    return min(stage.influence, case.influence or stage.influence, key=LADDER.index)


def _silent(case: Case, stage: Stage, model: DialogueModel) -> str:
    if stage.influence != "none":
        return "no_influence"
    case_type = model.case_type(case.case_type)
    individual = case_type is not None and case_type.individual_authority_exercise
    if individual or any(legal.cite.startswith("RF 12:2") for legal in stage.legal):
        return "individual_authority"
    return "tender_period"


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


def _respond_by(case: Case, stage: Stage, day: date) -> date:
    if case.respond_by is not None:
        return case.respond_by
    wanted = day + timedelta(days=stage.response.days)
    return working_days.on_or_after(max(wanted, floor(case, stage, day) or wanted))


def _expires_at(case: Case, respond_by: date | None, opened_at: datetime) -> datetime:
    if respond_by is not None:
        return working_days.end_of(respond_by)
    event_at = case.event_at or (case.meeting.start if case.meeting else None)
    return event_at or opened_at + DEFAULT_LIFE


def _remind_at(respond_by: date, days_before: int, opened_at: datetime) -> datetime | None:
    day = working_days.on_or_before(respond_by - timedelta(days=days_before))
    moment = working_days.at(day, REMINDER_HOUR)
    return moment if moment > opened_at + timedelta(days=1) else None


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

"""When a stage's answers are due, when they are asked for again, and when a round is over.

The time to answer is the larger of the model's proposal and the law's floor for the case's procedure (months are
calendar months); where at least half of it lies in a time when people are away it gets more (`model.seasons`, never for
what is urgent); and it ends on a working day. Each step only adds. A day that the case itself gives stands as it is
given: it is the municipality's word, and `deviations` and the guards look at it.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from schemas.case import Case
from schemas.model import DialogueModel, Legal, Stage
from services.matcher.dialogue import working_days

REMINDER_HOUR: Final = 9


@dataclass(frozen=True)
class AnswerTime:
    """The last day to answer, what the model proposes, and what the law allows."""

    respond_by: date
    proposed: date
    floor: date | None


def answer_time(case: Case, stage: Stage, model: DialogueModel, day: date) -> AnswerTime:
    """The answering time of a round that opens on `day`."""
    proposed = proposal(case, stage, model, day)
    return AnswerTime(case.respond_by or proposed, proposed, floor(case, stage, model, day))


def proposal(case: Case, stage: Stage, model: DialogueModel, day: date) -> date:
    """The last day that the model and the law give together."""
    last = day + timedelta(days=stage.response.days)
    last = max(last, floor(case, stage, model, day) or last)
    return working_days.on_or_after(
        last if is_urgent(case, stage) and model.seasons.unless_urgent else season(day, last, model)
    )


def floor(case: Case, stage: Stage, model: DialogueModel, day: date) -> date | None:
    """The first day that the law allows as the last day to answer; None where the law is silent."""
    days = [_counted(day, legal) for legal in _binding(case, stage, model) if legal.min_days or legal.min_months]
    return max(days, default=None)


def is_urgent(case: Case, stage: Stage) -> bool:
    """Whether there is no time to lose: by the model's word on the stage, or by the case's, with its reason."""
    return case.urgent or stage.urgent


def leave_by(case: Case, stage: Stage, model: DialogueModel, day: date, respond_by: date) -> date | None:
    """The last day, not before `day`, on which a message leaves the law's time to answer; None where the law is silent
    or that time cannot be kept any more.
    """
    first = floor(case, stage, model, day)
    if first is None or first > respond_by:
        return None
    last = day + (respond_by - first)
    while (floor(case, stage, model, last) or last) > respond_by:  # calendar months differ in length
        last -= timedelta(days=1)
    return last


def _binding(case: Case, stage: Stage, model: DialogueModel) -> list[Legal]:
    """The law's entries for the case's procedure; without one that its case type has all, so that the strictest decides
    and a misspelt word undercuts no law.
    """
    law = [legal for legal in stage.legal if legal.basis == "law"]
    if case.procedure not in procedures(case, model):
        return law
    return [legal for legal in law if legal.variant in (None, case.procedure)]


def procedures(case: Case, model: DialogueModel) -> frozenset[str]:
    """The procedures that the law knows for a case's type."""
    case_type = model.case_type(case.case_type)
    stages = case_type.stages if case_type else []
    return frozenset(legal.variant for stage in stages for legal in stage.legal if legal.variant)


def _counted(day: date, legal: Legal) -> date:
    if legal.min_months:
        return working_days.add_months(day, legal.min_months)
    return day + timedelta(days=legal.min_days or 0)


def season(day: date, last: date, model: DialogueModel) -> date:
    """The last day, later where people are away for at least the model's share of the days after `day`, on which the
    message comes.
    """
    rules, days = model.seasons, [day + timedelta(days=n) for n in range(1, (last - day).days + 1)]
    away = max((sum(map(period.holds, days)) for period in rules.periods), default=0)
    return last + timedelta(days=rules.extend_days) if days and away >= rules.share * len(days) else last


def remind_at(respond_by: date, days_before: int, opened_at: datetime) -> datetime | None:
    """The morning of the working day on which those who have not answered are reminded; None where that is at once."""
    day = working_days.on_or_before(respond_by - timedelta(days=days_before))
    moment = working_days.at(day, REMINDER_HOUR)
    return moment if moment > opened_at + timedelta(days=1) else None


def expires_at(
    case: Case, stage: Stage, model: DialogueModel, respond_by: date | None, opened_at: datetime
) -> datetime:
    """When the round is over: with the answering time; else with what it tells of; else when it is no news any more."""
    if respond_by is not None:
        return working_days.end_of(respond_by)
    event_at = case.event_at or (case.meeting.start if case.meeting else None)
    return event_at or opened_at + timedelta(days=max(model.information_days, stage.lead.days))


def earliest_meeting(stage: Stage, day: date) -> date | None:
    """The first day on which a meeting, or what is announced, leaves people the model's time to prepare."""
    return working_days.on_or_after(day + timedelta(days=stage.lead.days)) if stage.lead.days else None


def feedback_by(case: Case, stage: Stage, respond_by: date | None) -> date | None:
    """The day by which people are owed an account of what became of it; None where none is owed or it has no start."""
    if stage.feedback is None:
        return None
    after = respond_by if stage.feedback.after == "response_closed" else case.decision_at
    return working_days.on_or_after(after + timedelta(days=stage.feedback.within_days)) if after else None

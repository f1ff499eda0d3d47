"""Where a case departs from the dialogue model, and the written reason for it.

The model was adopted by the municipality's board; whoever departs from it says why, and the reason travels with the
round. A form that the stage does not have, rings instead of the model's, and less time than the model gives need a
reason: without one the round is held (`holds`). That the model does not know the procedure, a meeting comes sooner than
it wants, or a last day falls on a weekend, is said and holds nothing: to hear of it late is better than not at all.
"""

from collections.abc import Iterable
from datetime import date
from typing import Final

from schemas.case import Case, ReachRing
from schemas.model import DialogueModel, Ring, Stage
from schemas.round import Deviation
from services.matcher.dialogue import working_days
from services.matcher.dialogue.deadlines import AnswerTime, earliest_meeting, procedures, proposal

FORM: Final = "form"
REACH: Final = "reach"
DEADLINE: Final = "deadline"
LEAD: Final = "lead"
PROCEDURE: Final = "procedure"
WEEKEND: Final = "weekend"
NEED_A_REASON: Final = frozenset({FORM, REACH, DEADLINE})
MOST: Final = 200


def deviations(
    case: Case, stage: Stage, model: DialogueModel, day: date, primary: str, answers: AnswerTime | None
) -> list[Deviation]:
    """Every departure, what the model says and what the case says."""
    found = []
    if primary in (case.form, case.meeting.form if case.meeting else None) and primary not in stage.forms:
        found.append(_said(FORM, ", ".join(stage.forms), primary))
    if case.reach is not None:
        found.append(_said(REACH, _rings(stage.rings), _own_rings(case.reach)))
    if answers is not None and case.respond_by is not None:
        # Judged from the stage's own first day: that we match it late is no decision of the case.
        opened = min(day, case.stage_opened or day)
        wanted = proposal(case, stage, model, opened)
        if case.respond_by < wanted:
            found.append(_said(DEADLINE, str(wanted), str(case.respond_by)))
        if not working_days.is_working_day(case.respond_by):
            found.append(_said(WEEKEND, str(working_days.on_or_after(case.respond_by)), str(case.respond_by)))
    known = procedures(case, model)
    if case.procedure is not None and known and case.procedure not in known:
        found.append(_said(PROCEDURE, ", ".join(sorted(known)), case.procedure))
    meeting, earliest = case.meeting, earliest_meeting(stage, day)
    if meeting is not None and earliest is not None and working_days.local_day(meeting.start) < earliest:
        found.append(_said(LEAD, str(earliest), str(working_days.local_day(meeting.start))))
    return found


def reason(case: Case, found: Iterable[Deviation]) -> str:
    """The written reason; where there are only rings of the case's own, or only haste, what was said of these."""
    kinds = {item.kind for item in found} & NEED_A_REASON
    if case.deviation_reason or not kinds:
        return case.deviation_reason if kinds else ""
    given = {
        REACH: "; ".join(dict.fromkeys(ring.why for ring in case.reach or [])) if _every_ring_says_why(case) else "",
        DEADLINE: case.urgent_reason if case.urgent else "",
    }
    reasons = [given.get(kind, "") for kind in sorted(kinds)]
    return "; ".join(reasons)[:MOST] if all(reasons) else ""


def _every_ring_says_why(case: Case) -> bool:
    return all(ring.why for ring in case.reach or [])


def _said(kind: str, model: str, case: str) -> Deviation:
    return Deviation(kind=kind, model=model[:MOST], case=case[:MOST])


def _rings(rings: Iterable[Ring]) -> str:
    sending = [ring for ring in rings if ring.delivery == "direct"]
    return "; ".join(f"{_distance(ring.buffer_m, ring.geometry)} {_of(ring.industries)}" for ring in sending)


def _own_rings(rings: Iterable[ReachRing]) -> str:
    return "; ".join(
        f"{_distance(ring.buffer_m, 'case')} "
        f"{_of('all' if ring.industries == 'all' else [item.code for item in ring.industries])}"
        for ring in rings
    )


def _distance(buffer_m: float | None, geometry: str) -> str:
    return f"{buffer_m:g} m" if buffer_m is not None else geometry


def _of(industries: str | list[str]) -> str:
    return industries if isinstance(industries, str) else "+".join(industries)

"""Who is owed an account of what came of their answers, by when, and who owes it (dialogue rule 9).

Owed is what the round's plan promised, from the first invitation on and until a feedback is under way; one that was
taken back is owed still. A round that never invited anybody, or that was withdrawn, owes nothing.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Final

from schemas.round import Purpose, Round, RoundState
from services.portal.case_orders import TOLD
from services.rendering.dates import local

COLUMNS: Final = (
    "case", "stage", "occurrence", "by", "after", "late", "unit", "official", "recipients", "round",
)  # fmt: skip


def owing(rounds: Iterable[Round]) -> list[Round]:
    """The rounds that owe a feedback, the soonest first; last those whose day nobody knows yet."""
    known = list(rounds)
    told = {
        item.follows
        for item in known
        if item.purpose is Purpose.FEEDBACK and item.state in (RoundState.MATCHING, *TOLD)
    }
    return sorted((item for item in known if _owes(item) and item.round_id not in told), key=_soonest)


def row(round_: Round, now: datetime) -> tuple[object, ...]:
    """A round that owes, in these columns. The day counts to its end in Sweden."""
    plan, official = round_.plan, round_.texts.official
    by = plan.feedback_by if plan else None
    return (
        round_.case_key, round_.stage, round_.occurrence, by.isoformat() if by else None,
        plan.feedback_after if plan else None, by is not None and by < local(now).date(), round_.texts.unit,
        official.name if official else "", round_.counts.invitations, round_.round_id,
    )  # fmt: skip


def _owes(round_: Round) -> bool:
    asked = round_.purpose is Purpose.ASK and round_.state in TOLD and round_.counts.invitations > 0
    return asked and round_.plan is not None and round_.plan.feedback_days is not None


def _soonest(round_: Round) -> tuple[date, str, str]:
    by = round_.plan.feedback_by if round_.plan else None
    return by or date.max, round_.case_key, round_.round_id

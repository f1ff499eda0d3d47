"""Those who got the first message of a round are told once when it no longer holds.

A *change* is a round of its own that follows the earlier one, numbered, and never asks. It is issued to the members
concerned: all of them when the round is withdrawn or undone, those removed when they are no longer affected. The
notifier leaves out whom the first message never reached. A newer stage tells nobody: its own message does.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from schemas.identity import invitation_id, round_id
from schemas.invitation import Forms, Invitation, InvitationState
from schemas.model import NOTICE
from schemas.round import Counts, Purpose, Round, RoundState
from services.matcher.memberships import Membership

WITHDRAWN: Final = "withdrawn"
UNDONE: Final = "undone"
NOT_AFFECTED: Final = "not_affected"
SUPERSEDED: Final = "superseded"
"""Why a change is closed: the round that it called off is open again."""
LIFE: Final = timedelta(days=14)


def change_round(earlier: Round, kind: str, number: int, concerned: Iterable[Membership], opened_at: datetime) -> Round:
    """The round that tells of it, open."""
    if earlier.plan is None:
        raise ValueError(f"round {earlier.round_id} has no plan; nobody was invited to it")
    told = list(concerned)
    id_ = round_id(earlier.case_key, earlier.stage, earlier.occurrence, Purpose.CHANGE.value, number)
    quiet = {
        "primary": NOTICE, "forms": [NOTICE], "asks": False, "minutes": 0, "influence": "inform", "exempt": True,
        "reminder": None, "feedback_days": None, "statutory": False,
    }  # fmt: skip
    return earlier.model_copy(
        update={
            "round_id": id_,
            "purpose": Purpose.CHANGE,
            "number": number,
            "change": kind,
            "follows": earlier.round_id,
            "state": RoundState.OPEN,
            "reason": None,
            "detail": "",
            "plan": earlier.plan.model_copy(update=quiet),
            "texts": earlier.texts.model_copy(
                update={"question": "", "question_en": "", "form": "", "form_en": "", "open_questions": []}
            ),
            "opened_at": opened_at,
            "not_before": None,
            "remind_at": None,
            "respond_by": None,
            "expires_at": opened_at + LIFE,
            "counts": Counts(invitations=len(told), workplaces=len({w for m in told for w in _workplaces(m)})),
            "set_hash": None,
        }
    )


def change_invitations(change: Round, concerned: Iterable[Membership]) -> tuple[Invitation, ...]:
    """The change as each of those concerned gets it, with the workplaces and reasons of the first message."""
    return tuple(
        member.invitation.model_copy(
            update={
                "invitation_id": invitation_id(change.round_id, member.recipient_id),
                "revision": 1,
                "state": InvitationState.ISSUED,
                "round_id": change.round_id,
                "purpose": Purpose.CHANGE,
                "forms": Forms(primary=NOTICE, offered=[NOTICE]),
                "respond_by": None,
                "expires_at": change.expires_at,
                "basis": change.basis,
            }
        )
        for member in concerned
    )


def _workplaces(member: Membership) -> Iterable[str]:
    return (place.workplace_id for place in member.invitation.workplaces)

"""Rounds that follow another: those who were asked or told are told something more, and are asked nothing.

Such a round has the workplaces and reasons of the first message, and the texts of the round that it follows. The
notifier leaves out whom that round's message never reached.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from schemas.identity import invitation_id, set_hash
from schemas.invitation import Forms, Invitation, InvitationState
from schemas.model import NOTICE
from schemas.round import Counts, Purpose, Round, RoundState
from schemas.types import RoundId
from services.matcher.memberships import Membership

LIFE: Final = timedelta(days=14)


def following_round(
    earlier: Round,
    id_: RoundId,
    purpose: Purpose,
    number: int,
    members: Iterable[Membership],
    opened_at: datetime,
    *,
    change: str | None = None,
    texts: Mapping[str, object] = MappingProxyType({}),
) -> Round:
    """The round that tells these members, open, with what `texts` say beside the earlier round's."""
    if earlier.plan is None:
        raise ValueError(f"round {earlier.round_id} has no plan; nobody was invited to it")
    quiet = {
        "primary": NOTICE, "forms": [NOTICE], "asks": False, "minutes": 0, "influence": "inform", "exempt": True,
        "reminder": None, "feedback_days": None, "feedback_after": None, "feedback_by": None, "statutory": False,
    }  # fmt: skip
    silent = {"question": "", "question_en": "", "form": "", "form_en": "", "open_questions": []}
    places = {m.recipient_id: [place.workplace_id for place in m.invitation.workplaces] for m in members}
    return earlier.model_copy(
        update={
            "round_id": id_,
            "purpose": purpose,
            "number": number,
            "change": change,
            "follows": earlier.round_id,
            "state": RoundState.OPEN,
            "reason": None,
            "detail": "",
            "plan": earlier.plan.model_copy(update=quiet),
            "texts": earlier.texts.model_copy(update={**silent, **texts}),
            "opened_at": opened_at,
            "not_before": None,
            "remind_at": None,
            "respond_by": None,
            "expires_at": opened_at + LIFE,
            "counts": Counts(invitations=len(places), workplaces=len({w for own in places.values() for w in own})),
            "set_hash": set_hash(places.items()),
        }
    )


def following_invitations(round_: Round, members: Iterable[Membership]) -> tuple[Invitation, ...]:
    """The round as each member gets it, with the workplaces and reasons of the first message."""
    forms = [round_.plan.primary] if round_.plan else [NOTICE]
    return tuple(
        member.invitation.model_copy(
            update={
                "invitation_id": invitation_id(round_.round_id, member.recipient_id),
                "revision": 1,
                "state": InvitationState.ISSUED,
                "round_id": round_.round_id,
                "purpose": round_.purpose,
                "forms": Forms(primary=forms[0], offered=forms),
                "respond_by": None,
                "expires_at": round_.expires_at,
                "basis": round_.basis,
            }
        )
        for member in members
    )

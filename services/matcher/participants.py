"""Who answered on a case before, and is told of what comes after (dialogue rule 7).

An answer opens a case subscription. A stage with a ring `participants` invites those who have one, for the workplaces
that they answered for: as the register knows them now, so that what closed meanwhile is left out. A subscriber has no
workplace in the register; it is told for as long as it follows something, since with its last subscription its address
goes too.
"""

from dataclasses import dataclass
from typing import Final

from schemas.case import Case
from schemas.invitation import Reason
from schemas.model import DialogueModel, Ring
from services.matcher.subscriptions import Subscribers
from services.matcher.workplaces import Snapshot

GEOMETRY: Final = "participants"


@dataclass(frozen=True)
class Answered:
    """Those who answered: rows of the register, and the places of subscribers, each with its reason."""

    rows: tuple[tuple[int, Reason], ...] = ()
    subscribers: tuple[tuple[str, str, Reason], ...] = ()
    """Recipient, place, reason."""
    unknown: int = 0
    """Workplaces that have left the register."""


def ring(case: Case | None, model: DialogueModel) -> Ring | None:
    """The ring of a case's stage that asks for participants, where there is one that sends for itself."""
    stage = model.stage(case.case_type, case.stage) if case else None
    rings = stage.rings if stage else []
    return next((one for one in rings if one.geometry == GEOMETRY and one.delivery == "direct"), None)


def answered(case: Case, model: DialogueModel, register: Snapshot, subscribers: Subscribers) -> Answered:
    """Who answered an earlier round of a case whose stage asks for them."""
    asks, followers = ring(case, model), subscribers.followers.get(case.key, ())
    if asks is None or not followers:
        return Answered()
    subscribing = {row.recipient_id for row in subscribers.all}
    rows, places, unknown = [], [], 0
    for one in followers:
        reason = Reason(kind="participant", ring=asks.id, subscription_id=one.subscription_id, why=asks.why[:200])
        for place in one.workplaces:
            row = register.row(place)
            if row is not None and register.recipient_id(row) == one.recipient_id:
                rows.append((row, reason))
            elif one.recipient_id in subscribing:
                places.append((one.recipient_id, place, reason))
            else:
                unknown += 1
    return Answered(tuple(rows), tuple(places), unknown)

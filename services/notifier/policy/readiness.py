"""Whether a round's invitations may be turned into messages now.

Nothing leaves before `open`, before the hold is over in which an official may undo (what is urgent has none), or from
a round that is older than the invitation. All the round's invitations are waited for, so that an address gets one
message with all of them; but not for ever: counts may be wrong, and after a grace those that came go.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from schemas.round import Round, RoundState
from services.notifier.policy.attention import is_urgent

GRACE: Final = timedelta(seconds=60)


class Readiness(StrEnum):
    """What to do with a round's admitted invitations."""

    WAIT = "wait"
    GO = "go"
    CANCEL = "cancel"


def readiness(round_: Round, now: datetime, hold: timedelta, admitted: int) -> Readiness:
    """`admitted` counts the round's invitations in the ledger, without those that were revoked."""
    if round_.state in (RoundState.WITHDRAWN, RoundState.CLOSED, RoundState.SILENT):
        return Readiness.CANCEL
    if round_.state != RoundState.OPEN or round_.opened_at is None:
        return Readiness.WAIT
    held_until = round_.opened_at if is_urgent(round_) else round_.opened_at + hold
    free = max(held_until, round_.not_before or held_until)
    if now < free:
        return Readiness.WAIT
    complete = admitted >= round_.counts.invitations or now >= free + GRACE
    return Readiness.GO if complete else Readiness.WAIT

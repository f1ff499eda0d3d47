"""Whether an invitation can be answered now, and until when. Pure: rounds, invitations and a moment in, a verdict out.

An answer is in time until the end of the local day that the message named; the later of the round's and the
invitation's day counts, since nobody's time is cut short by a record that another has not caught up with.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Final

from schemas.invitation import Invitation, InvitationState
from schemas.round import Round, RoundState
from services.rendering import asking
from services.rendering.dates import ZONE


class Standing(StrEnum):
    """What the page says of an invitation."""

    OPEN = "open"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    """The case was withdrawn."""
    UNDONE = "undone"
    """The official took the invitations back; they may come again."""
    NOT_AFFECTED = "not_affected"
    """The area or the industries changed, and this recipient is outside."""
    CLOSED = "closed"
    """The case ended."""
    INFORMATION = "information"
    """Nothing is asked."""


NEWER_STAGE: Final = "newer_stage"
"""Why a round is closed while its answers are still taken."""


UNDONE: Final = "undone"
"""Why a round is held that was taken back. One that waits for a look alone (others are affected now, the case was
edited) sends nothing until an official has released it; who was invited may answer meanwhile.
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an invitation stands, and the last day to answer, where there is one."""

    standing: Standing
    last_day: date | None = None
    moved_on: bool = False
    """A newer stage has begun; answers are taken all the same."""

    @property
    def open(self) -> bool:
        """Whether an answer would be taken."""
        return self.standing is Standing.OPEN


def standing(round_: Round, invitation: Invitation, now: datetime) -> Verdict:
    """How an invitation stands at `now`."""
    last_day = max((day for day in (round_.respond_by, invitation.respond_by) if day is not None), default=None)
    moved_on = round_.state is RoundState.CLOSED and round_.reason == NEWER_STAGE
    return Verdict(_standing(round_, invitation, now, last_day, moved_on), last_day, moved_on)


def _standing(round_: Round, invitation: Invitation, now: datetime, last_day: date | None, moved_on: bool) -> Standing:
    if round_.state is RoundState.WITHDRAWN:
        return Standing.WITHDRAWN
    if not asking.asks(round_):
        return Standing.INFORMATION
    if round_.state is RoundState.SILENT or (round_.state is RoundState.HELD and round_.reason == UNDONE):
        return Standing.UNDONE
    if invitation.state is InvitationState.REVOKED and not moved_on:
        return Standing.NOT_AFFECTED
    if now >= (end_of(last_day) if last_day else invitation.expires_at):
        return Standing.EXPIRED
    if round_.state is RoundState.CLOSED and not moved_on:
        return Standing.CLOSED
    return Standing.OPEN


def end_of(day: date) -> datetime:
    """The first moment that is after a day in Sweden."""
    return datetime.combine(day + timedelta(days=1), time(), ZONE)
